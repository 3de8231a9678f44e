"""Kind: the properties of a kind of plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnvis.registry.flags import Command
from cnnvis.registry.plugin import Plugin

Accept = Callable[[Plugin, Any, Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Kind:
    """Properties of a kind of plugin.

    Attributes
    ----------
    name
        The word for the kind: ``technique``.
    about
        A sentence about the purpose of the kind.
    example
        The command that tries a new plugin, with ``$name`` for its name.
    accept
        Function that returns a plugin's result, for the plugin's arguments, by place and by name;
        raises `PluginError` for a result that a plugin of the kind must not return. The arguments
        are read-only.
    commands
        The commands in which a plugin's options are typed without the plugin's name before them.
    is_step
        True where a plugin is a step of a chain, under its name alone.
    is_beside
        True where commands use a plugin beside their own work, and the plugin's options have its
        name before them: ``--png.cmap``.
    file
        The meaning of a path that plugins of the kind read; empty where they read no path.
    draws
        True where plugins draw with Matplotlib.
    draws_lots
        True where plugins may use the process's random numbers.
    """

    name: str
    about: str
    example: str
    accept: Accept
    commands: tuple[Command, ...] = ()
    is_step: bool = False
    is_beside: bool = False
    file: str = ""
    draws: bool = False
    draws_lots: bool = False
