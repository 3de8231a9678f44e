"""A model's configuration, read before Keras sees it: what is known, what is cut, what is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.loaders.legacy import Config

# Layers that add nothing learned: cutting these off too leaves no doubt what the network answers.
_WITHOUT_WEIGHTS = {
    "Activation",
    "Dropout",
    "Flatten",
    "Lambda",
    "Permute",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Softmax",
}

MODELS = {"Functional", "Model", "Sequential"}


@dataclass(frozen=True)
class Cut:
    """What was taken out of a configuration.

    Attributes
    ----------
    reasons
        The layers taken out, by name, each with why, to be read after "cut off: ".
    learned
        Whether there may be some among them with weights of their own.
    """

    reasons: dict[str, str]
    learned: bool


def cut_unreadable(model: Config) -> Cut:
    """Take out of a configuration what must not or cannot be built, with all that depends on it.

    Raises
    ------
    UserError
        If nothing that could be explained is left, or a nested model holds such a layer.
    """
    layers = _layers_of(model)
    unreadable = {_name(layer): why for layer in layers if (why := _unreadable(layer)) is not None}
    if not unreadable:
        return Cut({}, learned=False)
    if model["class_name"] == "Sequential":
        kinds = _cut_sequential(layers, unreadable)
    else:
        kinds = _cut_functional(model["config"], unreadable)
    first = next(iter(unreadable.values()))
    if all(layer["class_name"] == "InputLayer" for layer in layers):
        raise cnnvis.UserError(
            f"the model cannot be explained, since everything in it comes after {first}"
        )
    return Cut(
        {name: unreadable.get(name, f"it comes after {first}") for name in kinds},
        learned=any(kind not in _WITHOUT_WEIGHTS for kind in kinds.values()),
    )


def _cut_sequential(layers: list[Config], reasons: dict[str, str]) -> dict[str, str]:
    start = next(i for i, layer in enumerate(layers) if _name(layer) in reasons)
    cut = {_name(layer): layer["class_name"] for layer in layers[start:]}
    del layers[start:]
    return cut


def _cut_functional(config: Config, reasons: dict[str, str]) -> dict[str, str]:
    layers = config["layers"]
    cut: dict[str, str] = {}
    while True:  # until nothing more depends on what was cut; layers need not be in order
        more = {
            _name(layer): layer["class_name"]
            for layer in layers
            if _name(layer) not in cut
            and (_name(layer) in reasons or any(p[0] in cut for p in _parents(layer)))
        }
        if not more:
            break
        cut.update(more)
    ends = [ref for ref in _references(config["output_layers"]) if ref[0] not in cut]
    for layer in layers:
        if _name(layer) in cut:
            ends += [ref for ref in _parents(layer) if ref[0] not in cut and ref not in ends]
    config["layers"][:] = [layer for layer in layers if _name(layer) not in cut]
    config["output_layers"] = [list(ref) for ref in ends]
    return cut


def _layers_of(model: Config) -> list[Config]:
    """The list of a model's layers, as it stands in the configuration: changes to it count."""
    config = model["config"]
    # The first Keras versions wrote a Sequential's layers without a name for the model.
    found: list[Config] = config["layers"] if isinstance(config, dict) else config
    return found


def _name(layer: Config) -> str:
    return str(layer.get("name") or layer.get("config", {}).get("name"))


def _parents(layer: Config) -> list[tuple[str, int, int]]:
    return list(_references(layer.get("inbound_nodes", [])))


def _references(value: Any) -> Iterator[tuple[str, int, int]]:
    """The tensors, as (layer, node, index), that are named anywhere in a piece of configuration."""
    if isinstance(value, dict):
        if "keras_history" in value:
            name, node, index = value["keras_history"]
            yield str(name), int(node), int(index)
            return
        value = list(value.values())
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
            yield value[0], value[1], value[2]
            return
        for item in value:
            yield from _references(item)


def _unreadable(layer: Config) -> str | None:
    """Why a layer's code cannot be had or must not be run; None for Keras's own layers."""
    import keras

    kind, name = layer["class_name"], _name(layer)
    if kind == "Lambda":
        return f"the Lambda layer {name!r}, Python code that cnnvis does not run"
    home = str(layer.get("module") or "keras.layers")
    known = kind in MODELS or hasattr(keras.layers, kind)
    if known and home.split(".")[0] == "keras":
        if kind in MODELS:
            _require_readable_inside(layer)
        return None
    return f"the layer {name!r} of kind {kind!r}, whose code the file does not hold"


def _require_readable_inside(model: Config) -> None:
    for layer in _layers_of(model):
        why = _unreadable(layer)
        if why is not None:
            raise cnnvis.UserError(f"the nested model {_name(model)!r} holds {why}")


def built(model: Config) -> Any:
    """The Keras network that a configuration describes, without its weights.

    Raises
    ------
    UserError
        If Keras refuses it.
    """
    import keras

    try:
        if "module" in model:
            return keras.saving.deserialize_keras_object(model, safe_mode=True)
        kind = keras.Sequential if model["class_name"] == "Sequential" else keras.Model
        return kind.from_config(model["config"])
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise cnnvis.UserError(f"Keras cannot build this model from its file: {first}") from error


def network_of(
    config: Config, path: Path, repair: Callable[[Config], tuple[str, ...]] = lambda config: ()
) -> cnnvis.LoadedNetwork:
    """The network that a configuration describes, with the weights that `path` holds for it.

    Raises
    ------
    UserError
        If nothing that could be explained can be built, or the weights do not fit.
    """
    import zipfile

    import keras

    try:
        repairs = repair(config)
        cut = cut_unreadable(config)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise cnnvis.UserError(
            f"{str(path)!r} does not describe a Keras model: {error!r}"
        ) from error
    network = built(config)
    # By order is what Keras means; once layers are missing, their names must say which is which.
    by_name = {"by_name": True} if cut.reasons and path.suffix != ".keras" else {}
    try:
        if by_name:
            _require_weights_of(network, path)
        keras.saving.load_weights(network, path, **by_name)
    except (ValueError, KeyError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise cnnvis.UserError(
            f"the weights in {str(path)!r} do not fit the network described there: {error}"
        ) from error
    return cnnvis.LoadedNetwork(network, repairs, cut.reasons, cut.learned)


def _require_weights_of(network: Any, path: Path) -> None:
    """Refuse a file that lacks a layer's weights: Keras, loading by name, would leave it random."""
    import h5py

    with h5py.File(path, "r") as file:
        stored = file.get("model_weights", file)
        missing = [
            layer.name for layer in network.layers if layer.weights and layer.name not in stored
        ]
    if missing:
        raise ValueError(f"there are none for the layer {missing[0]!r}")
