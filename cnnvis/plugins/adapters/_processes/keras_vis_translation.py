"""A network as Keras 3 or tf_keras describes it, built of tf_keras's layers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

RENAMED = {"negative_slope": "alpha", "batch_shape": "batch_input_shape"}
"""Names in Keras 2 of a layer's options that Keras 3 renamed."""

OPERATIONS = {"Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate"}
"""Operations of Keras 3 that Keras 2 has as layers of a list of tensors."""


class Untranslatable(Exception):
    """Reason why a network cannot be built, in a sentence."""


def translated(config: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
    """Build the tf_keras network of a Functional configuration, flat, with its weights.

    Parameters
    ----------
    config
        The result of a Functional model's ``get_config``.
    weights
        The weights of each layer, by its name.

    Raises
    ------
    Untranslatable
        If the configuration holds an operation that Keras 2 has no layer for.
    """
    import tf_keras

    if "tf_keras" in str(config["layers"][0].get("module", "")) or _is_keras_2(config):
        network = tf_keras.Model.from_config(dict(config))
    else:
        network = _built(config)
    for name, values in weights.items():
        if values:
            network.get_layer(name).set_weights(values)
    return network


def _is_keras_2(config: Mapping[str, Any]) -> bool:
    """Tell whether calls are nested lists, as Keras 2 writes them, and not dicts."""
    nodes = [node for layer in config["layers"] for node in layer["inbound_nodes"]]
    return bool(nodes) and not isinstance(nodes[0], Mapping)


def _built(config: Mapping[str, Any]) -> Any:
    import tf_keras

    layers = {entry["name"]: _layer(entry) for entry in config["layers"]}
    values: dict[tuple[str, int], Any] = {}
    waiting = []
    for entry in config["layers"]:
        if entry["class_name"] == "InputLayer":
            values[entry["name"], 0] = [layers[entry["name"]].output]
        waiting += [(entry, number) for number in range(len(entry["inbound_nodes"]))]
    while waiting:
        ready = [one for one in waiting if _origins(one[0]["inbound_nodes"][one[1]]) <= set(values)]
        if not ready:
            raise Untranslatable("its calls go round in a circle")
        for entry, number in ready:
            node = entry["inbound_nodes"][number]
            args, kwargs = _filled(node["args"], values), _filled(node["kwargs"], values)
            kwargs = {
                key: value for key, value in kwargs.items() if key not in ("training", "mask")
            }
            if entry["class_name"] in OPERATIONS and len(args) > 1:
                args = [list(args)]
            answer = layers[entry["name"]](*args, **kwargs)
            values[entry["name"], number] = answer if isinstance(answer, list | tuple) else [answer]
        waiting = [one for one in waiting if one not in ready]
    inputs = [values[name, node][place] for name, node, place in _ends(config["input_layers"])]
    outputs = [values[name, node][place] for name, node, place in _ends(config["output_layers"])]
    return tf_keras.Model(inputs, outputs)


def _ends(places: Any) -> list[tuple[str, int, int]]:
    """Return one place, or a list of places, as a list."""
    return [tuple(places)] if isinstance(places[0], str) else [tuple(one) for one in places]


def _layer(entry: Mapping[str, Any]) -> Any:
    import tf_keras

    name, kind = entry["name"], entry["class_name"]
    config = dict(entry["config"])
    if kind == "Relu":
        return tf_keras.layers.Activation("relu", name=name)
    found = getattr(tf_keras.layers, kind, None)
    if found is None:
        raise Untranslatable(f"Keras 2 has no layer {kind} ({name!r})")
    return found(**_options(found, {**config, "name": name}))


def _options(kind: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a layer's options as Keras 2 takes them, without the initializers of its weights."""
    parameters = inspect.signature(kind.__init__).parameters
    known = {*parameters, "name", "dtype", "batch_input_shape"}
    found: dict[str, Any] = {}
    for key, value in config.items():
        key = RENAMED.get(key, key)
        if key not in known or key.endswith(("_initializer", "_regularizer", "_constraint")):
            continue
        if key == "dtype":
            value = value["config"]["name"] if isinstance(value, Mapping) else value
        elif key == "layer" and isinstance(value, Mapping):  # of TimeDistributed and others
            value = _layer({**value, "name": value["config"]["name"]})
        elif isinstance(value, Mapping) and "class_name" in value:
            value = value["config"] if value["class_name"] == "function" else value
        found[key] = value
    return found


def _origins(value: Any) -> set[tuple[str, int]]:
    """Return the calls whose outputs a call takes as arguments."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            name, node, _ = value["config"]["keras_history"]
            return {(name, node)}
        value = list(value.values())
    if isinstance(value, list | tuple):
        return {one for item in value for one in _origins(item)}
    return set()


def _filled(value: Any, values: Mapping[tuple[str, int], Any]) -> Any:
    """Replace the descriptions of tensors in arguments by the tensors."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            name, node, place = value["config"]["keras_history"]
            return values[name, node][place]
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, values) for one in value]
    return value
