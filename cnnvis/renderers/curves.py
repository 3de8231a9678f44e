"""Renderer of maps over one axis as curves in one figure, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.renderers._common import failed_checks, require_maps
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
    """A figure of maps over one axis as curves in one panel.

    The first line of a map's title names its curve. Where the rest of the titles has up to four
    different texts, each is the heading of its own panel. The ends of an interval, groups of the names
    low and high, are drawn as a band.

    Parameters
    ----------
    width, height
        The size of a panel, in inches.
    limit
        The largest number of curves to draw.
    dpi
        Dots per inch.
    """
    require_maps(explanation, "curves")
    if len(explanation.axes) != 1:
        raise cnnvis.UserError(
            f"curves draws maps over one axis, and these have {', '.join(explanation.axes)}: take png, or put "
            "the transform project before it"
        )
    from matplotlib.figure import Figure

    band = _band(explanation, limit)
    drawn = range(min(limit, len(explanation)))
    shown = [i for i in drawn if i not in band]
    parts = {i: cnnvis.printable(explanation.title(i), lines=True).partition("\n") for i in shown}
    headings = list(dict.fromkeys(rest for _, _, rest in parts.values()))
    if len(headings) > PANELS:  # then each curve has all of its title
        headings = [""]
        parts = {i: (" ".join("".join(part).split()), "", "") for i, part in parts.items()}
    figure = Figure(figsize=(width * len(headings), height), layout="constrained")
    panels = figure.subplots(1, len(headings), squeeze=False, sharey=True)[0]
    axis = explanation.coordinates.get(explanation.axes[0], cnnvis.Axis())
    plain: Any = {"parse_math": False, "usetex": False}
    places = _places(axis, explanation.array.shape[1])
    for panel, heading in zip(panels, headings, strict=True):
        own = [i for i in shown if parts[i][2] == heading]
        for number, i in enumerate(own):
            stroke = STROKES[number % len(STROKES)]
            panel.plot(places, explanation.array[i], linestyle=stroke, label=parts[i][0])
        if band:
            low, high = (explanation.array[i] for i in band)
            panel.fill_between(
                places, low, high, color="C0", alpha=0.2, label="interval at each place", lw=0
            )
        panel.set_title(heading.replace("\n", ", "), fontsize=9, **plain)
        panel.set_xlabel(axis.label(explanation.axes[0]), fontsize=8, **plain)
        panel.tick_params(labelsize=7)
        panel.locator_params(axis="x", nbins=6)  # coordinates are written out, and long
        panel.xaxis.set_major_formatter(lambda place, _: cnnvis.Axis().at(place))
        panel.grid(alpha=0.3)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    figure.suptitle(_heading(explanation, len(drawn)), fontsize=9, weight="bold", **plain)
    names = [[parts[i][0] for i in shown if parts[i][2] == heading] for heading in headings]
    alike = all(own == names[0] for own in names)
    for panel in panels[-1:] if alike else panels:
        for text in panel.legend(fontsize=7, framealpha=0.6).get_texts():
            text.set(**plain)
    save(figure, path, dpi, dict(explanation.provenance))


def _band(explanation: cnnvis.Explanation, limit: int) -> tuple[int, ...]:
    """Return the places of the ends of an interval among the maps; none where there are none."""
    groups = explanation.groups[:limit]
    ends = ("low", "high")
    return tuple(map(groups.index, ends)) if all(groups.count(one) == 1 for one in ends) else ()


def _heading(explanation: cnnvis.Explanation, shown: int) -> str:
    """Return the title of the figure: the technique, and the checks that failed."""
    words = [str(explanation.provenance.get("technique", ""))]
    words += [f"- {one}" for one in explanation.changes]
    if shown < len(explanation):
        words.append(f"- the first {shown} of {len(explanation)} maps")
    lines = [" ".join(words), failed_checks(explanation)]
    return cnnvis.printable("\n".join(filter(None, lines)), lines=True)


def _places(axis: cnnvis.Axis, count: int) -> list[float]:
    """Return the coordinates along an axis; the positions, where these are words."""
    numbers = [one for one in axis.values if isinstance(one, int | float)]
    if len(numbers) == count:
        return numbers
    start, step = (0.0, 1.0) if axis.values else (axis.start, axis.step)
    return [start + step * place for place in range(count)]
