"""Renderer of maps over one axis as curves in one figure, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.renderers._common import require_maps
from cnnvis.renderers._files import ABOUT, require_date, save

PANELS = 4  # side by side
# Lines differ by colour and by strokes, for whoever sees no colours.
STROKES: Any = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))


def _check(*, width: float, height: float, **_: object) -> None:
    for name, inches in (("width", width), ("height", height)):
        if not 1 <= inches <= 100:
            raise cnnvis.UserError(f"{name} is {inches:g} inches, and can be 1 to 100")
    require_date()


@cnnvis.renderer("curves", suffixes=tuple(f".curves{ending}" for ending in ABOUT), check=_check)
def curves(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    width: float = 4.6,
    height: float = 3.6,
    limit: cnnvis.Count = 20,
    dpi: cnnvis.Count = 120,
) -> None:
    """A figure of maps over one axis as curves, one over the other.

    The first line of a map's title names its curve. Where the rest of the titles has up to four
    different texts, each is the heading of its own panel.

    Parameters
    ----------
    width, height
        The size of a panel, in inches.
    limit
        The largest number of curves to draw.
    dpi
        Dots per inch.
    """
    require_maps(explanation)
    if len(explanation.axes) != 1:
        raise cnnvis.UserError(
            f"curves draws maps over one axis, and these have {', '.join(explanation.axes)}: take png, or put "
            "the transform project before it"
        )
    from matplotlib.figure import Figure

    shown = range(min(limit, len(explanation)))
    parts = [cnnvis.printable(explanation.title(i), lines=True).partition("\n") for i in shown]
    headings = list(dict.fromkeys(rest for _, _, rest in parts))
    headings = headings if len(headings) <= PANELS else [""]
    figure = Figure(figsize=(width * len(headings), height), layout="constrained")
    panels = figure.subplots(1, len(headings), squeeze=False, sharey=True)[0]
    axis = explanation.coordinates.get(explanation.axes[0], cnnvis.Axis())
    plain: Any = {"parse_math": False, "usetex": False}
    places = _places(axis, explanation.array.shape[1])
    for panel, heading in zip(panels, headings, strict=True):
        own = [i for i in shown if heading in ("", parts[i][2])]
        for number, i in enumerate(own):
            stroke = STROKES[number % len(STROKES)]
            panel.plot(places, explanation.array[i], linestyle=stroke, label=parts[i][0])
        panel.set_title(heading.replace("\n", ", "), fontsize=9, **plain)
        panel.set_xlabel(axis.label(explanation.axes[0]), fontsize=8, **plain)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.3)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    for text in panels[-1].legend(fontsize=7, frameon=False).get_texts():
        text.set(**plain)
    save(figure, path, dpi, dict(explanation.provenance))


def _places(axis: cnnvis.Axis, count: int) -> list[float]:
    """Return the coordinates along an axis; the positions, where these are words."""
    numbers = [one for one in axis.values if isinstance(one, int | float)]
    if len(numbers) == count:
        return numbers
    start, step = (0.0, 1.0) if axis.values else (axis.start, axis.step)
    return [start + step * place for place in range(count)]
