"""Coordinates as people type them: ``5272bp``, ``5,272 bp``, ``43.1Mb``, ``0.25s``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from cnnvis.errors import UserError

_NUMBER = re.compile(
    r"(?P<number>[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)\s*(?P<unit>\D*)"
)
_BASES = re.compile(r"([kmg]?)(?:bp?|bases?)", re.IGNORECASE)  # nobody means thousandths of a base
_POWERS = {
    "n": -9, "u": -6, "\N{MICRO SIGN}": -6, "\N{GREEK SMALL LETTER MU}": -6, "m": -3, "c": -2,
    "": 0, "k": 3, "M": 6, "G": 9,
}  # fmt: skip
_KNOWN = ("s", "m", "g", "Hz", "V", "A", "eV", "Pa")
_TIMES = {"min": 60, "h": 3600}


@dataclass(frozen=True)
class Coordinate:
    """Coordinate as it was typed: a number, and a unit, which may be empty."""

    number: Decimal
    unit: str

    @classmethod
    def of(cls, text: str) -> Coordinate | None:
        """Return the coordinate that a text is, or None."""
        found = _NUMBER.fullmatch(text.strip())
        if found is None or not any(letter.isdigit() for letter in found["number"]):
            return None
        return cls(Decimal(found["number"].replace(",", "")), found["unit"].strip())

    def in_unit(self, unit: str) -> float:
        """Return the number in another unit; one without a unit is in it already.

        Raises
        ------
        UserError
            If that unit measures something else, or is not known.
        """
        factor = conversion(self.unit or unit, unit)
        if factor is None:
            has = f"in {unit}" if unit else "without a unit"
            raise UserError(f"{self.number} {self.unit} is no coordinate of an axis {has}")
        return float(self.number * factor)


def conversion(unit: str, to: str) -> Decimal | None:
    """Return the factor by which numbers in a unit become numbers in another; None if none does."""
    if unit == to:
        return Decimal(1)
    one, other = _measured(unit), _measured(to)
    if one is None or other is None or one[0] != other[0]:
        return None
    return one[1] / other[1]


def _measured(unit: str) -> tuple[str, Decimal] | None:
    """Return what a unit measures, and how much of it."""
    if bases := _BASES.fullmatch(unit):
        return "bp", Decimal({"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[bases[1].lower()])
    if unit in _TIMES:
        return "s", Decimal(_TIMES[unit])
    for known in _KNOWN:
        if unit.endswith(known) and unit.removesuffix(known) in _POWERS:
            return known, Decimal(10) ** _POWERS[unit.removesuffix(known)]
    return None


def ends_of(text: str) -> tuple[Coordinate | None, Coordinate | None] | Coordinate | None:
    """Return a typed coordinate, or the ends of a typed range: ``43.1:43.2Mb``, ``5kb:``.

    An end without a unit has that of the other end. None for a text that is neither.
    """
    start, colon, stop = text.partition(":")
    if not colon:
        return Coordinate.of(text)
    ends = [Coordinate.of(end) for end in (start, stop)]
    for typed, end in zip((start, stop), ends, strict=True):
        if typed.strip() and end is None:
            return None
    unit = next((end.unit for end in reversed(ends) if end is not None and end.unit), "")
    low, high = (
        Coordinate(end.number, unit) if end is not None and not end.unit else end for end in ends
    )
    return None if low is None and high is None else (low, high)
