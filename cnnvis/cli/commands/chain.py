"""``cnnvis chain``: its arguments, and what is done with them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli import step_words
from cnnvis.cli.commands import shared
from cnnvis.registry import flags
from cnnvis.registry.arguments import (
    OF_COMMANDS,
    SUBJECT,
    ChainOutput,
    Messages,
    RunFolderArguments,
    taken_out,
)
from cnnvis.registry.discovery import STEPS, registry
from cnnvis.registry.options import options_of

ABOUT = """Explain a model in several steps: techniques, transforms, renderers.

A technique puts its result on a stack. A transform changes the last result on the stack. A renderer
shows all results and leaves them on the stack. Each step is the name of a plugin, followed by the
plugin's options.
"""

EXAMPLES = """\
Examples:
  cnnvis chain demo saliency smooth --sigma 1 average --by label png --cmap hot
  cnnvis chain demo saliency grad-cam multiply png
  cnnvis chain demo saliency average difference png
  cnnvis chain demo saliency --backprop none average --as toml

"""


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser, with all arguments that a chain may have for completion alone."""
    chain = parsing.command(below, "chain", ABOUT)
    if words is not None:  # typed words are read step by step; see `parsed`
        return
    steps = [plugin for plugin in registry() if plugin.kind in STEPS]
    chain.add_argument("steps", nargs="*", choices=[plugin.name for plugin in steps])
    flags.add(chain, *SUBJECT)
    for flag in sorted({option.flag for plugin in steps for option in options_of(plugin)}):
        if flag not in chain._option_string_actions:
            chain.add_argument(flag, help="an option of a step")


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """Parse the words before the first step, and the words of each step."""
    known = [plugin for plugin in registry() if plugin.kind in STEPS]
    names = [plugin.name for plugin in known]
    names += [f"{plugin.distribution}:{plugin.name}" for plugin in known]
    parser = _parser([plugin.name for plugin in known])
    head, *segments = step_words.segments(words, names, parser)
    values = step_words.values(parser, head, names)
    if "file" not in values and "name" not in values:  # which name the model, too
        parsing.require_model(values, parser)
    steps = [
        (
            name,
            step_words.values(parsing.plugin_parser("chain", registry().step(name)), rest, names),
        )
        for name, *rest in segments
    ]
    return {"command": main, "steps": steps, **values}


def _parser(names: Sequence[str]) -> parsing.Parser:
    """Return the parser of the words before the first step of a chain."""
    parser = parsing.Parser(
        prog="cnnvis chain",
        usage="cnnvis chain MODEL [options] STEP [its options] STEP ...",
        description=parsing.wrapped(ABOUT),
        epilog=EXAMPLES + parsing.wrapped(f"Steps: {', '.join(names)}."),
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default=argparse.SUPPRESS,
        help="a model's file, or demo; or kept maps, a file .npz, a store .zarr or a run folder",
    )
    flags.add(parser, *OF_COMMANDS["chain"])
    parsing.add_side_flags(parser, "loader", "reader")
    return parser


def main(steps: list[tuple[str, dict[str, Any]]], **values: Any) -> int:
    """Run a chain, or print it in another form."""
    from cnnvis.cli.chain import run_chain

    others = shared.typed_options(values)
    shared.add_general_settings(values)
    with shared.computing_as_asked(values):
        output = taken_out(values, ChainOutput)
        messages = taken_out(values, Messages)
        folder = taken_out(values, RunFolderArguments)
        return run_chain(steps, values, others, output, messages, folder)
