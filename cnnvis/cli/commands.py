"""``cnnvis run``, ``doctor``, ``list-plugins`` and ``show``, once their words are parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from cnnvis.errors import PluginError, UserError
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import SIDE, registry
from cnnvis.registry.options import flag_of, options_of
from cnnvis.registry.plugin import Plugin
from cnnvis.settings.defaults import general, options_for, with_settings

COMPUTING = ("compile", "batch_size", "threads", "mixed_precision")
"""Options that say how networks are computed, and nothing about the explanation."""

ISOLATING = ("isolate", "isolate_only", "isolate_timeout", "isolate_memory")
"""Options that say in which process plugins run."""


def run(technique: str, model: str, **values: Any) -> int:
    """Explain a model with one technique, and show and write the result."""
    from cnnvis.cli.run import explain

    own = {
        place.removeprefix("option "): values.pop(place)
        for place in list(values)
        if place.startswith("option ")
    }
    own = with_settings(registry().get("technique", technique), own)
    save = values.pop("save_chain", None)
    others = _with_settings(_of_plugins(values))
    _set_general(values)
    if save is not None:
        _save(technique, model, own, others, values, save)
    with _computing(values):
        return explain(technique, model, own, others, **values)


KEEPING = ("into", "resume", "shard", "shard_size", "strict")
"""Arguments that say how results are kept, and nothing about the results."""


def _save(
    technique: str,
    model: str,
    options: dict[str, Any],
    others: dict[str, dict[str, Any]],
    values: dict[str, Any],
    path: str,
) -> None:
    """Save the typed words in a file as a chain of the technique and its renderers."""
    from pathlib import Path

    from cnnvis.settings.chain_files import Recipe, save_recipe

    aside = ("metrics", "render", "quiet", "verbose", *COMPUTING, *ISOLATING, *KEEPING)
    subject = {"model": model} | {key: values[key] for key in values if key not in aside}
    shown = [(name, others.get(name, {})) for name in values.get("render", ["png"])]
    measured = [(name, others.get(name, {})) for name in values.get("metrics", [])]
    steps = [(technique, options), *measured, *shown]
    save_recipe(Recipe(technique, subject, steps), Path(path))


def chain(steps: list[tuple[str, dict[str, Any]]], **values: Any) -> int:
    """Explain a model in several steps: techniques, transforms, renderers.

    A technique puts its result on a stack, a transform changes what is there, and a renderer shows
    all that is there and leaves it. Each step is a plugin's name and its own options.
    """
    from cnnvis.cli.chain import run_chain

    own = ("file", "name", "form", "save", "quiet", "verbose", *KEEPING)
    settings = {key: values.pop(key) for key in own if key in values}
    others = _with_settings(_of_plugins(values))
    _set_general(values)
    with _computing(values):
        return run_chain(values, steps, plugin_options=others, **settings)


def merge(out: str, folders: list[str], quiet: bool = False) -> None:
    """Put run folders together that hold shares of one run.

    Every shard is checked. What comes out is equal to what a single run writes.
    """
    from contextlib import nullcontext

    from cnnvis.cli import console
    from cnnvis.cli.progress import Bars
    from cnnvis.reporting import reported_to
    from cnnvis.runs.merging import merge as merged

    with nullcontext() if quiet else reported_to(Bars(console.messages())):
        console.line(merged(out, folders))


def _computing(values: dict[str, Any]) -> ExitStack:
    """Take the options for the computation and the isolation of plugins out of the typed words."""
    from cnnvis.execution.isolation import isolating
    from cnnvis.network.compilation import computing

    everyone, some = values.pop("isolate", False), values.pop("isolate_only", None)
    which = everyone if some is None else [name for name in some.split(",") if name]
    limits = {
        key: values.pop(key) for key in ("isolate_timeout", "isolate_memory") if key in values
    }
    how = {key: values.pop(key) for key in COMPUTING if key in values}
    with ExitStack() as both:
        both.enter_context(computing(**how))
        both.enter_context(isolating(which, **limits))
        return both.pop_all()


def _with_settings(typed: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the typed options of readers, loaders and renderers, with settings for all others."""
    found = {
        plugin.name: with_settings(plugin, typed.get(plugin.name, {}))
        for plugin in registry()
        if plugin.kind in SIDE
    }
    return {name: options for name, options in found.items() if options}


def _set_general(values: dict[str, Any], keys: Sequence[str] = ("class_names", "axes")) -> None:
    """Fill in the settings for all plugins, where nothing else was typed."""
    for key in keys:
        found = general(key)
        if key not in values and found is not None:
            values[key] = found.value


CONFIG = {
    "show": "Print every setting and where it comes from.",
    "get": "Print one setting.",
    "set": "Put a setting into the project's file, or the user's.",
    "unset": "Take a setting out of the project's file, or the user's.",
    "trust": "Let the plugins run whose files the project's settings name.",
    "edit": "Open the project's file, or the user's, in an editor.",
    "path": "Print the files that settings are read from.",
    "schema": "Print the JSON schema of cnnvis.toml, for editors.",
}
"""Subcommands of ``config``, with their help."""


def config(action: str, **values: Any) -> None:
    """Show and change the defaults that are kept in files."""
    from cnnvis.cli import config as actions

    functions: dict[str, Callable[..., None]] = {
        "show": actions.show_settings,
        "get": actions.get_setting,
        "set": actions.set_setting,
        "unset": actions.unset_setting,
        "trust": actions.trust_folder,
        "edit": actions.edit_settings,
        "path": actions.print_paths,
        "schema": actions.print_schema,
    }
    functions[action](**values)


def doctor(model: str, **values: Any) -> None:
    """Examine a model and, beside it, data."""
    from cnnvis.cli.doctor import examine

    others = _with_settings(_of_plugins(values))
    _set_general(values, ("class_names",))
    examine(model, plugin_options=others, **values)


def compare(sides: Any, model: str | None = None, **values: Any) -> int:
    """Compare two techniques on the same images: in numbers, and side by side.

    Also one technique with two settings, or two explanations that the numpy renderer saved. A
    technique's options stand behind its name; the model comes last.
    """
    from cnnvis.cli.compare import compared

    others = _with_settings(_of_plugins(values))
    _set_general(values)
    with _computing(values):
        return compared(sides, model, others, **values)


def new_plugin(**values: Any) -> None:
    """Write a package with a plugin of your own, ready to install."""
    from cnnvis.cli.packages import write_package

    write_package(**values)


def test_plugin(name: str, file: str | None = None, quiet: bool = False, **options: Any) -> int:
    """Hold a plugin to all that plugins promise."""
    from cnnvis.cli.packages import test

    own = {place.removeprefix("option "): value for place, value in options.items()}
    return test(name, file, own, quiet=quiet)


def _of_plugins(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Take the options of readers, loaders and renderers, ``png.cmap``, out of the typed words."""
    found: dict[str, dict[str, Any]] = {}
    for place in [place for place in values if "." in place]:
        name, _, option = place.rpartition(".")
        found.setdefault(name, {})[option] = values.pop(place)
    return found


def list_plugins(kind: str | None = None, json: bool = False) -> None:
    """List every plugin there is, built in or installed, and those that cannot be used."""
    known = registry()
    plugins = list(known) if kind is None else known.of(kind)
    if json:
        broken = [
            {
                "name": one.name,
                "distribution": one.distribution,
                "version": one.version,
                "state": "broken",
                "reason": one.reason,
            }
            for one in known.broken
        ]
        _print_json([*map(_facts, plugins), *broken])
        return
    from rich import box
    from rich.table import Table

    from cnnvis.cli.console import results, sentence, words

    screen = results()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("kind", "name", "what it does", "from"):
        table.add_column(heading, no_wrap=heading != "what it does")
    for plugin in plugins:
        table.add_row(
            plugin.kind, words((plugin.name, "bold")), words(plugin.summary), words(plugin.origin)
        )
    screen.print(table)
    states = [(plugin.name, plugin.missing, "yellow") for plugin in plugins if plugin.missing]
    shown = {plugin.name for plugin in plugins}
    states += [
        (name, said, "yellow") for name, said in known.remarks if kind is None or name in shown
    ]
    for name, said, style in states:
        screen.print(sentence(name, style, said))
    for one in known.broken:
        said = f"could not be loaded: {one.reason}".replace("\n", " ")
        whose = "" if one.name == one.distribution else f" of {one.origin}"
        screen.print(words((f"{one.name}{whose} {said}", "red")))
    if known.only is not None:
        also = f" and those of {', '.join(sorted(known.only))}" if known.only else ""
        screen.print(words((f"Only the built-in plugins{also} were loaded.", "dim")))


def show(name: str, json: bool = False) -> None:
    """Show what a plugin does, where it is from and what its options are."""
    found = _named(name)
    if json:
        facts = [{**_facts(plugin), "options": _options(plugin)} for plugin in found]
        _print_json(facts[0] if len(facts) == 1 else facts)
        return
    for plugin in found:
        _print_plugin(plugin)


def _named(name: str) -> list[Plugin]:
    found = [plugin for plugin in registry() if plugin.name == name]
    if found:
        return found
    for kind in KINDS:
        with suppress(UserError, PluginError):  # dist:name
            return [registry().get(kind, name)]
    registry().require_unbroken(name)
    names = sorted({plugin.name for plugin in registry()})
    raise registry().nothing_named("plugin", name, names)


def _facts(plugin: Plugin) -> dict[str, Any]:
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "summary": plugin.summary,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "reference": plugin.reference,
        "suffixes": list(plugin.suffixes),
        "state": "missing" if plugin.missing else "ok",
        "reason": plugin.missing or None,
    }


def _options(plugin: Plugin) -> list[dict[str, Any]]:
    return [
        {
            "name": option.name,
            "type": option.type,
            "default": option.default,
            "choices": list(option.choices) or None,
            "help": option.help,
        }
        for option in options_of(plugin)
    ]


def _print_json(value: Any) -> None:
    from cnnvis.cli.console import whole
    from cnnvis.text import json_text

    whole(json_text(value) + "\n")


def _print_plugin(plugin: Plugin) -> None:
    from rich import box
    from rich.table import Table

    from cnnvis.cli.console import results, words

    screen = results()
    screen.print(
        words(
            (plugin.name, "bold"),
            f"  {plugin.kind} of {plugin.origin}",
            f", {plugin.reference}" if plugin.reference else "",
        )
    )
    if plugin.missing:
        screen.print(words((plugin.missing, "yellow")))
    if plugin.suffixes:
        screen.print(words(f"files: {' '.join(plugin.suffixes)}"))
    screen.print()
    screen.print(words(plugin.description, lines=True))
    options = options_of(plugin)
    if not options:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("option", no_wrap=True)
    table.add_column("type", max_width=22)
    table.add_column("default", max_width=12)
    table.add_column("meaning")
    kept = options_for(plugin)
    for option in options:
        table.add_row(
            words((flag_of(plugin, option), "bold")),
            words(option.type),
            words(option.default_text),
            words(option.help),
        )
    screen.print(table)
    for name, one in kept.items():
        value = " ".join(map(str, one.value)) if isinstance(one.value, list) else str(one.value)
        screen.print(words((name, "bold"), f" is {value}, set by {one.origin}"))
