"""Removal of parts of inputs in the order of a map, and the score that is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cnnvis.data.samples import Array

PARTS = {1: 32, 2: 8, 3: 4}
"""Number of parts along each axis, by the number of spatial axes."""

FRACTIONS = 4


def parts_of(space: tuple[int, ...]) -> Array:
    """Return the number of the part that each position belongs to, an array of whole numbers.

    Every axis is cut into parts of nearly equal length: 32 over one axis, 8 over each of two, 4 over
    each of three; as many as it has positions where these are fewer.
    """
    count = PARTS.get(len(space), 4)
    found = np.zeros(space, int)
    for axis, size in enumerate(space):
        number = min(count, size)
        along = np.arange(size) * number // max(size, 1)
        shape = [1] * len(space)
        shape[axis] = size
        found = found * number + along.reshape(shape)
    return found


def removal_scores(
    maps: Array,
    x: Array,
    fill: Array,
    channel_axis: int | None,
    score: Callable[[Array, list[int]], Array],
    fractions: int = FRACTIONS,
) -> Array:
    """Compute the scores of inputs after the least and the most important parts are removed.

    Parameters
    ----------
    maps
        One map for each input over its spatial axes, (n, ...). The importance of a part is the mean
        of its values: by their sum, larger parts would come first in maps without negative values.
    x
        The inputs, (n, ...).
    fill
        What stands in the place of a removed part: (n, ...) or (1, ...).
    channel_axis
        The axis of channels in `x`; None without channels.
    score
        Function of changed inputs and the numbers of their samples that gives their scores.
    fractions
        How many shares of the parts are removed: 1 / (fractions + 1), 2 / (fractions + 1), ...

    Returns
    -------
    ndarray
        (2, fractions, n) float64: least important first, and most important first.
    """
    parts = parts_of(maps.shape[1:])
    count = int(parts.max()) + 1
    flat = maps.reshape(len(maps), -1)
    sizes = np.bincount(parts.ravel(), minlength=count)
    means = np.stack([np.bincount(parts.ravel(), one, count) for one in flat]) / sizes
    # The least important part first. Among parts of equal importance, once the first and once the last
    # comes first: a map without differences would else be judged by where its parts lie.
    order = np.argsort(means, axis=1, kind="stable")
    other = count - 1 - np.argsort(means[:, ::-1], axis=1, kind="stable")
    orders = [order] if np.array_equal(order, other) else [order, other]
    fill = np.broadcast_to(fill, x.shape)
    found = np.zeros((2, fractions, len(x)))
    rows = list(range(len(x)))
    for order in orders:
        for step in range(fractions):
            removed = math.ceil(count * (step + 1) / (fractions + 1))
            for direction, chosen in enumerate((order[:, :removed], order[:, count - removed :])):
                is_out = np.zeros((len(x), count), bool)
                np.put_along_axis(is_out, chosen, True, axis=1)
                mask = is_out[:, parts]
                if channel_axis is not None:
                    mask = np.expand_dims(mask, channel_axis % x.ndim)
                found[direction, step] += score(np.where(mask, fill, x), rows) / len(orders)
    return found


def relevance_gain(scores: Array) -> Array:
    """Return the symmetric relevance gain of each input, (n,): the mean of LIF less MIF scores.

    Bluecher, Vielhaben and Strodthoff 2024, arXiv:2401.06654, equation 3: the area between the curves
    when the least important (LIF) and the most important (MIF) parts are removed first. It is 0 on
    average for an order that knows nothing, and turns its sign with the map's.
    """
    found: Array = (scores[0] - scores[1]).mean(axis=0)
    return found
