"""Pictures and curves for pages of the web: data in the page itself, with words beside them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import cut, number

if TYPE_CHECKING:
    from cnnvis.renderers._look import Look, Scale
    from cnnvis.renderers._web_letters import Logo

LONGER, SHORTER = 200, 28  # the sides of a picture on a page, in pixels of a screen
LETTERS = 8  # of a word at the edge of a view of a volume
POINTS = 400  # of a curve, which has no more room
CURVE_WIDTH, CURVE_HEIGHT = 240, 72


@dataclass(frozen=True)
class Picture:
    """Picture or curve on a page.

    Attributes
    ----------
    alt
        The words that stand for the picture.
    src
        The picture as a ``data:`` address; empty for a curve.
    width, height
        The size on the page, in pixels of a screen.
    line, area, zero
        The points of a curve, of the area below it, and the height of its axis.
    factor
        The number of values to a side of a pixel: more than one where the picture had to shrink.
    letters
        Words at the edges of views of a volume: their places from the left and from the top, in
        percent, the edge, 0 to 3 for left, right, top and bottom, and the word.
    logo
        The letters of the strongest stretch, to be drawn below; None where there are no letters.
    """

    alt: str
    src: str = ""
    width: int = CURVE_WIDTH
    height: int = CURVE_HEIGHT
    line: str = ""
    area: str = ""
    zero: float = 0.0
    factor: int = 1
    letters: tuple[tuple[float, float, int, str], ...] = ()
    logo: Logo | None = None


def picture(panel: cnnvis.Panel, look: Look, alt: str, most: int, *, is_map: bool) -> Picture:
    """Return a panel as a picture of at most so many bytes, or as a curve.

    Means of values, and not of colours, make a picture smaller.
    """
    scale = look.scale(panel) if is_map else look.inputs
    if panel.is_profile:
        return _curve(panel.values, scale, alt)
    from dataclasses import replace

    factor = 1
    while True:
        smaller = replace(panel, values=_shrunk(panel.values, factor), tile=None)
        pixels = look.map_pixels(smaller) if is_map else look.input_pixels(smaller)
        written = png_bytes(pixels)
        if len(written) <= most or max(panel.values.shape[:2]) <= 8 * factor:
            break
        # The bytes of a picture grow with its area.
        factor *= max(2, 2 ** math.floor(math.log2(len(written) / most) / 2))
    width, height = _on_page(*panel.values.shape[:2])
    alt = "; ".join(filter(None, (alt, cnnvis.printable(panel.directions))))
    letters = tuple(
        (round(100 * x, 2), round(100 * y, 2), number % 4, cut(word, LETTERS))
        for number, (x, y, word) in enumerate(panel.letters)
    )
    return Picture(
        alt, data_address("image/png", written), width, height, factor=factor, letters=letters
    )


def png_bytes(pixels: Any) -> bytes:
    """Return pixels (rows, columns, 4) as a PNG; opaque ones without transparency."""
    from PIL import Image

    drawn = Image.fromarray(pixels)
    file = io.BytesIO()
    if (pixels[..., 3] == 255).all():
        drawn = drawn.convert("RGB")
    drawn.save(file, "PNG")
    return file.getvalue()


def data_address(kind: str, content: bytes) -> str:
    """Return a ``data:`` address with the content of a file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _shrunk(values: Any, factor: int) -> Any:
    """Return the means of squares of so many values a side; the last squares may be narrower."""
    import numpy as np

    if factor == 1:
        return values
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], factor)
        counts = np.diff([*starts, values.shape[axis]])
        sums = np.add.reduceat(np.asarray(values, np.float64), starts, axis=axis)
        shape = [-1 if one == axis else 1 for one in range(values.ndim)]
        values = sums / counts.reshape(shape)
    return values


def _on_page(rows: int, columns: int) -> tuple[int, int]:
    """Return the width and height of a picture on a page: its shape, unless a side would vanish."""
    longer = max(rows, columns)
    times = LONGER / longer
    return (
        max(round(columns * times), min(SHORTER, LONGER)),
        max(round(rows * times), min(SHORTER, LONGER)),
    )


def _curve(values: Any, scale: Scale, alt: str) -> Picture:
    """Return values over one axis as a curve with an axis at zero."""
    import numpy as np

    low, high = min(scale.low, 0.0), max(scale.high, 0.0)
    spread = (high - low) or 1.0
    shown = np.clip(np.nan_to_num(_strongest(np.asarray(values, np.float64))), low, high)
    heights = CURVE_HEIGHT - 2 - (shown - low) / spread * (CURVE_HEIGHT - 4)
    zero = float(CURVE_HEIGHT - 2 - (0.0 - low) / spread * (CURVE_HEIGHT - 4))
    edges = np.linspace(0, CURVE_WIDTH, len(shown) + 1)
    # A value is a step, as a pixel of a picture is.
    points = [
        f"{x:.1f},{y:.1f}"
        for left, right, y in zip(edges[:-1], edges[1:], heights, strict=True)
        for x in (left, right)
    ]
    line = " ".join(points)
    area = f"0,{zero:.1f} {line} {CURVE_WIDTH},{zero:.1f}"
    return Picture(alt, line=line, area=area, zero=zero)


def _strongest(values: Any) -> Any:
    """Return at most `POINTS` values, the strongest of those that share a point."""
    import numpy as np

    if len(values) <= POINTS:
        return values
    parts = np.array_split(values, POINTS)
    return np.array([part[np.nan_to_num(np.abs(part), nan=-1.0).argmax()] for part in parts])


def legend(look: Look) -> dict[str, Any] | None:
    """Return the strip of colours of all maps, its ends and the values beyond; None without one."""
    import numpy as np

    if look.whole is None:
        return None
    scale = look.whole
    values = np.linspace(scale.low, scale.high, 256 if not look.signed else 257)[None]
    pixels = look.map_pixels(cnnvis.Panel(values, ("row", "column")))
    low, high = number(scale.low, scale.high), number(scale.high, scale.low)
    beyond = "; ".join(scale.said) if scale.extends != "neither" else ""
    words = f"Scale of colours from {low} to {high}"
    return {
        "src": data_address("image/png", png_bytes(pixels)),
        "colours": "".join(f"{r:02x}{g:02x}{b:02x}" for r, g, b in pixels[0, :, :3].tolist()),
        "zero": abs(round(float(np.clip(-scale.low / ((scale.high - scale.low) or 1), 0, 1)), 4)),
        "low": low,
        "high": high,
        "beyond": beyond,
        "alt": f"{words}, white at zero" if look.signed else words,
    }


def strongest_place(explanation: cnnvis.Explanation, row: int) -> str:
    """Return the place of a map's strongest value in words: ``row 3, column 7 (upper left)``."""
    import numpy as np

    values = explanation.array[row]
    if not np.nan_to_num(values).any():
        return ""
    place = explanation[row].peaks[0].tolist()
    words = []
    along = explanation.places
    for name, at in zip(explanation.axes, place, strict=True):
        if along is not None and along.axis == name and along.at(row, at):
            words.append(along.at(row, at))
            continue
        axis = explanation.coordinates.get(name)
        words.append(f"{name} {at}" if axis is None else f"{axis.label(name)} {axis.at(int(at))}")
    sizes = dict(zip(explanation.axes, zip(place, values.shape, strict=True), strict=True))
    where = _where(sizes)
    return ", ".join(words) + (f" ({where})" if where else "")


def _where(sizes: dict[str, tuple[Any, int]]) -> str:
    """Return the part of a picture in which a place is, in words; empty without rows and columns."""
    if not {"row", "column"} <= set(sizes):
        return ""
    names = []
    for axis, words in (("row", ("upper", "", "lower")), ("column", ("left", "", "right"))):
        at, size = sizes[axis]
        names.append(words[min(int(3 * at / size), 2)] if size > 2 else "")
    return " ".join(filter(None, names)) or "in the middle"


def chart(
    curves: Sequence[tuple[str, Any]],
    places: Sequence[float],
    ends: tuple[float, float],
    size: tuple[int, int] = (420, 240),
) -> dict[str, Any]:
    """Return a drawing of curves that share their axes: lines, ticks and their numbers.

    Parameters
    ----------
    curves
        The name of each curve, and its values (length,).
    places
        The position of each value along the axis.
    ends
        The least and the largest value of the drawing.
    size
        The width and height of the drawing.
    """
    import numpy as np

    width, height = size
    left, bottom, top, right = 46, 26, 8, 10
    low, high = ends if ends[0] < ends[1] else (ends[0] - 0.5, ends[0] + 0.5)
    first, last = min(places), max(places)
    across = (last - first) or 1.0

    def x(place: float) -> float:
        return round(left + (place - first) / across * (width - left - right), 1)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * (height - top - bottom), 1)

    lines = []
    for order, (name, values) in enumerate(curves):
        drawn = [
            f"{x(place)},{y(float(value))}"
            for place, value in zip(places, values, strict=True)
            if np.isfinite(value)
        ]
        lines.append({"name": name, "points": " ".join(drawn), "number": order % 6})
    return {
        "width": width,
        "height": height,
        "lines": lines,
        "left": left,
        "right": width - right,
        "top": top,
        "bottom": height - bottom,
        "rows": [{"at": y(v), "text": number(v, high - low)} for v in _ticks(low, high, 4)],
        "columns": [{"at": x(v), "text": cnnvis.Axis().at(v)} for v in _ticks(first, last, 5)],
    }


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers between two numbers."""
    from matplotlib.ticker import MaxNLocator

    return [float(v) for v in MaxNLocator(most).tick_values(low, high) if low <= v <= high]
