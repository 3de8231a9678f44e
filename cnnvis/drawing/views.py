"""Views of a volume: three planes through its strongest value, and the projection of the strongest.

Voxels have sizes: a plane is stretched until all positions are as large as they are in space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.axes import Axis
from cnnvis.data.peaks import peaks_of
from cnnvis.data.samples import Array

Ends = tuple[tuple[str, str, str, str], ...]
"""Words for the left, right, upper and lower edge of each view."""

FREE = 1.5
"""Positions from the common point of the planes to where the lines to it end."""

LARGEST = 4096
"""Positions along an axis that a view is stretched to at most."""


@dataclass(frozen=True, eq=False)
class Views:
    """Views of a volume in one picture, two above and two below.

    Attributes
    ----------
    mosaic
        (rows, columns[, colours]) with NaN between the views.
    boxes
        The top, left, rows and columns of each view in the mosaic.
    lines
        The lines through the common point of the planes: x and y of two ends, in the mosaic.
    """

    mosaic: Array
    boxes: tuple[tuple[int, int, int, int], ...]
    lines: tuple[tuple[float, float, float, float], ...]


def strongest_place(volume: Array) -> tuple[int, ...]:
    """Return the position of the value of the largest size; the middle of a constant volume."""
    sizes = np.nan_to_num(np.abs(np.float64(volume)), nan=0.0, posinf=0.0)
    if sizes.max() == sizes.min():
        return tuple(length // 2 for length in volume.shape)
    return tuple(peaks_of(sizes[None])[0].tolist())


def voxel_sizes(axes: Sequence[str], coordinates: Mapping[str, Axis]) -> tuple[float, ...]:
    """Return the size of a voxel along each axis; all 1 unless all axes have the same unit."""
    known = [coordinates.get(name) for name in axes]
    units = {None if one is None or one.values else one.unit for one in known}
    if len(units) != 1 or units == {None}:
        return (1.0,) * len(axes)
    return tuple(abs(one.step) or 1.0 for one in known if one is not None)


def views_of(volume: Array, place: Sequence[int], sizes: Sequence[float]) -> Views:
    """Return three planes through a place and the strongest values along the first axis.

    Above stand the plane at a position of the first axis and the projection along it; below, the
    planes at positions of the second and of the third axis, with the first axis downwards.

    Parameters
    ----------
    volume
        (planes, rows, columns[, colours]).
    place
        The common point of the three planes.
    sizes
        The size of a voxel along each axis.
    """
    plane, row_at, column_at = place
    stretch = np.array(sizes) / min(sizes)
    picked = [_stretched(length, one) for length, one in zip(volume.shape, stretch, strict=False)]
    whole = volume[:, picked[1]][:, :, picked[2]]
    at = [
        int(np.flatnonzero(every == one).mean()) for every, one in zip(picked, place, strict=True)
    ]
    views = [
        whole[plane],
        _projected(whole),
        volume[:, row_at][picked[0]][:, picked[2]],
        volume[:, :, column_at][picked[0]][:, picked[1]],
    ]
    down, across = views[0].shape[0], views[0].shape[1]
    gap = max((down + len(picked[0])) // 40, 1)
    size = (down + gap + len(picked[0]), across + gap + max(across, len(picked[1])))
    mosaic = np.full((*size, *volume.shape[3:]), np.nan, np.float32)
    boxes = []
    for number, view in enumerate(views):
        top, left = (number // 2) * (down + gap), (number % 2) * (across + gap)
        mosaic[top : top + view.shape[0], left : left + view.shape[1]] = view
        boxes.append((top, left, *view.shape[:2]))
    columns, rows = (at[2], at[2], at[2], at[1]), (at[1], at[1], at[0], at[0])
    lines = []
    for (top, left, high, wide), x, y in zip(boxes, columns, rows, strict=True):
        row, column = top + y, left + x
        right, bottom = left + wide - 0.5, top + high - 0.5
        # The value itself is left free.
        lines.append((left - 0.5, row, max(column - FREE, left - 0.5), row))
        lines.append((min(column + FREE, right), row, right, row))
        lines.append((column, top - 0.5, column, max(row - FREE, top - 0.5)))
        lines.append((column, min(row + FREE, bottom), column, bottom))
    return Views(mosaic, tuple(boxes), tuple(lines))


def views_title(place: Sequence[int], axes: Sequence[str], coordinates: Mapping[str, Axis]) -> str:
    """Return a line that says which planes are shown."""
    words = []
    for name, position in zip(axes, place, strict=True):
        described = coordinates.get(name)
        if described is None:
            words.append(f"{name} {position}")
        else:
            unit = f" {described.unit}" if described.unit else ""
            words.append(f"{_name(name, coordinates)} {described.at(position)}{unit}")
    return f"{', '.join(words)}; upper right, the strongest along {_name(axes[0], coordinates)}"


def _name(axis: str, coordinates: Mapping[str, Axis]) -> str:
    described = coordinates.get(axis)
    return axis if described is None else described.name or axis


def ends_of(axes: Sequence[str], coordinates: Mapping[str, Axis]) -> Ends:
    """Return the words for the left, right, upper and lower edge of each view; none if one is unknown."""
    known = [coordinates[name].ends for name in axes if name in coordinates]
    if [len(ends) for ends in known] != [2, 2, 2]:
        return ()
    (front, back), (upper, lower), (left, right) = known
    above = (left, right, upper, lower)
    return (above, above, (left, right, front, back), (upper, lower, front, back))


def ends_in_words(ends: Ends) -> str:
    """Return a line that says what lies beyond the edges of the views."""
    if not ends:
        return ""
    above, _, left, right = (
        f"{first} to {last} across, {upper} to {lower} down" for first, last, upper, lower in ends
    )
    return f"above {above}; lower left {left}; lower right {right}"


def _stretched(length: int, factor: float) -> Array:
    """Return the positions to repeat so that an axis is `factor` times as long."""
    count = min(max(round(length * factor), 1), max(LARGEST, length))
    return np.minimum((np.arange(count) + 0.5) * length / count, length - 1).astype(int)


def _projected(volume: Array) -> Array:
    """Return the value of the largest size along the first axis, with its sign; of colours, the mean."""
    if volume.ndim > 3:
        return np.asarray(volume.mean(axis=0))
    sizes = np.nan_to_num(np.abs(np.float64(volume)), nan=-1.0)
    return np.asarray(np.take_along_axis(volume, sizes.argmax(axis=0)[None], axis=0)[0])
