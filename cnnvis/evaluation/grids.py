"""Grids of images, in one of whose cells the evidence for a class is known to lie."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.data.samples import Array, ArrayLike


def image_grids(cells: Sequence[Array], channel_axis: int | None, *, shrink: bool = False) -> Array:
    """Lay images side by side, two along each spatial axis: (m, ...), twice as long along each.

    Parameters
    ----------
    cells
        For each cell the images of all grids, (m, ...) each: four over two spatial axes, in the order
        of rows and then of columns.
    channel_axis
        The axis of channels; None without channels.
    shrink
        Take every second position of each image along each axis, so that a grid is as large as an
        image.
    """
    first = cells[0]
    space = _space_axes(first.ndim, channel_axis)
    shape = list(first.shape)
    for axis in space:
        shape[axis] *= 1 if shrink else 2
    found = np.zeros(shape, first.dtype)
    for number, cell in enumerate(cells):
        place: list[slice] = [slice(None)] * first.ndim
        kept: list[slice] = [slice(None)] * first.ndim
        for axis, where in zip(space, grid_cell(number, [first.shape[a] for a in space], shrink=shrink),
                               strict=True):  # fmt: skip
            place[axis] = where
            step = 2 if shrink else 1
            kept[axis] = slice(0, step * (where.stop - where.start), step)
        found[tuple(place)] = cell[tuple(kept)]
    return found


def grid_cell(number: int, space: Sequence[int], *, shrink: bool = False) -> tuple[slice, ...]:
    """Return the positions of a cell in a grid of images with these lengths."""
    corners = list(itertools.product((0, 1), repeat=len(space)))
    found = []
    for side, length in zip(corners[number], space, strict=True):
        border, end = (length // 2, length) if shrink else (length, 2 * length)
        found.append(slice(border, end) if side else slice(0, border))
    return tuple(found)


@dataclass(frozen=True)
class TiledImages:
    """Grids with one image in every cell, made when they are indexed.

    A data set for grids: its mean is a grid with the mean of the images in every cell.
    """

    source: ArrayLike
    channel_axis: int | None
    shrink: bool

    @property
    def shape(self) -> tuple[int, ...]:
        found = list(self.source.shape)
        for axis in _space_axes(len(found), self.channel_axis):
            found[axis] *= 1 if self.shrink else 2
        return tuple(found)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def __getitem__(self, index: Any) -> Array:
        cell = np.asarray(self.source[index])
        count = 2 ** len(_space_axes(cell.ndim, self.channel_axis))
        return image_grids([cell] * count, self.channel_axis, shrink=self.shrink)


def _space_axes(axes: int, channel_axis: int | None) -> list[int]:
    channel = None if channel_axis is None else channel_axis % axes
    return [axis for axis in range(1, axes) if axis != channel]
