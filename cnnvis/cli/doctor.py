"""``cnnvis doctor``: a model, and data beside it, examined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.table import Table

from cnnvis.api.doctor import Fit, Report, doctor
from cnnvis.cli import console
from cnnvis.data.explanation import Explanation
from cnnvis.drawing.progress import bars
from cnnvis.errors import UserError, numbered
from cnnvis.execution.calls import call_plugin
from cnnvis.files.snapshots import holding
from cnnvis.network.activations import counted
from cnnvis.registry.discovery import registry
from cnnvis.text import json_text


def examine(
    model: str,
    *,
    data: str | None = None,
    class_names: Sequence[str] | None = None,
    json: bool = False,
    plugin_options: dict[str, dict[str, Any]],
    **lacking: Any,
) -> None:
    """Examine a model and print the findings, also for a model that cannot be loaded."""
    path = Path(model)
    with holding(path, is_copied=True) if path.exists() else nullcontext() as held:
        try:
            with bars(console.messages()):
                report = doctor(
                    model,
                    data=data,
                    class_names=class_names,
                    plugin_options=plugin_options,
                    **lacking,
                )
        except UserError as error:
            if error.found and held is not None:
                _print_found(model, error, held.sha256(), json=json)
            raise
    if json:
        console.whole(json_text(report.as_dict(), default=str) + "\n")
        return
    _print(console.results(), report)


def _print_found(model: str, error: UserError, sha256: str, *, json: bool) -> None:
    """Print the findings about a file that is not loaded; nothing of the file was run."""
    facts = {"file": model, "sha256": sha256, **error.found}
    if json:
        facts["problem"] = str(error)
        console.whole(json_text(facts, default=str) + "\n")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("file", console.words(model))
    table.add_row("origin", console.words(str(facts["origin"])))
    table.add_row("SHA-256", console.words(str(facts["sha256"])))
    if "parameters" in facts:
        table.add_row("numbers", f"{facts['parameters']:,} in the file")
    layers = facts.get("layers", [])
    if layers:
        named = ", ".join(f"{name} ({kind})" for name, kind in layers)
        table.add_row("layers", console.words(named))
    screen = console.results()
    screen.print(table)
    screen.print()
    for refused in facts.get("refused", []):
        _say(screen, "refused", refused, "yellow")
    _say(screen, "not loaded", "no code in the file was run", "bold")


def _print(screen: console.Screen, report: Report) -> None:
    screen.print(_facts(report))
    screen.print()
    if report.layers:
        call_plugin(registry().get("renderer", "terminal"), _layers(report), screen)
        screen.print()
    obstacles = {layer.name: layer.obstacle for layer in report.layers if layer.obstacle}
    for name, why in obstacles.items():
        _say(screen, "no target", f"{name!r}: {why}", "yellow")
    if not obstacles:
        _say(screen, "targets", "every layer can be a target", "bold")
    changed = [kind for layer in report.layers for kind in layer.rectifiers]
    if changed:
        _say(screen, "modifiers", f"change {counted(changed)}", "bold")
    for name, why in report.cut.items():
        _say(screen, "cut off", f"{name!r}: {why}", "yellow")
    for repair in report.repairs:
        _say(screen, "repaired", repair, "yellow")
    if report.fit is not None:
        _print_fit(screen, report.fit)
    for note in report.notes:
        _say(screen, "note", note, "bold")
    for warning in report.warnings:
        _say(screen, "warning", warning, "bold red")


def _facts(report: Report) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    if report.file is not None:
        table.add_row("file", console.words(report.file))
        if report.origin:
            table.add_row("origin", console.words(report.origin))
        table.add_row("SHA-256", console.words(str(report.sha256)))
    for name, shape, dtype in report.inputs:
        table.add_row("input", console.words(f"{name}  {_shape(shape)}  {dtype}"))
    for name, shape in report.outputs:
        table.add_row("output", console.words(f"{name}  {_shape(shape)}"))
    table.add_row("layers", f"{len(report.layers)}, with {report.parameters:,} learned numbers")
    return table


def _layers(report: Report) -> Explanation:
    """Return the layers as a table, in as few columns as possible."""
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


def _print_fit(screen: console.Screen, fit: Fit) -> None:
    looked = "" if fit.examined == fit.samples else f", {fit.examined} examined"
    text = (
        f"{numbered(fit.samples, 'sample')} of shape {_shape(fit.shape)}{looked}, "
        f"values from {fit.smallest:g} to {fit.largest:g}"
    )
    _say(screen, "data", text, "bold")
    for name, shape, low, high in fit.others:
        text = f"of shape {_shape(shape)}, values from {low:g} to {high:g}"
        _say(screen, f"input {name}", text, "bold")
    if fit.problem is not None:
        why = fit.problem.removeprefix("the data do not fit the model: ")
        _say(screen, "the data do not fit", why, "bold red")
        return
    _say(screen, "the data fit", "the network accepts the data", "bold green")
    if fit.agreement is not None:
        what = "the answers" if fit.agreement.kind == "number" else "right"
        _say(screen, what, str(fit.agreement), "bold")


def _say(screen: console.Screen, what: str, text: str, style: str) -> None:
    screen.print(console.sentence(what, style, text), soft_wrap=True)


def _shape(shape: Sequence[int | None]) -> str:
    return " x ".join(_sizes(shape)) or "one number"


def _sizes(shape: Iterable[int | None]) -> list[str]:
    return ["any" if size is None else str(size) for size in shape]
