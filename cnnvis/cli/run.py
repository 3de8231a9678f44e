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
from cnnvis.reporting import failures_kept, reported_to
from cnnvis.runner import beside, run, writers, written
from cnnvis.runs.folder import Into, asked_for

SOME_FAILED = 3
"""Exit code: all is done but some images, which are named."""


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
    into: str | None = None,
    resume: bool = False,
    shard: str | None = None,
    shard_size: int | None = None,
    **given: Any,
) -> int:
    """Run a technique, show the result on stdout and say what there is to say on stderr."""
    messages = messages_console()
    results = Console()
    is_table = registry().get("technique", technique).gives == "table"
    to_file = writers(render, out)
    to_console = [r for r in map(_renderer, render) if not r.suffixes]
    if not render and not to_file and (not is_table or out is not None):
        to_file = [_renderer("png")]
    if not render and (is_table or results.is_terminal):
        to_console = [_renderer("terminal")]
    keeping = kept(into, resume, shard, shard_size, out, [
        checked(renderer, plugin_options.get(renderer.name, {})) for renderer in to_file + to_console
    ])  # fmt: skip
    with nullcontext() if quiet else reported_to(Bars(messages)), failures_kept() as failures:
        explanation = run(
            technique, model, plugin_options=plugin_options, into=keeping, **given, **options
        )
        if shard is not None:  # renderers wait for the whole
            to_file, to_console = [], []
            results.print(str(into), soft_wrap=True, markup=False, highlight=False)
        paths = written(explanation, to_file, out, plugin_options)
    for renderer in to_console:
        chosen = checked(renderer, plugin_options.get(renderer.name, {}))
        for one in (explanation, *explanation.other_inputs):
            renderer(one, results, **chosen)
    for path in paths:
        results.print(str(path), soft_wrap=True, markup=False, highlight=False)
    if not quiet:
        _tell(explanation, messages, verbose)
    return SOME_FAILED if failures else 0


def kept(
    into: str | None,
    resume: bool,
    shard: str | None,
    shard_size: int | None,
    out: str | None,
    renderers: Sequence[Mapping[str, Any]],
) -> Into | None:
    """Where maps are to be kept, as it was typed.

    Parameters
    ----------
    renderers
        The options of all renderers: where each shows no more than so many maps, nobody needs more.
    """
    if into == "none":
        return None
    limits = [options.get("limit") for options in renderers]
    shown = [limit for limit in limits if isinstance(limit, int)]
    needed = max(shown) if len(shown) == len(limits) > 0 else None
    return asked_for(into, resume, shard, shard_size, needed, beside(out))


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
