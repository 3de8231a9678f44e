"""Networks that only Keras 2 can build, by its last edition, the package tf_keras.

tf_keras is no safer than Keras 3 with what a stranger wrote, so everything in a configuration is
held against the same lists before tf_keras sees it.
"""

from __future__ import annotations

import copy
import math
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.loaders.allowed import KERAS_2_LAYERS, foreign, is_layer, made_plain
from cnnvis.loaders.application_layers import application_classes_of_keras_2
from cnnvis.loaders.complaints import complaint
from cnnvis.loaders.config import (
    MODELS,
    Config,
    cut_unreadable,
    described,
    layers_of,
    name_of,
    references,
)
from cnnvis.loaders.custom import placed
from cnnvis.loaders.growth import require_growth
from cnnvis.loaders.sizes import counting
from cnnvis.loaders.weights import Weights

_CALLS = {"TFOpLambda", "SlicingOpLambda"}
"""Layers that stand for a call of one of TensorFlow's functions."""

_FUNCTIONS = re.compile(
    r"(math|nn|__operators__|linalg|signal|keras\.activations)\.\w+"
    r"|image\.(resize|flip_left_right|flip_up_down|rot90|crop_to_bounding_box|rgb_to_grayscale)"
    r"|abs|add|add_n|argmax|argmin|boolean_mask|broadcast_to|cast|clip_by_value|concat|constant"
    r"|convert_to_tensor|cos|divide|einsum|equal|exp|expand_dims|eye|fill|floor|gather|gather_nd"
    r"|greater|greater_equal|identity|less|less_equal|logical_and|logical_not|logical_or|matmul"
    r"|maximum|minimum|multiply|negative|not_equal|norm|one_hot|ones|ones_like|pad|pow|range|rank"
    r"|realdiv|repeat|reshape|reverse|roll|round|rsqrt|scatter_nd|shape|sigmoid|sign|sin|size|slice"
    r"|softmax|split|sqrt|square|squeeze|stack|stop_gradient|strided_slice|subtract|tan|tanh"
    r"|tensordot|tile|transpose|truediv|unstack|where|zeros|zeros_like"
    r"|reduce_(all|any|logsumexp|max|mean|min|prod|sum)|compat\.v1\.(\w+\.)?(transpose|shape|gather)"
)
"""The functions that do nothing but mathematics; among the others some write files or run code."""


_MAKING = {
    *("broadcast_to", "constant", "eye", "fill", "image.resize", "linalg.eye", "one_hot", "ones"),
    *("pad", "range", "repeat", "scatter_nd", "tile", "zeros"),
}
"""Those that make as many values as they are told to, and may be called with numbers alone."""

VALUES = 2**26


def _product(value: Any) -> int:
    """The product of all whole numbers above 1 in a piece of configuration."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return math.prod(map(_product, value))
    return value if isinstance(value, int) and value > 1 else 1


def keras_2_needed(config: Config, given: dict[str, Any]) -> bool:
    """Whether a configuration holds what Keras 3 never builds: calls of TensorFlow's functions."""
    import sys

    tf_keras = sys.modules.get("tf_keras")
    if tf_keras is not None and any(
        isinstance(one, type) and issubclass(one, tf_keras.layers.Layer) for one in given.values()
    ):
        return True
    if config.get("class_name") not in MODELS:
        return False
    try:
        return any(
            layer.get("class_name") in _CALLS or keras_2_needed(layer, {})
            for layer in layers_of(config)
        )
    except (KeyError, TypeError, AttributeError):
        return False  # whoever builds it says what is wrong with it


def keras_2_network(
    config: Config,
    path: Path,
    origin: str,
    weights: Weights,
    given: dict[str, Any],
    why: str,
    *,
    trusted: bool,
) -> cnnvis.LoadedNetwork:
    """The network that a configuration describes, with its weights.

    Parameters
    ----------
    config
        As it stands in the file; it is not changed.
    path, origin, weights
        The file, what it is and what wrote it, and the weights in it.
    given
        Classes of a person's own, by the kinds or layers that they stand for.
    why
        Why Keras 3 cannot do it, to be read after "since".
    trusted
        Whether code in it may run.

    Raises
    ------
    UserError
        If tf_keras is not installed or cannot build it, or it holds what must not be run.
    """
    try:
        import tf_keras
    except ImportError as error:
        raise cnnvis.UserError(
            f"{str(path)!r} needs Keras 2, since {why}; that is the package tf_keras: "
            "pip install 'cnnvis[tf-keras]'"
        ) from error

    as_it_was, config = config, copy.deepcopy(config)
    try:
        _require_callable(config)
        kinds = placed(config, given, tf_keras.layers.Layer)
        named = next(foreign({**config, "config": {}}, kinds), None)
        if named is not None and not trusted:
            raise cnnvis.UserError(f"{str(path)!r} is not loaded: it names {named}")
        cut = cut_unreadable(config, lambda layer: _unreadable(layer, kinds, trusted=trusted))
        if not trusted:
            _require_plain(config, kinds, path)
        with (
            nullcontext() if trusted else counting(weights.values),
            tf_keras.utils.custom_object_scope({**application_classes_of_keras_2(), **kinds}),
        ):
            if "module" in config:
                network = tf_keras.saving.deserialize_keras_object(config, safe_mode=not trusted)
            else:
                network = tf_keras.layers.deserialize(config, custom_objects=kinds)
        weights.load(network, as_it_was, is_cut=bool(cut.reasons))
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever a stranger's numbers and words make tf_keras raise
        raise cnnvis.UserError(
            f"tf_keras cannot build {str(path)!r}: {complaint(error)}"
        ) from error
    if not trusted:
        require_growth(network)
    return cnnvis.LoadedNetwork(
        network, (f"used tf_keras, since {why}",), cut.reasons, cut.learned, origin
    )


def _require_callable(model: Config) -> None:
    """Refuse a network whose calls wait for each other, or for one that never comes.

    tf_keras would try them in turn, without end.

    Raises
    ------
    ValueError
        Naming a layer that would never be called.
    """
    layers = layers_of(model)
    for layer in layers:
        if layer["class_name"] in MODELS:
            _require_callable(layer)
    if model["class_name"] == "Sequential":
        return
    calls = {name_of(layer): max(1, len(layer.get("inbound_nodes") or ())) for layer in layers}
    # To Keras 2, the making of a nested model was its first call.
    models = {name_of(layer) for layer in layers if layer["class_name"] in MODELS}
    waiting: dict[tuple[str, int], int] = {}
    takers: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for layer in layers:
        name = name_of(layer)
        for number, node in enumerate(layer.get("inbound_nodes") or ()):
            needed = {
                (parent, index - (parent in models))
                for parent, index, _ in references(node)
                if parent in calls and not (parent in models and index == 0)
            }
            needed |= {(name, number - 1)} if number else set()
            missing = [one for one in needed if not 0 <= one[1] < calls[one[0]]]
            if missing:
                raise ValueError(f"the layer {name!r} takes what {missing[0][0]!r} never gives")
            waiting[name, number] = len(needed)
            for one in needed:
                takers.setdefault(one, []).append((name, number))
    every = {(name, number) for name, count in calls.items() for number in range(count)}
    done = [one for one in every if not waiting.get(one)]
    called = 0
    while done:
        called += 1
        for taker in takers.get(done.pop(), ()):
            waiting[taker] -= 1
            if not waiting[taker]:
                done.append(taker)
    if called < len(every):
        name = next(one for one, count in waiting.items() if count)[0]
        raise ValueError(f"the layer {name!r} waits for itself")


def _unreadable(layer: Config, kinds: dict[str, Any], *, trusted: bool) -> str | None:
    """Why a layer must not be built; None for Keras's own, for mathematics and for given ones."""
    import tf_keras

    kind, config = layer["class_name"], layer.get("config")
    if kind in kinds:
        return None
    if kind in _CALLS:
        function = config.get("function") if isinstance(config, dict) else None
        if trusted or (kind == "SlicingOpLambda" and function is None):
            return None
        if not _FUNCTIONS.fullmatch(str(function)):
            return described(layer)
        numbers = _product(layer.get("inbound_nodes"))
        if function in _MAKING and numbers > VALUES:
            return f"{described(layer)} for more than {VALUES:,} values"
        return None
    if trusted and hasattr(tf_keras.layers, str(kind)):
        return None
    if kind not in KERAS_2_LAYERS and not is_layer(layer):
        return described(layer)
    named = next(foreign(layer, kinds), None)
    return None if named is None else f"the layer {name_of(layer)!r}, which names {named}"


def _require_plain(config: Config, kinds: dict[str, Any], path: Path) -> None:
    named = next(foreign(config, kinds), None)
    if named is not None:
        raise cnnvis.UserError(
            f"{str(path)!r} is not loaded: it names {named}, which is not Keras's own; classes of "
            "yours are given with --custom module:Class"
        )
    made_plain(config, kinds, "tf_keras.src.engine.functional")
