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
        help="a file or folder of images; or demo",
    )  # fmt: skip
    images: Images | Selection | None = flag(
        "--images", "-im", kept_as=PLACES, nargs="+", action="extend", type=_images, metavar="IMAGE",
        help="which images of the data (default: all): places, 0 3 5, -1 for the last; ranges, 0-5 "
        "with 5; slices as in Python, 20:40:2 without 40; label=NAME, predicted=NAME, right, wrong "
        "by the network's answer; all. Places are put together, and conditions narrow them "
        "down; of two conditions with one key, such as label=A label=B, one must hold",
    )  # fmt: skip
    class_names: ClassNames | None = flag(
        "--class-names", kept_as=WORDS, nargs="+", metavar="NAME",
        help="the names of the network's classes 0, 1, ..., where the data do not hold them; folders "
        "and other labels in words are matched to them by name",
    )  # fmt: skip
    axes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TargetArguments:
    """Target: the answer of the network to explain, and the inputs that get a map."""

    layer: str | None = flag(
        "--layer", "-l", kept_as=str, metavar="TARGET",
        help="the layer to explain (default: the layer named output, else the last); or one of its "
        "outputs, output:3 or output[AI], or a sum or difference, head[3]-head[5]",
    )  # fmt: skip
    filter: int | str | Sequence[int | str] | None = flag(
        "--filter", "--class", kept_as=PLACES, nargs="+", action="extend", metavar="N",
        help="which outputs of that layer, by number or class name (default: the class predicted "
        "for each image, class 1 of one sigmoid, 0 of a layer in between)",
    )  # fmt: skip
    output: str | int | None = flag(
        "--output", kept_as=str, metavar="NAME",
        help="which of the network's outputs, where it has several (default: the first)",
    )  # fmt: skip
    region: Sequence[str | int | slice] | None = flag(
        "--region", kept_as=list[int | str], nargs="+", metavar="RANGE",
        help="for a layer with spatial axes, the positions over which its outputs are averaged, "
        "a position or a range for each axis: 10:20 7 (default: all)",
    )  # fmt: skip
    input: str | int | Sequence[str | int] | None = flag(
        "--input", kept_as=WORDS, nargs="+", metavar="NAME",
        help="which of the network's inputs get a map, where it has several (default: all)",
    )  # fmt: skip


@dataclass(frozen=True)
class Computing:
    """Settings for the computation of networks; see `cnnvis.computing`."""

    compile: str = flag(
        "--compile", default="auto", choices=("auto", "graph", "xla", "eager"),
        help="as TensorFlow's graph, by XLA, anew for each batch (eager), or by the faster of the "
        "first two where there is enough to do (default: auto)",
    )  # fmt: skip
    batch_size: int | None = flag(
        "--batch-size", type=_whole, metavar="N",
        help="how many images at a time (default: 32, more of a small network, or what memory allows)",
    )  # fmt: skip
    threads: int | None = flag(
        "--threads", type=_whole, metavar="N",
        help="how many threads (default: one for each processor that may be used)",
    )  # fmt: skip
    mixed_precision: bool = flag(
        "--mixed-precision", default=False,
        help="multiply in half precision where the machine can: up to twice as fast, and maps are "
        "off by several per cent",
    )  # fmt: skip


@dataclass(frozen=True)
class Isolation:
    """Plugins that run in processes of their own; see `cnnvis.execution.isolation`."""

    isolate: bool | str | Sequence[str] = flag(
        "--isolate", default=False,
        help="run plugins that are not built in in processes of their own, where a crash, a hang "
        "or a use of too much memory costs no other plugin its work",
    )  # fmt: skip
    isolate_only: Sequence[str] | None = flag(
        "--isolate-only", type=_listed, metavar="NAME,NAME",
        help="do so for the plugins of these names alone",
    )  # fmt: skip
    isolate_timeout: float | None = flag(
        "--isolate-timeout", type=_number, metavar="SECONDS",
        help="how long such a process may take for a batch or a picture (default: 600)",
    )  # fmt: skip
    isolate_memory: float | None = flag(
        "--isolate-memory", type=_number, metavar="GB",
        help="how much memory it may take (default: four fifths of the free memory)",
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
        help="the classes of layers of your own; their module is imported, and so runs",
    )  # fmt: skip
    lambdas: Sequence[str] = flag(
        "--lambda", default=(), nargs="+", metavar="NAME=MODULE:FUNCTION",
        help="a function of yours in the place of the Lambda layer NAME, whose code in the file "
        "is not run; its module is imported, and so runs",
    )  # fmt: skip
    input_shape: Sequence[int] | None = flag(
        "--input-shape", kept_as=list[int], nargs="+", type=_whole, metavar="N",
        help="the shape of one input, 0 for an axis of any length",
    )  # fmt: skip
    architecture: str | PathLike[str] | None = flag(
        "--architecture", is_path=True, metavar="JSON",
        help="the network that the file's weights belong to",
    )  # fmt: skip
    trust_model: bool = flag(
        "--trust-model", default=False,
        help="let code in the model's file run, and load whatever it asks for: only for files of "
        "people you know",
    )  # fmt: skip


@dataclass(frozen=True)
class RunFolderArguments:
    """Run folder, the share of the work to do there, and how strict the run is."""

    into: Any = flag(
        "--into", metavar="FOLDER",
        help="keep the maps in this folder as they are computed; none for no folder (default: none "
        "up to 5000 images, and above that a folder beside the other output)",
    )  # fmt: skip
    resume: bool = flag(
        "--resume", default=False,
        help="go on with that folder, and compute only what it does not hold",
    )  # fmt: skip
    shard: str | None = flag(
        "--shard", metavar="N/OF",
        help="compute a share of the folder's shards, 3/16 for the third of sixteen; cnnvis merge "
        "puts the folders together",
    )  # fmt: skip
    shard_size: int | None = flag(
        "--shard-size", type=_whole, metavar="N",
        help="how many images a shard holds (default: 512, or fewer large ones)",
    )  # fmt: skip
    strict: bool = flag(
        "--strict", default=False,
        help="stop at the first image that cannot be read or explained",
    )  # fmt: skip


@dataclass(frozen=True)
class Messages:
    """Amount of messages on the standard error stream."""

    quiet: bool = flag("--quiet", "-q", default=False, help="no notes and no bars")
    verbose: bool = flag(
        "--verbose", "-v", default=False, help="say how the result was made; tracebacks"
    )


@dataclass(frozen=True)
class RunOutput:
    """Output of ``cnnvis run``."""

    metrics: Sequence[str] = flag(
        "--metrics", default=(), nargs="+", action="extend", metavar="NAME",
        help="metrics that measure each map, such as sparseness. Their options go by their names; "
        "cnnvis list-plugins --kind metric lists them",
    )  # fmt: skip
    render: Sequence[str] = flag(
        "--render", "-r", default=(), nargs="+", action="extend", metavar="NAME",
        help="renderers (default: png, and terminal in a terminal). Their options go by their "
        "names: --png.cmap hot; see cnnvis show png",
    )  # fmt: skip
    out: str | None = flag(
        "--out", "-o", is_path=True, metavar="PATH",
        help="the file to write, which takes the place of another of that name, or a folder, in "
        "which no file is replaced (default: results/TECHNIQUE_LAYER_MODIFIER.png)",
    )  # fmt: skip
    save_chain: str | None = flag(
        "--save-chain", metavar="TOML", help="put what was typed into this file as a chain"
    )


@dataclass(frozen=True)
class ChainOutput:
    """Origin and output of ``cnnvis chain``."""

    file: str | None = flag(
        "--file", metavar="TOML", help="take the chain from a file, which --save-chain writes"
    )
    name: str | None = flag(
        "--name", metavar="NAME",
        help="which chain of the file; the name of the chain where it is saved",
    )  # fmt: skip
    form: Form | None = flag(
        "--as", choices=get_args(Form),
        help="print the chain in this form instead of running it",
    )  # fmt: skip
    save: str | None = flag(
        "--save-chain", metavar="TOML", help="put the chain into this file, too"
    )
    out: str | None = flag(
        "--out", "-o", is_path=True, metavar="PATH",
        help="the file or folder to write (default: results/)",
    )  # fmt: skip


@dataclass(frozen=True)
class Comparing:
    """Comparison of two explanations."""

    scaled: bool = flag(
        "--scaled", default=False, help="scale each map to [0, 1] before it is compared"
    )
    top: float = flag(
        "--top", default=10.0, type=_number, metavar="PERCENT",
        help="how many per cent of the places are the strongest (default: 10)",
    )  # fmt: skip
    fail_above: float | None = flag(
        "--fail-above", type=_number, metavar="NUMBER",
        help="exit with 3 if the largest difference is above this, for scripts",
    )  # fmt: skip


@dataclass(frozen=True)
class ComparisonOutput:
    """Output of ``cnnvis compare``."""

    out: str | None = flag(
        "--out", "-o", metavar="PATH",
        help="the file of the figure, or its folder (default: results/compare_A_B.png)",
    )  # fmt: skip
    json: bool = flag("--json", default=False, help="print JSON, for scripts")


SUBJECT: Sequence[type] = (DataArguments, TargetArguments, Computing, Isolation, LoadOptions)
"""Values of every command that explains a network."""

OF_COMMANDS: Mapping[str, Sequence[type]] = {
    "run": (*SUBJECT, RunOutput, Messages, RunFolderArguments),
    "chain": (*SUBJECT, ChainOutput, Messages, RunFolderArguments),
    "compare": (*SUBJECT, Comparing, ComparisonOutput, Messages),
}
"""Values of the commands that also take the options of plugins."""

TITLES: Mapping[type, str] = {
    DataArguments: "what to explain",
    TargetArguments: "which answer to explain",
    Computing: "how to compute it",
    Isolation: "plugins in processes of their own",
    LoadOptions: "what the model's file lacks",
    RunOutput: "what to do with it",
    ChainOutput: "the chain",
    Comparing: "how to compare",
    ComparisonOutput: "what to do with it",
    Messages: "messages",
    RunFolderArguments: "long runs",
}
"""Titles of the flags' groups in the help."""
