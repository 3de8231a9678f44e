"""``cnnvis run``: bars while it works, pictures and paths when it is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.text import Text

from cnnvis.cli.progress import Bars
from cnnvis.errors import printable
from cnnvis.explanation import Explanation
from cnnvis.options import checked
from cnnvis.plugin import Plugin
from cnnvis.registry import registry
from cnnvis.reporting import reported_to
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
    messages = messages_console()
    results = Console()
    to_file = writers(render, out)
    to_console = [r for r in map(_renderer, render) if not r.suffixes]
    with nullcontext() if quiet else reported_to(Bars(messages)):
        explanation = run(technique, model, plugin_options=plugin_options, **given, **options)
        if not render and not to_file and (explanation.table is None or out is not None):
            to_file = [_renderer("png")]
        if not render and (explanation.table is not None or results.is_terminal):
            to_console = [_renderer("terminal")]
        paths = written(explanation, to_file, out, plugin_options)
    for renderer in to_console:
        chosen = checked(renderer, plugin_options.get(renderer.name, {}))
        for one in (explanation, *explanation.other_inputs):
            renderer(one, results, **chosen)
    for path in paths:
        results.print(str(path), soft_wrap=True, markup=False, highlight=False)
    if not quiet:
        _tell(explanation, messages, verbose)


def messages_console() -> Console:
    """Where notes and bars go: a copy of stderr, since TensorFlow is kept from writing to that."""
    return Console(file=os.fdopen(os.dup(sys.stderr.fileno()), "w"), soft_wrap=True)


def _renderer(name: str) -> Plugin:
    return registry().get("renderer", name)


def _tell(explanation: Explanation, console: Console, verbose: bool) -> None:
    """The notes that a person should read; with `verbose`, also how the result was made."""
    every = (explanation, *explanation.other_inputs)
    for note in dict.fromkeys(note for one in every for note in one.notes):
        console.print(Text.assemble(("note: ", "bold"), printable(note)))
    if verbose:
        console.print_json(data=dict(explanation.provenance))
