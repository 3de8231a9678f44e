"""``cnnvis doctor``: its arguments, and what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli.commands import shared
from cnnvis.registry import flags
from cnnvis.registry.arguments import DataArguments, LoadOptions

ABOUT = "Examine a model: its origin, its layers, and whether data fit it."


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser; options of readers and loaders only where they may be typed."""
    parser = parsing.command(below, "doctor", ABOUT)
    parser.usage = "cnnvis doctor MODEL [-d DATA] [options]"
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument("model", metavar="MODEL", help="a model's file, or demo")
    flags.add(parser, DataArguments, only=("data", "class_names"))
    flags.add(parser, LoadOptions)
    if words is None or words[:1] == ["doctor"]:
        parsing.add_side_flags(parser, "loader", "reader")
    parsing.add_json(parser)


def main(model: str, **values: Any) -> None:
    """Examine a model and, beside it, data."""
    from cnnvis.cli.doctor import examine

    others = shared.options_of_plugins(values)
    shared.add_general_settings(values, ("class_names",))
    examine(model, plugin_options=others, **values)
