"""What can be said of a file that is not loaded; nothing of it is run or built for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from cnnvis.loaders.allowed import KERAS_2_LAYERS, foreign, is_layer
from cnnvis.loaders.arithmetic import known
from cnnvis.loaders.config import MODELS, Config, described, every_layer, name_of, read_json
from cnnvis.loaders.operations import OPERATIONS, operation
from cnnvis.loaders.training import without_foreign_makers

SHOWN = 100
"""How many layers, and how many things refused, are named at most."""


def findings(about: Mapping[str, Any]) -> dict[str, Any]:
    """What was found of a file, for `UserError.found`.

    Parameters
    ----------
    about
        What is known by its name, and under ``text`` the description of the network, if any.
    """
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
    """What would be cut off or keeps the network from being built, each with what would do."""
    kind = str(config.get("class_name")) if isinstance(config, dict) else None
    if kind not in MODELS:
        yield (
            f"the class {str(kind)[:SHOWN]!r} of the model, whose code is not in the file; give it "
            "with --custom module:Class"
        )
    for layer in layers:
        kind = str(layer.get("class_name"))
        if kind in MODELS or known(layer) is not None:
            continue
        if kind == "Lambda":
            yield f"{described(layer)}; give it with --lambda {name_of(layer)}=module:function"
        elif operation(layer) in OPERATIONS:
            yield from _named(layer)
        elif (kind not in KERAS_2_LAYERS and not is_layer(layer)) or operation(layer):
            yield f"{described(layer)}; give it with --custom {name_of(layer)}=module:Class"
        else:
            yield from _named(layer)


def _named(layer: Config) -> Iterator[str]:
    for named in islice(foreign(layer, ()), 3):
        yield f"the layer {name_of(layer)!r} names {named}"
