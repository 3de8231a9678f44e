"""``cnnvis run``: bars while it works, pictures and paths when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis.cli import console
from cnnvis.cli.progress import Bars
from cnnvis.errors import PluginError, UserError, together
from cnnvis.explanation import Explanation
from cnnvis.names import json_text
from cnnvis.options import checked
from cnnvis.plugin import Plugin
from cnnvis.registry import registry
from cnnvis.reporting import notes_kept, reported_to
from cnnvis.runner import run, writers, written


def explain(
    technique: str,
    model: str,
    options: Mapping[str, Any],
    plugin_options: Mapping[str, Mapping[str, Any]],
    *,
    render: Sequence[str] = (),
    out: str | None = None,
    quiet: bool = False,
    verbose: bool = False,
    **given: Any,
) -> None:
    """Run a technique, show the result on stdout and say what there is to say on stderr."""
    messages, results = console.messages(), console.results()
    to_file = writers(render, out)
    to_console = [r for r in map(_renderer, render) if not r.suffixes]
    failures: list[UserError | PluginError] = []
    paths: list[Path] = []
    with nullcontext() if quiet else reported_to(Bars(messages)), notes_kept() as notes:
        explanation = _found(
            failures, technique, model, plugin_options=plugin_options, **given, **options
        )
        if not render and not to_file and (explanation.table is None or out is not None):
            to_file = [_renderer("png")]
        if not render and (explanation.table is not None or results.is_terminal):
            to_console = [_renderer("terminal")]
        try:
            written(explanation, to_file, out, plugin_options, paths.append)
        except (UserError, PluginError) as error:
            failures.append(error)
    with notes_kept() as more:
        for renderer in to_console:
            chosen = checked(renderer, plugin_options.get(renderer.name, {}))
            try:
                for one in (explanation, *explanation.other_inputs):
                    renderer(one, results, **chosen)
            except (UserError, PluginError) as error:
                failures.append(error)
    for path in paths:
        console.line(path)
    if not quiet:
        _tell(replace(explanation, notes=(*explanation.notes, *notes, *more)), messages, verbose)
    if failures:
        raise together(failures)


def _found(failures: list[UserError | PluginError], *given: Any, **settings: Any) -> Explanation:
    """What a technique gives; also where it does not for each of the network's inputs."""
    try:
        return run(*given, **settings)
    except PluginError as error:
        if not isinstance(error.found, Explanation):
            raise
        failures.append(error)
        return error.found


def _renderer(name: str) -> Plugin:
    return registry().get("renderer", name)


def _tell(explanation: Explanation, messages: console.Screen, verbose: bool) -> None:
    """The notes that a person should read; with `verbose`, also how the result was made."""
    every = (explanation, *explanation.other_inputs)
    for note in dict.fromkeys(note for one in every for note in one.notes):
        messages.print(console.sentence("note", "bold", note))
    if verbose:
        messages.print_json(json_text(dict(explanation.provenance)), ensure_ascii=False)
