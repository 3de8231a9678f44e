"""``cnnvis run``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli.commands import shared
from cnnvis.registry import flags
from cnnvis.registry.arguments import (
    OF_COMMANDS,
    SUBJECT,
    Messages,
    RunFolderArguments,
    RunOutput,
    taken_out,
)
from cnnvis.registry.discovery import registry
from cnnvis.registry.plugin import Plugin

ABOUT = "Explain a model with one technique."


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser; techniques that are not among the words get no options."""
    run = parsing.command(below, "run", ABOUT)
    run.usage = "cnnvis run TECHNIQUE MODEL [options]"
    techniques = run.add_subparsers(
        title="techniques", metavar="TECHNIQUE", prog="cnnvis run", parser_class=parsing.Parser
    )
    for plugin in registry().of("technique"):
        parser = parsing.command(techniques, plugin.name, plugin.description)
        parser.usage = f"cnnvis run {plugin.name} MODEL [options]"
        if words is None or plugin.name in words:
            _add_arguments(parser, plugin)
    # Also under the name with the distribution before it, which no list shows twice.
    named = words[1] if words and len(words) > 1 and words[0] == "run" else ""
    if ":" in named and named not in techniques.choices:
        _add_arguments(techniques.add_parser(named), registry().get("technique", named))


def _add_arguments(parser: parsing.Parser, plugin: Plugin) -> None:
    parser.set_defaults(command=main, parser=parser, technique=plugin.name)
    parser.add_argument("model", metavar="MODEL", help="a model's file, or demo")
    flags.add(parser, *SUBJECT)
    parsing.add_options(parser, plugin, prefix="option ")
    flags.add(parser, *(each for each in OF_COMMANDS["run"] if each not in SUBJECT))
    parsing.add_side_flags(parser, "metric", "renderer", "loader", "reader")


def main(technique: str, model: str, **values: Any) -> int:
    """Explain a model with one technique, and show and write the result."""
    from cnnvis.cli.run import explain
    from cnnvis.settings.defaults import with_settings

    own = shared.options_in(values)
    own = with_settings(registry().get("technique", technique), own)
    if "together" in own:  # of the settings; typed, it is an argument of the command
        values.setdefault("together", own.pop("together"))
    others = shared.options_of_plugins(values)
    shared.add_general_settings(values)
    with shared.computing_as_asked(values):
        output = taken_out(values, RunOutput)
        messages = taken_out(values, Messages)
        folder = taken_out(values, RunFolderArguments)
        if output.save_chain is not None:
            subject = {"model": model, **values}
            _save(technique, own, others, subject, output)
        return explain(technique, model, own, others, output, messages, folder, values)


def _save(
    technique: str,
    options: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    subject: Mapping[str, Any],
    output: RunOutput,
) -> None:
    """Save the typed words in a file as a chain of the technique, its metrics and its renderers."""
    from pathlib import Path

    from cnnvis.api.output_files import writers
    from cnnvis.explain.inputs import options_used
    from cnnvis.settings.chain_files import Recipe, save_recipe

    assert output.save_chain is not None
    out: dict[str, Any] = {} if output.out is None else {"out": output.out}
    if reading := options_used(subject["model"], subject.get("data"), others):
        out["reading"] = reading
    files = [writer.name for writer in writers(output.render, output.out)]
    renderers = list(dict.fromkeys([*output.render, *files])) or ["png"]
    beside = [(name, others.get(name, {})) for name in (*output.metrics, *renderers)]
    steps = [(technique, options), *beside]
    save_recipe(Recipe(technique, {**subject, **out}, steps), Path(output.save_chain))
