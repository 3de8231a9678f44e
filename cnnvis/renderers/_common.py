"""Common functions of renderers: scales, numbers, words, and the refusal of options."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cnnvis
from cnnvis.renderers._words import without_blank

DOTS = "\N{HORIZONTAL ELLIPSIS}"  # for what is left out
DIVERGING = "blue-white-red"
"""The colour map of cnnvis itself; see `_look`."""


def limits(values: Iterable[Any], *, signed: bool, from_zero: bool = False) -> tuple[float, float]:
    """Return the ends of a scale for all of these arrays: about zero where signs mean something.

    Parameters
    ----------
    from_zero
        Begin at zero, so that an almost constant map looks constant.
    """
    import numpy as np

    finite = [part for part in (one[np.isfinite(one)] for one in values) if part.size]
    low = min((float(part.min()) for part in finite), default=0.0)
    high = max((float(part.max()) for part in finite), default=0.0)
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        return -high, high
    if from_zero:
        low = min(low, 0.0)
    if low < high:
        return low, high
    # A single value is one end of a scale whose other end is zero, and not of any made-up one.
    return (min(low, 0.0), max(low, 0.0)) if low else (0.0, 1.0)


def number(value: float, beside: float = 0.0) -> str:
    """Return a number in few letters; 0 if it is tiny beside the other number."""
    return "0" if abs(value) < 1e-4 * abs(beside) else f"{value:.3g}"


def cell_text(cell: object) -> str:
    """Return a cell of a table as text; empty for an empty cell."""
    if cell is None:
        return ""
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if 1e6 <= abs(cell) < 1e15 else f"{cell:.6g}"  # a coordinate is read whole


def cut(text: str, length: int) -> str:
    """Cut a text to one line of at most `length` letters, its middle left out where necessary.

    Names that are alike often differ at their ends.
    """
    if len(text) > 2 * length:  # a novel
        text = f"{text[:length]}{text[-length:]}"
    text = cnnvis.printable(text)
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}{DOTS}{text[len(text) - end :]}"


def folded(text: str, width: int, most: int | None = None) -> list[str]:
    """Fold a text into lines of at most `width` letters, broken between words where possible.

    Parameters
    ----------
    most
        The maximum number of lines; of a longer text, dots stand for the middle, since names that are
        alike often differ at their ends.
    """
    from rich.cells import cell_len, chop_cells
    from rich.console import Console
    from rich.text import Text

    width = max(width, 1)
    console, lines = Console(width=width), list[Text]()
    # Of a text without end no more is looked at than can be shown; accents take no room.
    room = len(text) if most is None else 4 * width * most
    is_novel = len(text) > 2 * room
    whole = f"{text[:room]}{text[-room:]}" if is_novel else text
    for line in whole.removesuffix("\n").split("\n") if whole else ():
        pieces = Text(cnnvis.printable(line)).wrap(console, width, overflow="fold")
        lines += without_blank(pieces)
    every = [line.plain.rstrip() for line in lines]
    if most is None or (len(every) <= most and not is_novel):
        return every
    last = cnnvis.printable(" ".join(whole.split("\n")).rstrip())
    if most == 1:
        begin = _ends(last, width // 2)[0]
        return [f"{begin}{DOTS}{_ends(last, width - 1 - cell_len(begin))[1]}"]
    end = most // 2
    room = end * (width - 1)
    tail = chop_cells(f"{DOTS}{_ends(last, room)[1]}", width)
    for spare in range(0, width // 2, 2):  # with fewer letters, words may stay whole
        text = f"{DOTS}{_ends(last, room - spare)[1]}"
        pieces = Text(text).wrap(console, width, overflow="fold")
        if len(pieces) <= end:
            tail = [line.plain.rstrip() for line in pieces]
            break
    return [*every[: most - len(tail)], *tail]


def _ends(text: str, cells: int) -> tuple[str, str]:
    """Return as much of the beginning and of the end of a text as has room in so many cells."""

    def fitting(letters: Iterable[str]) -> list[str]:
        found, left = [], cells
        for letter in letters:
            left -= cell_len(letter)
            if left < 0:
                break
            found.append(letter)
        return found

    from rich.cells import cell_len

    return "".join(fitting(text)), "".join(reversed(fitting(reversed(text))))


def require_maps(explanation: cnnvis.Explanation, renderer: str = "") -> None:
    """Refuse an explanation without maps; a table, where a renderer is named that draws none.

    Raises
    ------
    UserError
        If there are no maps, or no values in them.
    """
    if renderer and explanation.maps is None:
        raise cnnvis.UserError(f"{renderer} draws maps, and the result is a table: take png")
    if explanation.maps is not None and explanation.maps.size == 0:
        raise cnnvis.UserError(
            f"there is nothing to draw: the maps' shape is {explanation.maps.shape}"
        )


def check_percentile(percentile: float) -> None:
    """Refuse a percentile that is not the upper end of a scale.

    Raises
    ------
    UserError
        If it is below 50.
    """
    if not 50 <= percentile <= 100:
        raise cnnvis.UserError(
            f"percentile is {percentile:g}, and is the upper end of the colours: 50 to 100, such as 99.5"
        )


def check_colour_maps(**options: str | None) -> None:
    """Refuse names of colour maps that matplotlib does not know.

    Raises
    ------
    UserError
        If there is one, naming the option.
    """
    from matplotlib import colormaps

    for option, name in options.items():
        if name is not None and name != DIVERGING and name not in colormaps:
            raise cnnvis.UserError(
                f"{option} is {name!r}, and there is no colour map {name!r}; matplotlib's include "
                "viridis, magma, hot, gray, RdBu_r (list(matplotlib.colormaps) in Python gives all)"
            )


def failed_checks(explanation: cnnvis.Explanation) -> str:
    """Return the line of a heading that names the checks that failed; empty where none did."""
    failed = [name for name, one in explanation.verdicts.items() if one.outcome == "failed"]
    if not failed:
        return ""
    changed = explanation.provenance.get("transforms")
    before = f" before {changed[0]['transform']}" if changed else ""
    return cnnvis.printable(f"x failed{before}: {', '.join(failed)}")
