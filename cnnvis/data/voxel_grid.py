"""Where the voxels of a volume, or the pixels of a picture, are in space, and where their axes lead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cnnvis.data.axes import Axis
from cnnvis.errors import UserError

_NAMES = {1: ("position",), 2: ("row", "column"), 3: ("plane", "row", "column")}
_WORLD = ("x", "y", "z")
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
_BODIES = ("scanner", "aligned", "talairach", "mni", "template")
_UNKNOWN = "unknown"
_UPRIGHT = 1e-4
"""The largest part of a step along an axis that may lead elsewhere, if the axis is one of space."""


@dataclass(frozen=True)
class VoxelGrid:
    """Positions in space of the voxels of a volume, or of the pixels of a picture.

    Attributes
    ----------
    shape
        The number of voxels along each of the three axes of the volume; of a picture, its rows, its
        columns and 1.
    affine
        The rows of a matrix (4, 4) that turns the numbers of a voxel along the three axes, and 1,
        into the place of its middle in space, x, y, z and 1: to the right, to the front and to the top of a
        body.
    unit
        The unit of these places.
    space
        The space in which the places are. Of a body, by the words of NIfTI: ``scanner``, ``aligned``,
        ``talairach``, ``mni``, ``template``; ``unknown`` where nobody said where left and right are:
        then only the sizes of the voxels count. Any other word is another space, such as
        ``EPSG:32633`` of a map of the Earth: it has places and no left and right.

    Raises
    ------
    UserError
        If these are no three lengths and no matrix of this kind.
    """

    shape: tuple[int, ...]
    affine: tuple[tuple[float, ...], ...]
    unit: str = "mm"
    space: str = "aligned"

    def __post_init__(self) -> None:
        rows = tuple(tuple(map(float, row)) for row in self.affine)
        object.__setattr__(self, "shape", tuple(map(int, self.shape)))
        object.__setattr__(self, "affine", rows)
        numbers = [one for row in rows for one in row]
        is_matrix = len(rows) == 4 and {len(row) for row in rows} == {4}
        is_affine = is_matrix and all(map(math.isfinite, numbers)) and numbers[12:] == [0, 0, 0, 1]
        if not is_affine or len(self.shape) != 3 or min(self.shape) < 1:
            raise UserError("a grid of voxels has three lengths and an affine matrix (4, 4)")
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(self.matrix[:3, :3], axis=0)
        if not lengths.all() or abs(np.linalg.det(self.matrix[:3, :3] / lengths)) < 1e-6:
            raise UserError("the affine matrix of a grid of voxels gives them no volume")

    @property
    def matrix(self) -> Any:
        """The affine matrix, (4, 4) float64."""
        return np.array(self.affine, np.float64)

    @property
    def sizes(self) -> tuple[float, ...]:
        """The size of a voxel along each axis, in the grid's unit."""
        return tuple(map(self._rounded, np.linalg.norm(self.matrix[:3, :3], axis=0)))

    @property
    def is_of_body(self) -> bool:
        """True where it is known where left and right of a body are."""
        return self.space in _BODIES

    @property
    def ends(self) -> tuple[tuple[str, str], ...]:
        """Letters for what lies beyond the two ends of each axis, as ``("L", "R")``; empty outside of bodies.

        Of an oblique volume, the letters of the directions that are nearest.
        """
        if not self.is_of_body:
            return ()
        found: list[tuple[str, str]] = [("", "")] * 3
        steps = self.matrix[:3, :3] / np.array(self.sizes)
        left = np.abs(steps)
        for _ in range(3):  # the clearest direction first, so that no two axes share one
            world, axis = np.unravel_index(int(left.argmax()), left.shape)
            low, high = _ENDS[world]
            found[axis] = (low, high) if steps[world, axis] > 0 else (high, low)
            left[world], left[:, axis] = -1, -1
        return tuple(found)

    @property
    def code(self) -> str:
        """The letters of the directions to which the axes lead: ``RAS``; empty if unknown."""
        return "".join(high for _, high in self.ends)

    def axes(self) -> dict[str, Axis]:
        """Return descriptions of the axes by their usual names, axes of length 1 left out.

        An axis along one of space's has its coordinates and name, x, y or z; others, as of oblique
        volumes, have the distance from the first voxel.
        """
        longer = [axis for axis, length in enumerate(self.shape) if length > 1] or [0]
        names = _NAMES[len(longer)]
        return {name: self._axis(axis) for name, axis in zip(names, longer, strict=True)}

    def _axis(self, axis: int) -> Axis:
        size, ends = self.sizes[axis], self.ends[axis] if self.ends else ()
        if self.space == _UNKNOWN:
            return Axis(unit=self.unit, step=size)
        step = self.matrix[:3, axis]
        along = int(np.abs(step).argmax())
        # The start along x is only the start where no other axis leads along x.
        others = np.delete(self.matrix[along, :3], axis)
        apart = max(abs(np.delete(step, along)).max(), abs(others).max())
        if apart > _UPRIGHT * size:
            return Axis(unit=self.unit, step=size, ends=ends)
        start, size = self._rounded(self.matrix[along, 3]), self._rounded(step[along])
        return Axis(_WORLD[along], self.unit, start, size, ends=ends)

    def _rounded(self, value: float) -> float:
        """Return a number as headers hold it: of volumes in single precision, else in double."""
        digits = 6 if self.is_of_body or self.space == _UNKNOWN else 12
        return float(f"{float(value):.{digits}g}")

    def as_dict(self) -> dict[str, Any]:
        """Return the grid as plain values, for JSON."""
        return asdict(self)

    def is_near(self, other: VoxelGrid) -> bool:
        """Tell whether two grids are the same but for the rounding of single precision."""
        size = min(min(self.sizes), min(other.sizes))
        return (
            (self.shape, self.unit, self.space) == (other.shape, other.unit, other.space)
            and float(np.abs(self.matrix - other.matrix).max()) < 1e-3 * size
        )  # fmt: skip


def grid_of(table: Mapping[str, Any] | VoxelGrid | None) -> VoxelGrid | None:
    """Return a grid from plain values, as `VoxelGrid.as_dict` gives them; None for None."""
    return VoxelGrid(**table) if isinstance(table, Mapping) else table


def common_grid(grids: Sequence[VoxelGrid | None] | None) -> VoxelGrid | None:
    """Return the grid that all images have, the first of those that are nearly the same, or None."""
    if not grids or grids[0] is None:
        return None
    first = grids[0]
    distinct = set(grids)
    return first if all(one is not None and first.is_near(one) for one in distinct) else None


def voxel_axes(grids: Sequence[VoxelGrid | None] | None) -> dict[str, Axis]:
    """Return the descriptions of axes that are true of all grids.

    Of the same grid, all; of volumes in several places, whose voxels have the same size, distances
    and directions alone; else directions.
    """
    grid = common_grid(grids)
    if grid is not None:
        return grid.axes()
    if not grids or any(one is None for one in grids):
        return {}
    every = [one.axes() for one in {*grids} if one is not None]
    found = {}
    for name, axis in every[0].items():
        same = [one.get(name, Axis()) for one in every]
        if len({one.ends for one in same}) > 1:
            continue
        steps = [abs(one.step) for one in same]
        is_one_size = max(steps) - min(steps) < 1e-3 * min(steps)
        if is_one_size and len({one.unit for one in same}) == 1:
            found[name] = Axis(unit=axis.unit, step=steps[0], ends=axis.ends)
        elif axis.ends:
            found[name] = Axis(ends=axis.ends)
    return found
