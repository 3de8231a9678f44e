"""Boxes of positions, from tables and JSON files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError, nearest, numbered, shown

Box = Mapping[str, Any]
"""A box: for an axis such as column ``column_start``, the first position, and ``column_stop``, the
position behind the last, counted from 0; and what else a file says of it."""


def table_of_boxes(path: Path, text: str, delimiter: str = ",") -> list[tuple[str, Box]]:
    """Return the boxes of a table, a line for each, with their lines in words.

    Raises
    ------
    UserError
        If it is no table, or a line has too many entries.
    """
    lines = csv.DictReader(
        io.StringIO(text), restkey="", skipinitialspace=True, delimiter=delimiter
    )
    try:
        lines.fieldnames = [name.strip() for name in lines.fieldnames or ()]
        found = [(f"line {lines.line_num}", one) for one in lines]
    except csv.Error as error:
        raise UserError(f"{str(path)!r} is no table of boxes: {error}") from error
    for where, one in found:
        if one.pop("", None) is not None:
            raise UserError(
                f"{str(path)!r}, {where}: the line has more entries than the table has columns"
            )
    return [*found]


def json_in(path: Path, text: str) -> Any:
    """Return what a JSON file holds, in which no key of an object stands twice."""
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(path)!r} is not JSON: {str(error)[:200]}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f"the key {shown(twice)} stands twice in an object")
    return dict(pairs)


def require_known(box: Box, known: Sequence[str], said: str) -> None:
    """Refuse keys of a box that mean nothing."""
    for key in box:
        if key not in known:
            raise UserError(
                f"{said}: a box has no {shown(key)}.{nearest(str(key), known)} It has: "
                f"{', '.join(known)}."
            )


def as_box(box: Box, space: Mapping[str, int], said: str) -> tuple[slice, ...]:
    """Return the positions in a box along each axis: all along an axis that it does not name.

    Parameters
    ----------
    space
        The length of each axis, by name.
    said
        The file and the place of the box in it, for errors.
    """
    inside = []
    for axis, length in space.items():
        ends = box.get(f"{axis}_start"), box.get(f"{axis}_stop")
        start, stop = (_end(end, axis, said, usual)
                       for end, usual in zip(ends, (0, length), strict=True))  # fmt: skip
        if not 0 <= start < stop <= length:
            raise UserError(
                f"{said}: the box reaches from {start} to {stop} along {axis}, which has "
                f"{numbered(length, 'position')}"
            )
        inside.append(slice(start, stop))
    return tuple(inside)


def _end(value: Any, axis: str, said: str, usual: int) -> int:
    return usual if value is None or value == "" else whole_number(value, axis, said)


def whole_number(value: Any, what: str, said: str) -> int:
    """Return a whole number of a box, which may be text."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{said}: {what} must be a whole number, and is {shown(value)}") from None
    if isinstance(value, bool) or not number.is_integer():
        raise UserError(f"{said}: {what} must be a whole number, and is {shown(value)}")
    return int(number)
