"""Meaning of the positions along an axis: populations, base pairs, seconds, millimetres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from typing import Any

from cnnvis.data.coordinates import conversion, ends_of
from cnnvis.errors import UserError, nearest, shown

NAMES = ("row", "column", "plane", "position", "channel")
"""The axes that can be described; see `cnnvis.axis_names`."""

LATER = ("size", "ends")
"""Attributes of later versions, which are kept only where they say something."""


CHANNEL = "channel"
"""The name of the axis that holds channels; every other axis of a map is a spatial one."""

_SPATIAL_NAMES: dict[int, tuple[str, ...]] = {
    0: (),
    1: ("position",),
    2: ("row", "column"),
    3: ("plane", "row", "column"),
}


def axis_names(count: int, channel_axis: int | None) -> tuple[str, ...]:
    """Return the usual names of a map's axes.

    ``axis_names(3, -1)`` is ``("row", "column", "channel")``.

    Parameters
    ----------
    count
        The number of axes of one map.
    channel_axis
        The axis of channels in the maps, counting the sample axis; None without channels.
    """
    spatial = count - (channel_axis is not None)
    names = list(_SPATIAL_NAMES.get(spatial, tuple(f"axis {i}" for i in range(spatial))))
    if channel_axis is not None:
        names.insert(channel_axis % (count + 1) - 1, CHANNEL)
    return tuple(names)


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
    size
        The number of positions of the axes that this describes; others are left alone. 0 for axes of
        any length, and of maps, which it fits.
    ends
        Two words for what lies beyond the first and beyond the last position, such as ``L`` and
        ``R`` of a body; empty where nothing is known.
    """

    name: str = ""
    unit: str = ""
    start: float = 0.0
    step: float = 1.0
    values: tuple[str | float, ...] = ()
    size: int = 0

    def fits(self, size: int) -> bool:
        """Tell whether this describes axes of so many positions."""
        return self.size in (0, size)

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
        if not self.values:
            return _number(self.start + self.step * position)
        value = self.values[place] if 0 <= place < len(self.values) else ""
        return value if isinstance(value, str) else _number(value)

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

    def piece(self, kept: Sequence[int]) -> Axis:
        """Return the axis of a part of the positions, which follow each other but for words."""
        if self.values:
            return replace(self, values=tuple(self.values[place] for place in kept))
        return replace(self, start=self.start + self.step * kept[0])

    def resized(self, before: int, after: int) -> Axis | None:
        """Return the axis with another number of positions over its length; None for words."""
        if before == after:
            return self
        if self.values:
            return None
        step = self.step * before / after
        return replace(self, start=self.start + (step - self.step) / 2, step=step)

    def coordinate(self, position: int) -> int | float | str:
        """Return the coordinate or word at a position, as exactly as the axis is described.

        A whole number where start and step are whole; empty where a word is missing.
        """
        if self.values:
            return self.values[position] if 0 <= position < len(self.values) else ""
        # In decimals, as they were written: three steps of 0.1 are 0.3.
        value = Decimal(str(self.start)) + Decimal(str(self.step)) * position
        is_whole = float(self.start).is_integer() and float(self.step).is_integer()
        return int(value) if is_whole else float(value)

    def names_places(self, text: str) -> bool:
        """Tell whether a text is a word or a coordinate of this axis, or a range of coordinates."""
        if text.strip() in map(str, self.values):
            return True
        typed = ends_of(text)
        some = typed if isinstance(typed, tuple) else (typed,)
        are_words = any(isinstance(value, str) for value in self.values)
        return not are_words and any(
            end is not None and end.unit and conversion(end.unit, self.unit) is not None
            for end in some
        )

    def places(self, text: str, size: int) -> list[int]:
        """Return the positions that a typed word, coordinate or range of coordinates names, in order.

        All positions with the word; the position nearest to a coordinate; the positions from one
        coordinate to another, both included.

        Parameters
        ----------
        text
            ``CEU``, ``5272bp``, ``5,272 bp``, ``43.1Mb:43.2Mb``, ``43.1:43.2Mb``, ``5kb:``.
        size
            The number of positions along the axis.

        Raises
        ------
        UserError
            If the text is neither, its unit measures something else, or nothing is there.
        """
        word = text.strip()
        found = [place for place, value in enumerate(self.values[:size]) if str(value) == word]
        typed = ends_of(text)
        if found or typed is None or any(isinstance(value, str) for value in self.values):
            if not found:
                raise UserError(f"nothing along the axis is called {shown(word)}{self._words()}")
            return found
        there = [float(self.coordinate(place)) for place in range(size)]
        low, high = min(there), max(there)
        if not isinstance(typed, tuple):
            at = typed.in_unit(self.unit)
            nearest_one = min(range(size), key=lambda place: abs(there[place] - at))
            order = sorted(there)
            gap = abs(self.step) if size < 2 else max(order[1] - low, high - order[-2])
            if not low - gap / 2 <= at <= high + gap / 2:
                raise UserError(f"{word} is outside of the axis{self._extent(there)}")
            return [nearest_one]
        ends = [None if end is None else end.in_unit(self.unit) for end in typed]
        first, last = (other if end is None else end for end, other in zip(ends, (low, high), strict=True))  # fmt: skip
        if first > last:
            raise UserError(f"the range {word} runs backwards: the smaller coordinate comes first")
        inside = [place for place, value in enumerate(there) if first <= value <= last]
        if not inside:
            raise UserError(f"no position of the axis lies in {word}{self._extent(there)}")
        return inside

    def _words(self) -> str:
        known = list(dict.fromkeys(map(str, self.values)))
        listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        return f"; there are: {listed}" if known else "; coordinates are typed as 5272bp or 1.2kb"

    def _extent(self, there: Sequence[float]) -> str:
        first, last = (self.at(place) for place in (0, len(there) - 1))
        return f", which runs from {first} to {last} {self.unit}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return the axis as plain values, for JSON."""
        known = asdict(self)
        return {name: value for name, value in known.items() if value or name not in LATER}


def of_their_size(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return tables of axes, in which those with a value for each position say how many these are.

    Settings lie in a folder, in which data of another shape may be explained, too.
    """
    return {
        name: {"size": len(table["values"]), **table}
        if isinstance(table, Mapping) and table.get("values")
        else table
        for name, table in described.items()
    }


def _number(value: float) -> str:
    """Return a coordinate as text, its thousands parted: ``1,303,120``, ``0.25``; NaN is none."""
    if value != value:
        return ""
    if abs(value) < 1e15 and (abs(value) >= 1e5 or abs(value - round(value)) < 1e-6):
        return f"{round(value):,}"
    return f"{value:,.6g}"


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
                "size": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
                "ends": isinstance(value, list | tuple)
                and len(value) in (0, 2)
                and all(isinstance(one, str) for one in value),
            }.get(key, isinstance(value, int | float) and not isinstance(value, bool))
            if not fits:
                raise UserError(f"{key} of the axis {axis} cannot be {shown(value)}")
        lists = {key: tuple(table.get(key, ())) for key in ("values", "ends")}
        found[axis] = Axis(**{**table, **lists})
    return found
