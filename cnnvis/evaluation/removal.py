"""Removal of parts of inputs in the order of a map, and the score that is left.

A part is removed as a whole, with all its channels: positions within a part are not told apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis.data.samples import Array

PARTS = {1: 32, 2: 8, 3: 4}
"""Number of parts along each axis, by the number of spatial axes."""


def parts_of(space: tuple[int, ...]) -> Array:
    """Return the number of the part that each position belongs to, an array of whole numbers.

    Every axis is cut into parts of nearly equal length: 32 over one axis, 8 over each of two, 4 over
    each of three; as many as it has positions where these are fewer.
    """
    return grid_of(space, [PARTS.get(len(space), 4)] * len(space))


def grid_of(space: tuple[int, ...], counts: Sequence[int]) -> Array:
    """Return the number of the cell of each position, of so many cells along each axis.

    The cells of an axis are of nearly equal length, and as many as it has positions where these are
    fewer.
    """
    found = np.zeros(space, int)
    for axis, (size, count) in enumerate(zip(space, counts, strict=True)):
        number = min(count, size)
        along = np.arange(size) * number // max(size, 1)
        shape = [1] * len(space)
        shape[axis] = size
        found = found * number + along.reshape(shape)
    return found


def part_sums(maps: Array, parts: Array) -> Array:
    """Return the sum of each map (n, ...) over each part, (n, number of parts) float64.

    The parts are (...) for all maps, or (n, ...).
    """
    count = int(parts.max()) + 1
    of_each = parts if parts.ndim == maps.ndim else np.broadcast_to(parts, maps.shape)
    found: Array = np.stack(
        [np.bincount(numbers.ravel(), one.ravel(), count)
         for numbers, one in zip(of_each, maps, strict=True)]
    )  # fmt: skip
    return found


def part_means(maps: Array, parts: Array) -> Array:
    """Return the mean of each map (n, ...) over each part, (n, number of parts) float64.

    The importance of a part: by their sums, larger parts would come first in maps without negative
    values.
    """
    found: Array = part_sums(maps, parts) / part_sums(np.ones(maps.shape), parts)
    return found


def orders_of(importance: Array) -> list[Array]:
    """Return orders of parts, each (n, count), from the least important part to the most important.

    One order; or two, of which the mean counts, where parts of an image are equally important: once
    the first and once the last of these comes first. A map without differences would else be judged
    by where its parts lie.
    """
    count = importance.shape[1]
    order = np.argsort(importance, axis=1, kind="stable")
    other = count - 1 - np.argsort(importance[:, ::-1], axis=1, kind="stable")
    return [order] if np.array_equal(order, other) else [order, other]


def chosen_parts(order: Array, removed: int, *, least_first: bool) -> Array:
    """Return which parts are removed if so many are, (n, count) bool, by an order of `orders_of`."""
    count = order.shape[1]
    found = np.zeros(order.shape, bool)
    chosen = order[:, :removed] if least_first else order[:, count - removed :]
    np.put_along_axis(found, chosen, True, axis=1)
    return found


def curve_area(scores: Array, counts: Sequence[int]) -> Array:
    """Return the area under each curve of scores (steps, n), by the trapezoidal rule, (n,).

    Over the numbers of removed parts as shares of the largest, so that it is a mean of scores.
    """
    found: Array = np.trapezoid(scores, np.asarray(counts) / counts[-1], axis=0)
    return found


def step_counts(count: int, steps: int, share: float = 1.0) -> list[int]:
    """Return numbers of removed parts in nearly equal steps: 0, ..., up to a share of all parts.

    Fewer than `steps` steps where there are fewer parts.
    """
    last = max(1, round(count * share))
    found: list[int] = np.unique(np.round(np.linspace(0, last, steps + 1)).astype(int)).tolist()
    return found
