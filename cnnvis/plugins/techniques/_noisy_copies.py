"""Noisy copies of inputs, and maps of what their gradients have over channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Copies = Annotated[
    cnnvis.Count,
    cnnvis.Help("The number of noisy copies of each image, with the same noise for every image."),
]
Noise = Annotated[
    cnnvis.NotNegative,
    cnnvis.Help("The standard deviation of the noise, as a share of the image's range."),
]
Channels = Annotated[
    Literal["max", "each"], cnnvis.Help("The maximum over channels, or a map for each channel.")
]


def moments(
    model: cnnvis.Model, samples: cnnvis.Samples, copies: int, noise: float, seed: int
) -> tuple[Array, Array]:
    """Return the mean and the variance of the gradients of noisy copies, (n, ...) each."""
    return model.gradient_moments(*noisy_copies(samples, copies, noise, seed))


def over_channels(maps: Array, samples: cnnvis.Samples, channels: str) -> Any:
    """Return the maximum of maps over channels, or the maps where each channel has its own."""
    return cnnvis.channel_max(maps, samples.channel_axis if channels == "max" else None)


def noisy_copies(
    samples: cnnvis.Samples, copies: int, noise: float, seed: int
) -> tuple[Array, cnnvis.Perturbations]:
    """Return the inputs, and their copies with noise."""
    import numpy as np

    x = np.asarray(samples.x, np.float32)

    def drawn(some: range) -> list[Array]:
        """Draw the copies' noise: the same for every image, so that none depends on its place."""
        every = (np.random.default_rng((seed, copy)) for copy in some)
        return [np.stack([one.standard_normal(x.shape[1:], np.float32) for one in every])]

    deviation = noise * np.ptp(x.reshape(len(x), -1), axis=1)
    return x, cnnvis.Perturbations(_noisy, drawn, copies, [deviation])


def _noisy(x: Any, deviation: Any, noise: Any) -> Any:
    return x + noise * deviation
