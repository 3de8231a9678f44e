"""``cnnvis list-plugins``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.registry.all_kinds import KINDS

ABOUT = "List all plugins, built in or installed, also the plugins that cannot be used."


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser."""
    parser = parsing.command(below, "list-plugins", ABOUT)
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("--kind", choices=KINDS, help="only plugins of this kind")
    parser.add_argument(
        "--long",
        action="store_true",
        help="whole sentences, papers, and the packages of all plugins",
    )
    parsing.add_json(parser)


def main(kind: str | None, long: bool, json: bool) -> None:
    """Print the plugins."""
    from cnnvis.cli.plugin_pages import list_plugins

    list_plugins(kind, long=long, json=json)
