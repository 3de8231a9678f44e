"""``cnnvis evaluate``: a table of methods by checks, and files of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis.api.evaluate import Evaluation, Method, evaluate
from cnnvis.api.output_files import write
from cnnvis.api.showing import shown_page
from cnnvis.api.steps import Step
from cnnvis.cli import console
from cnnvis.cli.run import SOME_FAILED
from cnnvis.data.explanation import Explanation
from cnnvis.drawing.progress import bars
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.files.reading import require_writable, write_whole
from cnnvis.registry.arguments import EvaluationOutput, Messages
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.reporting import failures_kept
from cnnvis.settings.defaults import style_by_settings, with_settings
from cnnvis.text import json_text

TABLES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
"""Renderers of the table by the endings of their files."""

NUMBERS, PAGE, CURVES = ".json", ".html", (".png", ".svg", ".pdf")


def evaluated(
    methods: Sequence[tuple[str, Mapping[str, Any]]],
    model: str | None,
    plugin_options: Mapping[str, Mapping[str, Any]],
    output: EvaluationOutput,
    said: Messages,
    subject: Mapping[str, Any],
) -> int:
    """Evaluate methods, print a table or JSON, and write files; return the exit code."""
    if not methods:
        raise UserError("an evaluation needs techniques: cnnvis evaluate saliency grad-cam MODEL")
    if model is None:
        raise UserError(
            "an evaluation needs a model, behind the techniques: name its file, or demo"
        )
    paths = _paths(output.out)
    steps = [
        Step(plugin, with_settings(plugin, given))
        for plugin, given in ((registry().get("technique", name), given) for name, given in methods)
    ]
    subject = {"style": style_by_settings(), **subject}
    messages, results = console.messages(), console.results()
    with bars(messages, quiet=said.quiet), failures_kept() as images:
        found = evaluate(
            steps, model, metrics=output.metrics, plugin_options=plugin_options,
            curves=any(path.suffix in (PAGE, *CURVES) for path in paths), **subject,
        )  # fmt: skip
        written = [path for path in paths if _written(found, path, plugin_options)]
    if output.json:
        console.whole(json_text(found.facts) + "\n")
    else:
        call_plugin(
            registry().get("renderer", "terminal"), Explanation(table=table(found)), results
        )
    for path in written:
        console.line(path)
    if not said.quiet:
        console.print_notes(messages, (*found.notes, *_remarks(found)))
    is_lacking = any(method.failure or method.reasons for method in found.methods)
    return SOME_FAILED if images or is_lacking else 0


def table(found: Evaluation) -> dict[str, list[str]]:
    """Return a table with a row for each method: its place, and what each metric says."""
    columns: dict[str, list[str]] = {
        "place": [
            f"{place or '-'}" + (" =" if place and found.places.count(place) > 1 else "")
            for place in found.places
        ],
        "method": [method.name for method in found.methods],
    }
    for metric in found.metrics:
        columns[metric] = [_cell(method, metric) for method in found.methods]
    return columns


def _cell(method: Method, metric: str) -> str:
    """Return the sign of a verdict and the mean with its interval: ``+ 2.91 (2.2 to 3.7)``."""
    if method.failure or metric in method.reasons:
        return "no maps" if method.failure else "not computed"
    verdict, mean, interval = (
        method.verdicts.get(metric),
        method.mean(metric),
        method.interval(metric),
    )
    sign = "" if verdict is None else f"{verdict.sign} "
    if mean is None:
        return sign.strip() or "-"
    if interval is None or interval[0] == interval[1]:
        return f"{sign}{mean:.3g}"
    return f"{sign}{mean:.3g} ({interval[0]:.2g} to {interval[1]:.2g})"


def _remarks(found: Evaluation) -> list[str]:
    """Return sentences that say how the table is to be read, and why something is missing."""
    remarks = [
        "in brackets, the 95 % interval of the mean over images; + passed, ! warned, x failed, - nothing "
        "is judged"
    ]
    for direction in ("higher", "lower"):
        names = [name for name, better in found.better.items() if better == direction]
        remarks += [f"{direction} is better for {', '.join(names)}"] if names else []
    last = [] if found.decides is None else [f"by {found.decides}"]
    if found.common:
        last = [f"by failures and then warnings of {', '.join(found.common)}", *last]
        judged = {name for method in found.methods for name in method.verdicts} - {*found.common}
        if judged:
            last[0] += ", the checks that judged all methods"
    if last:
        remarks.append(
            f"methods are ordered {', then '.join(last)}; with the same place (=), the images do not "
            "decide between them"
        )
    for method in found.methods:
        if method.failure:
            remarks.append(f"{method.name} gave no maps: {method.failure}")
        for metric, reason in method.reasons.items():
            remarks.append(f"{metric} of {method.name} was not computed: {reason}")
        for metric, verdict in method.verdicts.items():
            if verdict.outcome in ("failed", "warned"):
                remarks.append(f"{metric} of {method.name} {verdict.outcome}: {verdict.meaning}")
    return remarks


def _paths(out: str | None) -> list[Path]:
    """Return the files to write.

    Raises
    ------
    UserError
        If nothing is written in such files, or they cannot be written.
    """
    if out is None:
        return []
    path = Path(out)
    require_writable(path)
    if path.is_dir() or out.endswith(("/", os.sep)):
        return [path / f"evaluation{ending}" for ending in (".csv", NUMBERS, PAGE, ".png")]
    if path.suffix not in (*TABLES, NUMBERS, PAGE, *CURVES):
        known = ", ".join((".csv", NUMBERS, PAGE, ".tsv", ".parquet", *CURVES))
        raise UserError(
            f"an evaluation is written as {known} or into a folder, whose "
            f"name ends in /, and not as {out!r}"
        )
    return [path]


def _written(
    found: Evaluation, path: Path, plugin_options: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Write one of the files of an evaluation; return False where there is nothing to write."""
    if path.suffix == NUMBERS:
        write_whole(path, (json_text(found.facts) + "\n").encode())
    elif path.suffix in TABLES:
        renderer = registry().get("renderer", TABLES[path.suffix])
        options = checked(renderer, plugin_options.get(renderer.name, {}))
        whole = Explanation(table=found.table, notes=found.notes, provenance=found.provenance)
        write(whole, renderer, path, options, named=True)
    elif path.suffix == PAGE:
        renderer, page = registry().get("renderer", "html"), shown_page(found)
        options = checked(renderer, plugin_options.get("html", {}))
        write(page.explanations[0], renderer, path, options, named=True, page=page)
    elif not any(method.curves for method in found.methods):
        return False
    else:
        renderer = registry().get("renderer", "curves")
        drawn = found.figure()
        options = checked(renderer, {"limit": len(drawn), **plugin_options.get("curves", {})})
        write(drawn, renderer, path, options, named=True)
    return True
