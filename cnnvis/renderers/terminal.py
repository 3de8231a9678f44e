"""Renderer of explanations in a terminal, with rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import cnnvis
from cnnvis.renderers._cells import Coloured, Plain, Scale, curve_line
from cnnvis.renderers._common import (
    check_colour_maps,
    check_percentile,
    number,
    require_maps,
)
from cnnvis.renderers._graphics import Protocol, protocol_of
from cnnvis.renderers._look import look_of
from cnnvis.renderers._screen import (
    Drawings,
    block,
    curves_layout,
    picture_lines,
    pictures_layout,
)
from cnnvis.renderers._tables import print_table
from cnnvis.renderers._words import words

if TYPE_CHECKING:
    from rich.console import Console

    from cnnvis.renderers._cells import Pen


def _check(*, cmap: str | None, input_cmap: str | None, percentile: float, **_: object) -> None:
    check_colour_maps(cmap=cmap, input_cmap=input_cmap)
    check_percentile(percentile)


@cnnvis.renderer("terminal", check=_check)
def terminal(
    explanation: cnnvis.Explanation,
    console: Console,
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Literal["percentile", "shared"] = "percentile",
    percentile: cnnvis.Percent = 99.5,
    columns: cnnvis.Count = 4,
    limit: cnnvis.Count = 8,
    rows: cnnvis.Count = 16,
    tiles: cnnvis.Count = 16,
    volumes: Literal["peak", "planes"] = "peak",
    graphics: Literal["auto", "kitty", "sixel", "blocks"] = "auto",
) -> None:
    """The maps as small pictures of coloured half blocks, with a legend and a table.

    A map over one axis is drawn as bars. Without colour, or in a file, all drawings are made of
    ASCII characters: pictures of a ramp from blank to @.

    Parameters
    ----------
    cmap, input_cmap
        The colour maps of maps and of inputs, from matplotlib; see the renderer png.
    scale, percentile
        Where the colours end: at the percentile of what is shown, or at the extremes.
    columns
        The largest number of maps side by side.
    limit
        The number of maps to show as pictures; the table holds all maps.
    rows
        The largest number of lines of a map; twice as many if nothing stands above or below the
        map.
    tiles
        The largest number of planes of a volume, or of channels, to show.
    volumes
        What to show of a volume; see the renderer png.
    graphics
        How pictures are drawn: by kitty's protocol or as sixels, where the terminal answers that it
        knows one of these (auto), or in half blocks.
    """
    from rich.text import Text

    in_colour = console.color_system is not None and not console.no_color
    pen = Coloured() if in_colour and not console.options.ascii_only else Plain()
    if explanation.table is not None:
        print_table(console, explanation.table, pen)
        return
    require_maps(explanation)
    pairs = cnnvis.panels(explanation, limit=limit, tiles=tiles, volumes=volumes)
    signed = explanation.is_signed
    panels, firsts = [pair.map for pair in pairs], [pair.is_first for pair in pairs]
    look = look_of(
        explanation, pairs, cmap=cmap, input_cmap=input_cmap, scale=scale, percentile=percentile
    )
    each = len(pairs) // firsts.count(True)  # maps of an image, which stand side by side
    columns = max(columns - columns % each, 1) if columns >= each else columns
    above = [pair.input for pair in pairs if pair.input is not None]
    if panels[0].is_profile or panels[0].is_strips:
        layout = curves_layout(panels, above, console.width, columns, rows, signed=signed)
        titles = ["  ".join(look.title(panel).split("\n")) for panel in panels]
    else:
        layout = pictures_layout(panels, bool(above), pen, console.width, columns, rows)
        titles = [f"{look.title(panel)}\n{panel.directions}".rstrip() for panel in panels]
    curves = [curve_line(pair.curve, pen) if pair.curve else "" for pair in pairs]
    titles = [
        "\n".join(filter(None, (pen.text(title), line)))
        for title, line in zip(titles, curves, strict=True)
    ]
    maps = Drawings(
        panels, pen, layout, layout.lines, look.cmap, signed=signed, from_zero=look.from_zero,
        percentile=look.percentile,
    )  # fmt: skip
    inputs = None
    if above:
        inputs = Drawings(above, pen, layout, layout.input_lines, look.input_cmap, signed=False)
    protocol: Protocol | None = None
    if pen.in_colour and not (panels[0].is_profile or panels[0].is_strips):
        known: dict[str, Protocol] = {"kitty": "kitty", "sixel": "sixel"}
        protocol = protocol_of(console) if graphics == "auto" else known.get(graphics)
    for start in range(0, len(pairs), layout.across):
        numbers = range(start, min(start + layout.across, len(pairs)))
        if protocol is None:
            console.print(block(layout, titles, numbers, maps, inputs, firsts))
            continue
        for line in picture_lines(layout, titles, numbers, pairs, look, protocol):
            console.print(line)
    notes = maps.legend(console.width)
    if protocol is not None and look.whole is not None and not panels[0].is_coloured:
        ends = Scale(look.whole.low, look.whole.high, look.cmap, signed)
        notes = [pen.legend(ends, console.width), Text(", ".join(look.whole.said))]
    if len(pairs) < len(explanation):
        notes.append(Text(f"the first {len(pairs)} of {len(explanation)} maps; the table has all"))
    for note in notes:
        console.print(note)
    if notes:
        console.print()
    _print_facts(console, explanation, pen)


def _print_facts(console: Console, explanation: cnnvis.Explanation, pen: Pen) -> None:
    """Print the table of all maps; to a terminal the name of their input is a line above it."""
    facts = _facts(explanation)
    if "input" in facts and console.is_terminal:  # as wide as it is; in a file each row says it
        name = facts.pop("input")[0]
        console.print(words(pen.text(f"maps of the input {name}:")))
    print_table(console, facts, pen)


def _facts(explanation: cnnvis.Explanation) -> dict[str, list[str]]:
    """Return a line for each map: its title, and the place of its strongest value."""

    assert explanation.maps is not None
    maps, samples, targets = explanation.maps, explanation.samples, explanation.targets
    table: dict[str, list[str]] = {}
    everyone = range(len(explanation))
    if samples is not None:
        table["image"] = [str(index) for index in samples.indices]
        if explanation.input is not None:
            table["input"] = [explanation.input] * len(explanation)
        if samples.labels is not None:
            table["label"] = [samples.label_name(i) or "" for i in everyone]
    if explanation.titles:
        table["map"] = list(explanation.titles)
    if targets:
        table["target"] = [str(target) for target in targets]
        if any(target.score is not None for target in targets):
            table["score"] = ["" if t.score is None else number(t.score) for t in targets]
        if any(target.probability is not None for target in targets):
            table["p"] = ["" if t.probability is None else f"{t.probability:.3f}" for t in targets]
    if not table:
        table["map"] = [str(place) for place in everyone]
    for name in explanation.metrics:
        table[name] = [f"{value:.3g}" for value in explanation.measures[name]]
    table["least"] = [number(one.min(), one.max()) for one in maps]
    table["most"] = [number(one.max(), one.min()) for one in maps]
    known, along = explanation.coordinates, explanation.places
    names = [known[name].label(name) if name in known else name for name in explanation.axes]
    if along is not None:
        names[explanation.axes.index(along.axis)] = "genome"
    table[f"peak ({', '.join(names)})"] = [
        ", ".join(
            _place(explanation, row, name, int(at))
            for name, at in zip(explanation.axes, peak, strict=True)
        )
        for row, peak in enumerate(explanation.peaks)
    ]
    return table


def _place(explanation: cnnvis.Explanation, row: int, name: str, position: int) -> str:
    """Return a position along an axis, in the axis's unit; a group's name with the position."""
    axis, along = explanation.coordinates.get(name), explanation.places
    if along is not None and along.axis == name:
        return along.at(row, position) or str(position)
    if axis is None:
        return str(position)
    place = axis.at(position).replace(",", "")  # which parts the positions
    return f"{place} {position}" if axis.runs() and len(axis.runs()) < len(axis.values) else place
