"""Loads networks that Keras 2 saved as TensorFlow SavedModels, with their real layers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cnnvis


def _is_saved_model(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


@cnnvis.loader("saved-model", accepts=_is_saved_model)
def saved_model(
    path: Path,
    *,
    custom: tuple[str, ...] = (),
    input_shape: tuple[int, ...] | None = None,
) -> cnnvis.LoadedNetwork:
    """Load a SavedModel folder that Keras 2 wrote, by building its layers anew.

    The graph in it is never run. Folders without a description of layers are refused.

    Parameters
    ----------
    custom
        Classes of your own that the file names, each module:Class, or NAME=module:Class for a
        layer's kind or name. The module is imported, and so runs.
    input_shape
        The shape of one input, for a file that lost it; 0 for an axis of any length.
    """
    import tensorflow as tf

    from cnnvis.loaders.building import built, prepared
    from cnnvis.loaders.custom import given

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
    if config["class_name"] not in ("Functional", "Model", "Sequential"):
        raise cnnvis.UserError(
            f"{str(path)!r} holds a model of the class {config['class_name']!r}, whose code is not "
            "in the file; only Functional and Sequential models can be built from a SavedModel"
        )
    kinds, repairs, cut = prepared(config, given(custom), input_shape)
    network = built(config, kinds)
    try:
        stored = tf.train.load_checkpoint(str(path / "variables" / "variables"))
        for layer, prefix in _layers_with_weights(network, nodes):
            for variable in layer.weights:
                name = f"{prefix}/{variable.name}/.ATTRIBUTES/VARIABLE_VALUE"
                variable.assign(stored.get_tensor(name))
    except (ValueError, tf.errors.OpError) as error:
        raise cnnvis.UserError(
            f"the weights in {str(path)!r} do not fit the network described there: {error}"
        ) from error
    origin = "SavedModel, written by Keras 2"
    return cnnvis.LoadedNetwork(network, repairs, cut.reasons, cut.learned, origin)


def _nodes(path: Path) -> dict[str, Any]:
    """The description of every object in the SavedModel, by its path from the root."""
    from google.protobuf.message import DecodeError
    from tensorflow.python.keras.protobuf.saved_metadata_pb2 import SavedMetadata

    metadata = SavedMetadata()
    try:
        metadata.ParseFromString(path.read_bytes())
        return {
            node.node_path: json.loads(node.metadata, object_hook=_plain) for node in metadata.nodes
        }
    except (DecodeError, ValueError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is damaged: {error}") from error


def _plain(value: dict[str, Any]) -> Any:
    """A tuple, which SavedModels describe as an object, as the list that it is elsewhere."""
    return value["items"] if value.get("class_name") == "__tuple__" else value


def _layers_with_weights(
    network: Any, nodes: dict[str, Any], path: str = "root"
) -> Iterator[tuple[Any, str]]:
    """Every layer that has weights, with its place in the checkpoint."""
    for layer in network.layers:
        places = [
            place
            for place, node in nodes.items()
            if place.rpartition(".")[0] == path and node.get("name") == layer.name
        ]
        # The same layer stands there as layer-3 and as layer_with_weights-1; weights go by the last.
        place = next((p for p in places if "layer_with_weights" in p), "".join(places[:1]))
        if getattr(layer, "layers", None):
            yield from _layers_with_weights(layer, nodes, place)
        elif layer.weights:
            yield layer, place.removeprefix("root.").replace(".", "/")
