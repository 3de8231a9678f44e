"""``cnnvis new-plugin``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.registry import flags
from cnnvis.registry.all_kinds import KINDS

ABOUT = "Write a package with your own plugin, ready to install."


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser."""
    parser = parsing.command(below, "new-plugin", ABOUT)
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("name", metavar="NAME", help="the name of the plugin: my-method")
    add = flags.adder(parser, "the package")
    add("--kind", choices=KINDS, help="the kind of the plugin (default: technique)")
    add(
        "--folder",
        metavar="PATH",
        help="the folder to write the package in (default: the current folder)",
    )


def main(**values: Any) -> None:
    """Write the package."""
    from cnnvis.cli.packages import write_package

    write_package(**values)
