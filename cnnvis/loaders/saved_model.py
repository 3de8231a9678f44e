"""Loads networks that Keras 2 saved as TensorFlow SavedModels, with their real layers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.loaders.checkpoint import Checkpoint
from cnnvis.loaders.config import TEXT, read_json
from cnnvis.loaders.findings import findings

ORIGIN = "SavedModel, written by Keras 2"


def _is_saved_model(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


@cnnvis.loader("saved-model", accepts=_is_saved_model)
def saved_model(
    path: Path,
    *,
    custom: tuple[str, ...] = (),
    lambdas: tuple[str, ...] = (),
    input_shape: tuple[int, ...] | None = None,
    trust_model: bool = False,
) -> cnnvis.LoadedNetwork:
    """Load a SavedModel folder that Keras 2 wrote, by building its layers anew.

    The graph in it is never run, and its weights are read without TensorFlow. Folders without a
    description of layers are refused.

    Parameters
    ----------
    custom
        Classes of your own that the file names, each module:Class, or NAME=module:Class for a
        layer's kind or name. The module is imported, and so runs.
    lambdas
        Functions in the place of Lambda layers, each NAME=module:function, where NAME is the
        layer's. The module is imported, and so runs.
    input_shape
        The shape of one input, for a file that lost it; 0 for an axis of any length.
    trust_model
        Let code in the file run, and leave out what keeps a stranger's file from doing harm.
    """
    known: dict[str, Any] = {"origin": "SavedModel"}
    try:
        return _network_in(path, custom, lambdas, input_shape, trust_model, known)
    except cnnvis.UserError as error:
        error.found = findings(known)
        raise


def _network_in(
    path: Path,
    custom: tuple[str, ...],
    lambdas: tuple[str, ...],
    input_shape: tuple[int, ...] | None,
    trust_model: bool,
    known: dict[str, Any],
) -> cnnvis.LoadedNetwork:
    from cnnvis.loaders.building import Asked, built, prepared, require_model
    from cnnvis.loaders.growth import require_growth
    from cnnvis.loaders.training import without_foreign_makers

    described = path / "keras_metadata.pb"
    if not described.is_file():
        raise cnnvis.UserError(
            f"{str(path)!r} is a SavedModel without Keras layers: only its graph could be run, "
            "unseen, and no layer of it explained; save the model as .keras or .h5 where it was made"
        )
    nodes = _nodes(described)
    root = nodes.get("root", {})
    if not {"class_name", "config"} <= set(root):
        raise cnnvis.UserError(f"{str(described)!r} does not describe a Keras model")
    config = {"class_name": root["class_name"], "config": root["config"]}
    known.update({"origin": ORIGIN, "text": json.dumps(config)})
    if config["class_name"] not in ("Functional", "Model", "Sequential"):
        raise cnnvis.UserError(
            f"{str(path)!r} holds a model of the class {config['class_name']!r}, whose code is not "
            "in the file; only Functional and Sequential models can be built from a SavedModel"
        )
    asked = Asked(custom, lambdas, input_shape, trust_model)
    own = require_model(config, path, asked)
    left_out = without_foreign_makers(config, own)
    stored = Checkpoint(path / "variables" / "variables")
    known["parameters"] = stored.values
    kinds, repairs, cut = prepared(config, own, asked)
    network = built(config, kinds, stored.values, trusted=trust_model)
    try:
        for layer, prefix in _layers_with_weights(network, _places(nodes)):
            for variable in layer.weights:
                name = f"{prefix}/{variable.name}/.ATTRIBUTES/VARIABLE_VALUE"
                variable.assign(stored.tensor(name))
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()
    except (ValueError, OSError) as error:
        raise cnnvis.UserError(
            f"the weights in {str(path)!r} do not fit the network described there: {error}"
        ) from error
    if not trust_model:
        require_growth(network)
    return cnnvis.LoadedNetwork(network, (*repairs, *left_out), cut.reasons, cut.learned, ORIGIN)


def _nodes(path: Path) -> dict[str, Any]:
    """The description of every object in the SavedModel, by its path from the root."""
    from google.protobuf.message import DecodeError
    from tensorflow.python.keras.protobuf.saved_metadata_pb2 import SavedMetadata

    metadata = SavedMetadata()
    try:
        if path.stat().st_size > TEXT:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        metadata.ParseFromString(path.read_bytes())
        nodes = {node.node_path: _plain(read_json(node.metadata)) for node in metadata.nodes}
    except (DecodeError, ValueError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is damaged: {error}") from error
    return {place: node for place, node in nodes.items() if isinstance(node, dict)}


def _plain(value: Any) -> Any:
    """The same with tuples, which SavedModels describe as objects, as the lists they are elsewhere."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__tuple__" and "items" in value:
        return _plain(value["items"])
    return {key: _plain(item) for key, item in value.items()}


def _places(nodes: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """The places of the objects of each name, by the place of what they are in."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, node in nodes.items():
        found.setdefault((place.rpartition(".")[0], str(node.get("name"))), []).append(place)
    return found


def _layers_with_weights(
    network: Any, places: dict[tuple[str, str], list[str]], path: str = "root"
) -> Iterator[tuple[Any, str]]:
    """Every layer that has weights, with its place in the checkpoint."""
    for layer in network.layers:
        own = places.get((path, layer.name), [])
        # The same layer stands there as layer-3 and as layer_with_weights-1; weights go by the last.
        place = next((p for p in own if "layer_with_weights" in p), "".join(own[:1]))
        if getattr(layer, "layers", None):
            yield from _layers_with_weights(layer, places, place)
        elif layer.weights:
            yield layer, place.removeprefix("root.").replace(".", "/")
