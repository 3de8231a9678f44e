"""Lists and pages of plugins, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from rich import box
from rich.table import Table

from cnnvis.cli.console import Screen, results, sentence, whole, words
from cnnvis.errors import PluginError, UserError
from cnnvis.registry.all_kinds import KINDS
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import flag_of, options_of, paper_text
from cnnvis.registry.plugin import Plugin
from cnnvis.settings.defaults import options_for
from cnnvis.text import json_text

NAME = 27
"""Width of the names in a list."""

FAMILIES = (
    *("gradients", "integrated gradients", "class activation maps", "perturbation", "relevance"),
    *("feature visualization", "examples", "network and data", "others"),
)
"""Families in the order of a list; others follow by the alphabet."""


def list_plugins(kind: str | None = None, *, long: bool = False, json: bool = False) -> None:
    """List all plugins, built in or installed, by kind and family, and those that cannot be used."""
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
    for heading, family, members in _families(plugins):
        if heading:
            screen.print(words((f"{heading}s", "bold underline")))
        if family:
            screen.print(words((f"  {family}", "dim")))
        for plugin in members:
            _print_line(screen, plugin, long=long)
    absent: dict[str, list[str]] = {}
    for plugin in plugins:
        if plugin.missing:
            absent.setdefault(plugin.missing, []).append(plugin.name)
    for said, names in absent.items():
        screen.print(sentence(f"not usable: {_together(names)}", "yellow", said), soft_wrap=True)
    shown = {plugin.name for plugin in plugins}
    for name, said in known.remarks:
        if kind is None or name in shown:
            screen.print(sentence(name, "yellow", said), soft_wrap=True)
    for one in known.broken:
        said = f"could not be loaded: {one.reason}".replace("\n", " ")
        whose = "" if one.name == one.distribution else f" of {one.origin}"
        screen.print(words((f"{one.name}{whose} {said}", "red")), soft_wrap=True)
    if known.only is not None:
        also = f" and the plugins of {', '.join(sorted(known.only))}" if known.only else ""
        screen.print(words((f"Only the built-in plugins{also} were loaded.", "dim")))


def _families(plugins: Sequence[Plugin]) -> Iterator[tuple[str, str, list[Plugin]]]:
    """Yield families of usable plugins, by kind, with the kind where a kind begins."""
    usable = [one for one in plugins if not one.missing]
    for kind in KINDS:
        of_kind = [one for one in usable if one.kind == kind]
        families = dict.fromkeys(sorted((_family(one) for one in of_kind), key=_rank))
        for place, family in enumerate(families):
            members = [one for one in of_kind if _family(one) == family]
            yield "" if place else kind, family, members


def _family(plugin: Plugin) -> str:
    """Return the family of a plugin: of an adapter's plugin, the library."""
    library, colon, _ = plugin.name.partition(":")
    if colon and plugin.kind == "technique":
        return library
    if plugin.kind == "metric":
        return "checks" if plugin.judge else "measures"
    return plugin.family or ("others" if plugin.kind == "technique" else "")


def _rank(family: str) -> tuple[int, str]:
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), family)


def _print_line(screen: Screen, plugin: Plugin, *, long: bool) -> None:
    """Print a plugin: on a terminal on a single line that fits, else and if `long` with all words."""
    head = f"    {plugin.name:{NAME}} "
    foreign = "" if plugin.distribution == "cnnvis" and not long else f" ({plugin.origin})"
    said = f"{plugin.summary}{foreign}"
    if long and plugin.reference:
        said += f" {plugin.reference}"
    room = screen.width - len(head)
    is_cut = screen.is_terminal and not long and room > 20
    if is_cut and len(said) > room:
        said = f"{plugin.summary[: max(room - len(foreign) - 2, 0)].rstrip()}…{foreign}"
    screen.print(words((head, "bold"), said), soft_wrap=True)


def _together(names: list[str]) -> str:
    """Write names of the same library as ``library:first, second``."""
    library, colon, _ = names[0].partition(":")
    if not colon or any(not one.startswith(f"{library}:") for one in names):
        return ", ".join(names)
    return f"{library}: {', '.join(one.partition(':')[2] for one in names)}"


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
        "family": _family(plugin),
        "paper": dict(plugin.paper),
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
    if plugin.paper:
        screen.print(words(("--style paper", "bold"), f" stands for {paper_text(plugin)}"))
    for name, one in kept.items():
        value = " ".join(map(str, one.value)) if isinstance(one.value, list) else str(one.value)
        screen.print(words((name, "bold"), f" is {value}, set by {one.origin}"))
