"""``cnnvis chain``: steps one after the other, typed or from a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis.api.chain import chain
from cnnvis.api.kept import is_kept
from cnnvis.api.steps import Step, require_fitting, steps_of
from cnnvis.cli import console
from cnnvis.cli.run import SOME_FAILED, destination_of
from cnnvis.cli.verdicts import has_failed, print_verdicts
from cnnvis.data.explanation import Explanation
from cnnvis.drawing.progress import bars
from cnnvis.errors import PluginError, UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.arguments import ChainOutput, Messages, RunFolderArguments
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import failures_kept, verdicts_kept
from cnnvis.settings.chain_files import (
    Recipe,
    by_plugin,
    read_recipe,
    require_near,
    require_typed,
    save_recipe,
)
from cnnvis.settings.defaults import (
    checks_by_settings,
    side_options,
    sources,
    style_by_settings,
    with_settings,
)
from cnnvis.text import json_text


def run_chain(
    steps: list[tuple[str, dict[str, Any]]],
    subject: Mapping[str, Any],
    plugin_options: Mapping[str, Mapping[str, Any]],
    output: ChainOutput,
    said: Messages,
    folder: RunFolderArguments,
) -> int:
    """Run a chain, or print it in another form."""
    if output.out is not None:
        subject = {**subject, "out": output.out}
    recipe = _read_with(_recipe(subject, steps, output.file, output.name), plugin_options)
    chosen = [
        Step(step.plugin, with_settings(step.plugin, step.given))
        for step in _with_renderer(steps_of(recipe.steps))
    ]
    if not is_kept(recipe.subject.get("model")):  # what a file holds is not known yet
        require_fitting(chosen)
    for step in chosen:
        _ = step.options  # looked at before anything is loaded or printed
    if output.form is not None:
        console.whole(recipe.written(output.form))
        return 0
    if "model" not in recipe.subject:
        raise UserError("a chain needs a model: cnnvis chain MODEL STEP ...")
    if output.save is not None:
        save_recipe(recipe, Path(output.save))
    given = {key: one for key, one in recipe.subject.items() if key not in ("model", "reading")}
    reading = by_plugin(recipe.subject.get("reading", {}))
    plugin_options = side_options({**plugin_options, **reading})
    given.setdefault("checks", checks_by_settings())
    given.setdefault("style", style_by_settings())
    messages, results = console.messages(), console.results()
    failure: UserError | PluginError | None = None

    def show(renderer: Plugin, explanation: Any, options: Mapping[str, Any]) -> None:
        call_plugin(renderer, explanation, results, **options)

    def wrote(path: Path) -> None:
        console.line(path)

    # What is on the stack in the end is only asked for its notes.
    into = destination_of(folder, given.get("out"), [{"limit": 1}])
    with (
        bars(messages, quiet=said.quiet),
        failures_kept() as images,
        verdicts_kept() as verdicts,
    ):
        try:
            found = chain(
                recipe.subject["model"], chosen, **given, into=into, strict=folder.strict,
                plugin_options=plugin_options, show=show, wrote=wrote,
            )  # fmt: skip
        except (UserError, PluginError) as error:
            if not isinstance(error.found, list) or not error.found:
                raise
            found, failure = error.found, error
    if folder.shard is not None:
        console.line(str(folder.into))
    if not said.quiet:
        _tell(found, messages, said.verbose)
        print_verdicts(verdicts, messages, said.verbose)
    if failure is not None:
        raise failure
    return SOME_FAILED if images or (folder.strict and has_failed(verdicts)) else 0


def _tell(found: Sequence[Explanation], messages: console.Screen, verbose: bool) -> None:
    """Print the notes that a person should read; with `verbose`, also how the results were made."""
    console.print_notes(messages, (note for one in found for note in one.notes))
    if verbose:
        for one in found:
            messages.print_json(json_text(dict(one.provenance)), ensure_ascii=False)
        console.print_memory(messages, found)


def _read_with(recipe: Recipe, options: Mapping[str, Mapping[str, Any]]) -> Recipe:
    """Return a chain with the typed options of loaders and readers, which go before its own."""
    kinds = {plugin.name: plugin for plugin in registry() if plugin.kind in ("loader", "reader")}
    reading = {
        f"{name}.{option}": value
        for name, own in options.items()
        if name in kinds
        for option, value in checked(kinds[name], own).items()
        if option in own
    }
    if not reading:
        return recipe
    before = recipe.subject.get("reading", {})
    return replace(recipe, subject={**recipe.subject, "reading": {**before, **reading}})


def _recipe(
    subject: Mapping[str, Any],
    steps: list[tuple[str, dict[str, Any]]],
    file: str | None,
    name: str | None,
) -> Recipe:
    if file is None and name is not None and not steps:
        # A chain of the project's own settings.
        held = next((one for one in sources() if name in one.settings.get("chains", {})), None)
        if held is not None and held.path is not None:
            file = str(held.path)
    if file is None:
        if not steps:
            raise UserError(
                "a chain needs steps, such as: cnnvis chain MODEL -d DATA saliency average png"
            )
        return Recipe(name or "-".join(step for step, _ in steps), subject, steps)
    if steps:
        raise UserError(f"the steps come either from {file!r} or from the command line")
    saved = read_recipe(Path(file), name)
    require_typed(saved, Path(file), subject)
    if "out" not in subject:
        require_near(saved, Path(file))
    return Recipe(saved.name, {**saved.subject, **subject}, saved.steps)


def _with_renderer(steps: list[Step]) -> list[Step]:
    """Return the steps, with a default renderer added where no step shows the result."""
    if any(step.plugin.kind == "renderer" for step in steps):
        return steps
    is_table = (steps[-1].plugin.gives or "") == "table"
    names = ["terminal"] if is_table or sys.stdout.isatty() else []
    names += [] if is_table else ["png"]
    return [*steps, *(Step(registry().get("renderer", name)) for name in names)]
