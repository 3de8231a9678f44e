"""Files of figures: pictures that say in themselves how they were made."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import check_colour_maps, check_percentile
from cnnvis.renderers._fonts import take_fonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where each format keeps a text about the file.
ABOUT = {".png": "cnnvis", ".svg": "Description", ".pdf": "Subject"}
LARGEST = 2**16  # pixels on a side, all that matplotlib can draw


@dataclass(frozen=True)
class PageStyle:
    """Sizes of a page: its largest width in inches, dots per inch, and how much all is enlarged."""

    widest: float
    dpi: int
    enlarged: float = 1.0


PAGES = {
    "screen": PageStyle(22.0, 120),
    "paper": PageStyle(7.0, 300),
    "slides": PageStyle(13.33, 150, 1.8),
}


def enlarged(figure: Figure, times: float) -> None:
    """Enlarge a figure with all of its letters and lines."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    if times == 1:
        return
    figure.set_size_inches(*(times * side for side in figure.get_size_inches()))
    for axes in figure.axes:
        axes.tick_params(length=2 * times, pad=2.5 * times, width=0.6 * times)
        for spine in axes.spines.values():
            spine.set_linewidth(0.8 * times)
    for found in figure.findobj(lambda one: isinstance(one, Text | Line2D | LineCollection)):
        one: Any = found
        if isinstance(one, Text):
            one.set_fontsize(times * float(one.get_fontsize()))
        else:
            widths = one.get_linewidth()
            one.set_linewidth(
                times * widths if isinstance(one, Line2D) else [times * w for w in widths]
            )


def require_date() -> None:
    """Refuse a date of pictures that matplotlib could not read."""
    date = os.environ.get("SOURCE_DATE_EPOCH", "0")  # by which matplotlib dates .svg and .pdf
    try:
        datetime.fromtimestamp(int(date), UTC)
    except (ValueError, OverflowError, OSError):
        raise cnnvis.UserError(
            f"the variable SOURCE_DATE_EPOCH is {date!r}, and gives the date of pictures: set it "
            "to seconds since 1970, or unset it"
        ) from None


def check_figure(
    *, cmap: str | None, input_cmap: str | None, percentile: float, width: float, **_: object
) -> None:
    """Refuse options of a figure that cannot be drawn.

    Raises
    ------
    UserError
        If there is no such colour map, or a number is outside of its range.
    """
    check_colour_maps(cmap=cmap, input_cmap=input_cmap)
    check_percentile(percentile)
    if not 0.1 <= width <= 100:
        raise cnnvis.UserError(f"width is {width:g} inches, and can be 0.1 to 100")
    require_date()


def save(figure: Figure, path: Path, dpi: int, about: Mapping[str, Any]) -> None:
    """Write a figure in the format of a path's ending, with the facts of its origin inside.

    Raises
    ------
    UserError
        If a side of the picture would have more pixels than matplotlib can draw.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    facts = json.dumps(about)
    kind = path.suffix.lower()
    size = [round(inches * dpi) for inches in figure.get_size_inches()]
    if kind == ".png" and max(size) >= LARGEST:
        raise cnnvis.UserError(
            f"the picture would be {size[0]} x {size[1]} pixels, and a side must be below "
            f"{LARGEST}: lower limit or dpi, or write .svg or .pdf"
        )
    take_fonts(figure)
    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # which is noted
        if kind != ".png":
            figure.suppressComposite = True  # each map is a picture of its own, for other programs
            with rc_context({"pdf.fonttype": 42}):  # letters that publishers take
                figure.savefig(
                    path, format=kind.lstrip("."), dpi=dpi, metadata={ABOUT[kind]: facts}
                )
            return
        figure.set_dpi(dpi)
        canvas.draw()
    held = PngInfo()
    held.add_text(ABOUT[kind], facts)
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    # Without transparency, and packed less, a file is there in half the time, and hardly larger.
    drawn.convert("RGB").save(path, "PNG", pnginfo=held, dpi=(dpi, dpi), compress_level=2)
