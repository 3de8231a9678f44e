"""``cnnvis run``: bars while it works, pictures and paths when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis.api.output_files import beside, writers, written
from cnnvis.api.run import run
from cnnvis.cli import console
from cnnvis.cli.verdicts import has_failed, print_verdicts
from cnnvis.data.explanation import Explanation
from cnnvis.drawing.progress import bars
from cnnvis.errors import PluginError, UserError, together
from cnnvis.execution.calls import call_plugin
from cnnvis.files.addresses import Place
from cnnvis.registry.arguments import Messages, RunFolderArguments, RunOutput
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import failures_kept, notes_kept, verdicts_kept
from cnnvis.runs.folder import asked_into
from cnnvis.runs.into import NO_FOLDER, Into, asked_for
from cnnvis.settings.defaults import checks_by_settings, style_by_settings
from cnnvis.text import json_text

SOME_FAILED = 3
"""Exit code: all is done except for some images, which are named; or strict, and a check failed."""


def explain(
    technique: str,
    model: str,
    options: Mapping[str, Any],
    plugin_options: Mapping[str, Mapping[str, Any]],
    output: RunOutput,
    said: Messages,
    folder: RunFolderArguments,
    subject: Mapping[str, Any],
) -> int:
    """Run a technique, show the result on stdout and print notes on stderr."""
    render, out = output.render, output.out
    messages, results = console.messages(), console.results()
    is_table = registry().get("technique", technique).gives == "table"
    to_file = writers(render, out)
    to_console = [r for r in map(_renderer, render) if not r.suffixes]
    if not render and not to_file and (not is_table or out is not None):
        to_file = [_renderer("png")]
    if not render and (is_table or results.is_terminal):
        to_console = [_renderer("terminal")]
    drawing = [
        checked(renderer, plugin_options.get(renderer.name, {}))
        for renderer in to_file + to_console
    ]
    into = destination_of(folder, out, drawing)
    failures: list[UserError | PluginError] = []
    paths: list[Place] = []
    with (
        bars(messages, quiet=said.quiet),
        failures_kept() as images,
        notes_kept() as notes,
        verdicts_kept() as verdicts,
    ):
        explanation = _found(
            failures, technique, model,
            metrics=output.metrics, plugin_options=plugin_options, into=into, strict=folder.strict,
            **{"checks": checks_by_settings(), "style": style_by_settings(), **subject}, **options,
        )  # fmt: skip
        if folder.shard is not None:  # renderers wait for the whole
            to_file, to_console = [], []
            paths.append(Path(str(folder.into)))
        try:
            written(explanation, to_file, out, plugin_options, paths.append)
        except (UserError, PluginError) as error:
            failures.append(error)
    with notes_kept() as more:
        for renderer in to_console:
            chosen = checked(renderer, plugin_options.get(renderer.name, {}))
            try:
                for one in (explanation, *explanation.other_inputs):
                    call_plugin(renderer, one, results, **chosen)
            except (UserError, PluginError) as error:
                failures.append(error)
    for path in paths:
        console.line(path)
    if not said.quiet:
        _tell(
            replace(explanation, notes=(*explanation.notes, *notes, *more)), messages, said.verbose
        )
        print_verdicts(verdicts, messages, said.verbose)
    if failures:
        raise together(failures)
    is_refused = folder.strict and has_failed(verdicts)
    return SOME_FAILED if images or is_refused else 0


def destination_of(
    asked: RunFolderArguments, out: str | None, renderers: Sequence[Mapping[str, Any]]
) -> Into | None:
    """Return the destination of kept maps from what was typed.

    Parameters
    ----------
    renderers
        The options of all renderers: where each shows at most so many maps, no more are needed.
    """
    if asked.into == NO_FOLDER:
        return asked_into(asked)
    limits = [options.get("limit") for options in renderers]
    shown = [limit for limit in limits if isinstance(limit, int)]
    needed = max(shown) if len(shown) == len(limits) > 0 else None
    return replace(asked_for(asked), shown=needed, beside=beside(out))


def _found(failures: list[UserError | PluginError], *given: Any, **settings: Any) -> Explanation:
    """Return a technique's result, also where it fails for some of the network's inputs."""
    try:
        return run(*given, **settings)
    except (UserError, PluginError) as error:
        if not isinstance(error.found, Explanation):
            raise
        failures.append(error)
        return error.found


def _renderer(name: str) -> Plugin:
    return registry().get("renderer", name)


def _tell(explanation: Explanation, messages: console.Screen, verbose: bool) -> None:
    """Print the notes that a person should read; with `verbose`, also how the result was made."""
    every = (explanation, *explanation.other_inputs)
    console.print_notes(messages, (note for one in every for note in one.notes))
    if verbose:
        messages.print_json(json_text(dict(explanation.provenance)), ensure_ascii=False)
        console.print_memory(messages, every)
