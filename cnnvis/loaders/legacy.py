"""Repairs of model configurations that old Keras versions wrote; in memory, never in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Config = dict[str, Any]


def repaired(model: Config) -> tuple[str, ...]:
    """Change a model's configuration into one that Keras 3 reads; say in sentences what changed."""
    done: dict[str, int] = {}
    for layer in _layers(model):
        for what in _repair_layer(layer):
            done[what] = done.get(what, 0) + 1
    return tuple(f"{what} ({times} times)" for what, times in done.items())


def _layers(model: Config) -> Iterator[Config]:
    """Every layer's configuration, those of nested models and of wrappers included."""
    config = model.get("config")
    inner = config.get("layers", []) if isinstance(config, dict) else config or []
    for layer in inner:
        yield layer
        yield from _layers(layer)
    if isinstance(config, dict) and isinstance(config.get("layer"), dict):
        yield config["layer"]
        yield from _layers(config["layer"])


def _repair_layer(layer: Config) -> Iterator[str]:
    config = layer.get("config")
    if not isinstance(config, dict):
        return
    for value in config.values():
        # TensorFlow 2.0 and 2.1 gave every initializer a dtype, which Keras 3 has no argument for.
        is_initializer = isinstance(value, dict) and value.get("class_name") in _INITIALIZERS
        if is_initializer and value.get("config", {}).pop("dtype", None) is not None:
            yield "left the dtype out of an initializer"
    axis = config.get("axis")
    # TensorFlow 2.0 to 2.3 wrote the one axis of a normalization as a list.
    if isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
        yield "wrote the axis of a normalization as a number"


_INITIALIZERS = {
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
}
