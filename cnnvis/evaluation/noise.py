"""Random noise of images: the same for an image alone and among others, wherever channels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from cnnvis.data.samples import Array


def image_noise(
    x: Array, channel_axis: int | None, seeds: Sequence[Any], kind: Literal["normal", "uniform"]
) -> Array:
    """Draw noise for inputs, (m, ...) float64: of standard deviation 1, or uniform from -1 to 1.

    Parameters
    ----------
    x
        The inputs, (m, ...).
    channel_axis
        The axis of channels in `x`; None without channels.
    seeds
        The seed for each input.
    """
    shape = list(x.shape[1:])
    if channel_axis is not None:
        shape.append(shape.pop(channel_axis - 1 if channel_axis > 0 else channel_axis))
    rngs = [np.random.default_rng(seed) for seed in seeds]
    drawn = [
        one.normal(size=shape) if kind == "normal" else one.uniform(-1, 1, shape) for one in rngs
    ]
    found = np.stack(drawn)
    return found if channel_axis is None else np.moveaxis(found, -1, channel_axis)
