"""Figure of maps: what is drawn at each place of a page, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import cut, limits
from cnnvis.renderers._letters import as_letters, draw_letters, letters_of, stack_limits
from cnnvis.renderers._look import Ends, Look, look_of
from cnnvis.renderers._page import OVERVIEW, Frame, Page, Sizes
from cnnvis.renderers._sizes import size_of
from cnnvis.renderers._tracks import LONG, draw_curve, strongest_windows, with_margins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDS_LETTERS, ENDS_PAD = 8, 2  # of a word at the edge of a view; points between both
CROSSHAIR = "#00b3b3"  # neither a grey nor of a usual colour map
MOST_LETTERS = 280  # positions that are drawn as letters side by side
LETTER_WIDTH, LONG_WIDTH = 0.07, 2.4
WINDOWS, LETTER_WINDOWS, LETTERS_EACH = 3, 2, 30


@dataclass(frozen=True)
class Settings:
    """Settings of a figure of maps; see the options of the renderer png."""

    cmap: str | None
    input_cmap: str | None
    scale: Ends
    percentile: float
    overlay: bool
    over_pictures: bool
    alpha: float
    columns: int
    width: float
    limit: int
    tiles: int
    volumes: Any
    dpi: float
    widest: float


def figure_of(explanation: cnnvis.Explanation, settings: Settings) -> Figure:
    """Return the figure of an explanation with maps."""
    return _Maps(explanation, settings).drawn()


class _Maps:
    def __init__(self, explanation: cnnvis.Explanation, settings: Settings) -> None:
        self._explanation, self._settings = explanation, settings
        # Else laid over inputs in colour, which also stand above.
        self._alone = settings.overlay
        pairs = cnnvis.panels(
            explanation, limit=settings.limit, tiles=settings.tiles, alike=self._alone,
            volumes=settings.volumes,
        )  # fmt: skip
        self._letters = letters_of(explanation, settings.limit)
        self._heights: list[Any] = []
        if self._letters is not None:
            self._heights = [self._letters.heights(explanation, i) for i in range(len(pairs))]
            pairs = [
                as_letters(pair, self._letters, heights)
                for pair, heights in zip(pairs, self._heights, strict=True)
            ]
        self._pairs = pairs
        self._look = look_of(
            explanation, pairs, cmap=settings.cmap, input_cmap=settings.input_cmap,
            scale=settings.scale, percentile=settings.percentile,
        )  # fmt: skip
        coloured = any(pair.input is not None and pair.input.is_coloured for pair in pairs)
        same = _same_form(pairs)
        self._over = self._alone or (settings.over_pictures and coloured and same)
        length = len(pairs[0].map.values) if pairs[0].map.is_profile else 0
        most = MOST_LETTERS if self._letters is not None else LONG
        self._windows = 0
        if length > most:
            self._windows = LETTER_WINDOWS if self._letters is not None else WINDOWS
        self._stretch = LONG_WIDTH if self._windows else 1.0
        if self._letters is not None and not self._windows:
            room = min(LETTER_WIDTH * length, settings.widest - 1.0)
            self._stretch = max(room / (2.2 * settings.width), 1.0)
        self._whole = self._curve_limits(pairs)

    def drawn(self) -> Figure:
        """Return the figure."""
        settings, pairs = self._settings, self._pairs
        own = settings.scale in ("each", "each-percentile")
        page = Page(
            self._explanation, pairs, [self._title(pair) for pair in pairs],
            Sizes(settings.columns, settings.width, settings.dpi, settings.widest, self._windows, self._stretch),
            inputs_above=not self._alone, own_scales=own,
        )  # fmt: skip
        for number, pair in enumerate(pairs):
            has_input = pair.input is not None and page.has_input(number)
            above = page.input_place(number) if has_input else None
            place = page.map_place(number)
            if pair.input is not None and above is not None:
                self._draw_input(above, pair.input)
            if pair.input is not None and self._over:
                behind = _behind(place, pair.input)
                self._draw_input(behind, pair.input, under=not self._alone)
            if pair.curve is not None:
                page.draw_curve(number, pair.curve)
            self._draw_map(place, number, over=self._over and pair.input is not None)
            if self._windows:
                self._draw_windows(page, number, place, above)
        if self._look.whole is not None and any(
            not (pair.map.is_profile or pair.map.is_coloured) for pair in pairs
        ):
            page.colour_bar(self._look)
        page.draw_frames()
        return page.figure

    def _title(self, pair: Any) -> str:
        """Return the title of a map, with what its picture does not show."""
        lines = [self._look.title(pair.map)]
        rows, columns = self._times(pair.map)
        if max(rows, columns) > 1:
            lines.append(f"each dot is the strongest of {rows} x {columns} values")
        if self._windows and pair.map.everything is not None:
            lines.append("the overview is the sum of the channels")
        if self._letters is not None and self._letters.is_assumed:
            lines.append("channels taken for A, C, G, T")
        return "\n".join(filter(None, lines))

    def _times(self, panel: cnnvis.Panel) -> tuple[int, int]:
        """Return how many values of a picture share a pixel, down and across."""
        if panel.is_profile:
            return 1, 1
        dpi = self._settings.dpi
        across, down = size_of(panel, self._settings.width, dpi, self._stretch)
        across *= OVERVIEW if self._windows else 1.0
        pixels = (down * dpi, across * dpi)
        rows, columns = (
            max(-(-size // max(round(space), 1)), 1)
            for size, space in zip(panel.values.shape[:2], pixels, strict=True)
        )
        return rows, columns

    def _curve_limits(self, pairs: Sequence[Any]) -> tuple[float, float]:
        """Return the ends of the axis of curves that all maps share."""
        if self._heights:
            ends = [stack_limits(heights) for heights in self._heights]
            return min(low for low, _ in ends), max(high for _, high in ends)
        values = [pair.map.values for pair in pairs if pair.map.is_profile]
        return limits(values, signed=self._look.signed, from_zero=self._look.from_zero)

    def _draw_input(self, place: Axes | Frame, panel: cnnvis.Panel, *, under: bool = False) -> None:
        """Draw an input; without its colours below a map, if it stands above in colour."""
        if isinstance(place, Frame):
            pixels = _grey(self._look.input_pixels) if under else self._look.input_pixels
            draw_panel(place, _reduced(panel, self._times(panel), mean=True), pixels)
            return
        draw_curve(place, panel.values, "0.3")
        values = [pair.input.values for pair in self._pairs if pair.input is not None]
        place.set_ylim(*with_margins(*limits(values, signed=False)))

    def _draw_map(self, place: Axes | Frame, number: int, *, over: bool) -> None:
        panel = self._pairs[number].map
        if isinstance(place, Frame):
            veil = self._settings.alpha if over else None
            pixels = self._look.map_pixels
            if veil is not None:
                pixels = _Veil(self._look, veil)
            draw_panel(place, _reduced(panel, self._times(panel)), pixels)
            return
        low, high = self._own_limits(number)
        place.axhline(0, linewidth=0.5, color="0.7")
        if self._heights and not self._windows:
            assert self._letters is not None
            draw_letters(place, self._heights[number], self._letters.names)
        else:
            draw_curve(place, panel.values, "C0", fill=0.35)
        place.set_ylim(low, high)

    def _own_limits(self, number: int) -> tuple[float, float]:
        """Return the ends of the axis of a curve; what begins at zero stands on the axis."""
        if self._look.whole is not None:
            low, high = self._whole
        elif self._heights:
            low, high = stack_limits(self._heights[number])
        else:
            scale = replace(self._look, percentile=100.0).scale(self._pairs[number].map)
            low, high = scale.low, scale.high
        low, high = min(low, 0), max(high, 0)
        bottom, top = with_margins(low, high if high > low else 1.0)
        return low and bottom, (high and top) or (0.0 if low else 1.0)

    def _draw_windows(self, page: Page, number: int, place: Any, above: Any) -> None:
        """Draw the strongest windows of a map beside it, and mark them in the overview."""
        pair = self._pairs[number]
        values, heights = pair.map.values, self._heights[number] if self._heights else None
        length = LETTERS_EACH if self._letters is not None else max(100, len(values) // 200)
        windows = strongest_windows(values if heights is None else heights, self._windows, length)
        described = pair.map.coordinates.get(pair.map.axes[0], cnnvis.Axis())
        for axes, (start, end) in zip(
            page.window_places(number, of_input=False), windows, strict=False
        ):
            place.axvspan(start - 0.5, end - 0.5, color="C1", alpha=0.4, linewidth=0)
            axes.axhline(0, linewidth=0.5, color="0.7")
            if heights is not None and self._letters is not None:
                draw_letters(axes, heights[start:end], self._letters.names, start)
            else:
                draw_curve(axes, values[start:end], "C0", fill=0.35, start=start)
            axes.set_ylim(*place.get_ylim())
            ends = [start, end - 1]
            axes.set_xticks(ends, [described.at(end) for end in ends], parse_math=False)
            first, last = axes.get_xticklabels()
            first.set_horizontalalignment("left")
            last.set_horizontalalignment("right")
        if isinstance(above, Frame) or above is None or pair.input is None:
            return
        for axes, (start, end) in zip(
            page.window_places(number, of_input=True), windows, strict=False
        ):
            above.axvspan(start - 0.5, end - 0.5, color="C1", alpha=0.4, linewidth=0)
            draw_curve(axes, pair.input.values[start:end], "0.3", start=start)
            axes.set_ylim(*above.get_ylim())


@dataclass(frozen=True)
class _Veil:
    look: Look
    alpha: float

    def __call__(self, panel: cnnvis.Panel) -> Any:
        return self.look.veil_pixels(panel, self.alpha)


def _same_form(pairs: Sequence[Any]) -> bool:
    """Tell whether maps can be laid over their inputs as they are drawn."""
    first = pairs[0]
    if first.input is None or first.map.is_coloured:
        return False
    return not first.map.is_profile and first.map.grid == first.input.grid


def _grey(pixels: Any) -> Any:
    """Return a function that gives the pixels of a panel without colours."""

    def grey(panel: cnnvis.Panel) -> Any:
        found = pixels(panel)
        found[..., :3] = (found[..., :3] @ (0.299, 0.587, 0.114))[..., None]
        return found

    return grey


def _reduced(panel: cnnvis.Panel, times: tuple[int, int], *, mean: bool = False) -> cnnvis.Panel:
    """Return a picture of the strongest of so many values each, or of their means.

    Of a map the strongest, since a mean would hide it.
    """
    import numpy as np

    if max(times) == 1 or panel.boxes:
        return panel
    values = np.asarray(panel.values, np.float64)
    whole = values if panel.everything is None else panel.everything
    for axis, count in enumerate(times):
        if count > 1:
            missing = -values.shape[axis] % count
            pad = [(0, missing) if one == axis else (0, 0) for one in range(values.ndim)]
            values = np.pad(values, pad, mode="edge")
            shape = (*values.shape[:axis], -1, count, *values.shape[axis + 1 :])
            parts = values.reshape(shape)
            if mean:
                values = parts.mean(axis=axis + 1)
                continue
            sizes = np.nan_to_num(np.abs(parts), nan=-1.0)
            values = np.take_along_axis(
                parts, np.expand_dims(sizes.argmax(axis=axis + 1), axis + 1), axis=axis + 1
            ).squeeze(axis + 1)
    return replace(panel, values=values, everything=whole, tile=None)


def draw_panel(place: Frame, panel: cnnvis.Panel, pixels: Any) -> None:
    """Draw a picture, or each view of a volume, with the lines through their common place."""
    from matplotlib.lines import Line2D

    if not panel.boxes:
        if panel.tile is not None:
            # The gaps between small tiles are one value wide: make it a small part of a tile.
            times = max(24 // max(panel.tile), 1)
            values = panel.resized(lambda one: one.repeat(times, axis=0).repeat(times, axis=1))
            panel = replace(panel, values=values)
        place.show(pixels(panel))
        return
    drawn = pixels(panel)
    rows, columns = panel.values.shape[:2]
    for box in panel.boxes:
        top, left, high, wide = box
        place.part(box, (rows, columns)).show(drawn[top : top + high, left : left + wide])
    x, y, width, height = place.box
    for x0, y0, x1, y1 in panel.lines:
        across = [x + width * (one + 0.5) / columns for one in (x0, x1)]
        down = [y + height * (1 - (one + 0.5) / rows) for one in (y0, y1)]
        place.figure.add_artist(Line2D(across, down, color=CROSSHAIR, linewidth=0.6, alpha=0.8))
    _write_ends(place, panel)


def _write_ends(place: Frame, panel: cnnvis.Panel) -> None:
    """Write what lies beyond the edges of the views of a volume, inside of the edges."""
    from matplotlib.patheffects import withStroke

    x, y, width, height = place.box
    wide, high = (ENDS_PAD / 72 / one for one in place.figure.get_size_inches())
    edges = (("left", "center"), ("right", "center"), ("center", "top"), ("center", "bottom"))
    for number, (across, down, word) in enumerate(panel.letters):
        inwards, upwards = edges[number % len(edges)]
        right = x + width * across + wide * {"left": 1, "right": -1}.get(inwards, 0)
        up = y + height * (1 - down) + high * {"top": -1, "bottom": 1}.get(upwards, 0)
        place.figure.text(
            right, up, cut(word, ENDS_LETTERS), ha=inwards, va=upwards, fontsize=6.5,
            color="black", parse_math=False,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],  # to be read on any colour
        )  # fmt: skip


def _behind(place: Axes | Frame, panel: cnnvis.Panel) -> Axes | Frame:
    """Return an axes at the same place for a picture behind a map, without numbers."""
    if isinstance(place, Frame):
        return place  # which draws one picture over the other
    figure: Any = place.figure
    place.patch.set_visible(False)
    if not panel.is_profile:
        return Frame(figure, place.get_position().bounds)
    behind: Axes = figure.add_axes(place.get_position(), zorder=place.get_zorder() - 1)
    behind.set_axis_off()
    return behind
