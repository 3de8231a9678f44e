"""``cnnvis compare``: a table of numbers, and a figure of both and their difference."""

from __future__ import annotations

import json as json_format
import math
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnvis.cli.packages import FAILED
from cnnvis.cli.progress import Bars
from cnnvis.cli.run import messages_console
from cnnvis.comparison import Comparison, Side, compare
from cnnvis.config import with_settings
from cnnvis.errors import printable
from cnnvis.registry import registry
from cnnvis.reporting import reported_to
from cnnvis.runner import RESULTS, require_writable, write, writers

SHOWN = 20
"""How many images' numbers are printed; those of all are in the JSON."""


def compared(
    sides: tuple[Side, Side],
    model: str | None,
    plugin_options: Mapping[str, Mapping[str, Any]],
    *,
    out: str | None = None,
    fail_above: float | None = None,
    json: bool = False,
    quiet: bool = False,
    **given: Any,
) -> int:
    """Compare, print and draw; the exit code."""
    writer = writers(() if out else ("png",), out)[0]
    require_writable(Path(RESULTS if out is None else out))
    sides = (_with_settings(sides[0]), _with_settings(sides[1]))
    messages, results = messages_console(), Console(soft_wrap=json)
    with nullcontext() if quiet else reported_to(Bars(messages)):
        found = compare(*sides, model, plugin_options=plugin_options, **given)
        path = Path(out) if out and Path(out).suffix else Path(out or RESULTS) / (
            "_".join(["compare", *map(_plain, found.names)]) + writer.suffixes[0]
        )  # fmt: skip
        options = {"columns": 3, "scale": "each"} if writer.name == "png" else {}
        write(found.figure(), writer, path, {**options, **plugin_options.get(writer.name, {})})
    largest = found.in_all["largest"]
    if json:
        results.print(_json(found), markup=False, highlight=False)
    else:
        _print(found, results)
        results.print(str(path), soft_wrap=True, markup=False, highlight=False)
    if not quiet:
        notes = dict.fromkeys((*found.first.notes, *found.second.notes))
        for note in notes:
            messages.print(Text.assemble(("note: ", "bold"), printable(note)))
    if fail_above is not None and not largest <= fail_above:
        messages.print(
            Text.assemble(
                ("failed: ", "bold red"),
                f"the largest difference is {largest:.3g}, above {fail_above:g}",
            )
        )
        return FAILED
    return 0


def _with_settings(side: Side) -> Side:
    if not isinstance(side, tuple):
        return side
    name, options = side
    return name, with_settings(registry().get("technique", name), options)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-=" else "-" for letter in name)


def _json(found: Comparison) -> str:
    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return json_format.dumps(
        {
            "first": found.names[0],
            "second": found.names[1],
            "images": [
                {
                    "image": title,
                    **{name: number(float(all_[i])) for name, all_ in found.measures.items()},
                }
                for i, title in enumerate(found.titles)
            ],
            "in_all": {name: number(value) for name, value in found.in_all.items()},
        },
        indent=2,
        ensure_ascii=False,
    )


def _print(found: Comparison, console: Console) -> None:
    console.print(Text.assemble((found.names[0], "bold"), " and ", (found.names[1], "bold")))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("image", max_width=40)
    for name in found.measures:
        table.add_column(name, justify="right", no_wrap=True)
    for i in range(min(len(found.titles), SHOWN)):
        title = printable(found.first.title(i).partition("\n")[0])
        table.add_row(Text(title), *(_number(float(all_[i])) for all_ in found.measures.values()))
    rest = len(found.titles) - SHOWN
    if rest > 0:
        table.add_row(f"and {rest} more")
    table.add_section()
    table.add_row("in all", *map(_number, found.in_all.values()), style="bold")
    console.print(table)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"
