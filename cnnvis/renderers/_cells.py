"""Pictures and bars made of a terminal's cells, in colour or in plain characters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import number
from cnnvis.renderers._look import colours_named

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

LONGEST = 8  # a picture's longer side, in shorter ones, before it is stretched to be seen
NO_NUMBER = 40, 80, 90  # dark blue-green, which greys and the usual colour maps do not have
EIGHTHS = " ▁▂▃▄▅▆▇█"
UPWARDS, DOWNWARDS = " ...:::##", " '''\"\"\"##"  # how full a cell is, in plain characters
RAMP = " .:-=+*#%@"
SIGNED_RAMP = "@Oo-, .:+*#"  # round and flat below zero, square above, blank at zero


@dataclass(frozen=True)
class Scale:
    """Scale: the values at the ends of a colour map or ramp, and the name of the map."""

    low: float
    high: float
    cmap: str
    signed: bool = False

    def part(self, values: Any) -> Any:
        """Scale values to 0 to 1 between the two ends of the scale."""
        return (self.finite(values) - self.low) / ((self.high - self.low) or 1)

    def finite(self, values: Any) -> Any:
        """Replace values that are no numbers by zeros, and clip all to the ends of the scale."""
        import numpy as np

        return np.clip(np.nan_to_num(np.asarray(values, np.float64)), self.low, self.high)


class Coloured:
    """Pen with half blocks, two dots to a cell, each with its own colour."""

    in_colour = True
    aspect = 1  # how many times as high as wide a dot is
    dot = "dot"

    def text(self, words: str) -> str:
        """Return words in a printable form."""
        return "\n".join(map(cnnvis.printable, words.split("\n")))

    def picture(self, values: Any, scale: Scale) -> RenderableType:
        """Return a picture with a dot for each value, in a special colour if it is no number."""
        import numpy as np
        from PIL import Image
        from rich_pixels import Pixels

        rows, columns = values.shape[:2]
        there = np.isfinite(values).reshape(rows, columns, -1).all(axis=-1, keepdims=True)
        dots = np.zeros((rows + rows % 2, columns, 4), np.uint8)  # a cell is two dots high
        dots[:rows, :, :3] = np.where(there, self._colours(values, scale), NO_NUMBER)
        dots[:rows, :, 3] = 255
        picture: RenderableType = Pixels.from_image(Image.fromarray(dots))
        return picture

    def bar_line(self, filled: Any, scale: Scale, *, down: bool) -> Text:
        """Return a line of bars, each cell filled by so many eighths, from below or from above."""
        import numpy as np
        from rich.text import Text

        # The colour of a strong value of that sign, which is seen on any background.
        part = 0.6 if scale.cmap == "gray" else 0.8
        value = scale.low + (1 - part if down and scale.signed else part) * (scale.high - scale.low)
        red, green, blue = self._colours(np.array([[value]]), scale)[0, 0]
        style = f"rgb({red},{green},{blue})"
        if not down:
            return Text("".join(EIGHTHS[eighth] for eighth in filled), style)
        line = Text()
        for eighth in filled:  # no block hangs from above: the one below, its colours swapped, does
            cell, swapped = (EIGHTHS[8 - eighth], f"{style} reverse") if eighth else (" ", "")
            line.append(cell, swapped)
        return line

    def legend(self, scale: Scale, width: int) -> Text:
        """Return the scale, with the values at its ends."""
        import numpy as np
        from rich.text import Text

        low, high = f"{number(scale.low, scale.high)} ", f" {number(scale.high, scale.low)}"
        length = max(min(width - len(low) - len(high), 40), 2)
        shown, values = Text(low), np.linspace(scale.low, scale.high, length)
        for red, green, blue in self._colours(values[None], scale)[0]:
            shown.append(" ", f"on rgb({red},{green},{blue})")
        return shown.append(high)

    def _colours(self, values: Any, scale: Scale) -> Any:
        """Return the colours (rows, columns, 3) uint8 of values, or of values that are colours."""
        import numpy as np

        if values.ndim == 3:
            return np.uint8(np.nan_to_num(values[..., :3]).clip(0, 1) * 255)
        return colours_named(scale.cmap)(scale.part(values), bytes=True)[..., :3]


class Plain:
    """Pen with ASCII characters alone, for files and terminals without colour."""

    in_colour = False
    aspect = 2
    dot = "character"

    def text(self, words: str) -> str:
        """Return words in a printable form."""
        lines = "\n".join(map(cnnvis.printable, words.split("\n")))
        return lines.encode("ascii", "backslashreplace").decode()

    def picture(self, values: Any, scale: Scale) -> RenderableType:
        """Return a picture with a character for each value, a blank if it is no number."""
        import numpy as np
        from rich.text import Text

        if values.ndim == 3:
            values, scale = values[..., :3].mean(axis=-1), Scale(0, 1, scale.cmap)
        ramp = _ramp(scale)
        steps = (scale.part(values) * len(ramp)).clip(0, len(ramp) - 1).astype(int)
        characters = np.where(np.isfinite(values), np.array(list(ramp))[steps], " ")
        return Text("\n".join(map("".join, characters)), no_wrap=True, overflow="crop")

    def bar_line(self, filled: Any, scale: Scale, *, down: bool) -> Text:
        """Return a line of bars, each cell filled by so many eighths, from below or from above."""
        from rich.text import Text

        return Text("".join((DOWNWARDS if down else UPWARDS)[eighth] for eighth in filled))

    def legend(self, scale: Scale, width: int) -> Text:
        """Return the scale, with the values at its ends."""
        from rich.text import Text

        low, high = number(scale.low, scale.high), number(scale.high, scale.low)
        return Text(f"{low} [{_ramp(scale)}] {high}")


Pen = Coloured | Plain


def _ramp(scale: Scale) -> str:
    return SIGNED_RAMP if scale.signed else RAMP


def fitted(panel: cnnvis.Panel, lines: int, width: int, aspect: int) -> tuple[int, int]:
    """Return the height and width in dots of a picture or its tiles that fit the space.

    The picture keeps its shape, as long as it stays visible; an enlarged picture is enlarged by a
    whole number, so that all values are equally large.
    """
    rows, columns = panel.tile or panel.values.shape[:2]
    down, across = panel.grid
    high = max((lines * 2 // aspect + 1) // down - 1, 1)
    wide = max((width + 1) // across - 1, 1)
    if panel.is_strips:  # channels are no places: a line for each, and all of the width
        thick = min(2 // aspect, high // rows)
        return rows * thick or high, _stretched(columns, wide)
    times = int(min(high * aspect / rows, wide / columns)) // aspect * aspect
    if times:
        return rows * times // aspect, columns * times
    rows, columns = max(rows, columns // LONGEST), max(columns, rows // LONGEST)
    factor = min(high * aspect / rows, wide / columns)
    return max(round(rows * factor / aspect), 1), max(round(columns * factor), 1)


def _stretched(length: int, width: int) -> int:
    """Return the number of dots for `length` values in a row: several each, one each, or fewer."""
    return length * min(width // length, 8) or width


def sized(panel: cnnvis.Panel, size: tuple[int, int]) -> Any:
    """Resize a picture's values to a number of dots: means where it gets smaller, else repeated.

    Means of values, and not of colours: half of a strong value is not half of its colour.
    """
    return panel.resized(lambda values: _resized(values, *size))


def _resized(values: Any, height: int, width: int) -> Any:
    import numpy as np
    from PIL import Image

    if values.ndim == 3:
        planes = [_resized(plane, height, width) for plane in np.moveaxis(values, -1, 0)]
        return np.stack(planes, axis=-1)
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))


def bars(
    panel: cnnvis.Panel, scale: Scale, pen: Pen, *, width: int, lines: int, gutter: int
) -> Text:
    """Return a profile as bars up and down from zero, with an axis; `gutter` cells hold numbers."""
    import numpy as np
    from rich.text import Text

    cells = _stretched(len(panel.values), max(width - gutter, 1))
    up, down, unit = _split(scale, lines)
    eighths = _strongest(scale.finite(panel.values), cells) / unit * 8
    top, bottom = labels(scale, lines)
    numbers = [top, *[""] * (up + down - 2), bottom]
    shown = Text(no_wrap=True, overflow="crop")
    for line, label in enumerate(numbers):
        # How much of this line's cells is filled, counted from the side of zero.
        above = line < up
        filled = eighths - 8 * (up - 1 - line) if above else -eighths - 8 * (line - up)
        shown.append(label.rjust(max(gutter - 1, 0)) + " " * (gutter > 0))
        shown.append(pen.bar_line(np.round(filled).clip(0, 8).astype(int), scale, down=not above))
        shown.append("\n")
    described = panel.coordinates.get(panel.axes[0])
    ends = [0, len(panel.values) - 1] if len(panel.values) > 1 else [0]
    first, *rest = [pen.text(described.at(end)) if described else str(end) for end in ends]
    last = rest[0] if rest else ""
    between = cells - len(first) - len(last)
    name = pen.text(described.label(panel.axes[0]) if described else panel.axes[0])
    name = name if len(name) + 2 <= between else ""
    below = first + name.center(between) + last if between > 0 else first[:cells]
    return shown.append(" " * gutter + below)


def labels(scale: Scale, lines: int) -> tuple[str, str]:
    """Return the numbers at the upper and the lower end of bars."""
    up, down, unit = _split(scale, lines)
    high, low = unit * up, -unit * down
    return number(high, low), number(low, high)


def _split(scale: Scale, lines: int) -> tuple[int, int, float]:
    """Return the number of lines above and below zero, and the part of the scale in each line."""
    low, high = min(scale.low, 0.0), max(scale.high, 0.0)
    if -low < high / (8 * lines):  # too little to be seen
        return lines, 0, (high / lines) or 1.0
    if high < -low / (8 * lines):
        return 0, lines, -low / lines
    up = min(max(round(lines * high / (high - low)), 1), lines - 1)
    return up, lines - up, max(high / up, -low / (lines - up))


def _strongest(values: Any, cells: int) -> Any:
    """Return a value for each cell: repeated, or the strongest of the values that share a cell.

    A mean would hide a peak, which a curve drawn finely would show.
    """
    import numpy as np

    if len(values) <= cells:
        return values.repeat(cells // len(values))
    edges = np.linspace(0, len(values), cells + 1).astype(int)
    parts = (values[start:end] for start, end in pairwise(edges))
    return np.array([part[np.abs(part).argmax()] for part in parts])


LEVELS = "▁▂▃▄▅▆▇█"
"""Characters of a curve in one line, from the lowest to the highest."""

CURVE = 16
"""Number of cells of a curve in one line."""


def curve_line(panel: cnnvis.Panel, pen: Pen) -> str:
    """Return a curve in one line: its name, its first and its last number, and its form between them."""
    import numpy as np

    values = panel.values[np.isfinite(panel.values)]
    if not len(values):
        return ""
    ends = f"{values[0]:.3g}", f"{values[-1]:.3g}"
    if not pen.in_colour:  # nor block characters
        return f"{panel.title} {ends[0]} to {ends[1]} over {len(panel.values)} steps"
    parts = np.array([part.mean() for part in np.array_split(values, min(CURVE, len(values)))])
    spread = np.ptp(parts) or 1
    levels = ((parts - parts.min()) / spread * (len(LEVELS) - 1)).round().astype(int)
    return f"{panel.title} {ends[0]} {''.join(LEVELS[level] for level in levels)} {ends[1]}"
