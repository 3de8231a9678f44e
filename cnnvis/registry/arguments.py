"""Arguments of `cnnvis.run`, `chain` and `compare` as values, with a flag for each field.

The flags of the command line, the names that no option of a plugin may have, and the keys of a
chain's file all come from these fields. Only the signatures of `cnnvis.run` and `cnnvis.chain`
spell the fields out, for people.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from cnnvis.errors import UserError

if TYPE_CHECKING:
    from cnnvis.data.class_names import ClassNames
    from cnnvis.data.image_selection import Images, Selection

T = TypeVar("T")

Form = Literal["toml", "python", "shell"]
"""Written form of a chain."""

Level = Literal["none", "quick", "full"]
"""Extent of the checks that are computed beside maps."""

Style = Literal["default", "paper"]
"""Style in which techniques compute: by their own defaults, or as their papers define them."""

WORDS = str | list[str]
"""Type of a key that holds one or several words in a chain's file."""

PLACES = int | str | list[int | str]
"""Type of a key that holds one or several numbers or words in a chain's file."""


@dataclass(frozen=True)
class Flag:
    """Flag of the command line for a field.

    Attributes
    ----------
    names
        The names of the flag: the long name first.
    settings
        Arguments of `argparse.ArgumentParser.add_argument`.
    kept_as
        The type of the value in a chain's file; None for values that no file keeps.
    is_path
        True for paths, which a chain's file holds relative to its own folder.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Any]
    kept_as: Any = None
    is_path: bool = False


def flag(
    *names: str, default: Any = None, kept_as: Any = None, is_path: bool = False, **settings: Any
) -> Any:
    """Return a dataclass field with a flag; the settings are those of argparse."""
    if isinstance(default, bool):
        settings = {"action": "store_true", **settings}
    made = Flag(names, settings, str if is_path else kept_as, is_path)
    return field(default=default, metadata={"flag": made})


def flags_of(values: type) -> dict[str, Flag]:
    """Return the flags of the fields of one of these values, by the names of the fields."""
    return {one.name: one.metadata["flag"] for one in fields(values) if "flag" in one.metadata}


def names_of(*values: type) -> tuple[str, ...]:
    """Return the names of all fields, also of fields without a flag."""
    return tuple(one.name for each in values for one in fields(each))


def taken_out(given: dict[str, Any], values: type[T]) -> T:
    """Remove the arguments of one of these values from a dict by name, and return the value."""
    return values(**{name: given.pop(name) for name in names_of(values) if name in given})


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


def _listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


@dataclass(frozen=True)
class DataArguments:
    """Data, and the meaning of the data's labels and axes."""

    data: Any = flag(
        "--data", "-d", is_path=True, metavar="FILE",
        help="a file or folder of images, or an address of a Zarr store, s3://bucket/images.zarr; or demo",
    )  # fmt: skip
    images: Images | Selection | None = flag(
        "--images", "-im", kept_as=PLACES, nargs="+", action="extend", type=_images, metavar="IMAGE",
        help="the images of the data to explain (default: all): places, 0 3 5, -1 for the last; "
        "ranges, 0-5 with 5; slices as in Python, 20:40:2 without 40; label=NAME, predicted=NAME, "
        "right, wrong by the network's answer; all; a condition in quotes on the columns of a table, on "
        "label, predicted, p and score: 'facts.tsv: population=CEU and (age>40 or p<0.9)'. Places are "
        "united, and conditions narrow them "
        "down; of two conditions with the same key, such as label=A label=B, one must hold",
    )  # fmt: skip
    class_names: ClassNames | None = flag(
        "--class-names", kept_as=WORDS, nargs="+", metavar="NAME",
        help="the names of the network's classes 0, 1, ..., if the data hold no class names; "
        "labels in words, also names of folders, are matched to the classes by name",
    )  # fmt: skip
    axes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TargetArguments:
    """Target: the answer of the network to explain, and the inputs that get a map."""

    layer: str | None = flag(
        "--layer", "-l", kept_as=str, metavar="TARGET",
        help="the target: a layer (default: the layer named output, else the last layer); an "
        "output of a layer, output:3 or output[AI]; a sum or difference of outputs, "
        "head[3]-head[5]",
    )  # fmt: skip
    filter: int | str | Sequence[int | str] | None = flag(
        "--filter", "--class", kept_as=PLACES, nargs="+", action="extend", metavar="N",
        help="the outputs of the target layer, by number or class name, a map for each "
        "(default: the class "
        "predicted for each image, class 1 of one sigmoid, output 0 of a layer in between)",
    )  # fmt: skip
    output: str | int | None = flag(
        "--output", kept_as=str, metavar="NAME",
        help="the output of a network with several outputs (default: the first)",
    )  # fmt: skip
    region: Sequence[str | int | slice] | None = flag(
        "--region", kept_as=list[int | str], nargs="+", metavar="RANGE",
        help="for a layer with spatial axes: average its outputs over these positions, a position "
        "or a range for each axis: 10:20 7 (default: all); coordinates, 5kb:6kb, along an axis that "
        "[axes] describes",
    )  # fmt: skip
    input: str | int | Sequence[str | int] | None = flag(
        "--input", kept_as=WORDS, nargs="+", metavar="NAME",
        help="the inputs that get a map, of a network with several inputs (default: all)",
    )  # fmt: skip
    together: bool = flag(
        "--together", default=False, kept_as=bool,
        help="add the scores of several outputs up and give one map (default: a map for each output)",
    )  # fmt: skip


@dataclass(frozen=True)
class TopClasses:
    """Classes with the largest scores, each with a map; `cnnvis compare` has another ``--top``."""

    top: int | None = flag(
        "--top", kept_as=int, type=_whole, metavar="N",
        help="a map for each of the N classes with the largest scores of each image",
    )  # fmt: skip


@dataclass(frozen=True)
class Computing:
    """Settings for the computation of networks; see `cnnvis.computing`."""

    compile: str = flag(
        "--compile", default="auto", choices=("auto", "graph", "xla", "eager"),
        help="compile the network as TensorFlow's graph, by XLA, or anew for each batch (eager); "
        "auto takes the faster of graph and xla if there is enough to compute (default: auto)",
    )  # fmt: skip
    batch_size: int | None = flag(
        "--batch-size", type=_whole, metavar="N",
        help="the number of images in a batch (default: 32, more for a small network, or what "
        "memory allows)",
    )  # fmt: skip
    threads: int | None = flag(
        "--threads", type=_whole, metavar="N",
        help="the number of threads (default: one for each available processor)",
    )  # fmt: skip
    mixed_precision: bool = flag(
        "--mixed-precision", default=False,
        help="multiply in half precision where the machine can: up to twice as fast, with errors "
        "of several per cent in the maps, and about a quarter with random weights",
    )  # fmt: skip


@dataclass(frozen=True)
class Isolation:
    """Plugins that run in processes of their own; see `cnnvis.execution.isolation`."""

    isolate: bool | str | Sequence[str] = flag(
        "--isolate", default=False,
        help="isolate all plugins that are not built in: a crash, a hang or a use of too much "
        "memory in their processes costs no other plugin its work",
    )  # fmt: skip
    isolate_only: Sequence[str] | None = flag(
        "--isolate-only", type=_listed, metavar="NAME,NAME",
        help="isolate the plugins of these names alone",
    )  # fmt: skip
    isolate_timeout: float | None = flag(
        "--isolate-timeout", type=_number, metavar="SECONDS",
        help="the time limit of an isolated plugin for a batch or a picture (default: 600)",
    )  # fmt: skip
    isolate_memory: float | None = flag(
        "--isolate-memory", type=_number, metavar="GB",
        help="the memory limit of an isolated plugin (default: four fifths of the free memory)",
    )  # fmt: skip

    @property
    def which(self) -> bool | str | Sequence[str]:
        """Plugins that run in processes of their own: all that are not built in, or some names."""
        return self.isolate if self.isolate_only is None else self.isolate_only


@dataclass(frozen=True)
class LoadOptions:
    """Options for what a model's file lacks, with the same names for every loader."""

    custom: Sequence[str] = flag(
        "--custom", default=(), nargs="+", metavar="MODULE:CLASS",
        help="the classes of your own layers; their module is imported, and so runs",
    )  # fmt: skip
    lambdas: Sequence[str] = flag(
        "--lambda", default=(), nargs="+", metavar="NAME=MODULE:FUNCTION",
        help="your function that replaces the Lambda layer NAME, since the code in the file does "
        "not run; the function's module is imported, and so runs",
    )  # fmt: skip
    input_shape: Sequence[int] | None = flag(
        "--input-shape", kept_as=list[int], nargs="+", type=_whole, metavar="N",
        help="the shape of one input, 0 for an axis of any length",
    )  # fmt: skip
    architecture: str | PathLike[str] | None = flag(
        "--architecture", is_path=True, metavar="JSON",
        help="the file that describes the network of the weights",
    )  # fmt: skip
    trust_model: bool = flag(
        "--trust-model", default=False,
        help="let code in the model's file run, and load all that the file asks for: only for "
        "files of people you know",
    )  # fmt: skip


@dataclass(frozen=True)
class RunFolderArguments:
    """Run folder, the share of the work to do there, and how strict the run is."""

    into: Any = flag(
        "--into", metavar="FOLDER",
        help="keep the maps in this run folder as they are computed; none for no folder (default: "
        "none up to 5000 images; for more images, a folder beside the other output)",
    )  # fmt: skip
    resume: bool = flag(
        "--resume", default=False,
        help="go on with the run folder, and compute only the maps that it does not hold",
    )  # fmt: skip
    shard: str | None = flag(
        "--shard", metavar="N/OF",
        help="compute a share of the shards, 3/16 for the third of sixteen shares; cnnvis merge "
        "puts the folders together",
    )  # fmt: skip
    on: Any = flag(
        "--on", metavar="WORKERS",
        help="compute the shards of the run folder on workers: local:4 for four processes on this "
        "machine, tcp://HOST:8786 for those of a scheduler of Dask",
    )  # fmt: skip
    shard_size: int | None = flag(
        "--shard-size", type=_whole, metavar="N",
        help="the number of images in a shard (default: 512, or fewer large images)",
    )  # fmt: skip
    strict: bool = flag(
        "--strict", default=False,
        help="stop at the first image that cannot be read or explained; exit with 3 where a check "
        "says that the maps failed",
    )  # fmt: skip


@dataclass(frozen=True)
class Checking:
    """Checks beside the maps."""

    checks: Level | None = flag(
        "--checks", kept_as=Level, choices=get_args(Level),
        help="the checks beside the maps, on at most 32 images: none; quick, those that fit into a "
        "fifth of the time that the maps take, or into two seconds, whichever is more; full, all "
        "(default: the setting checks or the variable "
        "CNNVIS_CHECKS, else quick)",
    )  # fmt: skip


@dataclass(frozen=True)
class Styling:
    """Style in which techniques compute."""

    style: Style | None = flag(
        "--style", kept_as=Style, choices=get_args(Style),
        help="default, by the defaults of each technique; paper, as its paper defines it: with plain "
        "gradients, and class activation maps of the last layer with the input's spatial axes. What "
        "is typed, and options in settings, go before the style (default: the setting style or the "
        "variable CNNVIS_STYLE, else default)",
    )  # fmt: skip


@dataclass(frozen=True)
class Messages:
    """Amount of messages on the standard error stream."""

    quiet: bool = flag("--quiet", "-q", default=False, help="show no notes and no progress bars")
    verbose: bool = flag(
        "--verbose",
        "-v",
        default=False,
        help="show how the result was made; show tracebacks of errors",
    )


@dataclass(frozen=True)
class RunOutput:
    """Output of ``cnnvis run``."""

    metrics: Sequence[str] = flag(
        "--metrics", default=(), nargs="+", action="extend", metavar="NAME",
        help="metrics that measure each map, such as sparseness. An option of a metric follows "
        "the metric's name, as in --NAME.OPTION; cnnvis list-plugins --kind metric lists all "
        "metrics",
    )  # fmt: skip
    render: Sequence[str] = flag(
        "--render", "-r", default=(), nargs="+", action="extend", metavar="NAME",
        help="renderers (default: png, and terminal in a terminal). An option of a renderer "
        "follows the renderer's name: --png.cmap hot; see cnnvis show png",
    )  # fmt: skip
    out: str | None = flag(
        "--out", "-o", is_path=True, metavar="PATH",
        help="a file to write, also over an older file, or a folder, in which cnnvis replaces no "
        "file (default: results/TECHNIQUE_LAYER_MODIFIER.png)",
    )  # fmt: skip
    save_chain: str | None = flag(
        "--save-chain", metavar="TOML", help="save the typed command in this file as a chain"
    )


@dataclass(frozen=True)
class ChainOutput:
    """Origin and output of ``cnnvis chain``."""

    file: str | None = flag(
        "--file", metavar="TOML", help="take the chain from this file, which --save-chain writes"
    )
    name: str | None = flag(
        "--name", metavar="NAME",
        help="the name of the chain in the file, to run or to save",
    )  # fmt: skip
    form: Form | None = flag(
        "--as", choices=get_args(Form),
        help="print the chain in this form and do not run it",
    )  # fmt: skip
    save: str | None = flag("--save-chain", metavar="TOML", help="save the chain in this file, too")
    out: str | None = flag(
        "--out", "-o", is_path=True, metavar="PATH",
        help="the file or folder to write (default: results/)",
    )  # fmt: skip


@dataclass(frozen=True)
class Comparing:
    """Comparison of two explanations."""

    scaled: bool = flag(
        "--scaled", default=False, help="scale each map to [0, 1] before the comparison"
    )
    top: float = flag(
        "--top", default=10.0, type=_number, metavar="PERCENT",
        help="the share of a map that counts as its strongest places, in per cent (default: 10)",
    )  # fmt: skip
    fail_above: float | None = flag(
        "--fail-above", type=_number, metavar="NUMBER",
        help="exit with code 3 if the largest difference is above this number, for scripts",
    )  # fmt: skip


@dataclass(frozen=True)
class ComparisonOutput:
    """Output of ``cnnvis compare``."""

    out: str | None = flag(
        "--out", "-o", metavar="PATH",
        help="the file for the figure, or its folder (default: results/compare_A_B.png)",
    )  # fmt: skip
    json: bool = flag("--json", default=False, help="print JSON, for scripts")


@dataclass(frozen=True)
class EvaluationOutput:
    """Metrics and output of ``cnnvis evaluate``."""

    metrics: Sequence[str] | None = flag(
        "--metrics", nargs="+", action="extend", metavar="NAME",
        help="the metrics (default: all checks, the metrics that judge). An option of a metric follows "
        "the metric's name, as in --srg.fill blur; cnnvis list-plugins --kind metric lists all "
        "metrics",
    )  # fmt: skip
    out: str | None = flag(
        "--out", "-o", metavar="PATH",
        help="a file to write: the table (.csv, .tsv, .parquet), all numbers (.json), a page with verdicts, "
        "curves and numbers (.html), or the curves of the score as parts are removed (.png, .svg, .pdf); a "
        "folder for the table, the numbers, the page and the curves, over "
        "older files of these names "
        "(default: none)",
    )  # fmt: skip
    json: bool = flag("--json", default=False, help="print JSON, for scripts")


@dataclass(frozen=True)
class ReportOutput:
    """Methods, groups, checks and output of ``cnnvis report``."""

    methods: Sequence[str] | None = flag(
        "--methods", nargs="+", action="extend", metavar="NAME",
        help="the techniques (default: saliency grad-cam); cnnvis list-plugins --kind technique lists "
        "all techniques, and settings hold their options",
    )  # fmt: skip
    by: str | None = flag(
        "--by", metavar="GROUPS",
        help="show the mean map of each group of images, and the difference of two groups: label, "
        "prediction, all, or a file with a group for each image, one group a line. Then all images "
        "get maps, and not only those on the page (default: no groups)",
    )  # fmt: skip
    checks: Level | None = flag(
        "--checks", choices=get_args(Level),
        help="the checks of the methods, on at most 32 images: none; quick, those that fit into a "
        "fifth of the time that the maps take, or into two seconds, whichever is more; full, all, "
        "with curves of the score as parts are removed (default: the setting checks or the variable "
        "CNNVIS_CHECKS, else full)",
    )  # fmt: skip
    out: str | None = flag(
        "--out", "-o", metavar="PATH",
        help="the file to write, ending in .html, also over an older file; or a folder, in which "
        "cnnvis replaces no file (default: results/report.html)",
    )  # fmt: skip


SUBJECT: Sequence[type] = (DataArguments, TargetArguments, Computing, Isolation, LoadOptions)
"""Values of every command that explains a network."""

OF_COMMANDS: Mapping[str, Sequence[type]] = {
    "run": (*SUBJECT, TopClasses, Styling, Checking, RunOutput, Messages, RunFolderArguments),
    "chain": (*SUBJECT, TopClasses, Styling, Checking, ChainOutput, Messages, RunFolderArguments),
    "compare": (*SUBJECT, Styling, Comparing, ComparisonOutput, Messages),
    "evaluate": (*SUBJECT, Styling, EvaluationOutput, Messages),
    "report": (*SUBJECT, Styling, ReportOutput, Messages),
}
"""Values of the commands that also take the options of plugins."""

TITLES: Mapping[type, str] = {
    DataArguments: "the data to explain",
    TargetArguments: "the target to explain",
    TopClasses: "several classes",
    Computing: "the computation",
    Isolation: "isolated plugins",
    LoadOptions: "missing parts of the model's file",
    Styling: "the style of techniques",
    Checking: "checks of the maps",
    RunOutput: "the output",
    ChainOutput: "the chain",
    Comparing: "how to compare",
    ComparisonOutput: "the output",
    EvaluationOutput: "the metrics and the output",
    ReportOutput: "the report",
    Messages: "messages",
    RunFolderArguments: "long runs",
}
"""Titles of the flags' groups in the help."""
