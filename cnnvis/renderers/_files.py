"""Files of figures: pictures that say in themselves how they were made."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where each format keeps a text about the file.
ABOUT = {".png": "cnnvis", ".svg": "Description", ".pdf": "Subject"}
LARGEST = 2**16  # pixels on a side, all that matplotlib can draw


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


def save(figure: Figure, path: Path, dpi: int, about: Mapping[str, Any]) -> None:
    """Write a figure in the format of a path's ending, with the facts of its origin inside.

    Raises
    ------
    UserError
        If a side of the picture would have more pixels than matplotlib can draw.
    """
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
    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        # A name in a script that matplotlib's font does not have is drawn as boxes, which says so.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        if kind != ".png":
            figure.savefig(path, format=kind.lstrip("."), dpi=dpi, metadata={ABOUT[kind]: facts})
            return
        figure.set_dpi(dpi)
        canvas.draw()
    held = PngInfo()
    held.add_text(ABOUT[kind], facts)
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba())
    # Without transparency, and packed less, a file is there in half the time, and hardly larger.
    drawn.convert("RGB").save(path, "PNG", pnginfo=held, dpi=(dpi, dpi), compress_level=2)
