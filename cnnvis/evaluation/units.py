"""Units of removal: the parts of inputs that are removed together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnvis.data.axes import Axis
from cnnvis.data.explanation import CHANNEL, Explanation, axis_names
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError, nearest
from cnnvis.evaluation.removal import grid_of, parts_of
from cnnvis.evaluation.superpixels import superpixels_of
from cnnvis.evaluation.unit_files import is_file, units_in

AUTO = "auto"

GRID, SLIC = "grid", "slic"
"""Words of units with a number behind a colon: cells along each axis, and superpixels."""


@dataclass(frozen=True)
class _Space:
    """The spatial axes of inputs or of their maps, by their usual names."""

    lengths: dict[str, int]
    coordinates: dict[str, Axis]
    samples: Samples | None

    @classmethod
    def of(cls, subject: Explanation | Samples) -> _Space:
        if isinstance(subject, Samples):
            names = axis_names(len(subject.space), None)
            lengths = dict(zip(names, subject.space, strict=True))
            known = {
                name: one
                for name, one in subject.coordinates.items()
                if name in lengths and one.fits(lengths[name])
            }
            for name, one in known.items():
                one.require_length(name, lengths[name])
            return cls(lengths, known, subject)
        names = tuple(name for name in subject.axes if name != CHANNEL)
        sizes = (subject.array.shape[axis] for axis in subject.space_axes())
        return cls(dict(zip(names, sizes, strict=True)), dict(subject.coordinates), subject.samples)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.lengths.values())


def units_of(subject: Explanation | Samples, units: str = AUTO) -> Array:
    """Return the number of the unit that each position belongs to, whole numbers from 0.

    (*space), or (n, *space) for superpixels, which each input has its own of; as many in each.

    Parameters
    ----------
    subject
        Samples, or maps with named axes.
    units
        ``auto`` for patches (`parts_of`), ``grid:8`` or ``grid:8x4`` for so many along each axis.
        ``slic:50`` for that many superpixels; see `superpixels_of`. A file of units that somebody
        named, which ends in .npy, .csv, .tsv or .json; see `units_in`. Else names of axes, with commas
        between them: each
        position along a named axis is a unit, over all positions of the other axes; with several
        names, each combination of their positions. With a length behind a colon,
        ``position:10000``, each window so long is a unit: in the unit of the axis's coordinates
        where these are known, such as base pairs, else in positions. Windows are counted from the
        smallest coordinate.

    Raises
    ------
    UserError
        If there is no such axis, it has no numbers to measure a window by, a file does not fit, or all
        is one unit.
    """
    space = _Space.of(subject)
    word, _, number = (part.strip() for part in units.partition(":"))
    if word == SLIC and number.isdigit() and SLIC not in space.lengths:
        return _superpixels(space, int(number))
    if units.strip() == AUTO:
        found = parts_of(space.shape)
    elif word == GRID and GRID not in space.lengths:
        found = _grid(space, number)
    elif is_file(units):
        found, _ = units_in(units, space.lengths)
    else:
        found = _along_axes(space, units)
    numbers, found = np.unique(found, return_inverse=True)
    if len(numbers) < 2:
        raise UserError(
            f"units is {units!r}, which makes a single unit of all {found.size} positions, and "
            "there must be two or more"
        )
    numbered: Array = found.reshape(space.shape)
    return numbered


def unit_names(subject: Explanation | Samples, units: str = AUTO) -> tuple[str, ...]:
    """Return the names of units, in the order of their numbers; none unless a file names them."""
    return units_in(units, _Space.of(subject).lengths)[1] if is_file(units) else ()


def _superpixels(space: _Space, count: int) -> Array:
    samples = space.samples
    if samples is None or samples.space != space.shape:
        raise UserError("superpixels are of images, and these maps are not as large as any images")
    return superpixels_of(np.asarray(samples.source[:]), samples.channel_axis, count)


def _grid(space: _Space, asked: str) -> Array:
    counts = [int(one) for one in asked.split("x") if one.isdigit()]
    if len(counts) == 1:
        counts *= len(space.shape)
    if len(counts) != len(space.shape) or not all(counts):
        raise UserError(
            f"units is a grid of {asked or 'nothing'}, and it takes a number of parts, or one for each "
            f"of the {len(space.shape)} axes: {GRID}:{'x'.join(['8'] * max(len(space.shape), 1))}"
        )
    return grid_of(space.shape, counts)


def _along_axes(space: _Space, units: str) -> Array:
    names, found = list(space.lengths), np.zeros(space.shape, int)
    for one in units.split(","):
        name, _, length = (word.strip() for word in one.partition(":"))
        axis = _place_of(name, names, space)
        described = space.coordinates.get(names[axis], Axis())
        along = np.arange(space.shape[axis])
        if length:
            along = _windows(described, names[axis], space.shape[axis], float(length))
        shape = [-1 if place == axis else 1 for place in range(len(names))]
        found = found * (along.max() + 1) + along.reshape(shape)
    return found


def _place_of(name: str, names: list[str], space: _Space) -> int:
    """Return the place of an axis by its name, its plural or the name that it was given."""
    given = [space.coordinates.get(one, Axis()).name for one in names]
    for known in (names, [f"{one}s" for one in names], given):
        if name in known:
            return known.index(name)
    there = [*names, *(one for one in given if one and one not in names)]
    raise UserError(
        f"units names the axis {name!r}, and the maps have no such axis.{nearest(name, [*there, AUTO, GRID, SLIC])} "
        f"They have: {', '.join(there) or 'none'}."
    )


def _windows(described: Axis, name: str, count: int, length: float) -> Array:
    """Return the number of the window of each position along an axis."""
    if length <= 0:
        raise UserError(f"units has windows of length {length:g} along {name}; it must be above 0")
    at = described.start + described.step * np.arange(count)
    if described.values:
        if any(isinstance(one, str) for one in described.values):
            raise UserError(
                f"units has windows of length {length:g} along {name}, whose positions are words: "
                f"name {name} alone, for a unit of each position"
            )
        at = np.array(described.values, float)
    # So that 0.3 / 0.1 is three whole windows.
    window = np.floor((at - at.min()) / length + 1e-9)
    _, found = np.unique(window, return_inverse=True)
    return found.reshape(count)
