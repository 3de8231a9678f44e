"""Repairs of model configurations that old Keras versions wrote; in memory, never in the file."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.allowed import ACTIVATIONS, INITIALIZERS
from cnnvis.plugins.loaders.config import MODELS, Config, layers_of, name_of, references
from cnnvis.plugins.loaders.older import older_function
from cnnvis.plugins.loaders.operations import operation


def repaired(
    model: Config,
    input_shape: tuple[int, ...] | None = None,
    custom: Mapping[str, Any] = {},
    *,
    is_older: bool = False,
) -> tuple[str, ...]:
    """Change a model's configuration into one that Keras 3 reads; return the changes in sentences.

    Parameters
    ----------
    model
        The configuration, which is changed.
    input_shape
        The shape of one input, 0 for an axis of any length, for a model that lost it.
    custom
        Classes that a person gave, by the names of the kinds they stand for; these stay unchanged.
    is_older
        True where Keras 2, or an earlier version, wrote the configuration.

    Raises
    ------
    UserError
        If the model lost its input shape and none was given, or has another one.
    """
    done: Counter[str] = Counter()
    dropped: dict[str, None] = {}
    for one in _all(model):
        done.update(_repairs(one, custom))
        done.update(_as_before(one, custom) if is_older else ())
        dropped.update(dict.fromkeys(_dropped(one, custom)))
    said = [f"{what}{f' ({times} times)' if times > 1 else ''}" for what, times in done.items()]
    if dropped:
        said.append(
            f"left out {', '.join(dropped)}: options that Keras 3 does not know and that do not "
            "change the answers"
        )
    return (*said, *_shaped(model, input_shape))


def _all(model: Config) -> Iterator[Config]:
    """Yield the model and every layer in it, those of nested models and of wrappers included."""
    yield model
    for layer in layers_of(model) if model.get("class_name") in MODELS else []:
        yield from _all(layer)
    config = model.get("config")
    if isinstance(config, dict):
        for wrapped in ("layer", "forward_layer", "backward_layer", "cell"):
            if isinstance(config.get(wrapped), dict):
                yield from _all(config[wrapped])
        for cell in config["cells"] if isinstance(config.get("cells"), list) else []:
            if isinstance(cell, dict):
                yield from _all(cell)


def _repairs(one: Config, custom: Mapping[str, Any]) -> Iterator[str]:
    """Repair one layer or model, but not its inner layers."""
    kind = one.get("class_name")
    if kind == "Sequential":
        yield from _repair_sequential(one)
    elif kind in MODELS:
        yield from _repair_functional(one)
    elif isinstance(one.get("config"), dict) and operation(one) is None:
        yield from _repair_initializers(one["config"])
        yield from _repair_layer(one, custom)


def _repair_initializers(config: Config) -> Iterator[str]:
    for value in config.values():
        is_initializer = isinstance(value, dict) and value.get("class_name") in INITIALIZERS
        if is_initializer and value.get("config", {}).pop("dtype", None) is not None:
            yield "left the dtype out of an initializer, which TensorFlow 2.0 wrote there"


def _repair_layer(layer: Config, custom: Mapping[str, Any]) -> Iterator[str]:
    config, kind = layer["config"], layer["class_name"]
    axis = config.get("axis")
    if "BatchNormalization" in str(kind) and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
        yield (
            "wrote the axis of a normalization as a number, since TensorFlow before 2.4 wrote a list"
        )
    if kind == "Lambda" and (named := activation_of(layer)) is not None:
        layer["class_name"] = "Activation"
        kept = {key: config[key] for key in ("name", "trainable", "dtype") if key in config}
        layer["config"] = {**kept, "activation": named}
        yield (
            f"took the function {named!r} that the Lambda {name_of(layer)!r} names for Keras's own, "
            "as Keras 3 does, and made an Activation of it"
        )
    if config.get("stateful") is True and kind not in custom:
        config["stateful"] = False  # which Keras 3 cannot build without its numbers
        yield "had a recurrent layer, which was saved as stateful, begin anew with every sample"
    if kind == "ThresholdedReLU":
        layer["class_name"] = "ReLU"
        config["threshold"] = config.pop("theta", 1.0)
        yield "made a ThresholdedReLU, which Keras 3 lacks, the ReLU with a threshold that it is"
    if kind in _RENAMED and kind not in custom:
        layer["class_name"] = _RENAMED[kind]
        yield f"called the layer kind {kind} {_RENAMED[kind]}, as Keras 3 does"


def activation_of(layer: Config) -> str | None:
    """Return the activation of Keras that a Lambda of Keras 3 names without more; else None."""
    config = layer.get("config")
    if layer.get("class_name") != "Lambda" or not isinstance(config, dict):
        return None
    function = config.get("function")
    if not isinstance(function, dict) or function.get("class_name") != "function":
        return None
    if any(config.get(option) for option in ("arguments", "mask")):
        return None
    is_of_keras = function.get("module") in ("builtins", "keras.activations", "keras.ops")
    name = function.get("config")
    return str(name) if is_of_keras and isinstance(name, str) and name in ACTIVATIONS else None


def _as_before(layer: Config, custom: Mapping[str, Any]) -> Iterator[str]:
    """Preserve the computations that Keras 3 would do differently."""
    config, kind = layer.get("config"), layer.get("class_name")
    if kind in MODELS or kind in custom or not isinstance(config, dict):
        return
    for name in ("activation", "recurrent_activation"):
        older = older_function(config.get(name))
        if older is not None:
            yield f"computed {config[name]} with a slope of 1/5, as Keras 2 does; Keras 3 has 1/6"
            config[name] = older
    if kind in ("GRU", "GRUCell") and "reset_after" not in config:
        config["reset_after"] = False
        yield "reset a GRU before the multiplication, as before Keras 2.1.2"


def _dropped(layer: Config, custom: Mapping[str, Any]) -> Iterator[str]:
    """Remove options of a layer that Keras 3 does not know and that change nothing."""
    config, kind = layer.get("config"), layer.get("class_name")
    if kind in MODELS or kind in custom or kind == "Lambda" or not isinstance(config, dict):
        return
    if operation(layer) is not None:
        return
    known = _parameters(str(kind))
    for name in list(config):
        if known is None or name in known | _EVERYWHERE or not _says_nothing(name, config[name]):
            continue
        del config[name]
        yield f"{name} of {kind}"


def _repair_sequential(model: Config) -> Iterator[str]:
    """Give a Sequential the InputLayer that Keras 2 left to its first layer's configuration."""
    if not isinstance(model["config"], dict):
        model["config"] = {
            "name": str(model.get("name") or "sequential"),
            "layers": model["config"],
        }
        yield "gave a Sequential, which Keras 2.2 wrote as a bare list of layers, a name"
    layers = layers_of(model)
    if not layers:
        return
    shape = _known_shape(model)
    _remove_batch_shapes(layers)
    model["config"].pop("batch_input_shape", None)
    if shape is not None and layers[0]["class_name"] != "InputLayer":
        layers.insert(0, _input_layer(name_of(layers[0]), shape, _dtype(layers[0])))
        yield (
            "gave a Sequential an InputLayer, since Keras 2 wrote the shape to its first layer, "
            "where Keras 3 takes the samples for an axis of space"
        )


def _repair_functional(model: Config) -> Iterator[str]:
    config = model["config"]
    layers = {name_of(layer): layer for layer in layers_of(model)}
    places = [*(layer.get("inbound_nodes", []) for layer in layers.values())]
    places += [config.get("input_layers", []), config.get("output_layers", [])]
    first: dict[str, int] = {}
    for owner, number, _ in references(places):
        first[owner] = min(number, first.get(owner, number))
    _remove_batch_shapes(layers.values())
    for name in layers:
        # Every call that is written down is used, so the first one used is the first there is.
        if first.get(name, 0) > 0:
            yield (
                f"numbered the calls of {name!r} from 0, since Keras 2 counts the making of a "
                "nested model as its first"
            )
    _renumber(places, {name: number for name, number in first.items() if number > 0})
    for ends in ("input_layers", "output_layers"):
        only = config.get(ends)
        if isinstance(only, list) and len(only) == 1 and isinstance(only[0], list):
            config[ends] = only[0]  # as Keras 3 writes it: else a nested model gives a list


def _remove_batch_shapes(layers: Iterable[Config]) -> None:
    """Remove the shapes of batches that Keras 2 wrote to other layers than an InputLayer."""
    for layer in layers:
        if layer["class_name"] != "InputLayer" and isinstance(layer.get("config"), dict):
            layer["config"].pop("batch_input_shape", None)


def _renumber(value: Any, first: Mapping[str, int]) -> None:
    """Count the calls of these layers from 0, wherever their outputs are referred to."""
    if isinstance(value, dict):
        history = value.get("keras_history")
        if isinstance(history, list):
            history[1] -= first.get(str(history[0]), 0)
            return
        for item in value.values():
            _renumber(item, first)
    if not isinstance(value, list):
        return
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        value[1] -= first.get(value[0], 0)
        value = value[3:]
    for item in value:
        _renumber(item, first)


def _known_shape(model: Config) -> list[int | None] | None:
    """Return the shape of a batch of inputs, wherever a Sequential or its first layers have it."""
    config = model.get("config")
    if not isinstance(config, dict):
        return None
    for key in ("batch_input_shape", "batch_shape", "build_input_shape"):
        if isinstance(config.get(key), list):
            return list(config[key])
    if model.get("class_name") not in MODELS or not layers_of(model):
        return None
    return _known_shape(layers_of(model)[0])


def _input_layer(first: str, shape: list[int | None], dtype: str) -> Config:
    name = f"{first}_input"
    config = {"batch_shape": [None, *shape[1:]], "dtype": dtype, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def _dtype(layer: Config) -> str:
    dtype = layer.get("config", {}).get("dtype")
    return dtype if isinstance(dtype, str) and dtype.startswith(("float", "int")) else "float32"


def _shaped(model: Config, given: tuple[int, ...] | None) -> tuple[str, ...]:
    """Set the given shape where none is set."""
    known = _known_shape(model)
    wanted = None if given is None else [None, *(size or None for size in given)]
    if known is not None:
        if wanted is not None and wanted[1:] != known[1:]:
            raise cnnvis.UserError(
                f"the file says that its input has the shape {_written(known)}, so --input-shape "
                f"cannot be {_written(wanted)}; leave it out"
            )
        return ()
    if model.get("class_name") != "Sequential":
        if wanted is not None and model.get("class_name") in MODELS:
            raise cnnvis.UserError(
                "the file holds the shape of its inputs; leave out --input-shape"
            )
        return ()
    if wanted is None:
        raise cnnvis.UserError(
            "the file holds no input shape, as Keras saved Sequential models without an input "
            "layer; give the shape of one input, for example --input-shape 28 28 1"
        )
    layers = layers_of(model)
    layers.insert(0, _input_layer(name_of(layers[0]), wanted, _dtype(layers[0])))
    return (
        f"took the input shape {_written(wanted)}, which the file does not hold, from "
        "--input-shape",
    )


def _written(shape: list[int | None]) -> str:
    return " ".join("0" if size is None else str(size) for size in shape[1:])


def _says_nothing(name: str, value: Any) -> bool:
    """Tell whether an option that Keras 3 lacks has no effect on the layer's answer."""
    if name.endswith(("_initializer", "_regularizer", "_constraint")) or name in _ONLY_SPEED:
        return True
    return value is None or value is False or any([name, value] == off for off in _OFF)


_OFF = (["groups", 1], ["virtual_batch_size", 0], ["renorm_momentum", 0.99])
_ONLY_SPEED = {"implementation", "fused"}
_EVERYWHERE = {
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape", "autocast"),
}
_RENAMED = {
    "CuDNNGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "SyncBatchNormalization": "BatchNormalization",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
}


@functools.cache
def _parameters(kind: str) -> frozenset[str] | None:
    """Return the options of a kind of layer in Keras 3; None where they are unknown."""
    import keras

    layer = getattr(keras.layers, kind, None)
    if not isinstance(layer, type):
        return None
    names: set[str] = set()
    for base in layer.__mro__:
        make: Callable[..., Any] | None = vars(base).get("__init__")
        if make is not None and base.__module__.startswith("keras"):
            names |= set(inspect.signature(make).parameters)
    return frozenset(names)
