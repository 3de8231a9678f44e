"""``cnnvis compare``: its arguments, and what is done with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli.commands import shared
from cnnvis.errors import UserError, listed, nearest
from cnnvis.registry import flags
from cnnvis.registry.arguments import OF_COMMANDS, SUBJECT, ComparisonOutput, Messages, taken_out
from cnnvis.registry.discovery import registry

ABOUT = """Compare two techniques on the same images: in numbers, and side by side.

The command also compares two settings of a technique, or two explanations that the numpy renderer
saved. The options of a technique stand behind its name; the model comes last.
"""

EXAMPLES = """Examples:
  cnnvis compare saliency --backprop none saliency --backprop guided demo
  cnnvis compare saliency grad-cam demo --scaled
  cnnvis compare before.npz after.npz --fail-above 1e-5
"""


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser, with arguments for completion alone."""
    comparing = parsing.command(below, "compare", ABOUT)
    if words is not None:  # typed words are read side by side; see `parsed`
        return
    sides = [plugin.name for plugin in registry().of("technique")]
    comparing.add_argument("sides", nargs="*", choices=sides)
    flags.add(comparing, *SUBJECT)


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Parse the two sides with their options, and the options of both."""
    parser = _parser()
    if len(words) < 2 or words[0].startswith("-"):
        parser.parse_args([*words, "--help"])
    known = [plugin.name for plugin in registry().of("technique")]
    sides: list[Any] = []
    of_sides: list[parsing.Parser] = []
    rest = list(words)
    while len(sides) < 2:
        # Options that are for both sides may stand behind the first, too.
        place = next((i for i in range(len(rest)) if _is_side(rest, i, known)), None)
        if place is None or (place and not sides):
            registry().require_unbroken(words[0])
            named = [word for word in words if not word.startswith("-")][len(sides)]
            raise UserError(
                f"a comparison takes two techniques or saved explanations (.npz), and {named!r} "
                f"is neither.{nearest(named, known)} "
                f"{listed('There are', known, 'cnnvis list-plugins --kind technique')}"
            )
        name = rest.pop(place)
        if name.endswith(".npz"):
            sides.append(name)
            continue
        after = next((i for i in range(place, len(rest)) if _is_side(rest, i, known)), len(rest))
        after = after if not sides else len(rest)
        own = parsing.plugin_parser("compare", registry().get("technique", name))
        of_sides.append(own)
        found, others = own.parse_known_args(rest[place:after])
        sides.append((name, vars(found)))
        rest[place:after] = others
    values = vars(parser.parse_args(rest))
    if of_sides:  # saved explanations need no model
        parsing.require_model(values, *of_sides, parser)
    return {"command": main, "sides": tuple(sides), **values}


def _is_side(words: Sequence[str], place: int, known: Sequence[str]) -> bool:
    """Tell whether a word is a technique or a saved explanation, and not the value of an option."""
    word = words[place]
    if place and words[place - 1] in ("-d", "--data", "-o", "--out", "-l", "--layer"):
        return False
    return word in known or word.endswith(".npz") or (":" in word and word.split(":")[-1] in known)


def _parser() -> parsing.Parser:
    parser = parsing.Parser(
        prog="cnnvis compare",
        usage="cnnvis compare A [its options] B [its options] MODEL [options]",
        description=parsing.wrapped(ABOUT),
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", default=argparse.SUPPRESS,
        help="a model's file, or demo; not needed for saved explanations",
    )  # fmt: skip
    flags.add(parser, *OF_COMMANDS["compare"])
    parsing.add_side_flags(parser, "renderer", "loader", "reader")
    return parser


def main(sides: Any, model: str | None = None, **values: Any) -> int:
    """Compare, print and draw; return the exit code."""
    from cnnvis.cli.compare import compared

    others = shared.options_of_plugins(values)
    shared.add_general_settings(values)
    with shared.computing_as_asked(values):
        output, messages = taken_out(values, ComparisonOutput), taken_out(values, Messages)
        return compared(sides, model, others, output, messages, values)
