"""Layers of networks of `keras.applications` that exist nowhere else in Keras."""

from __future__ import annotations

import importlib
import re
from typing import Any

PLACES = {
    "CustomScaleLayer": "inception_resnet_v2",
    "LayerScale": "convnext",
    "StochasticDepth": "convnext",
}
"""Classes of these layers, each with the module of `applications` that holds it."""

_OPTIONS = {
    "CustomScaleLayer": {"scale"},
    "LayerScale": {"init_values", "projection_dim"},
    "StochasticDepth": {"drop_path_rate"},
}
_EVERYWHERE = {"dtype", "name", "trainable"}
_REGISTERED = "Custom>"
"""Package under which Keras 2 registers some of these layers."""

_MODULE = re.compile(r"(tf_)?keras(\.src)?\.applications\.\w+")


def application_layer(layer: dict[str, Any]) -> str | None:
    """Return the class of the application layer that a piece of configuration describes, or None.

    HDF5 files hold no modules: there a layer is recognized by the options of that class, with no
    others.
    """
    module, config = layer.get("module"), layer.get("config")
    kind = str(layer.get("class_name")).removeprefix(_REGISTERED)
    if kind not in PLACES or not isinstance(config, dict):
        return None
    if layer.get("registered_name") not in (None, kind, f"{_REGISTERED}{kind}"):
        return None
    if module is not None:
        is_one = isinstance(module, str) and _MODULE.fullmatch(module) is not None
    else:
        is_one = _OPTIONS[kind] <= set(config) <= _OPTIONS[kind] | _EVERYWHERE
    return kind if is_one else None


def make_plain_application_layer(layer: dict[str, Any], kind: str) -> None:
    """Describe such a layer as Keras 3 does, whichever version wrote it."""
    module = f"keras.src.applications.{PLACES[kind]}"
    layer.update(module=module, class_name=kind, registered_name=kind)


def application_classes_of_keras_2() -> dict[str, Any]:
    """Return the classes of tf_keras by their names, which tf_keras does not find by itself."""
    return {
        kind: getattr(importlib.import_module(f"tf_keras.src.applications.{place}"), kind)
        for kind, place in PLACES.items()
    }
