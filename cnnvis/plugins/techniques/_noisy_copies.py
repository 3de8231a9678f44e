"""Noisy copies of inputs, and maps of what their gradients have over channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    x, deviation, perturbation_args = noise_of(samples, noise, seed)
    return model.gradient_moments(x, noisy, perturbation_args, copies, per_sample_args=[deviation])


def over_channels(maps: Array, samples: cnnvis.Samples, channels: str) -> Any:
    """Return the maximum of maps over channels, or the maps where each channel has its own."""
    return cnnvis.channel_max(maps, samples.channel_axis if channels == "max" else None)


def noise_of(
    samples: cnnvis.Samples, noise: float, seed: int
) -> tuple[Array, Array, Callable[[range], Sequence[Array]]]:
    """Return the inputs, the deviation of their noise, and a function that draws the noise."""
    import numpy as np

    x = np.asarray(samples.x, np.float32)

    def perturbation_args(some: range) -> list[Array]:
        """Draw the copies' noise: the same for every image, so that none depends on its place."""
        drawn = (np.random.default_rng((seed, copy)) for copy in some)
        return [np.stack([one.standard_normal(x.shape[1:], np.float32) for one in drawn])]

    return x, noise * np.ptp(x.reshape(len(x), -1), axis=1), perturbation_args


def noisy(x: Any, deviation: Any, noise: Any) -> Any:
    """Return copies with noise, for `Model.mean_gradient`."""
    return x + noise * deviation
