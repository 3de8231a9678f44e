"""VarGrad: the variance of the gradients of noisy copies of the input."""

from __future__ import annotations

import cnnvis

from ._noisy_copies import Channels, Copies, Noise, moments, over_channels


@cnnvis.technique(
    "vargrad", family="gradients", reference="arXiv:1810.03292", claims={"zero-for-linear": {}}
)
def vargrad(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    copies: Copies = 50,
    noise: Noise = 0.15,
    channels: Channels = "max",
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The variance of the gradients of noisy copies of the input.

    M(p) = max over channels c of sum over i of (g_i - mean of g)^2 / (n - 1), with the gradient
    g_i = dS/dx(x + e_i)(p, c) of copy i of n, for the score S, the input x and Gaussian noise e_i:
    Adebayo et al. 2018, section 3.1. It shows where the score bends, has no sign, and is 0 for a
    linear network. Of Captum, the variance is divided by n and not by n - 1.

    Parameters
    ----------
    copies
        The number of noisy copies of each image, 2 or more, with the same noise for every image.
    """
    if copies < 2:
        raise cnnvis.UserError("copies is 1, and a variance needs 2 or more")
    _, variance = moments(model, samples, copies, noise, seed)
    return cnnvis.Explanation(over_channels(variance, samples, channels), samples, signed=False)
