"""Blur integrated gradients: the integral of gradients along the path from a blurred image to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "blur-integrated-gradients",
    family="integrated gradients",
    reference="arXiv:2004.03383",
    signed={},
)
def blur_integrated_gradients(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    steps: cnnvis.Count = 100,
    width: cnnvis.NotNegative = 0.25,
) -> cnnvis.Explanation:
    """How much each value adds to the score on the way from the blurred input to the input.

    M = sum over steps of (L(x, s_t) - L(x, s_(t-1))) (g_t + g_(t-1)) / 2, with the gradient
    g_t = dS/dx(L(x, s_t)), for the score S and the input x, blurred with a Gaussian of the standard
    deviation s along all spatial axes: L(x, s). Xu et al. 2020, equation 5, by the trapezoidal rule.
    The blur ends smoothly at s = 0. The sum of M is S(x) - S(L(x, s_0)): what a widely blurred input
    answers is not explained. No baseline is needed, and a value may count even where it is zero.

    Parameters
    ----------
    steps
        At how many widths of the blur gradients are taken.
    width
        The largest standard deviation of the blur, as a share of the longest spatial axis. Beyond
        the edges, the input is mirrored.
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    if not samples.space:
        raise cnnvis.UserError(
            "blur-integrated-gradients blurs along the spatial axes of the input, and this input has "
            "none; use integrated-gradients"
        )
    # Narrow blurs are closer together: details come back at last, and quickly.
    deviations = max(samples.space) * width * np.linspace(1, 0, steps + 1) ** 2
    weights = model.target_weights(x)
    along = model.with_blank_reasons([])
    maps = np.zeros(x.shape, np.float64)
    with cnnvis.progress("blur-integrated-gradients", len(x)) as advance:
        for at in range(len(x)):  # the path of an image is a batch
            path = np.stack([_blurred(x[at], samples.channel_axis, one) for one in deviations])
            gradient = along.input_gradient(
                path, weights=np.repeat(weights[[at]], len(path), axis=0), of=[at] * len(path)
            ).astype(np.float64)
            maps[at] = (np.diff(path, axis=0) * (gradient[1:] + gradient[:-1]) / 2).sum(axis=0)
            advance(1)
    widest = np.stack([_blurred(one, samples.channel_axis, deviations[0]) for one in x])
    gaps = cnnvis.completeness_gap_of_maps(
        maps, model.scores(x, weights=weights), model.scores(widest, weights=weights)
    )
    return cnnvis.Explanation(maps.astype(np.float32), samples, measures={"completeness_gap": gaps})


def _blurred(x: Array, channel_axis: int | None, deviation: float) -> Array:
    """Return an input, (...) float32, blurred along its spatial axes."""
    import numpy as np
    from scipy import ndimage

    channel = None if channel_axis is None else channel_axis % (x.ndim + 1) - 1
    deviations = [0.0 if axis == channel else deviation for axis in range(x.ndim)]
    found: Array = ndimage.gaussian_filter(x, deviations, mode="reflect", output=np.float32)
    return found
