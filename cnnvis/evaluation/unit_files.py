"""Units of removal that a person names in a file: an array of numbers, or names with boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError, numbered, shown
from cnnvis.evaluation.boxes import Box, as_box, json_in, require_known, table_of_boxes
from cnnvis.files.npy import stored_arrays
from cnnvis.files.reading import read_text

SUFFIXES = (".npy", ".csv", ".tsv", ".json")
"""Endings of files of units."""

REST = "the rest"
"""Name of the unit of all positions that a file names in no unit."""

UNIT = "unit"
"""Column of a table that holds the name of a box's unit."""


def is_file(units: str) -> bool:
    """Tell whether units are named in a file."""
    return units.strip().lower().endswith(SUFFIXES)


def units_in(file: str, space: Mapping[str, int]) -> tuple[Array, tuple[str, ...]]:
    """Return the number of the unit of each position, (*space), and the names of the units.

    Parameters
    ----------
    file
        ``.npy`` with a whole number for each position, the same for those of a unit; ``.csv`` or
        ``.tsv`` with a line for each box: ``unit``, its name, and for an axis such as column
        ``column_start``, the first position, and ``column_stop``, the position behind the last,
        counted from 0; or ``.json`` with an object that holds such a box, or a list of boxes, for each
        name. Along an axis that is not named a box is as long as the image. Positions in no box are a
        unit of their own.
    space
        The length of each axis, by name.

    Raises
    ------
    UserError
        If the file cannot be read, or does not fit the images.
    """
    path = Path(file.strip())
    if path.suffix.lower() == ".npy":
        return _of_array(path, tuple(space.values()))
    found, numbers = np.full(tuple(space.values()), -1), dict[str, int]()
    for where, name, box in _named_boxes(path):
        said = f"{str(path)!r}, {where}"
        require_known(
            box, [UNIT, *(f"{axis}_{end}" for axis in space for end in ("start", "stop"))], said
        )
        inside = found[as_box(box, space, said)]
        number = numbers.setdefault(name, len(numbers))
        other = inside[(inside >= 0) & (inside != number)]
        if other.size:
            raise UserError(
                f"{said}: {numbered(other.size, 'position')} of {shown(name)} are in "
                f"{shown([*numbers][int(other[0])])} already, and a position is removed with one unit"
            )
        inside[...] = number
    if not numbers:
        raise UserError(f"{str(path)!r} holds no units")
    names = [*numbers]
    if (found < 0).any():
        found[found < 0] = len(names)
        names.append(REST)
    return found, tuple(names)


def _of_array(path: Path, space: tuple[int, ...]) -> tuple[Array, tuple[str, ...]]:
    (stored,) = stored_arrays(path).values()
    if stored.dtype.kind not in "bui":
        raise UserError(f"{str(path)!r} holds {stored.dtype}, and units are whole numbers")
    if tuple(stored.shape) != space:
        raise UserError(
            f"{str(path)!r} holds units of the shape {tuple(stored.shape)}, and the images have "
            f"{space}, without channels"
        )
    numbers, found = np.unique(np.asarray(stored[:]), return_inverse=True)
    return found.reshape(space), tuple(map(str, numbers.tolist()))


def _named_boxes(path: Path) -> Iterator[tuple[str, str, Box]]:
    """Yield the boxes of a file: the place in the file in words, the unit's name, and the box."""
    text, suffix = read_text(path), path.suffix.lower()
    if suffix == ".json":
        held = json_in(path, text)
        if not isinstance(held, dict):
            raise UserError(
                f"{str(path)!r} must hold an object with a box, or a list of boxes, for each unit"
            )
        for name, boxes in held.items():
            for box in boxes if isinstance(boxes, list) else [boxes]:
                if not isinstance(box, dict):
                    raise UserError(
                        f"{str(path)!r}: {shown(name)} must have boxes such as "
                        '{"column_start": 3, "column_stop": 9}'
                    )
                yield shown(name), name, box
        return
    for where, box in table_of_boxes(path, text, "\t" if suffix == ".tsv" else ","):
        name = str(box.get(UNIT) or "").strip()
        if not name:
            raise UserError(f"{str(path)!r}, {where}: the column {UNIT} holds no name")
        yield where, name, box
