"""Lists and pages of plugins, as tables or as JSON."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rich import box
from rich.table import Table

from cnnvis.cli.console import results, sentence, whole, words
from cnnvis.errors import PluginError, UserError
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import flag_of, options_of
from cnnvis.registry.plugin import Plugin
from cnnvis.settings.defaults import options_for
from cnnvis.text import json_text


def list_plugins(kind: str | None = None, *, json: bool = False) -> None:
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
    screen = results()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("kind", "name", "description", "from"):
        table.add_column(heading, no_wrap=heading != "description")
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
        also = f" and the plugins of {', '.join(sorted(known.only))}" if known.only else ""
        screen.print(words((f"Only the built-in plugins{also} were loaded.", "dim")))


def show(name: str, *, json: bool = False) -> None:
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
    whole(json_text(value) + "\n")


def _print_plugin(plugin: Plugin) -> None:
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
