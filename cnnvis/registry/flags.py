"""Flags of the commands, which no option of a plugin may have, and their arguments for argparse."""

from __future__ import annotations

import functools
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Callable, Sequence
from typing import Any, Literal

from cnnvis.registry.arguments import OF_COMMANDS, TITLES, flags_of, names_of

FOR_ALL = {
    "--plugin": "also load the plugins of this Python file; the file runs",
    "--no-plugins": "load only the built-in plugins",
}
"""Options of every command beside its own options, accepted anywhere on the command line."""

ALIKE = ("together",)
"""Arguments of commands that an option of a plugin may repeat, since it means the same."""

Command = Literal["run", "chain", "compare", "evaluate", "report"]


def taken(command: Command) -> frozenset[str]:
    """Return the flags of a command itself, whatever plugins are installed."""
    return frozenset(_parser(command)._option_string_actions) | FOR_ALL.keys()


def names(command: Command) -> frozenset[str]:
    """Return the names of a command's own arguments as parameters in Python."""
    return frozenset(("help", *names_of(*OF_COMMANDS[command])))


@functools.cache
def _parser(command: Command) -> ArgumentParser:
    parser = ArgumentParser()
    add(parser, *OF_COMMANDS[command])
    return parser


def add(parser: ArgumentParser, *values: type, only: Sequence[str] = ()) -> None:
    """Add the flags of some values in a group each, or only those of some of the fields."""
    for each in values:
        add_to_group = adder(parser, TITLES[each])
        for name, flag in flags_of(each).items():
            if not only or name in only:
                add_to_group(*flag.names, dest=name, **flag.settings)


def adder(parser: ArgumentParser, title: str) -> Callable[..., Any]:
    """Return a function that adds flags to a group; untyped flags leave no trace in the result."""
    group = parser.add_argument_group(title)
    return lambda *flags, **settings: group.add_argument(
        *flags, **{"default": SUPPRESS, **settings}
    )
