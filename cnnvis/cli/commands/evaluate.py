"""``cnnvis evaluate``: its arguments, and what is done with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli import step_words
from cnnvis.cli.commands import shared
from cnnvis.errors import UserError
from cnnvis.registry import flags
from cnnvis.registry.arguments import OF_COMMANDS, SUBJECT, EvaluationOutput, Messages, taken_out
from cnnvis.registry.discovery import STEPS, registry

ABOUT = """Compare techniques by checks on the same images.

A technique that passes all checks can still be wrong. Options after a technique's name belong to that
technique, so you can also compare two settings of a technique. The model comes last.
"""

EXAMPLES = """Examples:
  cnnvis evaluate saliency grad-cam integrated-gradients demo
  cnnvis evaluate saliency --backprop none saliency --backprop guided demo --images label=sweep
  cnnvis evaluate saliency smoothgrad demo --metrics srg deletion insertion -o results/
"""


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser, with arguments for completion alone."""
    parser = parsing.command(below, "evaluate", ABOUT)
    if words is not None:  # typed words are read method by method; see `parsed`
        return
    names = [plugin.name for plugin in registry().of("technique")]
    parser.add_argument("methods", nargs="*", choices=names)
    flags.add(parser, *SUBJECT)


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Parse the methods with their options, the model, and the options of all."""
    known = registry().of("technique")
    names = [plugin.name for plugin in known]
    names += [f"{plugin.distribution}:{plugin.name}" for plugin in known]
    parser = _parser()
    head, *methods = step_words.segments(words, names, parser)
    found, of_methods = [], []
    for number, (name, *own) in enumerate(methods, 1):
        technique = parsing.plugin_parser("evaluate", registry().get("technique", name))
        of_methods.append(technique)
        _, left = technique.parse_known_args(own)
        if any(word.startswith("-") for word in left):
            step_words.values(
                technique, [word for word in own if word not in left or word[0] == "-"], names
            )
        behind = [word for word in left if not word.startswith("-")]
        _require_model(behind, is_last=number == len(methods))
        head = [*behind, *head]
        for word in behind:
            own.pop(len(own) - 1 - own[::-1].index(word))
        found.append((name, step_words.values(technique, own, names)))
    values = vars(parser.parse_args(head))
    parsing.require_model(values, *of_methods, parser)
    return {"command": main, "methods": found, **values}


def _require_model(behind: Sequence[str], *, is_last: bool) -> None:
    """Refuse words behind a technique's options that cannot be the model.

    Raises
    ------
    UserError
        If there are several, or techniques follow.
    """
    for word in behind:
        other = next((one for one in registry() if one.kind in STEPS and one.name == word), None)
        if other is not None:
            raise UserError(f"{word} is a {other.kind}, and only techniques can be evaluated")
    if behind and not is_last:
        raise UserError(f"{behind[0]!r} stands between techniques: the model comes last")
    if len(behind) > 1:
        words = ", ".join(map(repr, behind))
        raise UserError(f"only one model can be named, and there are {len(behind)}: {words}")


def _parser() -> parsing.Parser:
    parser = parsing.Parser(
        prog="cnnvis evaluate",
        usage="cnnvis evaluate TECHNIQUE [its options] TECHNIQUE ... MODEL [options]",
        description=parsing.wrapped(ABOUT),
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", default=argparse.SUPPRESS,
        help="a model's file, or demo",
    )  # fmt: skip
    flags.add(parser, *OF_COMMANDS["evaluate"])
    parsing.add_side_flags(parser, "metric", "renderer", "loader", "reader")
    return parser


def main(methods: list[tuple[str, dict[str, Any]]], model: str | None = None, **values: Any) -> int:
    """Evaluate methods, and print and write what was found."""
    from cnnvis.cli.evaluate import evaluated

    others = shared.options_of_plugins(values)
    shared.add_general_settings(values)
    with shared.computing_as_asked(values):
        output, messages = taken_out(values, EvaluationOutput), taken_out(values, Messages)
        return evaluated(methods, model, others, output, messages, values)
