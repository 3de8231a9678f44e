"""Draws explanations as pictures in files, with matplotlib."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
MARGIN = 0.55
GAP = 0.18
LINE = 0.16  # one line of a title
BAR = 0.9  # the colour bar with its numbers


@cnnvis.renderer("png", suffixes=(".png", ".svg", ".pdf"))
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
        How many maps stand beside each other.
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

    _require_cmaps(cmap, input_cmap)
    if explanation.table is not None:
        figure = _table(explanation)
    else:
        pairs = cnnvis.panels(explanation, limit=limit, tiles=tiles)
        layout = _Layout(pairs, columns, width, overlay)
        figure = layout.figure(_heading(explanation, len(pairs)))
        colours = _Colours(explanation, cmap, scale)
        for number, pair in enumerate(pairs):
            below = layout.axes(figure, number, is_map=True)
            if pair.input is not None and not overlay:
                above = layout.axes(figure, number, is_map=False)
                _draw_input(above, pair.input, input_cmap)
                _titled(above, pair.map.title)
            else:
                _titled(below, pair.map.title)
            if overlay and pair.input is not None:
                _draw_input(below, pair.input, input_cmap)
            drawn = _draw_map(below, pair.map, colours, alpha if overlay else 1.0)
            layout.name_axes(below, number, pair.map)
        if scale == "shared" and not pairs[0].map.is_profile:
            figure.colorbar(drawn, cax=layout.bar(figure)).ax.tick_params(labelsize=7)
    FigureCanvasAgg(figure)
    facts = json.dumps(dict(explanation.provenance), ensure_ascii=True)
    kind = path.suffix.lower().lstrip(".")
    key = {"png": "cnnvis", "svg": "Description", "pdf": "Subject"}[kind]
    figure.savefig(path, format=kind, dpi=dpi, metadata={key: facts})


def _require_cmaps(*names: str | None) -> None:
    from matplotlib import colormaps

    for name in names:
        if name is not None and name not in colormaps:
            raise cnnvis.UserError(
                f"there is no colour map {name!r}; matplotlib's include viridis, magma, hot, gray, "
                "RdBu_r (list(matplotlib.colormaps) in Python gives all)"
            )


class _Colours:
    """The colour map and the range of values that go with it."""

    def __init__(self, explanation: cnnvis.Explanation, cmap: str | None, scale: str) -> None:
        import numpy as np

        maps = explanation.maps
        assert maps is not None
        self._signed = explanation.signed
        if self._signed is None:
            self._signed = bool((maps < 0).any())
        self.cmap = cmap or ("RdBu_r" if self._signed else "magma")
        self._whole = self._range(np.asarray(maps)) if scale == "shared" else None

    def range(self, values: Any) -> tuple[float, float]:
        """The smallest and largest value of the colour scale for a map."""
        return self._whole or self._range(values)

    def _range(self, values: Any) -> tuple[float, float]:
        import numpy as np

        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if self._signed:
            high = max(abs(low), abs(high))
            low = -high
        return (low, high) if high > low else (low, low + 1)


class _Layout:
    """Where everything stands on the page, in inches from the upper left."""

    def __init__(self, pairs: list[Any], columns: int, width: float, overlay: bool) -> None:
        first = pairs[0].map
        self._has_inputs = pairs[0].input is not None and not overlay
        self._columns = min(columns, len(pairs))
        self._blocks = math.ceil(len(pairs) / self._columns)
        self._count = len(pairs)
        self._is_profile = first.is_profile
        rows, across = (1.0, 2.0) if first.is_profile else first.values.shape[:2]
        # A very long or very flat map is stretched, or there would be nothing to see.
        self._ratio = min(max(rows / across, 0.25), 3.0)
        self.stretched = self._ratio != rows / across
        self._width = width * (2.2 if first.is_profile else 1.0)
        if not first.axes:  # a mosaic holds many pictures
            self._width *= 1.7
        self._height = self._width * self._ratio
        self._titles = LINE * (1 + max(len(pair.map.title.splitlines()) for pair in pairs))
        self._block = self._titles + self._height * (1 + self._has_inputs) + GAP * self._has_inputs
        self._bar = 0.0 if first.is_profile else BAR
        self.size = (
            max(2 * MARGIN + self._columns * (self._width + GAP) + self._bar, 4.5),
            0.45 + self._blocks * (self._block + GAP) + MARGIN,
        )

    def figure(self, heading: str) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=self.size)
        figure.text(
            0.5, 1 - 0.15 / self.size[1], heading, ha="center", va="top", fontsize=9,
            weight="bold", parse_math=False, wrap=True,
        )  # fmt: skip
        return figure

    def _box(self, left: float, top: float, width: float, height: float) -> Any:
        across, down = self.size
        return (left / across, 1 - (top + height) / down, width / across, height / down)

    def axes(self, figure: Figure, number: int, *, is_map: bool) -> Axes:
        from matplotlib.ticker import MaxNLocator

        block, column = divmod(number, self._columns)
        top = 0.45 + block * (self._block + GAP) + self._titles
        if is_map and self._has_inputs:
            top += self._height + GAP
        left = MARGIN + column * (self._width + GAP)
        axes = figure.add_axes(self._box(left, top, self._width, self._height))
        axes.tick_params(labelsize=6, length=2, labelbottom=False, labelleft=column == 0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=not self._is_profile))
        return axes

    def name_axes(self, axes: Axes, number: int, panel: cnnvis.Panel) -> None:
        """Numbers and names on the outer edges only, where there is one meaning to them."""
        if not panel.axes:
            axes.set_xticks([])
            axes.set_yticks([])
            return
        if number + self._columns >= self._count:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(panel.axes[-1], fontsize=7, labelpad=1)
        if number % self._columns == 0 and len(panel.axes) == 2:
            axes.set_ylabel(panel.axes[0], fontsize=7, labelpad=1)

    def bar(self, figure: Figure) -> Axes:
        height = min(self._height, 3.0)
        top = 0.45 + self._titles + (self._height + GAP) * self._has_inputs
        left = MARGIN + self._columns * (self._width + GAP)
        return figure.add_axes(self._box(left, top, 0.14, height))


def _draw_input(axes: Axes, panel: cnnvis.Panel, cmap: str) -> None:
    if panel.is_profile:
        axes.plot(panel.values, linewidth=0.7)
        axes.margins(x=0)
    else:
        axes.imshow(panel.values, cmap=cmap, aspect="auto", interpolation="nearest")


def _draw_map(axes: Axes, panel: cnnvis.Panel, colours: _Colours, alpha: float) -> Any:
    low, high = colours.range(panel.values)
    if panel.is_profile:
        values = panel.values if panel.values.ndim == 2 else panel.values[:, None]
        for channel in values.T:
            axes.plot(channel, linewidth=0.7)
        if values.shape[1] == 1:
            axes.fill_between(range(len(values)), 0, values[:, 0], alpha=0.3)
        axes.margins(x=0)
        axes.set_ylim(min(low, 0), high)
        return None
    return axes.imshow(
        panel.values, cmap=colours.cmap, vmin=low, vmax=high, alpha=alpha, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=7, pad=3, parse_math=False)


def _heading(explanation: cnnvis.Explanation, shown: int) -> str:
    facts = explanation.provenance
    words = [str(facts.get("technique", ""))]
    layers = list(dict.fromkeys(target.layer for target in explanation.targets))
    if len(layers) == 1:
        words.append(f"of {layers[0]}")
    backprop = facts.get("options", {}).get("backprop", "")
    if backprop != "":
        words.append(f"(backprop {backprop or 'none'})")
    if shown < len(explanation):
        words.append(f"- the first {shown} of {len(explanation)} maps")
    return " ".join(words)


def _table(explanation: cnnvis.Explanation) -> Figure:
    from matplotlib.figure import Figure

    assert explanation.table is not None
    columns = [[name, *map(str, cells)] for name, cells in explanation.table.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
    figure = Figure(figsize=(0.4 + 0.085 * max(map(len, lines)), 0.9 + 0.165 * len(lines)))
    height = figure.get_figheight()
    top = 1 - 0.15 / height
    figure.text(
        0.15 / figure.get_figwidth(), top, _heading(explanation, len(explanation)), va="top",
        fontsize=9, weight="bold", parse_math=False,
    )  # fmt: skip
    figure.text(
        0.15 / figure.get_figwidth(), top - 0.35 / height, "\n".join(lines), va="top", fontsize=8,
        family="monospace", parse_math=False, linespacing=1.35,
    )  # fmt: skip
    return figure
