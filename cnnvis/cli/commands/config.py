"""``cnnvis config``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnvis.cli import parser as parsing

ABOUT = "Show and change the defaults that are kept in files."

ACTIONS = {
    "show": "Print every setting and where it comes from.",
    "get": "Print one setting.",
    "set": "Put a setting into the project's file, or the user's.",
    "unset": "Take a setting out of the project's file, or the user's.",
    "trust": "Let the plugins run whose files the project's settings name.",
    "edit": "Open the project's file, or the user's, in an editor.",
    "path": "Print the files that settings are read from.",
    "schema": "Print the JSON schema of cnnvis.toml, for editors.",
}


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser, with a parser for each action."""
    config = parsing.command(below, "config", ABOUT)
    config.set_defaults(command=main, parser=config, action="show")
    actions = config.add_subparsers(
        title="actions", metavar="ACTION", prog="cnnvis config", parser_class=parsing.Parser
    )
    for action, about in ACTIONS.items():
        parser = parsing.command(actions, action, about)
        parser.set_defaults(command=main, parser=parser, action=action)
        if action in ("get", "set", "unset"):
            parser.add_argument("key", metavar="KEY", help="PLUGIN.OPTION, or class_names")
        if action == "set":
            parser.add_argument("words", metavar="VALUE", nargs="+")
        if action in ("set", "unset", "edit"):
            parser.add_argument(
                "--user", action="store_true", help="the user's file, not the project's"
            )


def main(action: str, **values: Any) -> None:
    """Show or change the settings."""
    from cnnvis.cli import config

    functions: dict[str, Callable[..., None]] = {
        "show": config.show_settings,
        "get": config.get_setting,
        "set": config.set_setting,
        "unset": config.unset_setting,
        "trust": config.trust_folder,
        "edit": config.edit_settings,
        "path": config.print_paths,
        "schema": config.print_schema,
    }
    functions[action](**values)
