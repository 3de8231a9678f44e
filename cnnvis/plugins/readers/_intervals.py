"""Intervals of a genome as images: of one width, in a row, with labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import cnnvis


def gathered(index: Any, one: Callable[[int], Any], shape: tuple[int, ...], dtype: Any) -> Any:
    """Return the images that an index asks for, each of which is made by itself.

    Parameters
    ----------
    one
        Function of the place of an image that returns the image.
    shape, dtype
        Those of the array of all images, (n, ...).
    """
    import numpy as np

    places = np.arange(shape[0])[index]
    chosen = [one(place) for place in np.atleast_1d(places)]
    found = np.stack(chosen) if chosen else np.empty((0, *shape[1:]), dtype)
    return found if places.ndim else found[0]


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def counted(count: int, what: str) -> str:
    """Return a number with its noun: ``1 base``, ``30,000 bases``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def of_one_width(
    intervals: Sequence[cnnvis.Interval],
    width: int | None,
    center: Literal["middle", "summit"],
    option: str,
) -> list[cnnvis.Interval]:
    """Return the intervals with one width.

    Parameters
    ----------
    width
        The width that was asked for; None if they must have one already.
    center
        What stays in the middle; a summit is given in column 10 of a narrowPeak file.
    option
        The name of the reader, for messages.

    Raises
    ------
    UserError
        If they have several widths and none was asked for, or there are no summits.
    """
    if width is None:
        widths = sorted({one.end - one.start for one in intervals})
        if len(widths) > 1:
            raise cnnvis.UserError(
                f"the intervals have {widths[0]:,} to {widths[-1]:,} bases, and all images must have one "
                f"width: give the width of the network's input, --{option}.width N, for so many bases "
                "about the middle of each"
            )
        if center == "summit":
            raise cnnvis.UserError(f"--{option}.center summit needs a width: --{option}.width N")
        return list(intervals)
    return [one.resized(width, _summit(one) if center == "summit" else None) for one in intervals]


def tiled(
    intervals: Sequence[cnnvis.Interval], width: int, step: int, most: int
) -> list[cnnvis.Interval]:
    """Return the intervals of one width in other intervals, from the start of each, `step` bases apart.

    Raises
    ------
    UserError
        If there are more than `most`, or none.
    """
    count = sum(max(one.end - one.start - width, -step) // step + 1 for one in intervals)
    if not 0 < count <= most:
        raise cnnvis.UserError(
            f"there are {count:,} images of {width:,} bases, {step:,} apart, in {len(intervals):,} sequences or "
            f"intervals, and can be 1 to {most:,}"
        )
    found = []
    left_out = 0
    for one in intervals:
        starts = range(one.start, one.end - width + 1, step)
        left_out += one.end - (starts[-1] + width if starts else one.start)
        found += [
            cnnvis.Interval(one.contig, start, start + width, one.where, one.backwards, one.cells)
            for start in starts
        ]
    if left_out:
        are = "is too little" if left_out == 1 else "are too few"
        cnnvis.note(f"{counted(left_out, 'base')} at the ends {are} for an image and left out")
    return found


def _summit(one: cnnvis.Interval) -> int:
    cell = one.cells[9] if len(one.cells) > 9 else ""
    if not (cell.isascii() and cell.isdigit() and len(cell) < 13):
        raise cnnvis.UserError(
            f"{one.where} has no summit in column 10, as narrowPeak files have: leave out --fasta.center"
        )
    return one.start + int(cell)


def labels_in(intervals: Sequence[cnnvis.Interval], column: int | None) -> Any:
    """Return the labels of intervals from a column of their file, numbered from 1; None without one.

    Whole numbers are classes, other numbers are numbers, anything else is words.

    Raises
    ------
    UserError
        If a line has no such column.
    """
    if column is None:
        return None
    cells = []
    for one in intervals:
        if len(one.cells) < column:
            raise cnnvis.UserError(
                f"{one.where} has {len(one.cells)} columns, and the labels should be in column {column}"
            )
        cells.append(one.cells[column - 1])
    import numpy as np

    for kind in (np.int64, np.float64):
        try:
            return np.array(cells, dtype=object).astype(kind)
        except (ValueError, OverflowError):
            continue
    return cells
