"""Layout of a figure. All sizes are in inches, from the upper left."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import cell_text, cut, failed_checks, folded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT = 0.6  # numbers and names of axes
EDGE = 0.2
BELOW = 0.36
GAP = 0.18
LINE = 0.125  # one line of a title
TITLE_GAP = 0.035
BAR = 0.75  # a colour bar with its numbers
CURVE, BELOW_CURVE = 0.42, 0.2  # a curve above a map, and its name with some room
WIDEST = 22.0
# In points: the lines at numbers, what is left before these, how high they are, before a name.
POINTS = 72  # to the inch
TICK, TICK_PAD, NUMBER, NAME_PAD = 2.0, 3.5, 5.5, 1.5
# The widths of letters: of a title, of a heading, of a table.
LETTER, HEADING_LETTER, TABLE_LETTER = 0.062, 0.088, 0.0672
TABLE_LINE = 0.152
CELL = 44  # letters of a table's cell, before it is folded
# Lines of a text, and letters of a name beside an axis and at a place on it: a label may be a novel.
TITLE_LINES, TITLE_PARTS, HEADING_LINES, CELL_LINES = 3, 4, 3, 12
AXIS_LETTERS, TICK_LETTERS = 48, 24
# A $ in a label is no mathematics, nor is a label a program where somebody has all text set by TeX.
PLAIN: Any = {"parse_math": False, "usetex": False}


@dataclass(frozen=True)
class Frame:
    """Place for a picture, with a hundredth of the work that axes are for matplotlib."""

    figure: Figure
    box: tuple[float, float, float, float]

    def show(self, colours: Any, alpha: float) -> None:
        """Draw a picture, (rows, columns, 4) bytes, over the present picture."""
        from matplotlib.image import BboxImage
        from matplotlib.transforms import Bbox, TransformedBbox

        place = TransformedBbox(Bbox.from_bounds(*self.box), self.figure.transFigure)
        image = BboxImage(place, interpolation="nearest", origin="upper")
        image.set_data(colours)
        image.set_alpha(alpha)
        self.figure.add_artist(image)


class Page:
    """A figure of maps in rows and columns, each below its input and its title.

    Where images have maps of several targets, each image's input is beside the first of its maps.

    Parameters
    ----------
    titles
        The title above each map and its input.
    columns, width
        The maximum number of maps side by side, and the width of a map.
    inputs_above
        True where inputs get their own places.
    own_scales
        True where each map has numbers on its own axes.
    """

    def __init__(
        self,
        explanation: cnnvis.Explanation,
        pairs: Sequence[Any],
        titles: Sequence[str],
        columns: int,
        width: float,
        *,
        inputs_above: bool,
        own_scales: bool,
    ) -> None:
        self._pairs = pairs
        self._map, above = pairs[0].map, pairs[0].input
        self._input = above if inputs_above else None
        self._is_beside = self._input is not None and not all(pair.is_first for pair in pairs)
        self._own_numbers = (own_scales or self._is_beside) and self._map.is_profile
        sizes = [_size(panel, width) for panel in (self._map, self._input) if panel is not None]
        self._place = max(0.9 * width, *(across for across, _ in sizes))
        self._map_size, *rest = (
            (self._place if panel.is_profile or panel.is_strips else across, down)
            for panel, (across, down) in zip((self._map, self._input), sizes, strict=False)
        )
        self._input_size = rest[0] if rest else (0.0, 0.0)
        self._between = 0.12 if rest and not self._is_beside else 0.0
        heights = (self._input_size[1], self._map_size[1])
        self._curve = 0.0 if pairs[0].curve is None else CURVE + BELOW_CURVE
        high = (max(heights) if self._is_beside else sum(heights)) + self._curve
        self._gap = GAP + 0.4 * self._own_numbers
        fitting = max(int((WIDEST - LEFT) / (self._place + self._gap)), 1)
        self._columns = min(columns, fitting)
        if (
            self._is_beside
        ):  # as many whole images in a line as fit, with an input and all maps each
            starts = [number for number, pair in enumerate(pairs) if pair.is_first]
            each = 1 + max(b - a for a, b in pairwise([*starts, len(pairs)]))
            whole = min(self._columns // each, len(starts)) * each
            self._columns = whole or self._columns
        self._columns = min(self._columns, len(pairs) + len(pairs) * self._is_beside)
        self._cells = self._placed()

        self._coordinates = self._map.coordinates
        letters = int(self._place / LETTER)
        self._titles = {
            cell: [
                line
                for part in title.split("\n")[:TITLE_PARTS]
                for line in folded(part, letters, TITLE_LINES)
            ]
            for cell, title in self._titled(titles)
        }
        content = self._columns * (self._place + self._gap) - self._gap
        bar = 0.0 if self._map.is_profile or self._map.is_coloured or own_scales else GAP + BAR
        self._across = max(LEFT + content + bar + EDGE, 3.6)
        self._left = (self._across - content - bar + LEFT - EDGE) / 2
        heading = _Heading(explanation, len(pairs), self._across)
        self._tops = []
        top = heading.height
        for block in range(max(self._cells.values()) // self._columns + 1):
            own = [len(one) for cell, one in self._titles.items() if cell // self._columns == block]
            self._tops.append(top + 0.05 + LINE * max(own))
            top = self._tops[-1] + high + self._between + GAP
        self._down = top - GAP + (BELOW if self._map.axes else EDGE)
        self.figure = heading.figure(self._across, self._down)
        self._frames: list[tuple[float, float, float, float]] = []
        self._marks: list[list[tuple[float, float]]] = []

    def _placed(self) -> dict[tuple[int, str], int]:
        """Return the cell of each map, and of each input that has a cell of its own."""
        if not self._is_beside:
            return {(number, "map"): number for number in range(len(self._pairs))}
        starts = [number for number, pair in enumerate(self._pairs) if pair.is_first]
        cells: dict[tuple[int, str], int] = {}
        cell = 0
        for start, stop in pairwise([*starts, len(self._pairs)]):
            left = -cell % self._columns
            if left < 1 + stop - start:  # an image begins a line of its own, if it must be broken
                cell += left
            for what in ((start, "input"), *((number, "map") for number in range(start, stop))):
                cells[what] = cell
                cell += 1
        return cells

    def _titled(self, titles: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Yield the title of each cell: the first line of a map's is of the image."""
        for (number, what), cell in self._cells.items():
            image, _, rest = titles[number].partition("\n")
            yield (
                cell,
                titles[number] if not self._is_beside else image if what == "input" else rest,
            )

    def has_input(self, number: int) -> bool:
        """Tell whether a map's input is to be drawn: once for all maps of an image."""
        return not self._is_beside or (number, "input") in self._cells

    def input_place(self, number: int) -> Axes | Frame | None:
        """Return the place of a map's input, titled; None where inputs have no own place."""
        if self._input is None:
            return None
        cell = self._cells[number, "input" if self._is_beside else "map"]
        place = self._made(cell, self._input, self._input_size, below=self._curve)
        if self._is_beside:
            self._number_left(cell, place, self._input)
            self._number_last(cell, place, self._input)
        elif isinstance(place, Frame) and self._input.axes and cell % self._columns == 0:
            self._number_down(place, self._input)
        self._write_title(cell, self._input_size)
        return place

    def _number_left(self, cell: int, place: Axes | Frame, panel: cnnvis.Panel) -> None:
        """Draw numbers and the axis's name to the left of a picture in the first column."""
        if not isinstance(place, Frame) or not panel.axes or cell % self._columns:
            return
        left = self._number_down(place, panel)
        x, y, _, height = place.box
        label = self._label(panel.axes[0])
        x = x - (left + NAME_PAD) / POINTS / self._across
        self._write(x, y + height / 2, label, fontsize=7, rotation=90, ha="right", va="center")

    def _number_last(self, cell: int, place: Axes | Frame, panel: cnnvis.Panel) -> None:
        """Draw numbers below a panel that has none below it."""
        if panel.axes and cell + self._columns not in self._cells.values():
            self._number_across(place, panel.axes[-1], panel.values.shape[panel.values.ndim > 1])

    def map_place(self, number: int) -> Axes | Frame:
        """Return the place of a map, with numbers and names on the page's outer edges."""
        cell = self._cells[number, "map"]
        below = self._curve + (0.0 if self._is_beside else self._input_size[1] + self._between)
        place = self._made(cell, self._map, self._map_size, below=below)
        if self._input is None or self._is_beside:
            self._write_title(cell, self._map_size)
        self._number_last(cell, place, self._map)
        self._number_left(cell, place, self._map)
        return place

    def draw_curve(self, number: int, panel: cnnvis.Panel) -> None:
        """Draw the curve of a map above it, on a scale of its own, which stands below the curve."""
        import numpy as np

        cell = self._cells[number, "map"]
        left, width = self._left_of(cell, self._map_size), self._map_size[0]
        box = self._box(left, self._tops[cell // self._columns], width, CURVE)
        axes = self.figure.add_axes(box, xticks=[], yticks=[])
        axes.plot(panel.values, linewidth=0.8, color="C0")
        axes.spines[["top", "right"]].set_visible(False)
        finite = np.isfinite(panel.values)
        known = panel.values[finite] if finite.any() else np.zeros(1)
        ends = dict.fromkeys(f"{end:.3g}" for end in (known.min(), known.max()))
        words = (
            f"{cut(panel.title, TICK_LETTERS)}, {' to '.join(ends)}, over {len(panel.values)} steps"
        )
        axes.set_xlabel(words, fontsize=5.5, color="0.3", labelpad=NAME_PAD, **PLAIN)

    def _label(self, axis: str) -> str:
        described = self._coordinates.get(axis)
        return cut(axis if described is None else described.label(axis), AXIS_LETTERS)

    def _ticks(self, name: str, size: int) -> list[tuple[float, str]]:
        """Return round positions of an axis, or the middles of words, with the texts at them."""
        from matplotlib.ticker import MaxNLocator

        described = self._coordinates.get(name)
        if described is not None and (runs := described.runs()):
            return [(place, cut(text, TICK_LETTERS)) for place, text in runs]
        if described is None or described.values:
            ticks = MaxNLocator(5, integer=True, min_n_ticks=1).tick_values(-0.5, size - 0.5)
            places = [round(tick) for tick in ticks]
        else:
            first, last = described.start, described.start + described.step * (size - 1)
            ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(first, last)
            places = [(tick - described.start) / (described.step or 1) for tick in ticks]
        there = dict.fromkeys(place for place in places if -0.5 <= place <= size - 0.5)
        return [(p, str(p) if described is None else described.at(p)) for p in there]

    def _number_across(self, place: Axes | Frame, name: str, size: int) -> None:
        """Draw numbers along the lower edge, and the axis's name below the numbers."""
        ticks = self._ticks(name, size)
        if not isinstance(place, Frame):
            words: Any = [text for _, text in ticks]
            place.set_xticks([p for p, _ in ticks], words, **PLAIN)
            place.set_xlabel(self._label(name), fontsize=7, labelpad=NAME_PAD, **PLAIN)
            return
        left, y, width, _ = place.box
        down = 1 / POINTS / self._down
        for position, text in ticks:
            x = left + width * (position + 0.5) / size
            self._marks.append([(x, y), (x, y - TICK * down)])
            self._write(x, y - (TICK + TICK_PAD) * down, text, fontsize=6, ha="center", va="top")
        below = TICK + TICK_PAD + NUMBER + NAME_PAD
        self._write(
            left + width / 2, y - below * down, self._label(name),
            fontsize=7, ha="center", va="top",
        )  # fmt: skip

    def _number_down(self, place: Frame, panel: cnnvis.Panel) -> float:
        """Draw numbers along the left edge of a picture, and return their width in points."""
        rows = panel.values.shape[0]
        left, bottom, _, height = place.box
        across = 1 / POINTS / self._across
        widest = 0.0
        for position, text in self._ticks(panel.axes[0], rows):
            y = bottom + height * (1 - (position + 0.5) / rows)
            self._marks.append([(left, y), (left - TICK * across, y)])
            x = left - (TICK + TICK_PAD) * across
            self._write(x, y, text, fontsize=6, ha="right", va="center_baseline")
            widest = max(widest, _width(text))
        return TICK + TICK_PAD + widest

    def _write(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x, y, text, **PLAIN, **style)

    def draw_frames(self) -> None:
        """Draw the lines around pictures and at their numbers, all at once."""
        from matplotlib.collections import LineCollection

        corners = [
            [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)] for x, y, w, h in self._frames
        ]
        for lines in (corners, self._marks):
            drawn = LineCollection(
                lines, colors="black", linewidths=0.8, transform=self.figure.transFigure
            )
            self.figure.add_artist(drawn)

    def colour_bar(self, drawn: Any) -> None:
        """Draw the scale that all maps share, beside the first row of maps."""
        left = self._left + self._columns * (self._place + self._gap)
        top = self._tops[0] + self._curve + self._between
        top += 0 if self._is_beside else self._input_size[1]
        height = min(max(self._map_size[1], 0.8), 3.0)
        place = self._box(left, top, 0.14, height)
        bar = self.figure.colorbar(
            drawn, cax=self.figure.add_axes(place), ticks=_round_numbers(height)
        )
        bar.ax.tick_params(labelsize=7)
        # What all numbers are to be multiplied by stands above the bar, and not above a map.
        bar.ax.yaxis.set_offset_position("left")
        bar.ax.yaxis.offsetText.set_fontsize(7)

    def _made(
        self, cell: int, panel: cnnvis.Panel, size: tuple[float, float], *, below: float
    ) -> Axes | Frame:
        """Return a place for a panel: axes for curves, a frame for a picture."""
        from matplotlib.ticker import NullLocator

        block, column = divmod(cell, self._columns)
        box = self._box(self._left_of(cell, size), self._tops[block] + below, *size)
        if not panel.is_profile:
            self._frames.append(box)
            return Frame(self.figure, box)
        axes = self.figure.add_axes(box)
        axes.tick_params(labelsize=6, length=TICK)
        # Numbers stand at the left and the bottom of the page alone.
        at_left = column == 0 or self._own_numbers
        axes.yaxis.set_major_locator(_round_numbers(size[1]) if at_left else NullLocator())
        axes.xaxis.set_major_locator(NullLocator())
        return axes

    def _left_of(self, cell: int, size: tuple[float, float]) -> float:
        column = cell % self._columns
        return self._left + column * (self._place + self._gap) + (self._place - size[0]) / 2

    def _write_title(self, cell: int, size: tuple[float, float]) -> None:
        left, top, _, _ = self._box(
            self._left_of(cell, size) + size[0] / 2,
            self._tops[cell // self._columns] - TITLE_GAP, 0, 0,
        )  # fmt: skip
        title = "\n".join(self._titles[cell])
        self.figure.text(left, top, title, fontsize=7, ha="center", va="bottom", **PLAIN)

    def _box(self, left: float, top: float, width: float, height: float) -> Any:
        across, down = self._across, self._down
        return (left / across, 1 - (top + height) / down, width / across, height / down)


@functools.cache
def _width(text: str) -> float:
    """Return the width of a number or a word at an axis, in points."""
    from matplotlib.textpath import TextPath

    plain = text.replace("$", r"\$")  # which no option keeps from being mathematics here
    return float(TextPath((0, 0), plain, size=6).get_extents().width)


def _round_numbers(height: float) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(min(max(int(4 * height), 2), 7), steps=[1, 2, 2.5, 5, 10])


def _size(panel: cnnvis.Panel, width: float) -> tuple[float, float]:
    """Return the width and height of a panel, where a usual picture has the width `width`."""
    if panel.is_profile:  # needs room along its axis
        return 2.2 * width, 0.8 * width
    rows, columns = panel.values.shape[:2]
    if panel.is_strips:
        across = width * (2.2 if columns > 40 else 1.0)
        return across, min(max(0.15 * rows, 0.35), 2 * width)
    if not panel.axes:  # a mosaic holds many pictures
        width *= 1.7
    # A very long or very flat picture is stretched, or there would be nothing to see.
    ratio = min(max(rows / columns, 0.125), 8.0)
    across = min(width * max(1.0, 0.5 / ratio), 2.2 * width)
    down = min(across * ratio, 2.4 * width)
    return down / ratio, down


def table_page(explanation: cnnvis.Explanation) -> Figure:
    """Return a figure of a table, with long cells folded and numbers aligned to the right."""
    from matplotlib.lines import Line2D

    assert explanation.table is not None
    columns = [_column(name, cells) for name, cells in explanation.table.items()]
    rows = [_evened(row) for row in zip(*columns, strict=True)] or [[]]
    names, lines = rows[0], [line for row in rows[1:] for line in row]
    width = max(2 * EDGE + TABLE_LETTER * max(map(len, names + lines), default=0), 3.6)
    heading = _Heading(explanation, len(explanation), width)
    below_names = heading.height + TABLE_LINE * len(names) + 0.08
    height = below_names + TABLE_LINE * len(lines) + EDGE
    figure = heading.figure(width, height)
    style: Any = {"va": "top", "fontsize": 8, "family": "monospace", "linespacing": 1.3}
    for top, text, weight in ((heading.height, names, "bold"), (below_names + 0.06, lines, None)):
        x, y = EDGE / width, 1 - top / height
        figure.text(x, y, "\n".join(text), weight=weight, **PLAIN, **style)
    rule = 1 - below_names / height
    figure.add_artist(Line2D([EDGE / width, 1 - EDGE / width], [rule, rule], lw=0.6, color="0.4"))
    return figure


def _column(name: str, cells: Sequence[Any]) -> list[list[str]]:
    """Return the lines of a column's name and of each of its cells, all equally wide."""
    texts = [folded(cell_text(cell), CELL, CELL_LINES) or [""] for cell in (name, *cells)]
    width = max(len(line) for text in texts for line in text)
    numbers = all(isinstance(cell, int | float | None) for cell in cells)
    return [[line.rjust(width) if numbers else line.ljust(width) for line in t] for t in texts]


def _evened(row: Sequence[list[str]]) -> list[str]:
    """Return the lines of a row of cells: a short cell is blank below its last line."""
    filled = zip_longest(*row, fillvalue=None)
    blanks = [" " * len(cell[0]) for cell in row]
    return [
        "  ".join(
            blank if part is None else part for part, blank in zip(line, blanks, strict=True)
        ).rstrip()
        for line in filled
    ]


class _Heading:
    """Title of a figure, with the files of the explanation below it."""

    def __init__(self, explanation: cnnvis.Explanation, shown: int, width: float) -> None:
        facts = explanation.provenance
        options = facts.get("options") or {}
        words = [str(facts.get("technique", ""))]
        layers = list(dict.fromkeys(target.layer for target in explanation.targets))
        if len(layers) == 1:
            words.append(f"of {layers[0]}")
        if "backprop" in options:
            words.append(f"(backprop {options['backprop'] or 'none'})")
        words += [f"- {one['transform']}" for one in facts.get("transforms") or ()]
        if shown < len(explanation):
            words.append(f"- the first {shown} of {len(explanation)} maps")
        files = [(facts.get(what) or {}).get("file") for what in ("model", "data")]
        about = ", ".join(str(name) for name in files if name)
        room = int((width - EDGE) / HEADING_LETTER)
        self._lines = folded(cnnvis.printable(" ".join(words)), room, HEADING_LINES)
        failed = failed_checks(explanation)
        self._lines += folded(failed, room, HEADING_LINES) if failed else []
        self._files = folded(cnnvis.printable(about), int((width - EDGE) / LETTER), HEADING_LINES)
        self._below = 0.1 + 0.16 * len(self._lines)
        self.height = self._below + LINE * len(self._files) + 0.06

    def figure(self, width: float, height: float) -> Figure:
        """Return a figure of that size with only the heading."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height))
        style: Any = {"ha": "center", "va": "top", **PLAIN}
        top, below = 1 - 0.1 / height, 1 - self._below / height
        figure.text(0.5, top, "\n".join(self._lines), fontsize=9, weight="bold", **style)
        figure.text(0.5, below, "\n".join(self._files), fontsize=7, color="0.4", **style)
        return figure
