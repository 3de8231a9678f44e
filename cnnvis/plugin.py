"""The decorators that turn a typed function into a plugin.

A plugin *is* its function: the keyword-only parameters are its options, their annotations and
defaults the types and defaults of those options, the docstring its help. Nothing is said twice.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

Kind = Literal["technique", "transform", "renderer", "reader", "loader"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Result = Literal["images", "groups", "pictures", "table"]
"""What a step of a chain gives: a map for each image, a map for each group of images, pictures that
belong to no image (filters, maximizing inputs), or a table."""

MAPS: tuple[Result, ...] = ("images", "groups", "pictures")

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__cnnvis_plugin__"


@dataclass(frozen=True)
class Plugin:
    """A function with what its decorator says of it.

    Attributes
    ----------
    kind
        What the plugin does; see the decorator of that name.
    name
        What a person types: ``saliency``, ``png``.
    function
        The function itself, unchanged.
    reference
        The paper behind a technique, for example ``arXiv:1312.6034``.
    suffixes
        Endings of the files that a renderer writes (the first is its default) or that a reader or
        loader takes, with the dot: ``(".h5", ".hdf5")``.
    accepts
        For a reader or loader: whether it takes a path that no suffix decides, such as a folder.
        It must be quick and import nothing heavy.
    takes_results
        For a transform: which results it takes.
    gives
        For a technique or transform: what result it gives; None for the kind that it took.
    check
        Called with all options, by name, before anything heavy starts: raises `UserError` for
        values that their types allow and the function does not.
    distribution, version
        The installed package that the plugin came from, filled in by the registry.
    """

    kind: Kind
    name: str
    function: Callable[..., Any]
    reference: str | None = None
    suffixes: tuple[str, ...] = ()
    accepts: Callable[[Path], bool] | None = None
    check: Callable[..., None] | None = None
    takes_results: tuple[Result, ...] = ()
    gives: Result | None = None
    distribution: str = ""
    version: str = ""

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        lines = (inspect.getdoc(self.function) or "").splitlines()
        return lines[0] if lines else ""

    @property
    def description(self) -> str:
        """The docstring up to its sections (parameters, ...), one line a paragraph."""
        body = re.split(r"\n[A-Z]\w+\n-+\n", inspect.getdoc(self.function) or "")[0]
        return "\n\n".join(" ".join(part.split()) for part in body.strip().split("\n\n"))

    def takes(self, parameter: str) -> bool:
        """Whether the function has a positional parameter of that name: `model`, `samples`, ..."""
        return parameter in _positional(self.function)

    def needs(self, parameter: str) -> bool:
        """Whether it has that positional parameter and no default for it."""
        found = _positional(self.function).get(parameter)
        return found is not None and found.default is inspect.Parameter.empty


def _positional(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    }


def technique(
    name: str,
    *,
    reference: str | None = None,
    gives: Result = "images",
    check: Callable[..., None] | None = None,
) -> Callable[[Function], Function]:
    """Mark a function as a technique: ``function([model], [samples], *, options) -> Explanation``.

    For `check`, here and below, see `Plugin`; for `gives`, `cnnvis.plugin.Result`.

    The function takes those of `model` and `samples` that it needs, by these names; a default of
    None for `samples` says that data are welcome but not needed.
    """
    return _mark("technique", name, reference=reference, gives=gives, check=check)


def transform(
    name: str,
    *,
    reference: str | None = None,
    takes: Sequence[Result] = MAPS,
    gives: Result | None = None,
    check: Callable[..., None] | None = None,
) -> Callable[[Function], Function]:
    """Mark a function as a transform of explanations; its parameter says how it takes them.

    ``function(explanation, *, options) -> Explanation``
        Is called with a batch of images at a time, each map to be treated by itself.
    ``function(stream, *, options) -> Explanation``
        Goes through all batches, as often as it needs to, and keeps no more of them than it must.
        A generator gives a batch for each that it takes.
    ``function(explanations, *, options) -> Explanation``
        Is called with a batch of the last two results, of the same images.

    `takes` says which kinds of results it can do with, `gives` what it makes of them if that is
    another kind; see `cnnvis.plugin.Result`.
    """
    return _mark(
        "transform", name, reference=reference, takes_results=takes, gives=gives, check=check
    )


def renderer(
    name: str, *, suffixes: Sequence[str] = (), check: Callable[..., None] | None = None
) -> Callable[[Function], Function]:
    """Mark a function as a renderer: ``function(explanation, path or console, *, options)``.

    With `suffixes` it writes one file: its second parameter, `path`, is a temporary name that
    becomes the real one once the function returns, so that no half-written file is ever seen.
    Without, it prints: its second parameter, `console`, is a `rich.console.Console`.
    """
    return _mark("renderer", name, suffixes=suffixes, check=check)


def reader(
    name: str, *, suffixes: Sequence[str] = (), accepts: Callable[[Path], bool] | None = None
) -> Callable[[Function], Function]:
    """Mark a function as a reader of data: ``function(path, *, options) -> Samples``."""
    return _mark("reader", name, suffixes=suffixes, accepts=accepts)


def loader(
    name: str, *, suffixes: Sequence[str] = (), accepts: Callable[[Path], bool] | None = None
) -> Callable[[Function], Function]:
    """Mark a function as a loader of networks: ``function(path, *, options) -> LoadedNetwork``."""
    return _mark("loader", name, suffixes=suffixes, accepts=accepts)


def _mark(
    kind: Kind,
    name: str,
    *,
    reference: str | None = None,
    suffixes: Sequence[str] = (),
    accepts: Callable[[Path], bool] | None = None,
    check: Callable[..., None] | None = None,
    takes_results: Sequence[Result] = (),
    gives: Result | None = None,
) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        plugin = Plugin(
            kind, name, function, reference, tuple(suffixes), accepts, check,
            tuple(takes_results), gives,
        )  # fmt: skip
        setattr(function, _MARK, plugin)
        return function

    return decorate


def plugin_of(function: object) -> Plugin | None:
    """What a decorator said of this function, or None if it is no plugin."""
    found = getattr(function, _MARK, None)
    return found if isinstance(found, Plugin) else None
