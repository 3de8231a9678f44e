"""``cnnvis show-result``: its arguments, and what is done with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from cnnvis.cli import parser as parsing
from cnnvis.cli.commands import shared
from cnnvis.registry import flags
from cnnvis.registry.arguments import (
    ChainOutput,
    Messages,
    RunFolderArguments,
    RunOutput,
    taken_out,
)

ABOUT = """Show maps that were kept, without the network that they explain.

Maps are kept in a file by the renderer numpy (-r numpy), in a Zarr store by zarr-maps, and in a run folder
by --into.
"""

EXAMPLES = """Examples:
  cnnvis run saliency demo -r numpy -o maps.npz
  cnnvis show-result maps.npz -r terminal html
  cnnvis chain maps.npz average png
"""


def add_to(below: Any, words: Sequence[str] | None) -> None:
    """Add the command's parser; options of renderers only where they may be typed."""
    parser = parsing.command(below, "show-result", ABOUT)
    parser.usage = "cnnvis show-result RESULT [options]"
    parser.epilog = EXAMPLES
    parser.set_defaults(command=main, parser=parser)
    parser.add_argument(
        "result",
        metavar="RESULT",
        help="a file .npz, a store .zarr, also at an address, or a run folder",
    )
    flags.add(parser, RunOutput, only=("render", "out"))
    flags.add(parser, Messages)
    if words is None or words[:1] == ["show-result"]:
        parsing.add_side_flags(parser, "renderer")


def main(result: str, **values: Any) -> int:
    """Show the maps with each renderer."""
    from cnnvis.api.kept import is_kept
    from cnnvis.api.output_files import writers
    from cnnvis.cli.chain import run_chain
    from cnnvis.errors import UserError

    if not is_kept(result):
        raise UserError(
            f"{result!r} holds no kept maps: name a file .npz that the renderer numpy wrote, a store .zarr that "
            "zarr-maps wrote, or a run folder, which --into makes"
        )
    others = shared.options_of_plugins(values)
    messages, output = taken_out(values, Messages), taken_out(values, RunOutput)
    to_file = [one.name for one in writers(output.render, output.out)] or ["png"]
    names = list(output.render) or ["terminal"] * sys.stdout.isatty() + to_file
    steps = [(name, others.get(name, {})) for name in dict.fromkeys(names)]
    chain = ChainOutput(out=output.out)
    return run_chain(steps, {"model": result}, others, chain, messages, RunFolderArguments())
