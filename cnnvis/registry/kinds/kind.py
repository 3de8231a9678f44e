"""Kind: what is particular to a kind of plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnvis.registry.flags import Command
from cnnvis.registry.plugin import Plugin

Accept = Callable[[Plugin, Any, Sequence[Any], Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Kind:
    """What is particular to a kind of plugin.

    Attributes
    ----------
    name
        The word for it: ``technique``.
    about
        A sentence that says what plugins of the kind do.
    example
        How a new one is tried, with ``$name`` for its name.
    accept
        Gives what a plugin gave, for what it was given, by place and by name; raises
        `PluginError` for what a plugin of the kind must not give. What it was given can be read
        alone.
    commands
        The commands in which its options are typed without its name before them.
    is_step
        Whether a chain has it as a step, under its name alone.
    is_beside
        Whether commands use it on the way, where its options have its name before them:
        ``--png.cmap``.
    file
        What a path stands for that plugins of the kind read; empty where they read none.
    draws
        Whether it draws by Matplotlib.
    draws_lots
        Whether it may draw from the process's random numbers.
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
