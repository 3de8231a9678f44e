"""Renderer of several results as rows and columns of one figure, with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.renderers._common import (
    folded,
    limits,
    number,
    require_maps,
)
from cnnvis.renderers._files import ABOUT, PAGES, check_figure, enlarged, save
from cnnvis.renderers._heading import LETTER, LINE, PLAIN
from cnnvis.renderers._look import Look, look_of
from cnnvis.renderers._maps import draw_panel
from cnnvis.renderers._page import Frame
from cnnvis.renderers._sizes import size_of
from cnnvis.renderers._tracks import draw_curve, with_margins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES, EDGE, GAP = 1.35, 0.2, 0.1  # inches
NAME_LETTERS, NAME_LINES, TITLE_LINES = 20, 4, 3


@dataclass(frozen=True)
class Row:
    """Row of a grid: its name, its scale in words, and a map or nothing in each column."""

    name: str
    scale: str
    look: Look
    panels: Sequence[cnnvis.Panel | None]
    are_inputs: bool = False


@cnnvis.renderer("grid", suffixes=tuple(f".grid{ending}" for ending in ABOUT), check=check_figure)
def grid(
    explanations: list[cnnvis.Explanation],
    path: Path,
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Literal["percentile", "extremes"] = "percentile",
    percentile: cnnvis.Percent = 99.5,
    width: float = 1.4,
    limit: cnnvis.Count = 24,
    page: Literal["screen", "paper", "slides"] = "screen",
    format: Literal["png", "svg", "pdf"] = "png",
    dpi: cnnvis.Count | None = None,
) -> None:
    """A grid: a column for each image, a row for its input and for each method or target.

    In a chain, all results before it are rows: ``saliency grad-cam smoothgrad grid``. Of maps of
    several targets, each rank of targets is a row; of maps of groups, each group is a column. Each
    row has a scale of its own, since values of different methods have different units.

    Parameters
    ----------
    cmap, input_cmap
        The colour maps of maps and of inputs; see the renderer png.
    scale
        The ends of the colours of a row: at a percentile, or at the extremes.
    percentile
        The percentile; the name of a row gives its scale and its largest value.
    width
        The width of a map, in inches.
    limit
        The largest number of maps of each result.
    page
        The sizes of letters and pages, as in png.
    format
        The format of a file that nobody names.
    dpi
        Dots per inch; none: 120, or 300 for paper.
    """
    for one in explanations:
        require_maps(one, "grid")
    chosen = PAGES[page]
    dots = (dpi or chosen.dpi) * chosen.enlarged
    ends: Any = "percentile" if scale == "percentile" else "shared"
    looks = {"cmap": cmap, "input_cmap": input_cmap, "scale": ends, "percentile": percentile}
    titles, rows = _table(explanations, limit, looks)
    figure = _drawn(_heading(explanations), titles, rows, width, dots)
    enlarged(figure, chosen.enlarged)
    about = dict(explanations[0].provenance)
    if len(explanations) > 1:
        about = {"rows": [dict(one.provenance) for one in explanations]}
    save(figure, path, dpi or chosen.dpi, about)


def _heading(explanations: Sequence[cnnvis.Explanation]) -> str:
    names = dict.fromkeys(str(one.provenance.get("technique", "")) for one in explanations)
    return cnnvis.printable(", ".join(names))


def _columns(explanation: cnnvis.Explanation) -> list[Any]:
    """Return what each map is of: its image, its group, or its title."""
    if explanation.samples is not None:
        return [int(index) for index in explanation.samples.indices]
    return [*(explanation.groups or explanation.titles or range(len(explanation)))]


def _title(explanation: cnnvis.Explanation, place: int) -> str:
    """Return the title of a column: the image and its label, or the group."""
    if explanation.samples is None and not explanation.groups:
        return explanation.title(place)
    return explanation.title(place).partition("\n")[0]


def _table(
    explanations: Sequence[cnnvis.Explanation], limit: int, looks: dict[str, Any]
) -> tuple[list[str], list[Row]]:
    """Return the titles of columns, and the rows with a panel or nothing in each column."""
    if limit < max(map(len, explanations)):
        cnnvis.note(
            f"the grid shows the first {limit} of {max(map(len, explanations))} maps; the option "
            "limit of grid says how many"
        )
    explanations = [one[:limit] for one in explanations]
    columns: dict[Any, str] = {}
    for one in explanations:
        for place, key in enumerate(_columns(one)):
            columns.setdefault(key, _title(one, place))
    _name_targets(explanations, columns)
    rows: list[Row] = []
    inputs: dict[Any, cnnvis.Panel] = {}
    for one in explanations:
        keys = _columns(one)
        pairs = cnnvis.panels(one, volumes="peak")
        look = look_of(one, pairs, **looks)
        ranks: list[dict[Any, tuple[cnnvis.Panel, str]]] = []
        seen: dict[Any, int] = {}
        for place, (pair, key) in enumerate(zip(pairs, keys, strict=True)):
            rank = seen.get(key, 0)
            seen[key] = rank + 1
            ranks += [{}] if rank == len(ranks) else []
            target = str(one.targets[place]) if one.targets else ""
            ranks[rank][key] = (pair.map, target)
            if pair.input is not None:
                inputs.setdefault(key, pair.input)
        rows += [
            _row(one, look, rank, columns, number, len(ranks)) for number, rank in enumerate(ranks)
        ]
        if inputs and not (rows and rows[0].are_inputs):
            rows.insert(0, Row("input", "", look, [], are_inputs=True))
    if rows and rows[0].are_inputs:
        rows[0] = replace(rows[0], panels=[inputs.get(key) for key in columns])
    return list(columns.values()), rows


def _name_targets(explanations: Sequence[cnnvis.Explanation], columns: dict[Any, str]) -> None:
    """Add the target to the title of each image whose maps are of a single one, if images differ in it."""
    targets: dict[Any, set[str]] = {}
    for one in explanations:
        for key, target in zip(_columns(one), map(str, one.targets), strict=False):
            targets.setdefault(key, set()).add(target)
    if len({target for known in targets.values() for target in known}) > 1:
        for key, known in targets.items():
            if len(known) == 1:
                columns[key] += f"\nmap of {cnnvis.printable(min(known))}"


def _row(
    part: cnnvis.Explanation,
    look: Look,
    cells: dict[Any, tuple[cnnvis.Panel, str]],
    columns: dict[Any, str],
    rank: int,
    ranks: int,
) -> Row:
    name = str(part.provenance.get("technique", "maps"))
    options = part.provenance.get("options") or {}
    if "backprop" in options:
        name += f" ({options['backprop'] or 'none'})"
    name = " - ".join(
        [name, *(one["transform"] for one in part.provenance.get("transforms") or ())]
    )
    targets = {target for _, target in cells.values()} - {""}
    if len(targets) == 1:
        name += f"\n{targets.pop()}"
    elif ranks > 1:
        name += f"\nrank {rank + 1} of {ranks}"
    assert look.whole is not None
    whole = look.whole
    scale = f"{number(whole.low, whole.high)} to {number(whole.high, whole.low)}"
    if whole.percentile is not None:
        scale += f" at {whole.percentile:g} %\n{whole.said[-1]}"
    panels = [cells[key][0] if key in cells else None for key in columns]
    return Row(name, scale, look, panels)


def _drawn(
    heading: str, titles: Sequence[str], rows: Sequence[Row], width: float, dpi: float
) -> Figure:
    """Return the figure."""
    from matplotlib.figure import Figure

    shown = [next(panel for panel in row.panels if panel is not None) for row in rows]
    sizes = [size_of(panel, width, dpi) for panel in shown]
    across = max(size[0] for size in sizes)
    lines = [
        [
            line
            for part in title.split("\n")[:3]
            for line in folded(part, int(across / LETTER), TITLE_LINES)
        ]
        for title in titles
    ]
    top = 0.42 + LINE * max(map(len, lines)) + 0.05
    whole = (
        NAMES + len(titles) * (across + GAP) + EDGE,
        top + sum(h + GAP for _, h in sizes) + EDGE,
    )
    figure = Figure(figsize=(round(whole[0] * dpi) / dpi, round(whole[1] * dpi) / dpi))
    wide, high = figure.get_size_inches()
    figure.text(
        0.5, 1 - 0.1 / high, heading, fontsize=9, weight="bold", ha="center", va="top", **PLAIN
    )
    for column, title in enumerate(lines):
        x = (NAMES + column * (across + GAP) + across / 2) / wide
        style: Any = {"fontsize": 7, "ha": "center", "va": "bottom", **PLAIN}
        figure.text(x, 1 - (top - 0.04) / high, "\n".join(title), **style)
    for row, (own, down) in zip(rows, sizes, strict=True):
        middle = 1 - (top + down / 2) / high
        names = [
            line for part in row.name.split("\n") for line in folded(part, NAME_LETTERS, NAME_LINES)
        ]
        name = "\n".join(names)
        figure.text(
            (NAMES - 0.08) / wide, middle, name, fontsize=7, ha="right", va="bottom", **PLAIN
        )
        style = {"fontsize": 5.5, "color": "0.35", "ha": "right", "va": "top", **PLAIN}
        figure.text((NAMES - 0.08) / wide, middle - 0.02 / high, row.scale, **style)
        for column, panel in enumerate(row.panels):
            left = NAMES + column * (across + GAP) + (across - own) / 2
            box = [round(one * dpi) / dpi for one in (left, top, own, down)]
            place = (box[0] / wide, 1 - (box[1] + box[3]) / high, box[2] / wide, box[3] / high)
            if panel is not None:
                _draw(figure, place, row, panel)
        top += down + GAP
    return figure


def _draw(figure: Figure, box: tuple[float, ...], row: Row, panel: cnnvis.Panel) -> None:
    """Draw a map or an input at its place."""
    from matplotlib.patches import Rectangle

    if not panel.is_profile:
        frame = Frame(figure, (box[0], box[1], box[2], box[3]))
        draw_panel(frame, panel, row.look.input_pixels if row.are_inputs else row.look.map_pixels)
        parts = [frame.part(one, panel.values.shape).box for one in panel.boxes] or [frame.box]
        for x, y, width, height in parts:
            border = Rectangle(
                (x, y), width, height, fill=False, linewidth=0.6, transform=figure.transFigure
            )
            figure.add_artist(border)
        if not row.are_inputs and row.look.is_faint(panel):
            said = row.look.title(replace(panel, title="")).partition(":")
            x, y = box[0] + box[2] / 2, box[1] + 0.05 * box[3]
            ground: Any = {"facecolor": "white", "linewidth": 0, "pad": 1.0}
            style: Any = {"fontsize": 5.5, "ha": "center", "va": "bottom", "bbox": ground, **PLAIN}
            figure.text(x, y, f"near zero:{said[2]}" if said[2] else said[0], **style)
        return
    axes = figure.add_axes((box[0], box[1], box[2], box[3]))
    axes.set_xticks([])
    axes.set_yticks([])
    draw_curve(
        axes, panel.values, "0.3" if row.are_inputs else "C0", fill=0 if row.are_inputs else 0.35
    )
    values = [one.values for one in row.panels if one is not None]
    low, high = limits(
        values, signed=row.look.signed and not row.are_inputs, from_zero=not row.are_inputs
    )
    axes.set_ylim(*with_margins(low, high))
