"""Checks of the results of plugins against the promises of their kinds."""

from __future__ import annotations

from typing import Any

from cnnvis.registry.plugin import Plugin, Result


def of_type(plugin: Plugin, answer: Any, kind: type[Any], named: str) -> Any:
    """Return a plugin's result, if it is of that type.

    Raises
    ------
    PluginError
        If it is not; `named` is the type in words.
    """
    if not isinstance(answer, kind):
        raise plugin.failed(f"it gave {type(answer).__name__}, not {named}")
    return answer


def explanation(plugin: Plugin, answer: Any, promised: Result | None) -> Any:
    """Return a plugin's result, if it is an explanation of the promised kind.

    Raises
    ------
    PluginError
        If it is not.
    """
    from cnnvis.data.explanation import Explanation

    found: Explanation = of_type(plugin, answer, Explanation, "an Explanation")
    if promised == "table" and found.table is None:
        raise plugin.failed("it gave maps, and promises a table")
    if promised in ("groups", "pictures") and found.maps is None:
        raise plugin.failed(f"it gave a table, and promises maps of {promised}")
    return found
