"""``cnnvis config``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnvis.cli import parser as parsing

ABOUT = "Show and change the settings in files: defaults of plugins and class names."

ACTIONS = {
    "show": "Print every setting and its origin.",
    "get": "Print one setting.",
    "set": "Write a setting into the project's file, or into the user's file.",
    "unset": "Remove a setting from the project's file, or from the user's file.",
    "trust": "Allow the plugin files that the project's settings name to run.",
    "edit": "Open the project's file, or the user's file, in an editor.",
    "path": "Print the paths of the files with settings.",
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
            parser.add_argument(
                "key", metavar="KEY", help="PLUGIN.OPTION, checks, style or class_names"
            )
        if action == "set":
            parser.add_argument("words", metavar="VALUE", nargs="+")
        if action in ("set", "unset", "edit"):
            parser.add_argument(
                "--user", action="store_true", help="use the user's file, not the project's file"
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
