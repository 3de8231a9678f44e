"""``cnnvis compare``: a table of numbers, and a figure of both and their difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnvis.api.compare import Comparison, Side, compare
from cnnvis.api.output_files import RESULTS, is_named, write, writers
from cnnvis.cli import console
from cnnvis.cli.packages import FAILED
from cnnvis.data.explanation import Explanation
from cnnvis.drawing.progress import bars
from cnnvis.errors import PluginError, together
from cnnvis.execution.calls import call_plugin
from cnnvis.files.reading import require_writable
from cnnvis.registry.arguments import Comparing, ComparisonOutput, Messages, taken_out
from cnnvis.registry.discovery import registry
from cnnvis.reporting import notes_kept
from cnnvis.settings.defaults import style_by_settings, with_settings
from cnnvis.text import file_name, json_text, unused

SHOWN = 20
"""Maximum number of images whose numbers are printed; the JSON has the numbers of all images."""


def compared(
    sides: tuple[Side, Side],
    model: str | None,
    plugin_options: Mapping[str, Mapping[str, Any]],
    output: ComparisonOutput,
    said: Messages,
    subject: dict[str, Any],
) -> int:
    """Compare, print and draw; return the exit code."""
    out, how = output.out, taken_out(subject, Comparing)
    writer = (writers((), out) or writers(("png",), out))[0]  # a folder says nothing of a format
    require_writable(Path(RESULTS if out is None else out))
    sides = (_with_settings(sides[0]), _with_settings(sides[1]))
    subject.setdefault("style", style_by_settings())
    messages, results = console.messages(), console.results()
    with bars(messages, quiet=said.quiet):
        first = compare(
            *sides, model, scaled=how.scaled, top=how.top, plugin_options=plugin_options, **subject
        )
        options = {"columns": 3, "scale": "each"} if writer.name == "png" else {}
        options |= plugin_options.get(writer.name, {})
        taken: set[str] = set()
        every = (first, *first.other_inputs)
        placed: list[Path | None] = []
        failed: list[PluginError] = []
        with notes_kept() as notes:
            for found in every:
                path = unused(_path(found, out, writer.suffixes[0]), taken)
                try:
                    named = is_named(out)
                    placed.append(write(found.figure(), writer, path, options, named=named))
                except PluginError as error:  # of one figure; the numbers do not depend on it
                    failed.append(error)
                    placed.append(None)
    if output.json:
        facts = [_facts(found) for found in every]
        console.whole(json_text(facts[0] if len(facts) == 1 else facts) + "\n")
    for found, where in () if output.json else zip(every, placed, strict=True):
        results.print(console.words((found.names[0], "bold"), " and ", (found.names[1], "bold")))
        call_plugin(
            registry().get("renderer", "terminal"), Explanation(table=_table(found)), results
        )
        if where is not None:
            console.line(where)
    if failed:
        raise together(failed)
    if not said.quiet:
        console.print_notes(messages, (*first.first.notes, *first.second.notes, *notes))
    largest = max(found.in_all["largest"] for found in every)
    if how.fail_above is not None and not largest <= how.fail_above:
        what = f"the largest difference is {largest:.3g}, above {how.fail_above:g}"
        messages.print(console.sentence("failed", "bold red", what))
        return FAILED
    return 0


def _path(found: Comparison, out: str | None, suffix: str) -> Path:
    """Return the path of a figure: one figure for each input of the network."""
    name = file_name("_".join(["compare", *found.names]))
    path = Path(out) if out and is_named(out) else Path(out or RESULTS) / (name + suffix)
    one = found.first.input
    return path if one is None else path.with_stem(f"{path.stem}_{file_name(one)}")


def _with_settings(side: Side) -> Side:
    if not isinstance(side, tuple):
        return side
    name, options = side
    return name, with_settings(registry().get("technique", name), options)


def _facts(found: Comparison) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    return {
        "first": found.names[0],
        "second": found.names[1],
        "images": [
            {
                "image": title,
                **{name: number(float(each[i])) for name, each in found.measures.items()},
            }
            for i, title in enumerate(found.titles)
        ],
        "in_all": {name: number(value) for name, value in found.in_all.items()},
    }


def _table(found: Comparison) -> dict[str, list[Any]]:
    """Return a table with a line for each image and one for all, cut to a readable length."""
    count = min(len(found.titles), SHOWN)
    shown = 2 if found.first.has_several_targets else 1  # lines of a title: image and target
    lines = [" ".join(found.first.title(i).split("\n")[:shown]) for i in range(count)]
    rest = len(found.titles) - count
    columns: dict[str, list[Any]] = {"image": [*lines, *[f"{rest} more"] * bool(rest), "in all"]}
    for name, values in found.measures.items():
        numbers = [_short(float(value)) for value in values[:count]]
        columns[name] = [*numbers, *[None] * bool(rest), _short(found.in_all[name])]
    return columns


def _short(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.3g}")
