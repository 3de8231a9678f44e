"""``cnnvis test-plugin``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli.commands import shared
from cnnvis.registry import flags
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import options_of

ABOUT = "Test a plugin against all promises of its kind."


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser, with the options of the plugins that the words name."""
    parser = parsing.command(below, "test-plugin", ABOUT)
    parser.usage = "cnnvis test-plugin NAME [its options]"
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("name", metavar="NAME", help="a plugin's name, as list-plugins gives it")
    add = flags.adder(parser, "the test")
    add("--file", metavar="PATH", help="for a reader or loader: a file that the plugin reads")
    add("--quiet", "-q", action="store_true", help="show no progress bars")
    if words is None or words[:1] != ["test-plugin"]:
        return
    add = flags.adder(parser, "options of the plugin, if its defaults do not fit small networks")
    seen = {"--file", "--quiet"}
    for plugin in (one for one in registry() if one.name in words[1:]):
        for option in options_of(plugin):
            if option.flag not in seen:
                seen.add(option.flag)
                parsing.add_option(add, option, f"option {option.name}", [option.flag], shown=True)


def main(name: str, file: str | None = None, quiet: bool = False, **values: Any) -> int:
    """Run every check and return the exit code."""
    from cnnvis.cli.packages import test

    return test(name, file, shared.options_in(values), quiet=quiet)
