"""Letters of sequences on pages of the web: the strongest stretch of a map, as drawings of outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cnnvis
from cnnvis.renderers._letters import Letters, glyph_of, letter_bases, letter_colour, stack_limits
from cnnvis.renderers._tracks import strongest_windows

MOST = 40  # positions whose letters have room on a page
WIDE, HIGH = 9, 72  # pixels of a position, and of the drawing


@dataclass(frozen=True)
class Logo:
    """Letters of a stretch of a sequence, as high as their values.

    Attributes
    ----------
    alt
        The words that stand for the drawing.
    width, height, zero
        The size of the drawing in pixels, and the height of its axis.
    outlines
        The colour and the outlines of all letters of a name.
    about
        Which positions these are, and whether the names of the letters are assumed.
    """

    alt: str
    width: int
    height: int
    zero: float
    outlines: tuple[tuple[str, str], ...]
    about: str


def logos(explanation: cnnvis.Explanation, letters: Letters, *, shared: bool) -> list[Logo]:
    """Return the letters of each map, on one scale for all maps or each on its own."""
    every = range(len(explanation))  # heights are four times as large as a map: one at a time
    ends = [stack_limits(letters.heights(explanation, place)) for place in every]
    if shared:
        ends = [(min(low for low, _ in ends), max(high for _, high in ends))] * len(ends)
    name = next(axis for axis in explanation.axes if axis != "channel")
    axis = explanation.coordinates.get(name, cnnvis.Axis())
    return [
        _logo(letters.heights(explanation, place), letters, ends[place], axis.label(name), axis)
        for place in every
    ]


def _logo(
    heights: Any, letters: Letters, ends: tuple[float, float], label: str, axis: cnnvis.Axis
) -> Logo:
    ((start, end),) = strongest_windows(heights, 1, MOST)
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    spread = (high - low) or 1.0
    words = "letters" if end - start == len(heights) else "strongest letters"
    words += f", {label} {axis.at(start)} to {axis.at(end - 1)}"
    if letters.is_assumed:
        words += ", channels taken for A, C, G, T"
    return Logo(
        alt=cnnvis.printable(f"{words}, as high as their values"),
        width=WIDE * (end - start),
        height=HIGH,
        zero=round(1 + high / spread * (HIGH - 2), 1),
        outlines=tuple(_outlines(heights[start:end], letters.names, high, (HIGH - 2) / spread)),
        about=cnnvis.printable(words),
    )


def _outlines(
    heights: Any, names: Sequence[str], top: float, scale: float
) -> list[tuple[str, str]]:
    """Return the colour and the outlines of the letters of each name; `scale` is in pixels."""
    import numpy as np

    heights = np.nan_to_num(np.float64(heights))
    bases, found = letter_bases(heights), []
    for channel, name in enumerate(names):
        glyph, parts = glyph_of(name), []
        for place in np.flatnonzero(heights[:, channel]):
            x = (place + 0.03 + 0.94 * glyph.vertices[:, 0]) * WIDE
            y = bases[place, channel] + glyph.vertices[:, 1] * heights[place, channel]
            parts.append(_outline(x, 1 + (top - y) * scale, glyph.codes))
        if parts:
            found.append((letter_colour(name, channel), "".join(parts)))
    return found


def _outline(x: Any, y: Any, codes: Any) -> str:
    """Return an outline in the words of SVG; a curve has two or three points, named once."""
    from matplotlib.path import Path

    words = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    drawn, left = [], 0
    for across, down, code in zip(x, y, codes, strict=True):
        if code == Path.CLOSEPOLY:
            drawn.append("Z")
            continue
        if left == 0:
            left = {Path.CURVE3: 2, Path.CURVE4: 3}.get(code, 1)
            drawn.append(words[code])
        drawn.append(f"{across:.1f} {down:.1f} ")
        left -= 1
    return "".join(drawn)
