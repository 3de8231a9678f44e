"""Draws explanations as pictures in files, with matplotlib."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.renderers._page import Page, table_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Where each format keeps a text about the file.
ABOUT = {".png": "cnnvis", ".svg": "Description", ".pdf": "Subject"}


def _check(*, cmap: str | None, input_cmap: str, **_: object) -> None:
    from matplotlib import colormaps

    for name in (cmap, input_cmap):
        if name is not None and name not in colormaps:
            raise cnnvis.UserError(
                f"there is no colour map {name!r}; matplotlib's include viridis, magma, hot, gray, "
                "RdBu_r (list(matplotlib.colormaps) in Python gives all)"
            )


@cnnvis.renderer("png", suffixes=tuple(ABOUT), check=_check)
def png(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    cmap: str | None = None,
    input_cmap: str = "Greys",
    scale: Literal["shared", "each"] = "shared",
    overlay: bool = False,
    alpha: float = 0.6,
    columns: int = 8,
    width: float = 1.9,
    limit: int = 100,
    tiles: int = 16,
    dpi: int = 120,
) -> None:
    """A figure: inputs above, maps below, with a shared scale and a colour bar.

    Parameters
    ----------
    cmap
        The colour map of the maps, any of matplotlib's. By default one that ends in bright colours
        for sizes, and one with white at zero where signs mean something.
    input_cmap
        The colour map of inputs with one channel.
    scale
        One scale for all maps, so that they can be compared, or each its own.
    overlay
        Lay the maps over their inputs.
    alpha
        How much an overlaid map covers its input, from 0 to 1.
    columns
        How many maps stand beside each other at most.
    width
        The width of one map, in inches.
    limit
        How many maps are drawn at most; the title says how many there are.
    tiles
        How many planes of a volume, or channels, are drawn at most.
    dpi
        Dots to the inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if explanation.table is not None:
        figure = table_page(explanation)
    else:
        pairs = cnnvis.panels(explanation, limit=limit, tiles=tiles)
        page = Page(explanation, pairs, columns, width, inputs_above=not overlay)
        colours = _Colours(explanation, cmap, scale)
        drawn = None
        for number, pair in enumerate(pairs):
            below = page.map_axes(number)
            above = page.input_axes(number)
            if pair.input is not None:
                _draw_input(below if above is None else above, pair.input, input_cmap)
            drawn = _draw_map(below, pair.map, colours, alpha if overlay else 1.0) or drawn
        if drawn is not None and scale == "shared":
            page.colour_bar(drawn)
        figure = page.figure
    FigureCanvasAgg(figure)
    facts = json.dumps(dict(explanation.provenance))
    kind = path.suffix.lower()
    figure.savefig(path, format=kind.lstrip("."), dpi=dpi, metadata={ABOUT[kind]: facts})


class _Colours:
    """The colour map, and the range of values that goes with it."""

    def __init__(self, explanation: cnnvis.Explanation, cmap: str | None, scale: str) -> None:
        from matplotlib import colormaps

        assert explanation.maps is not None
        self._signed = explanation.is_signed
        name = cmap or ("RdBu_r" if self._signed else "magma")
        self.cmap = colormaps[name].with_extremes(bad="0.8")  # between the tiles of a mosaic
        self._whole = self._range(explanation.maps) if scale == "shared" else None

    def range(self, values: Any) -> tuple[float, float]:
        """The smallest and largest value of the scale for a map."""
        return self._whole or self._range(values)

    def _range(self, values: Any) -> tuple[float, float]:
        import numpy as np

        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if self._signed:
            high = max(abs(low), abs(high))
            low = -high
        return (low, high) if high > low else (low, low + 1)


def _draw_input(axes: Axes, panel: cnnvis.Panel, cmap: str) -> None:
    if panel.is_profile:
        axes.plot(panel.values, linewidth=0.7, color="0.3")
        axes.margins(x=0)
    else:
        axes.imshow(panel.values, cmap=cmap, aspect="auto", interpolation="nearest")


def _draw_map(axes: Axes, panel: cnnvis.Panel, colours: _Colours, alpha: float) -> Any:
    """Draw a map; what was drawn, if a colour bar can tell its values."""
    low, high = colours.range(panel.values)
    if panel.is_profile:
        axes.plot(panel.values, linewidth=0.7)
        axes.fill_between(range(len(panel.values)), 0, panel.values, alpha=0.3)
        axes.margins(x=0)
        axes.set_ylim(min(low, 0), high)
        return None
    drawn = axes.imshow(
        panel.values,
        cmap=colours.cmap,
        vmin=low,
        vmax=high,
        alpha=alpha,
        aspect="auto",
        interpolation="nearest",
    )
    return None if panel.is_coloured else drawn
