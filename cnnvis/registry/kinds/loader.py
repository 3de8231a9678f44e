"""Loaders: plugins that load networks from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis.registry.kinds.answers import of_type
from cnnvis.registry.kinds.kind import Kind
from cnnvis.registry.plugin import Function, Plugin, mark


def loader(
    name: str,
    *,
    suffixes: Sequence[str] = (),
    accepts: Callable[[Path], bool] | None = None,
    begin: Callable[[Path], None] | None = None,
    requires: Sequence[str] = (),
    extra: str = "",
) -> Callable[[Function], Function]:
    """Mark a function as a loader of networks: ``function(path, *, options) -> LoadedNetwork``."""
    return mark(
        "loader",
        name,
        suffixes=tuple(suffixes),
        accepts=accepts,
        begin=begin,
        requires=tuple(requires),
        extra=extra,
    )


def _accept(plugin: Plugin, answer: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    from cnnvis.data.loaded_network import LoadedNetwork

    return of_type(plugin, answer, LoadedNetwork, "a LoadedNetwork")


LOADER = Kind(
    "loader",
    about="Plugin that loads networks.",
    example="cnnvis doctor network.linear",
    accept=_accept,
    is_beside=True,
    file="model",
    draws_lots=True,  # Keras draws the seeds of layers, whoever makes them
)
