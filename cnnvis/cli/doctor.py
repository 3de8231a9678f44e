"""``cnnvis doctor``: a model, and data beside it, examined."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnvis.cli.progress import Bars
from cnnvis.errors import UserError, printable
from cnnvis.examination import Fit, Report, doctor
from cnnvis.explanation import Explanation
from cnnvis.files import sha256
from cnnvis.rectifiers import counted
from cnnvis.registry import registry
from cnnvis.reporting import reported_to


def examine(
    model: str,
    *,
    data: str | None = None,
    json: bool = False,
    plugin_options: dict[str, dict[str, Any]],
    **lacking: Any,
) -> None:
    """Examine a model and print what was found, as much as there is where it cannot be loaded."""
    from cnnvis.cli.run import messages_console

    try:
        with reported_to(Bars(messages_console())):
            report = doctor(model, data=data, plugin_options=plugin_options, **lacking)
    except UserError as error:
        if error.found:
            _print_found(model, error, json=json)
        raise
    if json:
        print(json_format.dumps(report.as_dict(), indent=2, ensure_ascii=False, default=str))
        return
    console = Console(file=sys.stdout)
    _print(console, report)


def _print_found(model: str, error: UserError, *, json: bool) -> None:
    """What is known of a file that is not loaded; nothing of it was run."""
    facts = {"file": model, "sha256": sha256(Path(model)), **error.found}
    if json:
        facts["problem"] = str(error)
        print(json_format.dumps(facts, indent=2, ensure_ascii=False, default=str))
        return
    console = Console(file=sys.stdout)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", Text(printable(model)))
    table.add_row("what it is", Text(printable(str(facts["origin"]))))
    table.add_row("SHA-256", Text(facts["sha256"]))
    if "parameters" in facts:
        table.add_row("numbers", f"{facts['parameters']:,} in the file")
    layers = facts.get("layers", [])
    if layers:
        named = ", ".join(f"{name} ({kind})" for name, kind in layers)
        table.add_row("layers", Text(printable(named)))
    console.print(table)
    console.print()
    for refused in facts.get("refused", []):
        _say(console, "refused", refused, "yellow")
    _say(console, "not loaded", "nothing in the file was run", "bold")


def _print(console: Console, report: Report) -> None:
    console.print(_facts(report))
    console.print()
    registry().get("renderer", "terminal")(_layers(report), console)
    console.print()
    obstacles = {layer.name: layer.obstacle for layer in report.layers if layer.obstacle}
    for name, why in obstacles.items():
        _say(console, "no target", f"{name!r}: {why}", "yellow")
    if not obstacles:
        _say(console, "targets", "every layer can be one", "bold")
    changed = [kind for layer in report.layers for kind in layer.rectifiers]
    if changed:
        _say(console, "modifiers", f"change {counted(changed)}", "bold")
    for name, why in report.cut.items():
        _say(console, "cut off", f"{name!r}: {why}", "yellow")
    for repair in report.repairs:
        _say(console, "repaired", repair, "yellow")
    if report.fit is not None:
        _print_fit(console, report.fit)
    for warning in report.warnings:
        _say(console, "warning", warning, "bold red")


def _facts(report: Report) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if report.file is not None:
        table.add_row("file", Text(printable(report.file)))
        if report.origin:
            table.add_row("what it is", Text(printable(report.origin)))
        table.add_row("SHA-256", Text(str(report.sha256)))
    for name, shape, dtype in report.inputs:
        table.add_row("input", Text(f"{printable(name)}  {_shape(shape)}  {dtype}"))
    for name, shape in report.outputs:
        table.add_row("output", Text(f"{printable(name)}  {_shape(shape)}"))
    table.add_row("layers", f"{len(report.layers)}, with {report.parameters:,} learned numbers")
    return table


def _layers(report: Report) -> Explanation:
    """The layers as a table, in as few columns as will do."""
    columns: dict[str, list[Any]] = {
        "layer": [layer.name for layer in report.layers],
        "kind": [layer.kind for layer in report.layers],
        "output": ["x".join(_sizes(layer.output_shape)) or "1" for layer in report.layers],
        "learned": [layer.parameters for layer in report.layers],
        "activation": [layer.activation.replace("linear", "") for layer in report.layers],
        "modifier": [", ".join(dict.fromkeys(layer.rectifiers)) for layer in report.layers],
    }
    if any(layer.obstacle for layer in report.layers):
        columns["target"] = ["no" if layer.obstacle else "yes" for layer in report.layers]
    return Explanation(table={name: cells for name, cells in columns.items() if any(cells)})


def _print_fit(console: Console, fit: Fit) -> None:
    looked = "" if fit.examined == fit.samples else f", {fit.examined} of them looked at"
    text = (
        f"{fit.samples} samples of shape {_shape(fit.shape)}{looked}, "
        f"values from {fit.smallest:g} to {fit.largest:g}"
    )
    _say(console, "data", text, "bold")
    if fit.problem is not None:
        _say(console, "the data do not fit", fit.problem, "bold red")
        return
    _say(console, "the data fit", "the network takes them", "bold green")
    if fit.right is not None:
        share = fit.right / fit.examined
        _say(console, "right", f"{fit.right} of {fit.examined} labels ({share:.1%})", "bold")


def _say(console: Console, what: str, text: str, style: str) -> None:
    console.print(Text.assemble((f"{what}: ", style), printable(text)), soft_wrap=True)


def _shape(shape: Sequence[int | None]) -> str:
    return " x ".join(_sizes(shape)) or "one number"


def _sizes(shape: Iterable[int | None]) -> list[str]:
    return ["any" if size is None else str(size) for size in shape]
