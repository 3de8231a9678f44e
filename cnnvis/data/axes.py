"""Meaning of the positions along an axis: populations, base pairs, seconds, millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from cnnvis.errors import UserError, nearest, shown

NAMES = ("row", "column", "plane", "position", "channel")
"""The axes that can be described; see `cnnvis.axis_names`."""


@dataclass(frozen=True)
class Axis:
    """Description of one axis of maps.

    Attributes
    ----------
    name
        The name of the axis, ``position``; the usual name if empty.
    unit
        The unit of its coordinates, ``bp``.
    start, step
        The coordinate of the first position, and the step from one position to the next.
    values
        Instead of start and step, a word or number for every position, such as a population or a
        time.
    ends
        Two words for what lies beyond the first and beyond the last position, such as ``L`` and
        ``R`` of a body; empty where nothing is known.
    """

    name: str = ""
    unit: str = ""
    start: float = 0.0
    step: float = 1.0
    values: tuple[str | float, ...] = ()
    ends: tuple[str, ...] = ()

    def require_length(self, usual: str, size: int) -> None:
        """Refuse a description of more or fewer positions than the axis has.

        Raises
        ------
        UserError
            With both numbers.
        """
        if self.values and len(self.values) != size:
            raise UserError(
                f"the axis {usual} is described by {len(self.values)} values, and has {size} "
                "positions"
            )

    def label(self, usual: str) -> str:
        """Return the label of the axis: ``position (bp)``."""
        name = self.name or usual
        return f"{name} ({self.unit})" if self.unit else name

    def at(self, position: float) -> str:
        """Return the coordinate or word at a position, as text."""
        place = round(position)
        if self.values:
            return str(self.values[place]) if 0 <= place < len(self.values) else ""
        value = self.start + self.step * position
        is_whole = abs(value - round(value)) < 1e-6 and abs(value) < 1e15
        return f"{round(value):,}" if is_whole else f"{value:,.6g}"

    def runs(self) -> list[tuple[float, str]]:
        """Return the middle of each run of equal words, with the word; empty for numbers."""
        found: list[tuple[float, str]] = []
        start = 0
        for place in range(1, len(self.values) + 1):
            if place == len(self.values) or self.values[place] != self.values[start]:
                found.append(((start + place - 1) / 2, str(self.values[start])))
                start = place
        is_words = any(isinstance(value, str) for value in self.values)
        return found if is_words else []

    def piece(self, kept: range) -> Axis:
        """Return the axis of a part of the positions."""
        if self.values:
            return replace(self, values=tuple(self.values[place] for place in kept))
        return replace(self, start=self.start + self.step * kept.start)

    def resized(self, before: int, after: int) -> Axis | None:
        """Return the axis with another number of positions over its length; None for words."""
        if before == after:
            return self
        if self.values:
            return None
        step = self.step * before / after
        return replace(self, start=self.start + (step - self.step) / 2, step=step)

    def as_dict(self) -> dict[str, Any]:
        """Return the axis as plain values, for JSON."""
        found = asdict(self)
        if not self.ends:
            del found["ends"]
        return found


def axes_of(described: Mapping[str, Any]) -> dict[str, Axis]:
    """Return axes from tables, as a ``cnnvis.toml`` has them.

    Parameters
    ----------
    described
        The attributes of `Axis` for each axis, by its usual name: ``{"column": {"unit": "bp"}}``.

    Raises
    ------
    UserError
        If an axis or attribute does not exist, or a value is not of its type.
    """
    known = [one.name for one in fields(Axis)]
    found = {}
    for axis, table in described.items():
        if isinstance(table, Axis):
            found[axis] = table
            continue
        if axis not in NAMES:
            raise UserError(
                f"there is no axis {axis!r}.{nearest(axis, NAMES)} There are: {', '.join(NAMES)}."
            )
        if not isinstance(table, Mapping):
            raise UserError(f"the axis {axis} is described by a table, and not by {shown(table)}")
        for key, value in table.items():
            if key not in known:
                raise UserError(
                    f"the axis {axis} has no {key!r}.{nearest(key, known)} It has: "
                    f"{', '.join(known)}."
                )
            fits = {
                "name": isinstance(value, str),
                "unit": isinstance(value, str),
                "values": isinstance(value, list | tuple)
                and all(isinstance(one, str | int | float) for one in value),
                "ends": isinstance(value, list | tuple)
                and len(value) in (0, 2)
                and all(isinstance(one, str) for one in value),
            }.get(key, isinstance(value, int | float) and not isinstance(value, bool))
            if not fits:
                raise UserError(f"{key} of the axis {axis} cannot be {shown(value)}")
        lists = {key: tuple(table.get(key, ())) for key in ("values", "ends")}
        found[axis] = Axis(**{**table, **lists})
    return found
