"""SmoothGrad-Squared: the mean squared gradient of noisy copies of the input."""

from __future__ import annotations

import cnnvis

from ._noisy_copies import Channels, Copies, Noise, moments, over_channels


@cnnvis.technique("smoothgrad-squared", family="gradients", reference="arXiv:1806.10758")
def smoothgrad_squared(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    copies: Copies = 50,
    noise: Noise = 0.15,
    channels: Channels = "max",
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The mean squared gradient of noisy copies of the input.

    M(p) = max over channels c of the mean over i of (dS/dx(x + e_i)(p, c))^2, for the score S, the
    input x and Gaussian noise e_i: Hooker et al. 2019, section 4.2 (SmoothGrad-Squared). It is the
    square of SmoothGrad and the variance of VarGrad together, and has no sign.
    """
    mean, variance = moments(model, samples, copies, noise, seed)
    maps = mean**2 + variance * ((copies - 1) / copies)
    return cnnvis.Explanation(over_channels(maps, samples, channels), samples, signed=False)
