"""Layout of a figure. All sizes are in inches, from the upper left."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import cut, folded
from cnnvis.renderers._heading import EDGE, LETTER, LINE, PLAIN, Heading
from cnnvis.renderers._look import Look, colours_named
from cnnvis.renderers._sizes import edges_of, named_strips, size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT = 0.6  # numbers and names of axes
BELOW = 0.36
GAP = 0.18
TITLE_GAP = 0.035
BAR = 0.95  # a colour bar with its numbers, and what its ends are
CURVE, BELOW_CURVE = 0.42, 0.2  # a curve above a map, and its name with some room
OVERVIEW = 0.56  # of the width of a long profile; its strongest windows have the rest
# In points: the lines at numbers, what is left before these, how high they are, before a name.
POINTS = 72  # to the inch
FRAME = 0.8
TICK, TICK_PAD, NUMBER, NAME_PAD = 2.0, 3.5, 5.5, 1.5
BAR_LETTERS, BAR_HEIGHT = 17, 0.95  # at least
# Lines of a text, and letters of a name beside an axis and at a place on it: a label may be a novel.
TITLE_LINES, TITLE_PARTS = 5, 8
AXIS_LETTERS, TICK_LETTERS = 48, 24


@dataclass(frozen=True)
class Frame:
    """Place for a picture, with a hundredth of the work that axes are for matplotlib."""

    figure: Figure
    box: tuple[float, float, float, float]

    def part(self, box: tuple[int, int, int, int], of: tuple[int, ...]) -> Frame:
        """Return the place of a part, (top, left, rows, columns), of a picture of some shape."""
        left, bottom, width, height = self.box
        top, start, rows, columns = box
        return Frame(
            self.figure,
            (
                left + width * start / of[1],
                bottom + height * (1 - (top + rows) / of[0]),
                width * columns / of[1],
                height * rows / of[0],
            ),
        )

    def show(self, colours: Any, alpha: float = 1.0) -> None:
        """Draw a picture, (rows, columns, 4) bytes, over the present picture."""
        from matplotlib.image import BboxImage
        from matplotlib.transforms import Bbox, TransformedBbox

        place = TransformedBbox(Bbox.from_bounds(*self.box), self.figure.transFigure)
        image = BboxImage(place, interpolation="nearest", origin="upper")
        image.set_data(colours)
        image.set_alpha(alpha)
        self.figure.add_artist(image)


@dataclass(frozen=True)
class Sizes:
    """Sizes that a page is made of.

    Attributes
    ----------
    columns, width
        The maximum number of maps side by side, and the width of a map.
    dpi, widest
        The pixels to the inch, by which pictures of many values are made larger, and the largest
        width of the page.
    windows
        The number of enlarged windows beside each map over one axis.
    stretch
        How much wider than usual maps over one axis are.
    """

    columns: int
    width: float
    dpi: float
    widest: float
    windows: int
    stretch: float


class Page:
    """A figure of maps in rows and columns, each below its input and its title.

    Where images have maps of several targets, each image's input is beside the first of its maps.

    Parameters
    ----------
    titles
        The title above each map and its input.
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
        sizes: Sizes,
        *,
        inputs_above: bool,
        own_scales: bool,
    ) -> None:
        self._pairs, self._dpi, self._windows = pairs, sizes.dpi, sizes.windows
        self._map, above = pairs[0].map, pairs[0].input
        self._input = above if inputs_above else None
        self._is_beside = self._input is not None and not all(pair.is_first for pair in pairs)
        self._own_numbers = (own_scales or self._is_beside) and self._map.is_profile
        self._own_names = named_strips(self._map) or (
            self._input is not None and named_strips(self._input)
        )
        # Each image may have its own place along an axis, and so numbers of its own.
        self._own_axes = any(pair.map.coordinates != self._map.coordinates for pair in pairs)
        down = self._map.axes[0] if len(self._map.axes) == 2 else ""
        self._own_rows = len({pair.map.coordinates.get(down) for pair in pairs}) > 1
        self._margin = LEFT + 0.3 * self._own_rows
        self._measure(sizes.width, sizes.stretch)
        is_bar = not (self._map.is_profile or self._map.is_coloured or own_scales)
        bar = GAP + BAR if is_bar else 0.0
        self._columns = self._fitting(sizes.columns, sizes.widest - self._margin - EDGE - bar)
        self._cells = self._placed()
        letters = int(self._place / LETTER)
        self._titles = {
            cell: [
                line
                for part in title.split("\n")[:TITLE_PARTS]
                for line in folded(part, letters, TITLE_LINES)
            ]
            for cell, title in self._titled(titles)
        }
        self.figure = self._made_figure(explanation, bar)
        self._frames: list[tuple[float, float, float, float]] = []
        self._marks: list[list[tuple[float, float]]] = []
        self._rules: list[list[tuple[float, float]]] = []

    def _measure(self, width: float, stretch: float) -> None:
        """Set the sizes of a map, of its input and of the place for both."""
        sizes = [
            size_of(panel, width, self._dpi, stretch)
            for panel in (self._map, self._input)
            if panel is not None
        ]
        self._place = max(0.9 * width, *(across for across, _ in sizes))
        self._map_size, *rest = (
            (self._place if panel.is_profile or panel.is_strips else across, down)
            for panel, (across, down) in zip((self._map, self._input), sizes, strict=False)
        )
        self._input_size = rest[0] if rest else (0.0, 0.0)
        self._between = 0.12 if rest and not self._is_beside else 0.0
        heights = (self._input_size[1], self._map_size[1])
        self._curve = 0.0 if self._pairs[0].curve is None else CURVE + BELOW_CURVE
        self._high = (max(heights) if self._is_beside else sum(heights)) + self._curve
        self._gap = GAP + 0.4 * (self._own_numbers or self._own_names) + 0.6 * self._own_rows

    def _fitting(self, columns: int, room: float) -> int:
        """Return the number of cells side by side in a room."""
        pairs = self._pairs
        columns = min(columns, max(int((room + self._gap) / (self._place + self._gap)), 1))
        if self._is_beside:  # as many whole images as fit, with an input and all maps each
            starts = [number for number, pair in enumerate(pairs) if pair.is_first]
            each = 1 + max(b - a for a, b in pairwise([*starts, len(pairs)]))
            columns = min(columns // each, len(starts)) * each or columns
        return min(columns, len(pairs) + len(pairs) * self._is_beside)

    def _made_figure(self, explanation: cnnvis.Explanation, bar: float) -> Figure:
        """Return the figure with its heading, and set the places of its rows."""
        content = self._columns * (self._place + self._gap) - self._gap
        self._across = max(self._margin + content + bar + EDGE, 3.6)
        self._left = (self._across - content - bar + self._margin - EDGE) / 2
        heading = Heading(explanation, len(self._pairs), self._across)
        self._tops = []
        top = heading.height
        for block in range(max(self._cells.values()) // self._columns + 1):
            own = [len(one) for cell, one in self._titles.items() if cell // self._columns == block]
            self._tops.append(top + 0.05 + LINE * max(own))
            top = self._tops[-1] + self._high + self._between + GAP + BELOW * self._own_axes
        self._down = top - GAP - BELOW * self._own_axes + (BELOW if self._map.axes else EDGE)
        if bar:
            below = self._tops[0] + self._curve + self._between
            below += 0 if self._is_beside else self._input_size[1]
            self._down = max(self._down, below + BAR_HEIGHT + 0.1)
        # Whole pixels, so that the values of a picture are equally large.
        self._across, self._down = (
            math.ceil(inches * self._dpi - 1e-6) / self._dpi
            for inches in (self._across, self._down)
        )
        return heading.figure(self._across, self._down)

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
        panel = self._pairs[number].input
        if self._is_beside:
            self._number_left(cell, place, panel)
            self._number_last(cell, place, panel)
        elif isinstance(place, Frame) and panel.axes and self._is_named(cell, panel):
            self._number_down(place, panel)
        self._write_title(cell, self._input_size)
        return place

    def _number_left(self, cell: int, place: Axes | Frame, panel: cnnvis.Panel) -> None:
        """Draw numbers and the axis's name to the left of a picture in the first column."""
        if not isinstance(place, Frame) or not panel.axes or not self._is_named(cell, panel):
            return
        left = self._number_down(place, panel)
        x, y, _, height = place.box
        label = self._label(panel.axes[0], panel)
        if named_strips(panel):  # the names of rows say it
            return
        x = x - (left + NAME_PAD) / POINTS / self._across
        self._write(x, y + height / 2, label, fontsize=7, rotation=90, ha="right", va="center")

    def _is_named(self, cell: int, panel: cnnvis.Panel) -> bool:
        """Tell whether the rows of a panel get their names: in the first column, or in each."""
        return cell % self._columns == 0 or named_strips(panel) or self._own_rows

    def _number_last(self, cell: int, place: Axes | Frame, panel: cnnvis.Panel) -> None:
        """Draw numbers below a panel that has none below it, or whose numbers are its own."""
        if panel.axes and (self._own_axes or cell + self._columns not in self._cells.values()):
            self._number_across(place, panel, panel.values.shape[panel.values.ndim > 1])

    def map_place(self, number: int) -> Axes | Frame:
        """Return the place of a map, with numbers and names on the page's outer edges."""
        cell = self._cells[number, "map"]
        below = self._curve + (0.0 if self._is_beside else self._input_size[1] + self._between)
        place = self._made(cell, self._map, self._map_size, below=below)
        if self._input is None or self._is_beside:
            self._write_title(cell, self._map_size)
        panel = self._pairs[number].map
        self._number_last(cell, place, panel)
        self._number_left(cell, place, panel)
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

    def _label(self, axis: str, panel: cnnvis.Panel) -> str:
        described = panel.coordinates.get(axis)
        return cut(axis if described is None else described.label(axis), AXIS_LETTERS)

    @staticmethod
    def _ticks(name: str, panel: cnnvis.Panel, size: int) -> list[tuple[float, str]]:
        """Return round positions of an axis, or the middles of words, with the texts at them."""
        from matplotlib.ticker import MaxNLocator

        described = panel.coordinates.get(name)
        if described is not None and (runs := described.runs()):
            return [(place, cut(text, TICK_LETTERS)) for place, text in runs]
        if described is None or described.values:
            ticks = MaxNLocator(5, integer=True, min_n_ticks=1).tick_values(-0.5, size - 0.5)
            places = [float(round(tick)) for tick in ticks]
        else:
            first, last = described.start, described.start + described.step * (size - 1)
            ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(first, last)
            places = [(tick - described.start) / (described.step or 1) for tick in ticks]
        there = dict.fromkeys(place for place in places if -0.5 <= place <= size - 0.5)
        return [(p, str(round(p)) if described is None else described.at(p)) for p in there]

    def _number_across(self, place: Axes | Frame, panel: cnnvis.Panel, size: int) -> None:
        """Draw numbers along the lower edge, and the axis's name below the numbers."""
        name = panel.axes[-1]
        ticks = self._ticks(name, panel, size)
        if not isinstance(place, Frame):
            words: Any = [text for _, text in ticks]
            place.set_xticks([p for p, _ in ticks], words, **PLAIN)
            place.set_xlabel(self._label(name, panel), fontsize=7, labelpad=NAME_PAD, **PLAIN)
            return
        left, y, width, _ = place.box
        down = 1 / POINTS / self._down
        for position, text in ticks:
            x = left + width * (position + 0.5) / size
            self._marks.append([(x, y), (x, y - TICK * down)])
            self._write(x, y - (TICK + TICK_PAD) * down, text, fontsize=6, ha="center", va="top")
        below = TICK + TICK_PAD + NUMBER + NAME_PAD
        self._write(
            left + width / 2, y - below * down, self._label(name, panel),
            fontsize=7, ha="center", va="top",
        )  # fmt: skip

    def _number_down(self, place: Frame, panel: cnnvis.Panel) -> float:
        """Draw numbers along the left edge of a picture, and return their width in points."""
        rows = panel.values.shape[0]
        left, bottom, _, height = place.box
        across = 1 / POINTS / self._across
        widest = 0.0
        for position, text in self._ticks(panel.axes[0], panel, rows):
            y = bottom + height * (1 - (position + 0.5) / rows)
            self._marks.append([(left, y), (left - TICK * across, y)])
            x = left - (TICK + TICK_PAD) * across
            self._write(x, y, text, fontsize=6, ha="right", va="center_baseline")
            widest = max(widest, _width(text))
        return TICK + TICK_PAD + widest

    def _write(self, x: float, y: float, text: str, **style: Any) -> None:
        self.figure.text(x, y, text, **PLAIN, **style)

    def _rule(self, place: Frame, panel: cnnvis.Panel) -> None:
        """Note the lines between named groups of rows or columns of a picture."""
        if len(panel.axes) != 2 or panel.is_strips:
            return
        left, bottom, width, height = place.box
        for number, name in enumerate(panel.axes):
            described = panel.coordinates.get(name)
            size = panel.values.shape[number]
            for edge in edges_of(described, size):
                if number == 0:
                    y = bottom + height * (1 - edge / size)
                    self._rules.append([(left, y), (left + width, y)])
                else:
                    x = left + width * edge / size
                    self._rules.append([(x, bottom), (x, bottom + height)])

    def draw_frames(self) -> None:
        """Draw the lines around pictures, between groups and at numbers, all at once."""
        from matplotlib.collections import LineCollection, PolyCollection

        for colour, lines_wide in (("white", 1.6), ("black", 0.6)) if self._rules else ():
            drawn = LineCollection(
                self._rules, colors=colour, linewidths=lines_wide,
                transform=self.figure.transFigure,
            )  # fmt: skip
            self.figure.add_artist(drawn)

        # Behind the pictures and around them: a line would cover their first and last values.
        beyond = max(round(FRAME / POINTS * self._dpi), 1) / self._dpi
        out, up = beyond / self._across, beyond / self._down
        boxes = [(x - out, y - up, x + w + out, y + h + up) for x, y, w, h in self._frames]
        behind = PolyCollection(
            [[(x, y), (w, y), (w, h), (x, h)] for x, y, w, h in boxes],
            facecolors="black", linewidths=0, antialiaseds=False, zorder=-1,
            transform=self.figure.transFigure,
        )  # fmt: skip
        self.figure.add_artist(behind)
        marks = LineCollection(
            self._marks, colors="black", linewidths=FRAME, transform=self.figure.transFigure
        )
        self.figure.add_artist(marks)

    def colour_bar(self, look: Look) -> None:
        """Draw the scale that all maps share, with what its ends are, beside the first row."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        assert look.whole is not None
        left = self._left + self._columns * (self._place + self._gap) - self._gap + GAP
        top = self._tops[0] + self._curve + self._between
        top += 0 if self._is_beside else self._input_size[1]
        height = min(max(self._map_size[1], BAR_HEIGHT), 3.0)
        said = [line for text in look.whole.said for line in folded(text, BAR_LETTERS)]
        below = 0.1 * len(said) + 0.06
        place = self._box(left, top, 0.14, max(height - below, 0.5))
        drawn = ScalarMappable(Normalize(look.whole.low, look.whole.high), colours_named(look.cmap))
        bar = self.figure.colorbar(
            drawn,
            cax=self.figure.add_axes(place),
            ticks=_round_numbers(height),
            extend=look.whole.extends,
        )
        bar.ax.tick_params(labelsize=7)
        # What all numbers are to be multiplied by stands above the bar, and not above a map.
        bar.ax.yaxis.set_offset_position("left")
        bar.ax.yaxis.offsetText.set_fontsize(7)
        for number, line in enumerate(said):
            y = place[1] - (0.06 + 0.1 * number) / self._down
            self._write(place[0], y, line, fontsize=6, ha="left", va="top")

    def window_places(self, number: int, *, of_input: bool) -> list[Axes]:
        """Return the places of the enlarged windows beside a map over one axis, or its input."""
        cell = self._cells[number, "input" if of_input and self._is_beside else "map"]
        size = self._input_size if of_input else self._map_size
        below = 0.0 if of_input or self._is_beside else self._input_size[1] + self._between
        below += self._curve
        left, top = self._left_of(cell, size), self._tops[cell // self._columns] + below
        start, gap = OVERVIEW * size[0] + 0.12, 0.08
        width = (size[0] - start - gap * (self._windows - 1)) / self._windows
        places = []
        for window in range(self._windows):
            box = self._box(left + start + window * (width + gap), top, width, size[1])
            axes = self.figure.add_axes(box)
            axes.set_yticks([])
            axes.set_xticks([])
            axes.tick_params(labelsize=5.5, length=TICK)
            places.append(axes)
        return places

    def _made(
        self, cell: int, panel: cnnvis.Panel, size: tuple[float, float], *, below: float
    ) -> Axes | Frame:
        """Return a place for a panel: axes for curves, a frame for a picture."""
        from matplotlib.ticker import NullLocator

        block, column = divmod(cell, self._columns)
        shown = (size[0] * OVERVIEW, size[1]) if self._windows else size
        box = self._box(self._left_of(cell, size), self._tops[block] + below, *shown)
        if not panel.is_profile:
            frame = Frame(self.figure, box)
            if panel.boxes:
                every = [frame.part(one, panel.values.shape) for one in panel.boxes]
                self._frames += [one.box for one in every]
            else:
                self._frames.append(box)
                self._rule(frame, panel)
            return frame
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
        across, down, dpi = self._across, self._down, self._dpi
        left, top, width, height = (round(one * dpi) / dpi for one in (left, top, width, height))
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
