"""Maps over the positions of a layer, laid over the input where their receptive fields are centred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.network.geometry.origin import Origin, Run
from cnnvis.network.geometry.windows import widen
from cnnvis.reporting import note

FEW = 64
"""Largest number of positions along an axis for which a product of matrices interpolates faster."""


@dataclass(frozen=True)
class Lost:
    """Loss of detail when maps of a layer are laid over the input.

    Attributes
    ----------
    positions
        Number of positions of the layer in the mean that each value of the result is, since these
        positions have no counterpart in the input; 1 for no mean.
    constant
        Axes of the input, that of samples being 0, along which the layer has but one position,
        so that the result is the same all along them.
    outside
        Number of positions of the layer, such as a class token's, that were left out.
    """

    positions: int = 1
    constant: tuple[int, ...] = ()
    outside: int = 0


def upsampled(
    maps: Array, origin: Origin, axes: Sequence[int], space: Sequence[int], sizes: Sequence[int]
) -> tuple[Array, Lost]:
    """Lay maps over the spatial axes of the input, linear between the positions of the layer.

    Parameters
    ----------
    maps
        (n, ...): a value for each position of the layer.
    origin
        The origin of the layer's output.
    axes
        Axes of the output that the maps have, that of samples being 0.
    space
        The spatial axes of the input.
    sizes
        Their sizes.

    Returns
    -------
    tuple
        The maps, (n, *sizes), float32, and what was lost. Beyond the outermost positions of the
        layer, their values go on to the edges. Positions that were folded into axes that the maps do
        not have, such as those of a patch, belong to the places of theirs.
    """
    fields = dict(origin.fields)
    for folded in set(range(1, len(origin.axes) + 1)).difference(axes):
        for run in origin.axes[folded - 1].runs:
            widen(fields, run, 0, run.size - 1)
    outside = 0
    runs: list[Run] = []
    for place, axis in enumerate(axes, start=1):
        positions = origin.axes[axis - 1]
        outside += positions.before + positions.after
        inner = positions.size - positions.before - positions.after
        if inner != maps.shape[place]:
            maps = maps.take(np.arange(positions.before, positions.before + inner), axis=place)
        runs += positions.runs
    maps = np.asarray(maps, np.float32).reshape(len(maps), *(run.size for run in runs))
    without = tuple(1 + i for i, run in enumerate(runs) if run.axis not in space)
    averaged = int(np.prod([maps.shape[axis] for axis in without], dtype=np.int64))
    maps = maps.mean(axis=without) if without else maps
    runs = [run for run in runs if run.axis in space]
    constant = []
    # The axes of the input one after the other: each moved to the end, which is then its own.
    order = sorted(range(len(runs)), key=lambda i: space.index(runs[i].axis or 0))
    maps = maps.transpose(0, *(1 + i for i in order))
    runs = [runs[i] for i in order]
    shape = [len(maps)]
    places = []
    for axis, size in zip(space, sizes, strict=True):
        own = [run for run in runs if run.axis == axis]
        at = np.zeros([run.size for run in own])
        for number, run in enumerate(own):
            along = [1] * len(own)
            along[number] = -1
            at = at + run.step * np.arange(run.size).reshape(along)
        low, high = fields.get(axis, (0.0, 0.0))
        places.append(at.ravel() + (low + high) / 2)
        shape.append(at.size)
        if at.size == 1 and size > 1:
            constant.append(axis)
    maps = maps.reshape(shape)
    if not origin.shifts:
        return _laid(maps, places, sizes), Lost(averaged, tuple(constant), outside)
    note(
        f"each position belongs to {len(origin.shifts) + 1} places of the input, which the "
        "network puts together, and is drawn in each of these places; where several positions "
        "overlap, the map is their mean"
    )
    reach = [max(np.subtract(*fields.get(axis, (0.0, 0.0))[::-1]) / 2, 0.5) for axis in space]
    found = _several(
        maps,
        [
            [at + shift.get(axis, 0.0) for axis, at in zip(space, places, strict=True)]
            for shift in ({}, *origin.shifts)
        ],
        reach,
        sizes,
    )
    return found, Lost(averaged, tuple(constant), outside)


def _laid(maps: Array, places: Sequence[Array], sizes: Sequence[int]) -> Array:
    """Interpolate maps from these places of each axis to all places of the input."""
    for axis, (at, size) in enumerate(zip(places, sizes, strict=True), start=1):
        maps = _along(maps, axis, at, size)
    return maps


def _several(
    maps: Array,
    every: Sequence[Sequence[Array]],
    reach: Sequence[float],
    sizes: Sequence[int],
) -> Array:
    """Average maps that lie in several places: at each place, those that reach to it.

    Where none does, the mean is that of all.
    """
    found = np.zeros((len(maps), *sizes), np.float32)
    whole, count = found.copy(), np.zeros(sizes, np.float32)
    for places in every:
        drawn = _laid(maps, places, sizes)
        covered = np.ones(sizes, np.float32)
        for axis, (at, far, size) in enumerate(zip(places, reach, sizes, strict=True)):
            if at.size > 1:
                far = max(far, np.ptp(at) / (at.size - 1) / 2)
                line = (np.arange(size) >= at.min() - far) & (np.arange(size) <= at.max() + far)
                covered *= line.reshape([-1 if a == axis else 1 for a in range(len(sizes))])
        found += covered * drawn
        whole += drawn / len(every)
        count += covered
    return np.where(count > 0, found / np.maximum(count, 1), whole)


def _along(maps: Array, axis: int, at: Array, size: int) -> Array:
    """Interpolate maps along one axis from these places to the places 0 to size - 1."""
    order = np.argsort(at, kind="stable")
    if not np.array_equal(order, np.arange(at.size)):
        maps, at = maps.take(order, axis=axis), at[order]
    wanted = np.arange(size)
    if np.array_equal(at, wanted):
        return maps
    if at.size == 1:
        return maps.repeat(size, axis=axis)
    right = np.searchsorted(at, wanted).clip(1, at.size - 1)
    gap = np.maximum(at[right] - at[right - 1], np.finfo(float).tiny)
    share = ((wanted - at[right - 1]) / gap).clip(0, 1).astype(np.float32)
    if at.size <= FEW:
        return _multiplied(maps, axis, right, share)
    share = share.reshape(-1, *[1] * (maps.ndim - axis - 1))
    left = maps.take(right - 1, axis=axis)
    # left + (right - left) * share, in as little memory as it takes
    right_values = maps.take(right, axis=axis)
    right_values -= left
    right_values *= share
    right_values += left
    return right_values


def _multiplied(maps: Array, axis: int, right: Array, share: Array) -> Array:
    """Interpolate maps along one axis by a product of matrices, which goes over the result once.

    Parameters
    ----------
    right, share
        For each place, the number of the position to its right, and how much of its value counts.
    """
    count = maps.shape[axis]
    matrix = np.zeros((len(right), count), np.float32)
    matrix[np.arange(len(right)), right - 1] = 1 - share
    matrix[np.arange(len(right)), right] = share
    before, behind = maps.shape[:axis], maps.shape[axis + 1 :]
    if not behind:
        return (maps.reshape(-1, count) @ matrix.T).reshape(*before, -1)
    found = matrix @ maps.reshape(math.prod(before), count, -1)
    return found.reshape(*before, -1, *behind)
