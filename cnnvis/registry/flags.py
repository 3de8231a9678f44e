"""Flags of the commands, which no option of a plugin may have, and their arguments for argparse."""

from __future__ import annotations

import functools
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any, Literal

from cnnvis.errors import UserError

FOR_ALL = {
    "--plugin": "take the plugins of a Python file, too; the file is run",
    "--no-plugins": "only the built-in plugins",
}
"""Options of every command beside its own options, accepted anywhere on the command line."""


Command = Literal["run", "chain", "compare"]


def taken(command: Command) -> frozenset[str]:
    """Return the flags of a command itself, whatever plugins are installed."""
    return frozenset(_parser(command)._option_string_actions) | FOR_ALL.keys()


def names(command: Command) -> frozenset[str]:
    """Return the names that these flags have as parameters in Python."""
    return frozenset(action.dest for action in _parser(command)._actions)


@functools.cache
def _parser(command: Command) -> ArgumentParser:
    parser = ArgumentParser()
    add_subject(parser)
    add_model(parser)
    match command:
        case "run":
            add_output_of_run(parser)
        case "chain":
            add_output_of_chain(parser)
        case "compare":
            add_comparison(parser)
    return parser


def add_subject(parser: ArgumentParser) -> None:
    """Add the flags for the subject of an explanation, and for its computation."""
    what = adder(parser, "what to explain")
    what("--data", "-d", metavar="FILE", help="a file or folder of images; or demo")
    what("--images", "-im", nargs="+", action="extend", type=_images, metavar="IMAGE",
         help="which images of the data (default: all): places, 0 3 5, -1 for the last; ranges, 0-5 "
         "with 5; slices as in Python, 20:40:2 without 40; label=NAME, predicted=NAME, right, wrong "
         "by what the network answers; all. Places are put together, and the others narrow them "
         "down; of two with one key, such as label=A label=B, one must hold")  # fmt: skip
    what("--layer", "-l", metavar="TARGET",
         help="the layer to explain (default: the one named output, else the last); or one of its "
         "outputs, output:3 or output[AI], or a sum or difference, head[3]-head[5]")  # fmt: skip
    what("--filter", "--class", nargs="+", action="extend", metavar="N",
         help="which outputs of that layer, by number or class name "
         "(default: the class predicted for each image, class 1 of one sigmoid, 0 of a layer in between)")  # fmt: skip
    what("--output", metavar="NAME",
         help="which of the network's outputs, where it has several (default: the first)")  # fmt: skip
    what("--region", nargs="+", metavar="RANGE",
         help="for a layer with spatial axes, over which positions its outputs are averaged, "
         "one for each axis: 10:20 7 (default: over all)")  # fmt: skip
    what("--input", nargs="+", metavar="NAME",
         help="which of the network's inputs get a map, where it has several (default: all)")  # fmt: skip
    add_class_names(what)
    how = adder(parser, "how to compute it")
    how("--compile", choices=("auto", "graph", "xla", "eager"),
        help="as TensorFlow's graph, by XLA, anew for each batch (eager), or by whichever of the "
        "first two is faster where there is enough to do (default: auto)")  # fmt: skip
    how("--batch-size", type=_whole, metavar="N",
        help="how many images at a time (default: 32, more of a small network, or what memory allows)")  # fmt: skip
    how("--threads", type=_whole, metavar="N",
        help="how many threads (default: one for each processor that may be used)")  # fmt: skip
    how("--mixed-precision", action="store_true",
        help="multiply in half precision where the machine can: up to twice as fast, and maps are "
        "off by several per cent")  # fmt: skip
    how("--isolate", action="store_true",
        help="run plugins that are not built in in processes of their own, where a crash, a hang "
        "or a hunger for memory costs no others their work")  # fmt: skip
    how("--isolate-only", metavar="NAME,NAME", help="the same for the plugins of these names alone")
    how("--isolate-timeout", type=_number, metavar="SECONDS",
        help="how long such a process may take for a batch or a picture (default: 600)")  # fmt: skip
    how("--isolate-memory", type=_number, metavar="GB",
        help="how much memory it may take (default: four fifths of what is there)")  # fmt: skip


def add_class_names(add: Callable[..., Any]) -> None:
    """Add the flag for the names of the classes."""
    add("--class-names", nargs="+", metavar="NAME",
        help="the names of the network's classes 0, 1, ..., where the data do not hold them; folders "
        "and other labels in words are matched to them by name")  # fmt: skip


def add_long_runs(parser: ArgumentParser) -> None:
    """Add the flags of run folders."""
    keep = adder(parser, "long runs")
    keep("--into", metavar="FOLDER",
         help="keep the maps in this folder as they are computed; none for no folder (default: none "
         "up to 5000 images, and above that one beside the other output)")  # fmt: skip
    keep("--resume", action="store_true",
         help="go on with that folder, and compute only what is not there")  # fmt: skip
    keep("--shard", metavar="N/OF",
         help="compute a share of the folder's shards, 3/16 for the third of sixteen; cnnvis merge "
         "puts the folders together")  # fmt: skip
    keep("--shard-size", type=_whole, metavar="N",
         help="how many images a shard holds (default: 512, or fewer large ones)")  # fmt: skip
    keep("--strict", action="store_true",
         help="stop at the first image that cannot be read or explained")  # fmt: skip


def add_model(parser: ArgumentParser) -> None:
    """Add the flags for what a model's file may lack."""
    lacking = adder(parser, "what the model's file lacks")
    lacking("--custom", nargs="+", metavar="MODULE:CLASS",
            help="the classes of layers of your own; their module is imported, and so runs")  # fmt: skip
    lacking("--lambda", dest="lambdas", nargs="+", metavar="NAME=MODULE:FUNCTION",
            help="a function of yours in the place of the Lambda layer NAME, whose code in the file "
            "is not run; its module is imported, and so runs")  # fmt: skip
    lacking("--input-shape", nargs="+", type=_whole, metavar="N",
            help="the shape of one input, 0 for an axis of any length")  # fmt: skip
    lacking("--architecture", metavar="JSON",
            help="the network that the file's weights belong to")  # fmt: skip
    lacking("--trust-model", action="store_true",
            help="let code in the model's file run, and load whatever it asks for: only for files of "
            "people you know")  # fmt: skip


def adder(parser: ArgumentParser, title: str) -> Callable[..., Any]:
    """Return a function that adds flags to a group; untyped flags leave no trace in the result."""
    group = parser.add_argument_group(title)
    return lambda *flags, **settings: group.add_argument(
        *flags, **{"default": SUPPRESS, **settings}
    )


def _images(text: str) -> int | str:
    from cnnvis.data.image_selection import typed

    try:
        return typed(text)
    except UserError as error:
        raise ArgumentTypeError(str(error)) from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None


def add_output_of_run(parser: ArgumentParser) -> None:
    """Add the flags for the output of `cnnvis run`."""
    out = adder(parser, "what to do with it")
    out("--metrics", nargs="+", action="extend", metavar="NAME",
        help="metrics that measure each map, such as sparseness. Their options go by their names; "
        "cnnvis list-plugins --kind metric lists them")  # fmt: skip
    out("--render", "-r", nargs="+", action="extend", metavar="NAME",
        help="renderers (default: png, and terminal in a terminal). Their options go by their "
        "names: --png.cmap hot; see cnnvis show png")  # fmt: skip
    out("--out", "-o", metavar="PATH",
        help="the file to write, which takes the place of another of that name, or a folder, in "
        "which none does (default: results/TECHNIQUE_LAYER_MODIFIER.png)")  # fmt: skip
    out("--save-chain", metavar="TOML", help="put what was typed into this file as a chain")
    _add_running(parser, out)


def add_output_of_chain(parser: ArgumentParser) -> None:
    """Add the flags for the origin and the output of a chain."""
    out = adder(parser, "the chain")
    out("--file", metavar="TOML", help="take the chain from a file, which --save-chain writes")
    out("--name", metavar="NAME", help="which chain of the file; what to call it when it is saved")
    out("--as", dest="form", choices=("toml", "python", "shell"),
        help="print the chain in this form instead of running it")  # fmt: skip
    out("--save-chain", dest="save", metavar="TOML", help="put the chain into this file, too")
    out("--out", "-o", metavar="PATH", help="the file or folder to write (default: results/)")
    _add_running(parser, out)


def _add_running(parser: ArgumentParser, out: Callable[..., Any]) -> None:
    """Add the flags for run folders, and for the amount of messages."""
    add_long_runs(parser)
    out("--quiet", "-q", action="store_true", help="no notes and no bars")
    out("--verbose", "-v", action="store_true", help="say how the result was made; tracebacks")


def add_comparison(parser: ArgumentParser) -> None:
    """Add the flags for the comparison of two explanations, and for its output."""
    how = adder(parser, "how to compare")
    how("--scaled", action="store_true", help="scale each map to [0, 1] before it is compared")
    how("--top", type=_number, metavar="PERCENT",
        help="how many per cent of the places are the strongest (default: 10)")  # fmt: skip
    how("--fail-above", type=_number, metavar="NUMBER",
        help="exit with 3 if the largest difference is above this, for scripts")  # fmt: skip
    out = adder(parser, "what to do with it")
    out("--out", "-o", metavar="PATH",
        help="the file of the figure, or its folder (default: results/compare_A_B.png)")  # fmt: skip
    out("--json", action="store_true", help="print JSON, for scripts")
    out("--quiet", "-q", action="store_true", help="no notes and no bars")
    out("--verbose", "-v", action="store_true", help=SUPPRESS)
