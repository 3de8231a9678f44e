"""Findings about a file that is not loaded; nothing of it is run or built for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.allowed import KERAS_2_LAYERS, foreign, is_layer
from cnnvis.plugins.loaders.arithmetic import known
from cnnvis.plugins.loaders.config import (
    MODELS,
    Config,
    every_layer,
    name_of,
    naming,
    obstacle,
    read_json,
)
from cnnvis.plugins.loaders.legacy import activation_of
from cnnvis.plugins.loaders.operations import OPERATIONS, REFUSED_OPERATIONS, operation
from cnnvis.plugins.loaders.training import without_foreign_makers

SHOWN = 100
"""Maximum number of layers, and of refused things, that are named."""


@contextmanager
def kept_findings() -> Iterator[dict[str, Any]]:
    """Let an error inside the block hold the findings about the file, as `UserError.found`.

    Yields
    ------
    dict
        For the known facts by name, and under ``text`` the description of the network, if any.
    """
    known: dict[str, Any] = {}
    try:
        yield known
    except cnnvis.UserError as error:
        error.found = _findings(known)
        raise


def _findings(about: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in about.items() if key != "text"}
    try:
        config = read_json(str(about["text"]))
    except (KeyError, ValueError):
        return found
    with suppress(TypeError, AttributeError, RecursionError):  # it may be anything
        without_foreign_makers(config, ())
    layers = list(islice(every_layer(config), SHOWN))
    found["layers"] = [
        (name_of(layer)[:SHOWN], str(layer.get("class_name"))[:SHOWN]) for layer in layers
    ]
    found["refused"] = list(islice(_refused(config, layers), SHOWN))
    return found


def _refused(config: Any, layers: list[Config]) -> Iterator[str]:
    """Yield what would be cut off or prevents the network from being built, each with a remedy."""
    kind = str(config.get("class_name")) if isinstance(config, dict) else None
    if kind not in MODELS:
        yield (
            f"the class {str(kind)[:SHOWN]!r} of the model, whose code is not in the file; if you "
            f"have the code, give it: --custom module:{str(kind).rpartition('>')[2][:SHOWN]}"
        )
    for layer in layers:
        kind = str(layer.get("class_name"))
        if kind in MODELS or known(layer) is not None or activation_of(layer) is not None:
            continue
        is_known = operation(layer) in OPERATIONS or kind in KERAS_2_LAYERS or is_layer(layer)
        if operation(layer) in REFUSED_OPERATIONS or not is_known:
            yield obstacle(layer).with_cure()
            continue
        for named in islice(foreign(layer, ()), 3):
            cure = naming(layer, named).cure
            yield f"the layer {name_of(layer)!r} names {named}; {cure}"
