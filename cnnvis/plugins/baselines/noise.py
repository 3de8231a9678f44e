"""Baseline of random values."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.baseline("noise", reference="doi:10.23915/distill.00022")
def noise(samples: cnnvis.Samples, argument: str) -> Any:
    """Uniform random values between the smallest and the largest value of each image.

    As Sturmfels et al. 2020 draw them. An image gets what it gets whatever other images there are;
    noise:7 draws others than noise, which is noise:0.
    """
    import numpy as np

    try:
        seed = int(argument or 0)
        draws = [np.random.default_rng([seed, int(index)]) for index in samples.indices]
    except ValueError:
        raise cnnvis.UserError(
            f"the baseline noise takes a whole number of at least 0, noise:7, not {argument!r}"
        ) from None
    x = np.asarray(samples.x, np.float32)
    # Drawn with channels last, so that an image with channels first has the same noise.
    channel = -1 if samples.channel_axis is None else samples.channel_axis
    last = np.moveaxis(x, channel, -1)
    found = [
        draw.uniform(one.min(), one.max(), one.shape) for draw, one in zip(draws, last, strict=True)
    ]
    return np.moveaxis(np.array(found, np.float32).reshape(last.shape), -1, channel)
