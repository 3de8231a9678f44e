"""Starts of gradient ascent: range, noise and shifts of inputs, and the pictures of its ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

EPSILON = 1e-7


def range_of(model: cnnvis.Model, samples: cnnvis.Samples | None) -> tuple[float, float]:
    """Return the range of an input's values: that of the data, or else the network's."""
    if samples is not None and len(samples) and samples.x.size:
        low, high = float(samples.x.min()), float(samples.x.max())
        if low < high:
            cnnvis.note(f"the input is drawn from {low:g} to {high:g}, the range of the data")
            return low, high
    expected = model.expected_range
    if expected is not None:
        (low, high), layer = expected
        cnnvis.note(
            f"the input is drawn from {low:.3g} to {high:.3g}, as the layer {layer!r} expects"
        )
        return low, high
    cnnvis.note(
        "the input is drawn from 0 to 255, which is a guess: give data, or --input-range LOW HIGH"
    )
    return 0.0, 255.0


def fixed(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return the shape of an input; refuse any that is not fixed."""
    if None in shape:
        raise cnnvis.UserError(
            f"the model takes inputs of any size {shape}, so the size of the result is not known; "
            "start from data of the wanted size: --start data --data FILE"
        )
    return tuple(size for size in shape if size is not None)


def noise_in(shape: tuple[int, ...], input_range: tuple[float, float], rng: Any) -> Array:
    """Return uniform noise about the middle of the range, with a deviation of 1/20 of the range."""
    low, high = input_range
    noise: Array = rng.random(shape)
    noise = (noise - noise.mean()) / (noise.std() + EPSILON)
    return noise * 0.05 * (high - low) + (low + high) / 2


def channel_of(model: cnnvis.Model, x: Array) -> int | None:
    """Return the axis of channels of inputs, counted from the front; None without channels."""
    axis = model.input_channel_axis
    return None if axis is None else axis % x.ndim


def pixels_of(jitter: Sequence[float], space: Sequence[int]) -> list[int]:
    """Return the largest shift along each spatial axis, for axes of these lengths."""
    amounts = list(jitter) * len(space) if len(jitter) == 1 else list(jitter)
    if len(amounts) != len(space):
        raise cnnvis.UserError(
            f"jitter is {tuple(jitter)}, and it must be one number, or one for each of the "
            f"{len(space)} spatial axes"
        )
    return [
        int(size * amount if amount < 1 else amount)
        for amount, size in zip(amounts, space, strict=True)
    ]


def deprocessed(x: Array, input_range: tuple[float, float]) -> Array:
    """Centre each input in the range, with 1/10 of the range as deviation, and clip it."""
    axes = tuple(range(1, x.ndim))
    x = x - x.mean(axis=axes, keepdims=True)
    x = x / (x.std(axis=axes, keepdims=True) + EPSILON) * 0.1
    low, high = input_range
    return (x + 0.5).clip(0, 1) * (high - low) + low
