"""``cnnvis show``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing

ABOUT = "Show the description, the origin and the options of a plugin."


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser."""
    parser = parsing.command(below, "show", ABOUT)
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("name", metavar="NAME", help="a plugin's name, as list-plugins gives it")
    parsing.add_json(parser)


def main(name: str, json: bool) -> None:
    """Print the plugin."""
    from cnnvis.cli.plugin_pages import show

    show(name, json=json)
