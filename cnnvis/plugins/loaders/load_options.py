"""Options of a person for a model's file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cnnvis.plugins.loaders.config import Config
from cnnvis.plugins.loaders.custom import given, given_lambdas

HELP = {
    "custom": "Your own classes that the file names, each module:Class, or NAME=module:Class for "
    "a layer's kind or name. The module is imported, and so runs.",
    "lambdas": "Functions that replace Lambda layers, each NAME=module:function, where NAME is "
    "the name of the layer. The module is imported, and so runs.",
    "input_shape": "The shape of one input, for a file without this shape; 0 for an axis of any length.",
    "architecture": "The JSON file that describes the network, for a file with the weights alone.",
    "trust_model": "Let code in the file run, and leave out the checks against harmful files.",
}
"""Help for the options, of which each loader has some."""

Loader = TypeVar("Loader", bound=Callable[..., Any])


def with_help(loader: Loader) -> Loader:
    """Add the help for a loader's options to its docstring."""
    options = [name for name in inspect.signature(loader).parameters if name in HELP]
    listed = (f"{name}\n    {HELP[name]}" for name in options)
    section = ("", "Parameters", "----------", *listed)
    loader.__doc__ = "\n".join([inspect.getdoc(loader) or "", *section])
    return loader


@dataclass(frozen=True)
class LoadOptions:
    """Options of a person for a file; see `HELP`."""

    custom: tuple[str, ...] = ()
    lambdas: tuple[str, ...] = ()
    input_shape: tuple[int, ...] | None = None
    trust_model: bool = False
    architecture: str | None = None

    def given(self, config: Config) -> dict[str, Any]:
        """Return the given classes and functions, by the kinds or layers that they stand for."""
        return {**given(self.custom), **given_lambdas(self.lambdas, config)}
