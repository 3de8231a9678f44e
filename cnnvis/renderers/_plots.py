"""Maps on axes of matplotlib, for figures that somebody makes of several things."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import check_colour_maps, require_maps
from cnnvis.renderers._look import Ends, Look, colours_named, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 64  # that are drawn in a figure of their own


def plot(
    explanation: cnnvis.Explanation,
    axes: Any = None,
    *,
    cmap: str | None = None,
    scale: Ends = "percentile",
    percentile: float = 99.5,
    overlay: bool = False,
    alpha: float = 0.6,
    columns: int = 4,
) -> Any:
    """Draw each map on its axes, or on those of a new figure with a colour bar; return the figure.

    Raises
    ------
    UserError
        If there are more or fewer axes than maps, or very many maps and no axes.
    """
    import numpy as np
    from matplotlib.figure import Figure

    require_maps(explanation)
    check_colour_maps(cmap=cmap)
    count = len(explanation)
    own = axes is None
    if own and count > MOST:
        raise cnnvis.UserError(
            f"there are {count} maps, and a figure shows at most {MOST}: plot some, such as "
            "explanation[:8].plot()"
        )
    if own:
        across = min(columns, count)
        down = math.ceil(count / across)
        figure: Any = Figure(figsize=(2.4 * across + 0.8, 2.6 * down), layout="constrained")
        places = list(figure.subplots(down, across, squeeze=False).flat)
        for unused in places[count:]:
            unused.set_axis_off()
        places = places[:count]
    else:
        places = list(np.atleast_1d(np.asarray(axes, object)).flat)
        if len(places) != count:
            raise cnnvis.UserError(
                f"there are {count} maps and {len(places)} axes: give as many axes as maps, or plot "
                "one map, such as explanation[0].plot(ax=ax)"
            )
        figure = places[0].figure
    pairs = cnnvis.panels(explanation, alike=overlay)
    look = look_of(explanation, pairs, cmap=cmap, scale=scale, percentile=percentile)
    drawn = [
        _drawn(place, pair, look, alpha if overlay else None)
        for place, pair in zip(places, pairs, strict=True)
    ]
    pictures = [one for one in drawn if one is not None]
    if own and pictures and look.whole is not None:
        figure.colorbar(pictures[0], ax=places, shrink=0.7, extend=look.whole.extends)
    return figure


def _drawn(place: Axes, pair: Any, look: Look, alpha: float | None) -> Any:
    """Draw a map; return what a colour bar can be made of, None for colours and curves."""
    import numpy as np

    panel = pair.map
    place.set_title(cnnvis.printable(look.title(panel), lines=True), fontsize=8, parse_math=False)
    if panel.is_profile:
        axis = panel.coordinates.get(panel.axes[0])
        place.step(np.arange(len(panel.values)), panel.values, where="mid", linewidth=0.8)
        place.axhline(0, linewidth=0.5, color="0.6")
        place.set_xlabel(axis.label(panel.axes[0]) if axis else panel.axes[0], parse_math=False)
        return None
    place.set_xticks([])
    place.set_yticks([])
    aspect: Any = "auto" if panel.is_strips else "equal"
    if alpha is not None and pair.input is not None and not pair.input.is_profile:
        place.imshow(look.input_pixels(pair.input), aspect=aspect, interpolation="nearest")
        place.imshow(look.veil_pixels(panel, alpha), aspect=aspect, interpolation="nearest")
        return None
    if panel.is_coloured:
        place.imshow(look.map_pixels(panel), aspect=aspect, interpolation="nearest")
        return None
    scale = look.scale(panel)
    return place.imshow(
        np.ma.masked_invalid(np.float64(panel.values)), cmap=colours_named(look.cmap),
        vmin=scale.low, vmax=scale.high, aspect=aspect, interpolation="nearest",
    )  # fmt: skip
