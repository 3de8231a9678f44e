"""Layout of a screen. All sizes are in cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._cells import Pen, Scale, bars, fitted, labels, sized
from cnnvis.renderers._common import limits
from cnnvis.renderers._graphics import Line, Protocol, cell_size
from cnnvis.renderers._look import Look, robust
from cnnvis.renderers._words import words

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

GAP = 2
NARROWEST = 16  # what a map and its title need


@dataclass(frozen=True)
class Layout:
    """Places of maps and inputs.

    Attributes
    ----------
    across
        The number of maps side by side.
    width
        The width for one map, with its input if the input is beside the map.
    lines, input_lines
        The maximum heights of a map and of an input.
    beside
        True where an input stands to the left of its map, and not above.
    gutter
        The width to the left of bars for numbers.
    """

    across: int
    width: int
    lines: int
    input_lines: int
    beside: bool = False
    gutter: int = 0

    @property
    def drawing_width(self) -> int:
        """Width for a map alone."""
        return shared(self.width, 2) if self.beside else self.width


def shared(width: int, count: int) -> int:
    """Return the width for each of so many things side by side."""
    return max((width - GAP * (count - 1)) // count, 1)


def pictures_layout(
    maps: Sequence[cnnvis.Panel], inputs: bool, pen: Pen, width: int, columns: int, rows: int
) -> Layout:
    """Return the layout with the larger pictures: with inputs above or beside the maps."""
    first = maps[0]

    def size(layout: Layout) -> int:
        return math.prod(fitted(first, layout.lines, layout.drawing_width, pen.aspect))

    def best(across: int) -> Layout:
        share = shared(width, across)
        # What has a line of the screen for itself may be as high as a map and an input together.
        alone = 2 * rows if len(maps) <= across else rows
        layouts = [Layout(across, share, rows if inputs else alone, rows)]
        if inputs:
            layouts.append(Layout(across, share, alone, alone, beside=True))
        return max(layouts, key=size)

    layout = best(max(min(columns, len(maps), (width + GAP) // (NARROWEST + GAP)), 1))
    # The tiles of a mosaic are small enough: it gets more room, if that helps, until all is seen.
    while (
        first.tile
        and layout.across > 1
        and size(layout) < min(size(best(1)), math.prod(first.tile))
    ):
        layout = best(layout.across - 1)
    return layout


def curves_layout(
    maps: Sequence[cnnvis.Panel],
    inputs: Sequence[cnnvis.Panel],
    width: int,
    columns: int,
    rows: int,
    *,
    signed: bool,
) -> Layout:
    """Return the layout of profiles, or of the channels of profiles: as wide as they are long."""
    lines, input_lines = (
        max(rows // part, 2) if panels and panels[0].is_profile else rows
        for panels, part in ((maps, 3), (inputs, 5))
    )
    lines += lines % 2 * signed  # as many above zero as below
    texts = [
        text
        for panels, high, either in ((maps, lines, signed), (inputs, input_lines, False))
        if panels and panels[0].is_profile
        for text in labels(scale_of([panel.values for panel in panels], "", either), high)
    ]
    gutter = max(map(len, texts), default=-1) + 1
    needed = max(maps[0].values.shape[-1] + gutter, NARROWEST)
    across = max(min(columns, len(maps), (width + GAP) // (needed + GAP)), 1)
    return Layout(across, shared(width, across), lines, input_lines, gutter=gutter)


def scale_of(values: Sequence[Any], cmap: str, signed: bool, *, from_zero: bool = False) -> Scale:
    """Return one scale for all of these arrays; see `limits`."""
    return Scale(*limits(values, signed=signed, from_zero=from_zero), cmap, signed)


class Drawings:
    """Drawings of maps or inputs of one kind, of one size and on one scale.

    Parameters
    ----------
    lines
        The maximum height of each drawing.
    signed, from_zero, percentile
        The properties of the scale; see `robust`.
    """

    def __init__(
        self,
        panels: Sequence[cnnvis.Panel],
        pen: Pen,
        layout: Layout,
        lines: int,
        cmap: str,
        *,
        signed: bool,
        from_zero: bool = False,
        percentile: float = 100.0,
    ) -> None:
        self._panels, self._pen, self._lines = panels, pen, lines
        self._width, self._gutter = layout.drawing_width, layout.gutter
        first, width = panels[0], max(self._width - self._gutter, 1)
        if first.is_profile:
            self._values = [panel.values for panel in panels]
            self._together = math.ceil(len(first.values) / width)
        else:
            size = fitted(first, lines, width, pen.aspect)
            self._values = [sized(panel, size) for panel in panels]
            whole = first.tile or first.values.shape[:2]
            self._together = round(math.prod(whole) / math.prod(size))
        # The scale is that of what is shown: means of many values do not reach their extremes.
        percentile = 100.0 if first.is_profile else percentile
        ends = robust(self._values, signed=signed, from_zero=from_zero, percentile=percentile)
        self._percentile = ends.percentile
        self.scale = Scale(ends.low, ends.high, cmap, signed)

    def drawing(self, number: int) -> RenderableType:
        """Return the drawing of that number."""
        from rich.padding import Padding

        panel = self._panels[number]
        if panel.is_profile:
            return bars(
                panel,
                self.scale,
                self._pen,
                width=self._width,
                lines=self._lines,
                gutter=self._gutter,
            )
        picture = self._pen.picture(self._values[number], self.scale)
        return Padding(picture, (0, 0, 0, self._gutter))

    def legend(self, width: int) -> list[Text]:
        """Return lines with the meaning of colours or characters, and the values for each dot."""
        from rich.text import Text

        many = self._together > 1
        if self._panels[0].is_profile:
            text = f"each bar is the strongest of up to {self._together} values"
            return [Text(text)] if many else []
        if self._panels[0].is_coloured:
            return []
        legend = self._pen.legend(self.scale, width)
        words = []
        if self._percentile is not None:
            words.append(f"colours to {self._percentile:g} %")
        if many:
            words.append(f"each {self._pen.dot} is the mean of about {self._together} values")
        whole = legend.copy()
        for text in words:
            whole.append(" " * GAP + text)
        return [whole] if len(whole) <= width else [legend, *map(Text, words)]


def block(
    layout: Layout,
    titles: Sequence[str],
    numbers: range,
    maps: Drawings,
    inputs: Drawings | None,
    firsts: Sequence[bool],
) -> Table:
    """Return a line of maps on the screen, with their titles and inputs.

    Of an image with several maps, the first of these in a line has the input; see `Pair.is_first`.
    """
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for _ in numbers:
        grid.add_column(width=layout.width)
    grid.add_row(*(words(titles[number]) for number in numbers))
    if layout.beside:
        names = [Text("input".ljust(layout.drawing_width + GAP) + "map") for _ in numbers]
        grid.add_row(*names)
    drawn: dict[int, RenderableType] = {}
    if inputs is not None:
        shows = (number == numbers.start or firsts[number] for number in numbers)
        drawn = {
            n: inputs.drawing(n) if shown else "" for n, shown in zip(numbers, shows, strict=True)
        }
    if inputs is not None and not layout.beside:
        grid.add_row(*(Text("input") if one else "" for one in drawn.values()))
        grid.add_row(*drawn.values())
        grid.add_row("")
        grid.add_row(*(Text("map") for _ in numbers))
    if inputs is not None and layout.beside:
        grid.add_row(*(_beside(layout, drawn[n], maps.drawing(n)) for n in numbers))
    else:
        grid.add_row(*(maps.drawing(number) for number in numbers))
    grid.add_row("")
    return grid


def picture_lines(
    layout: Layout,
    titles: Sequence[str],
    numbers: range,
    pairs: Sequence[Any],
    look: Look,
    protocol: Protocol,
) -> Iterator[RenderableType]:
    """Yield a line of maps with their titles and inputs, drawn in pixels by the terminal."""
    from rich.table import Table

    def line_of(texts: Sequence[str]) -> Table:
        grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for _ in texts:
            grid.add_column(width=layout.width)
        grid.add_row(*map(words, texts))
        return grid

    cell = cell_size()

    def drawn(pictures: Sequence[tuple[Any, Any]], lines: int, step: int) -> Line:
        sizes = []
        for panel, _ in pictures:
            high, wide = fitted(panel, lines, layout.drawing_width, 1)
            sizes.append((wide, -(-high // 2)))
        found = [pixels(panel) if pixels else None for panel, pixels in pictures]
        return Line(protocol, found, sizes, step, cell)

    yield line_of([titles[number] for number in numbers])
    shown = [(pairs[number].map, look.map_pixels) for number in numbers]
    is_input = pairs[numbers.start].input is not None
    above = [
        (pairs[n].input or pairs[n].map, look.input_pixels)
        if n == numbers.start or pairs[n].is_first
        else (pairs[n].map, None)
        for n in numbers
    ]
    step = layout.width + GAP
    if is_input and layout.beside:
        half = layout.drawing_width + GAP
        yield line_of(["input".ljust(half) + "map" for _ in numbers])
        both = [part for two in zip(above, shown, strict=True) for part in two]
        yield drawn(both, layout.lines, half)
        return
    if is_input:
        yield line_of(["input" if pixels else "" for _, pixels in above])
        yield drawn(above, layout.input_lines, step)
        yield line_of(["map" for _ in numbers])
    yield drawn(shown, layout.lines, step)


def _beside(layout: Layout, left: RenderableType, right: RenderableType) -> Table:
    from rich.table import Table

    both = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    both.add_column(width=layout.drawing_width)
    both.add_column(width=layout.drawing_width)
    both.add_row(left, right)
    return both
