"""Renderer of explanations as pictures in files, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.renderers._common import (
    check_colour_maps,
    colour_map,
    limits,
    number,
    require_maps,
)
from cnnvis.renderers._files import ABOUT, require_date, save
from cnnvis.renderers._page import Frame, Page, table_page
from cnnvis.renderers._plots import plot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

BETWEEN_TILES = "0.8"  # light grey, which no usual colour map has at its ends or at zero


def _check(*, cmap: str | None, input_cmap: str, width: float, **_: object) -> None:
    check_colour_maps(cmap=cmap, input_cmap=input_cmap)
    if not 0.1 <= width <= 100:
        raise cnnvis.UserError(f"width is {width:g} inches, and can be 0.1 to 100")
    require_date()


@cnnvis.renderer("png", suffixes=tuple(ABOUT), check=_check, plot=plot)
def png(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    cmap: str | None = None,
    input_cmap: str = "Greys",
    scale: Literal["shared", "each"] = "shared",
    overlay: bool = False,
    alpha: cnnvis.Share = 0.6,
    columns: cnnvis.Count = 8,
    width: float = 1.9,
    limit: cnnvis.Count = 100,
    tiles: cnnvis.Count = 16,
    dpi: cnnvis.Count = 120,
) -> None:
    """A figure: inputs above, maps below, with a shared scale and a colour bar.

    Parameters
    ----------
    cmap
        The colour map of the maps, from matplotlib. By default a colour map that ends in bright
        colours for sizes, and a colour map with white at zero where signs mean something.
    input_cmap
        The colour map of inputs with one channel.
    scale
        The scale of the maps: one for all, so that you can compare them, or each map its own, which
        the title of the map gives.
    overlay
        Lay the maps over their inputs.
    alpha
        The opacity of a map over its input, from 0 to 1.
    columns
        The largest number of maps side by side.
    width
        The width of one map, in inches.
    limit
        The largest number of maps to draw; the title gives the number of all maps.
    tiles
        The largest number of planes of a volume, or of channels, to draw.
    dpi
        Dots per inch.
    """
    if explanation.table is not None:
        figure = table_page(explanation)
    else:
        require_maps(explanation)
        pairs = cnnvis.panels(explanation, limit=limit, tiles=tiles, alike=overlay)
        colours = _Colours(explanation, pairs, cmap, input_cmap, scale)
        page = Page(
            explanation,
            pairs,
            [colours.title(pair.map) for pair in pairs],
            columns,
            width,
            inputs_above=not overlay,
            own_scales=scale == "each",
        )
        for number, pair in enumerate(pairs):
            has_input = pair.input is not None and page.has_input(number)
            above = page.input_place(number) if has_input else None
            place = page.map_place(number)
            if pair.input is not None and has_input:
                where = _behind(place, pair.input) if above is None else above
                colours.draw_input(where, pair.input)
            if pair.curve is not None:
                page.draw_curve(number, pair.curve)
            covers = alpha if overlay and pair.input is not None else 1.0
            colours.draw_map(place, pair.map, covers)
        if scale == "shared" and any(
            not (pair.map.is_profile or pair.map.is_coloured) for pair in pairs
        ):
            page.colour_bar(colours.scale)
        page.draw_frames()
        figure = page.figure
    save(figure, path, dpi, dict(explanation.provenance))


class _Colours:
    """Colours and scales of a figure: the scale of the maps, and the scale of the inputs."""

    def __init__(
        self,
        explanation: cnnvis.Explanation,
        pairs: list[Any],
        cmap: str | None,
        input_cmap: str,
        scale: str,
    ) -> None:
        from matplotlib import colormaps

        self._signed, self._from_zero = explanation.is_signed, not explanation.are_inputs
        name = colour_map(cmap, signed=self._signed)
        self._cmap = colormaps[name].with_extremes(bad=BETWEEN_TILES)
        self._input_cmap = colormaps[input_cmap].with_extremes(bad=BETWEEN_TILES)
        maps = (pair.map.values for pair in pairs)
        self._whole = self._limits(maps) if scale == "shared" else None
        inputs = (pair.input.values for pair in pairs if pair.input is not None)
        self._inputs = limits(inputs, signed=False)

    def title(self, panel: cnnvis.Panel) -> str:
        """Return the title of a map: with its range, where the map has a scale of its own."""
        if self._whole is not None or panel.is_coloured:
            return panel.title
        low, high = self._range(panel)
        return f"{panel.title}\n{number(low, high)} to {number(high, low)}".strip()

    @property
    def scale(self) -> Any:
        """The scale that all maps share, for a colour bar."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        assert self._whole is not None
        return ScalarMappable(Normalize(*self._whole), self._cmap)

    def draw_input(self, place: Axes | Frame, panel: cnnvis.Panel) -> None:
        """Draw an input."""
        if panel.is_profile:
            assert not isinstance(place, Frame)
            _draw_curve(place, panel.values, "0.3")
            place.set_ylim(*_with_margins(*self._inputs))
        else:
            assert isinstance(place, Frame)
            _draw_picture(place, panel, cmap=self._input_cmap, limits=self._inputs)

    def draw_map(self, place: Axes | Frame, panel: cnnvis.Panel, alpha: float) -> None:
        """Draw a map."""
        low, high = self._range(panel)
        if panel.is_profile:
            assert not isinstance(place, Frame)
            low, high = min(low, 0), max(high, 0)
            place.axhline(0, linewidth=0.5, color="0.7")
            _draw_curve(place, panel.values, "C0", fill=0.35)
            bottom, top = _with_margins(low, high)
            place.set_ylim(low and bottom, high and top)  # what begins at zero stands on the axis
        else:
            assert isinstance(place, Frame)
            _draw_picture(place, panel, cmap=self._cmap, limits=(low, high), alpha=alpha)

    def _range(self, panel: cnnvis.Panel) -> tuple[float, float]:
        """Return the smallest and largest value of the scale for a map."""
        return self._whole or self._limits([panel.values])

    def _limits(self, maps: Iterable[Any]) -> tuple[float, float]:
        return limits(maps, signed=self._signed, from_zero=self._from_zero)


def _draw_picture(
    place: Frame,
    panel: cnnvis.Panel,
    *,
    cmap: Any,
    limits: tuple[float, float],
    alpha: float = 1.0,
) -> None:
    import numpy as np
    from matplotlib.colors import Normalize

    values = panel.values
    if panel.tile is not None:
        # The gaps between small tiles are one value wide: make it a small part of a tile.
        times = max(24 // max(panel.tile), 1)
        values = panel.resized(lambda tile: tile.repeat(times, axis=0).repeat(times, axis=1))
    if panel.is_coloured:
        colours = np.uint8(255 * np.nan_to_num(values, nan=float(BETWEEN_TILES)) + 0.5)
    else:
        # Differences may not fit in 32 bits.
        scaled = Normalize(*limits)(np.ma.masked_invalid(np.float64(values)))
        colours = cmap(scaled, bytes=True)
    place.show(colours, alpha)


def _draw_curve(axes: Axes, values: Any, colour: str, *, fill: float = 0.0) -> None:
    """Draw a value for each position, as a step; the area to zero has the opacity `fill`."""
    import numpy as np

    x: Any = np.arange(len(values))
    y = values
    if len(values) <= 1000:  # a step, half a position to each side, as a pixel of a picture is
        x, y = np.arange(len(values) + 1).repeat(2)[1:-1] - 0.5, np.repeat(values, 2)
    axes.plot(x, y, linewidth=0.7, color=colour)
    if fill:
        axes.fill_between(x, 0, y, color=colour, alpha=fill, linewidth=0)
    axes.set_xlim(-0.5, len(values) - 0.5)


def _with_margins(low: float, high: float) -> tuple[float, float]:
    margin = 0.04 * (high - low)
    return low - margin, high + margin


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
