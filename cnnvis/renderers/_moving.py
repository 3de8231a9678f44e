"""Pictures of a moving picture, drawn with Pillow: maps beside their inputs, below their titles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import folded, number
from cnnvis.renderers._fonts import USUAL, fonts_for, note_lacking, path_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw as Drawing

    from cnnvis.renderers._look import Look

GAP, MARGIN, LETTERS, LEADING = 6, 8, 11, 16  # pixels
LETTER = 6.6  # the width of a letter
LEAST, LINES = 24, 4  # letters in a line of a title, and lines of a part of it
CURVE = 48  # pixels
LONGEST, MOST = 16383, 2**30  # pixels of a side, as WebP has them, and bytes of all pictures
GREY, BLACK = (185, 185, 185), (0, 0, 0)


@dataclass(frozen=True)
class Progress:
    """How far the making of a map was, beside the whole of it.

    Attributes
    ----------
    name, curve
        The name of what rose, and its values over the steps, (steps,).
    steps
        The number of steps so far.
    """

    name: str
    curve: Any
    steps: int


@dataclass(frozen=True)
class Moment:
    """One map in a picture of a moving picture.

    Attributes
    ----------
    pair
        The map, and its input.
    title
        The title, in a line or more.
    progress
        How far the making of the map was; None where that is not known.
    """

    pair: Any
    title: str
    progress: Progress | None = None


def drawn(look: Look, every: Sequence[Sequence[Moment]], size: int) -> list[Image]:
    """Return pictures of the same size, each of which shows some maps side by side.

    Nothing moves from picture to picture but what a map shows: each title has the room of the longest.

    Parameters
    ----------
    every
        The maps in each picture, as many in each.
    size
        The longer side of a map, in pixels.
    """
    from PIL import Image

    sizes = [_size(one.pair, size) for some in every for one in some]
    wide, high = (max(sides) for sides in zip(*sizes, strict=True))
    letters = max(int(wide / LETTER), LEAST)
    titles = [[_lines(look, one, letters) for one in some] for some in every]
    top = MARGIN + LEADING * max(len(lines) for some in titles for lines in some)
    below = 0 if every[0][0].progress is None else GAP + CURVE + LEADING
    note_lacking({one for some in titles for lines in some for one in fonts_for("".join(lines))[1]})
    place = (max(wide, int(letters * LETTER)) + 2 * MARGIN, top + high + below + MARGIN)
    columns = _columns(len(every[0]), *place)
    across, down = place[0] * columns, place[1] * math.ceil(len(every[0]) / columns)
    _require_room(across, down, len(every))
    whole = []
    for some, words in zip(every, titles, strict=True):
        canvas = Image.new("RGB", (across, down), "white")
        for number_, (moment, lines) in enumerate(zip(some, words, strict=True)):
            left, start = place[0] * (number_ % columns), place[1] * (number_ // columns)
            _fill(canvas, (left, start), _picture(look, moment.pair, size), lines, top)
            if moment.progress is not None:
                _draw_curve(
                    canvas, (left + MARGIN, start + top + high + GAP), wide, moment.progress
                )
        whole.append(canvas)
    return whole


def _require_room(across: int, down: int, count: int) -> None:
    """Refuse pictures that are too large for their format, or too large for the memory together."""
    if max(across, down) > LONGEST or 3 * across * down * count > MOST:
        raise cnnvis.UserError(
            f"the moving picture would be {count} pictures of {across} x {down} pixels, and a side can be {LONGEST} "
            f"pixels, and all together {MOST // 2**20} MiB: draw fewer maps (--gif.limit) or smaller maps (--gif.size), or "
            "keep fewer frames"
        )


def _columns(count: int, wide: int, high: int) -> int:
    """Return the number of places side by side that makes the whole almost a square, or wider."""
    return min(count, max(round(math.sqrt(1.6 * count * high / wide)), 1))


def _times(panel: Any, size: int) -> int:
    """Return the number of pixels to a side of a value."""
    return max(round(size / int(max(panel.values.shape[:2]))), 1)


def _size(pair: Any, size: int) -> tuple[int, int]:
    """Return the width and height of the picture of an input and a map beside it, with their frames."""
    panels = [one for one in (pair.input, pair.map) if one is not None]
    sizes = [[side * _times(one, size) + 2 for side in one.values.shape[:2]] for one in panels]
    return sum(side[1] for side in sizes) + GAP * (len(sizes) - 1), max(side[0] for side in sizes)


def _picture(look: Look, pair: Any, size: int) -> Image:
    """Return the picture of an input and a map beside it."""
    from PIL import Image, ImageOps

    parts = [] if pair.input is None else [(pair.input, look.input_pixels(pair.input))]
    parts.append((pair.map, look.map_pixels(pair.map)))
    shown = []
    for panel, pixels in parts:
        times = _times(panel, size)
        picture = Image.fromarray(pixels).convert("RGB")
        picture = picture.resize((picture.width * times, picture.height * times), 0)
        shown.append(ImageOps.expand(picture, 1, "grey"))
    wide = sum(one.width for one in shown) + GAP * (len(shown) - 1)
    whole = Image.new("RGB", (wide, max(one.height for one in shown)), "white")
    left = 0
    for one in shown:
        whole.paste(one, (left, 0))
        left += one.width + GAP
    return whole


def _lines(look: Look, moment: Moment, letters: int) -> list[str]:
    """Return the lines of a title, with the ends of the colours."""
    panel = moment.pair.map
    scale = look.scale(panel)
    ends = f"colours {number(scale.low, scale.high)} to {number(scale.high, scale.low)}"
    said = moment.title.split("\n") + ([] if panel.is_coloured else [ends, *scale.said[-1:]])
    return [line for part in said for line in folded(part, letters, LINES)]


def _fill(
    canvas: Image, place: tuple[int, int], picture: Image, lines: list[str], top: int
) -> None:
    """Draw a picture and its title at a place, the picture so many pixels below it."""
    from PIL import ImageDraw

    left, start = place[0] + MARGIN, place[1]
    draw = ImageDraw.Draw(canvas)
    for number_, line in enumerate(lines):
        _write(draw, (left, start + MARGIN // 2 + LEADING * number_), line)
    canvas.paste(picture, (left, start + top))


def _write(draw: Drawing, place: tuple[int, int], text: str) -> None:
    from PIL import ImageFont

    names, _ = fonts_for(text)
    path = path_of(names[0] if names else USUAL)
    draw.text(place, text, fill="black", font=ImageFont.truetype(path, LETTERS))


def _draw_curve(canvas: Image, place: tuple[int, int], wide: int, progress: Progress) -> None:
    """Draw what rose over the steps: black as far as it was, and grey beyond."""
    import numpy as np
    from PIL import ImageDraw

    draw = ImageDraw.Draw(canvas)
    left, top = place
    values = np.asarray(progress.curve, np.float64)
    known = values[np.isfinite(values)]
    if not known.size:
        return
    low, high = float(known.min()), float(known.max())
    across = max(len(values) - 1, 1)

    def at(step: int) -> tuple[float, float]:
        share = (values[step] - low) / ((high - low) or 1)
        return left + 2 + (wide - 5) * step / across, top + CURVE - 2 - (CURVE - 4) * share

    steps = [step for step in range(len(values)) if np.isfinite(values[step])]
    draw.line([at(step) for step in steps], fill=GREY)
    passed = [step for step in steps if step <= progress.steps]
    draw.line([at(step) for step in passed], fill=BLACK)
    for x, y in map(at, passed[-1:]):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=BLACK)
    words = f"{progress.name}, {number(low, high)} to {number(high, low)}"
    for line in folded(words, max(int(wide / LETTER), LEAST), 1):
        _write(draw, (left, top + CURVE), line)
