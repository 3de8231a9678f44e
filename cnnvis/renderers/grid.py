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
from cnnvis.renderers._letters import as_letters, draw_letters, letters_of, stack_limits
from cnnvis.renderers._look import Look, look_of
from cnnvis.renderers._maps import draw_panel
from cnnvis.renderers._page import Frame
from cnnvis.renderers._sizes import size_of
from cnnvis.renderers._tracks import draw_curve, with_margins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES, EDGE, GAP = 1.35, 0.2, 0.1  # inches
SMALL_LINE = 0.1  # of a scale, in inches
NAME_LETTERS, NAME_LINES, TITLE_LINES = 20, 6, 5
MOST_LETTERS = 150  # positions that are drawn as letters in the width of a column


@dataclass(frozen=True)
class Row:
    """Row of a grid: its name, its scale in words, and a map or nothing in each column.

    Attributes
    ----------
    letters, heights
        The letters of sequences, and how high each is in each column; empty for pictures and curves.
    """

    name: str
    scale: str
    look: Look
    panels: Sequence[cnnvis.Panel | None]
    are_inputs: bool = False
    letters: tuple[str, ...] = ()
    heights: Sequence[Any] = ()

    def cells(self, block: range) -> list[tuple[cnnvis.Panel | None, Any]]:
        """Return the panel and the heights of its letters, or nothing, in each column of a block."""
        heights = self.heights or [None] * len(self.panels)
        return [(self.panels[column], heights[column]) for column in block]


@dataclass(frozen=True)
class Cell:
    """Map of a grid: its panel, its target, and the heights of its letters, if it has any."""

    panel: cnnvis.Panel
    target: str
    heights: Any = None


@cnnvis.renderer("grid", suffixes=tuple(f".grid{ending}" for ending in ABOUT), check=check_figure)
def grid(
    explanations: list[cnnvis.Explanation],
    path: Path,
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Literal["percentile", "extremes"] = "percentile",
    percentile: cnnvis.Percent = 99.5,
    columns: cnnvis.Count = 8,
    width: float = 1.4,
    limit: cnnvis.Count = 24,
    page: Literal["screen", "paper", "slides"] = "screen",
    format: Literal["png", "svg", "pdf"] = "png",
    dpi: cnnvis.Count | None = None,
) -> None:
    """A grid: a column for each image, a row for its input and for each method or target.

    In a chain, all results before it are rows: ``saliency grad-cam smoothgrad grid``. Of maps of
    several targets, each rank of targets is a row; of maps of groups, each group is a column. Each
    row has a scale of its own, since values of different methods have different units. What does
    not fit beside each other goes on below. Short sequences of letters are drawn as letters of
    the height of their values.

    Parameters
    ----------
    cmap, input_cmap
        The colour maps of maps and of inputs; see the renderer png.
    scale
        The ends of the colours of a row: at a percentile, or at the extremes.
    percentile
        The percentile; the name of a row gives its scale and its largest value.
    columns
        The largest number of images side by side; fewer where the page is not as wide.
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
    room = chosen.widest / chosen.enlarged
    figure = _drawn(_heading(explanations), titles, rows, _Sizes(width, columns, room, dots))
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
        letters = letters_of(one, limit) if one.array.shape[1] <= MOST_LETTERS else None
        heights: list[Any] = [None] * len(pairs)
        if letters is not None:
            heights = [letters.heights(one, place) for place in range(len(pairs))]
            pairs = [
                as_letters(pair, letters, own) for pair, own in zip(pairs, heights, strict=True)
            ]
        look = look_of(one, pairs, **looks)
        ranks: list[dict[Any, Cell]] = []
        seen: dict[Any, int] = {}
        for place, (pair, key) in enumerate(zip(pairs, keys, strict=True)):
            rank = seen.get(key, 0)
            seen[key] = rank + 1
            ranks += [{}] if rank == len(ranks) else []
            target = str(one.targets[place]) if one.targets else ""
            ranks[rank][key] = Cell(pair.map, target, heights[place])
            if pair.input is not None:
                inputs.setdefault(key, pair.input)
        names = () if letters is None else letters.names
        for which, cells in enumerate(ranks):
            row = _row(one, look, cells, columns, which, len(ranks))
            scale = row.scale
            if letters is not None and letters.is_assumed:
                scale += "\nchannels taken for A, C, G, T"
            rows.append(replace(row, scale=scale, letters=names))
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
    cells: dict[Any, Cell],
    columns: dict[Any, str],
    rank: int,
    ranks: int,
) -> Row:
    name = str(part.provenance.get("technique", "maps"))
    options = part.provenance.get("options") or {}
    if "backprop" in options:
        name += f" ({options['backprop'] or 'none'})"
    name = " - ".join([name, *part.changes])
    targets = {cell.target for cell in cells.values()} - {""}
    if len(targets) == 1:
        name += f"\n{targets.pop()}"
    elif ranks > 1:
        name += f"\nrank {rank + 1} of {ranks}"
    assert look.whole is not None
    whole = look.whole
    scale = f"{number(whole.low, whole.high)} to {number(whole.high, whole.low)}"
    if whole.percentile is not None:
        scale += f" at {whole.percentile:g} %\n{whole.said[-1]}"
    found = [cells.get(key) for key in columns]
    panels = [None if cell is None else cell.panel for cell in found]
    heights = [None if cell is None else cell.heights for cell in found]
    return Row(name, scale, look, panels, heights=heights)


@dataclass(frozen=True)
class _Sizes:
    """Sizes of a grid: the width of a map, the most columns, the width of the page, and its dots."""

    width: float
    columns: int
    widest: float
    dpi: float


def _drawn(heading: str, titles: Sequence[str], rows: Sequence[Row], sizes: _Sizes) -> Figure:
    """Return the figure: blocks of columns, one below the other."""
    from matplotlib.figure import Figure

    shown = [next(panel for panel in row.panels if panel is not None) for row in rows]
    boxes = [size_of(panel, sizes.width, sizes.dpi) for panel in shown]
    across = max(box[0] for box in boxes)
    # A position of a sequence lies below the same position of its input.
    boxes = [
        (across if panel.is_strips else own, down)
        for panel, (own, down) in zip(shown, boxes, strict=True)
    ]
    most = min(sizes.columns, max(int((sizes.widest - NAMES - EDGE) // (across + GAP)), 1))
    blocks = [range(start, min(start + most, len(titles))) for start in range(0, len(titles), most)]
    lines = [
        [
            line
            for part in title.split("\n")[:3]
            for line in folded(part, int(across / LETTER), TITLE_LINES)
        ]
        for title in titles
    ]
    rooms = [max(down, _words_height(row)) for row, (_, down) in zip(rows, boxes, strict=True)]
    tops = [LINE * max(len(lines[column]) for column in block) + 0.05 for block in blocks]
    there = [
        [one for one in zip(rows, boxes, rooms, strict=True) if _is_in(one[0], block)]
        for block in blocks
    ]
    downs = [sum(room + GAP for _, _, room in own) for own in there]
    size = (
        NAMES + len(blocks[0]) * (across + GAP) + EDGE,
        0.42 + sum(tops) + sum(downs) + EDGE * len(blocks),
    )
    dpi = sizes.dpi
    figure = Figure(figsize=(round(size[0] * dpi) / dpi, round(size[1] * dpi) / dpi), dpi=dpi)
    _, high = figure.get_size_inches()
    figure.text(
        0.5, 1 - 0.1 / high, heading, fontsize=9, weight="bold", ha="center", va="top", **PLAIN
    )
    begin = 0.42
    for block, own, top, down in zip(blocks, there, tops, downs, strict=True):
        _draw_titles(figure, [lines[column] for column in block], begin + top, across)
        _draw_rows(figure, own, block, begin + top, across)
        begin += top + down + EDGE
    return figure


def _is_in(row: Row, block: range) -> bool:
    """Tell whether a row has a panel in some column of a block."""
    return any(panel is not None for panel, _ in row.cells(block))


def _names(row: Row) -> list[str]:
    """Return the lines of the name of a row."""
    parts = row.name.split("\n")
    return [line for part in parts for line in folded(part, NAME_LETTERS, NAME_LINES)]


def _words_height(row: Row) -> float:
    """Return the height of the name of a row, and of its scale below."""
    return LINE * len(_names(row)) + SMALL_LINE * len(row.scale.splitlines())


def _draw_titles(
    figure: Figure, titles: Sequence[Sequence[str]], top: float, across: float
) -> None:
    """Write the titles of a block of columns above `top`, in inches from the upper end."""
    wide, high = figure.get_size_inches()
    for column, title in enumerate(titles):
        x = (NAMES + column * (across + GAP) + across / 2) / wide
        style: Any = {"fontsize": 7, "ha": "center", "va": "bottom", **PLAIN}
        figure.text(x, 1 - (top - 0.04) / high, "\n".join(title), **style)


def _draw_rows(
    figure: Figure,
    rows: Sequence[tuple[Row, tuple[float, float], float]],
    block: range,
    top: float,
    across: float,
) -> None:
    """Draw the rows of a block of columns from `top` down, with their names.

    Parameters
    ----------
    rows
        Each row with the width and height of its maps, and the height of the room for the row.
    """
    wide, high = figure.get_size_inches()
    dpi = figure.dpi
    for row, (own, down), room in rows:
        names = _names(row)
        middle = 1 - (top + (room - _words_height(row)) / 2 + LINE * len(names)) / high
        name = "\n".join(names)
        figure.text(
            (NAMES - 0.08) / wide, middle, name, fontsize=7, ha="right", va="bottom", **PLAIN
        )
        style: Any = {"fontsize": 5.5, "color": "0.35", "ha": "right", "va": "top", **PLAIN}
        figure.text((NAMES - 0.08) / wide, middle - 0.02 / high, row.scale, **style)
        for column, (panel, heights) in enumerate(row.cells(block)):
            left = NAMES + column * (across + GAP) + (across - own) / 2
            above = top + (room - down) / 2
            box = [round(one * dpi) / dpi for one in (left, above, own, down)]
            place = (box[0] / wide, 1 - (box[1] + box[3]) / high, box[2] / wide, box[3] / high)
            if panel is not None:
                _draw(figure, place, row, panel, heights)
        top += room + GAP


def _draw(
    figure: Figure, box: tuple[float, ...], row: Row, panel: cnnvis.Panel, heights: Any
) -> None:
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
    if heights is not None:
        axes.axhline(0, linewidth=0.5, color="0.7")
        draw_letters(axes, heights, row.letters)
        ends = [stack_limits(one) for one in row.heights if one is not None]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        axes.set_ylim(*with_margins(low, high if high > low else 1.0))
        return
    draw_curve(
        axes, panel.values, "0.3" if row.are_inputs else "C0", fill=0 if row.are_inputs else 0.35
    )
    values = [one.values for one in row.panels if one is not None]
    low, high = limits(
        values, signed=row.look.signed and not row.are_inputs, from_zero=not row.are_inputs
    )
    axes.set_ylim(*with_margins(low, high))
