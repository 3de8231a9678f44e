"""Where everything stands in a figure. All sizes are in inches, from the upper left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 0.55
GAP = 0.2
LINE = 0.125  # one line of a title
HEAD = 0.5
BAR = 0.9  # a colour bar with its numbers
WIDEST = 22.0
LETTER = 0.06  # the width of a letter in a title


class Page:
    """A figure of maps in rows and columns, each below its input and its title.

    Parameters
    ----------
    columns, width
        How many maps stand side by side at most, and how wide one is.
    inputs_above
        Whether inputs get a place of their own.
    """

    def __init__(
        self,
        explanation: cnnvis.Explanation,
        pairs: Sequence[Any],
        columns: int,
        width: float,
        *,
        inputs_above: bool,
    ) -> None:
        from matplotlib.figure import Figure

        self._pairs = pairs
        first = pairs[0].map
        self._has_inputs = inputs_above and pairs[0].input is not None
        rows, across = (1, 2) if first.is_profile else first.values.shape[:2]
        # Profiles need room along their axis; a mosaic holds many pictures.
        self._width = width * (2.2 if first.is_profile else 1.0 if first.axes else 1.7)
        # A very long or very flat map is stretched, or there would be nothing to see.
        self._height = self._width * min(max(rows / across, 0.25), 3.0)
        fitting = max(int(WIDEST / (self._width + GAP)), 1)
        self._columns = min(columns, len(pairs), fitting)
        self._title = 0.06 + LINE * max(len(pair.map.title.splitlines()) for pair in pairs)
        self._block = self._title + self._height * (1 + self._has_inputs) + GAP * self._has_inputs
        blocks = math.ceil(len(pairs) / self._columns)
        bar = 0.0 if first.is_profile else BAR
        self._size = (
            max(2 * MARGIN + self._columns * (self._width + GAP) + bar, 4.5),
            HEAD + blocks * (self._block + GAP) + MARGIN,
        )
        self.figure: Figure = Figure(figsize=self._size)
        _write_heading(self.figure, explanation, len(pairs))

    def input_axes(self, number: int) -> Axes | None:
        """The place of a map's input, titled; None where inputs have no place of their own."""
        if not self._has_inputs:
            return None
        axes = self._axes(number, self._pairs[number].input, below=0.0)
        self._write_title(axes, number)
        return axes

    def map_axes(self, number: int) -> Axes:
        """The place of a map, with numbers and names on the page's outer edges."""
        below = (self._height + GAP) * self._has_inputs
        axes = self._axes(number, self._pairs[number].map, below=below)
        if not self._has_inputs:
            self._write_title(axes, number)
        names = self._pairs[number].map.axes
        if not names:  # in a mosaic, a number would mean a different place in each tile
            axes.tick_params(left=False, bottom=False, labelleft=False)
            return axes
        if number + self._columns >= len(self._pairs):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(names[-1], fontsize=7, labelpad=1)
        if number % self._columns == 0 and len(names) == 2:
            axes.set_ylabel(names[0], fontsize=7, labelpad=1)
        return axes

    def colour_bar(self, drawn: Any) -> None:
        """The scale that all maps share, beside the first row of them."""
        left = MARGIN + self._columns * (self._width + GAP)
        top = HEAD + self._title + (self._height + GAP) * self._has_inputs
        place = self._box(left, top, 0.14, min(self._height, 3.0))
        bar = self.figure.colorbar(drawn, cax=self.figure.add_axes(place))
        bar.ax.tick_params(labelsize=7)

    def _axes(self, number: int, panel: cnnvis.Panel, *, below: float) -> Axes:
        from matplotlib.ticker import MaxNLocator

        block, column = divmod(number, self._columns)
        left = MARGIN + column * (self._width + GAP)
        top = HEAD + block * (self._block + GAP) + self._title + below
        axes = self.figure.add_axes(self._box(left, top, self._width, self._height))
        axes.tick_params(labelsize=6, length=2, labelbottom=False, labelleft=column == 0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=not panel.is_profile))
        return axes

    def _write_title(self, axes: Axes, number: int) -> None:
        letters = int(self._width / LETTER)
        lines = self._pairs[number].map.title.splitlines()
        short = (f"{line[: letters - 1]}…" if len(line) > letters else line for line in lines)
        axes.set_title("\n".join(short), fontsize=7, pad=3, parse_math=False)

    def _box(self, left: float, top: float, width: float, height: float) -> Any:
        across, down = self._size
        return (left / across, 1 - (top + height) / down, width / across, height / down)


def table_page(explanation: cnnvis.Explanation) -> Figure:
    """A figure of a table."""
    from matplotlib.figure import Figure

    assert explanation.table is not None
    columns = [[name, *map(str, cells)] for name, cells in explanation.table.items()]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*columns, strict=True)
    ]
    size = (max(0.4 + 0.075 * max(map(len, lines)), 4.5), HEAD + 0.3 + 0.165 * len(lines))
    figure = Figure(figsize=size)
    _write_heading(figure, explanation, len(explanation))
    figure.text(
        0.2 / size[0],
        1 - HEAD / size[1],
        "\n".join(lines),
        va="top",
        fontsize=8,
        family="monospace",
        parse_math=False,
        linespacing=1.35,
    )
    return figure


def _write_heading(figure: Figure, explanation: cnnvis.Explanation, shown: int) -> None:
    """What the figure shows, and below it the files that it was made of."""
    facts = explanation.provenance
    words = [str(facts.get("technique", ""))]
    layers = list(dict.fromkeys(target.layer for target in explanation.targets))
    if len(layers) == 1:
        words.append(f"of {layers[0]}")
    if "backprop" in facts.get("options", {}):
        words.append(f"(backprop {facts['options']['backprop'] or 'none'})")
    if shown < len(explanation):
        words.append(f"- the first {shown} of {len(explanation)} maps")
    files = [(facts.get(what) or {}).get("file") for what in ("model", "data")]
    height = figure.get_figheight()
    middle: dict[str, Any] = {"ha": "center", "va": "top", "parse_math": False}
    figure.text(0.5, 1 - 0.1 / height, " ".join(words), fontsize=9, weight="bold", **middle)
    below = ", ".join(name for name in files if name)
    figure.text(0.5, 1 - 0.27 / height, below, fontsize=7, color="0.4", **middle)
