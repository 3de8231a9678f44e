"""SmoothGrad: the mean gradient of noisy copies of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "smoothgrad",
    reference="arXiv:1706.03825",
    claims={"gradient": {"gradient": None}},
    signed={"gradient": None, "channels": "each"},
)
def smoothgrad(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    copies: cnnvis.Count = 50,
    noise: cnnvis.NotNegative = 0.15,
    backprop: cnnvis.Backprop | None = None,
    gradient: cnnvis.GradientModifier | None = "absolute",
    channels: Literal["max", "each"] = "max",
    seed: int = 0,
) -> cnnvis.Explanation:
    """Saliency with less noise: the mean gradient of noisy copies of the input.

    M(p) = max over channels c of |mean over i of dS/dx(x + e_i)(p, c)|, for the score S, the input
    x and Gaussian noise e_i: Smilkov et al. 2017, section 3.

    Parameters
    ----------
    copies
        The number of copies of each image.
    noise
        The standard deviation of the noise, as a share of the image's range.
    backprop
        The backpropagation modifier of ReLUs and other rectifiers: none (the plain gradient),
        guided (positive gradients where the unit is on), rectified (all positive gradients; also
        called deconv and relu).
    gradient
        The change of the mean gradient before the maximum over channels.
    channels
        The maximum over channels, or a map for each channel: of channels whose gradients have
        different signs, the maximum hides what speaks against the target.
    seed
        The seed of the noise, which is the same for every image.
    """
    import numpy as np

    if seed < 0:
        raise cnnvis.UserError(f"seed is {seed}, and must not be negative")
    x = np.asarray(samples.x, np.float32)
    deviation = noise * np.ptp(x.reshape(len(x), -1), axis=1)

    def perturbation_args(some: range) -> list[Array]:
        """Draw the copies' noise: the same for every image, so that none depends on its place."""
        drawn = (np.random.default_rng((seed, copy)) for copy in some)
        return [np.stack([one.standard_normal(x.shape[1:], np.float32) for one in drawn])]

    maps = model.mean_gradient(
        x,
        _noisy,
        perturbation_args,
        [1 / copies] * copies,
        per_sample_args=[deviation],
        backprop=backprop,
    )
    axis = samples.channel_axis if channels == "max" else None
    maps = cnnvis.channel_max(cnnvis.modify_gradient(maps, gradient), axis)
    return cnnvis.Explanation(maps, samples)


def _noisy(x: Any, deviation: Any, noise: Any) -> Any:
    return x + noise * deviation
