"""Networks that only Keras 2 can build, by its last edition, the package tf_keras.

tf_keras imports what a configuration names, so everything in it is held against what is known to
be Keras's own before tf_keras sees it.
"""

from __future__ import annotations

import copy
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.loaders.config import MODELS, Config, cut_unreadable, described, layers_of
from cnnvis.loaders.custom import placed

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

_MODULE = re.compile(r"(tf_)?keras(\.[A-Za-z_]\w*)*")
_PLAIN_KINDS = {"__tuple__", "TensorShape", "function"}


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
    config: Config, path: Path, origin: str, given: dict[str, Any], why: str
) -> cnnvis.LoadedNetwork:
    """The network that a configuration describes, with the weights that `path` holds for it.

    Parameters
    ----------
    config
        As it stands in the file; it is not changed.
    path, origin
        The file of the weights, what it is and what wrote it.
    given
        Classes of a person's own, by the kinds or layers that they stand for.
    why
        Why Keras 3 cannot do it, to be read after "since".

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

    config = copy.deepcopy(config)
    failures = (ValueError, TypeError, KeyError, AttributeError, RuntimeError, OSError)
    try:
        kinds = placed(config, given, tf_keras.layers.Layer)
        foreign = next(_foreign({**config, "config": {}}, kinds), None)
        if foreign is not None:
            raise cnnvis.UserError(f"{str(path)!r} is not loaded: it names {foreign}")
        cut = cut_unreadable(config, lambda layer: _unreadable(layer, kinds))
        _require_plain(config, kinds, path)
        with tf_keras.utils.custom_object_scope(kinds):
            if "module" in config:
                network = tf_keras.saving.deserialize_keras_object(config, safe_mode=True)
            else:
                network = tf_keras.layers.deserialize(config, custom_objects=kinds)
        _load_weights(network, path, by_name=bool(cut.reasons))
    except (*failures, zipfile.BadZipFile) as error:
        if isinstance(error, cnnvis.UserError):
            raise
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise cnnvis.UserError(f"tf_keras cannot build {str(path)!r}: {first}") from error
    return cnnvis.LoadedNetwork(
        network, (f"used tf_keras, since {why}",), cut.reasons, cut.learned, origin
    )


def _load_weights(network: Any, path: Path, *, by_name: bool) -> None:
    if path.suffix != ".keras":
        if by_name:
            from cnnvis.loaders.weights import load_by_name

            load_by_name(network, path)
        else:
            network.load_weights(str(path))
        return
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.weights.h5"
        weights.write_bytes(archive.read("model.weights.h5"))
        network.load_weights(str(weights))


def _unreadable(layer: Config, kinds: dict[str, Any]) -> str | None:
    """Why a layer must not be built; None for Keras's own, for mathematics and for given ones."""
    import tf_keras

    kind, config = layer["class_name"], layer.get("config")
    if kind in kinds:
        return None
    if kind in _CALLS:
        function = config.get("function") if isinstance(config, dict) else None
        if kind == "SlicingOpLambda" and function is None:
            return None
        return None if _FUNCTIONS.fullmatch(str(function)) else described(layer)
    if kind == "Lambda" or not hasattr(tf_keras.layers, kind):
        return described(layer)
    foreign = next(_foreign(layer, kinds), None)
    return None if foreign is None else f"the layer {layer.get('name')!r}, which names {foreign}"


def _require_plain(config: Config, kinds: dict[str, Any], path: Path) -> None:
    foreign = next(_foreign(config, kinds), None)
    if foreign is not None:
        raise cnnvis.UserError(
            f"{str(path)!r} is not loaded: it names {foreign}, which is not Keras's own; classes of "
            "yours are given with --custom module:Class"
        )


def _foreign(value: Any, kinds: dict[str, Any]) -> Iterator[str]:
    """What a piece of configuration names that is neither Keras's own nor given."""
    if isinstance(value, list):
        for item in value:
            yield from _foreign(item, kinds)
        return
    if not isinstance(value, dict):
        return
    if "class_name" in value:
        kind, module = value["class_name"], value.get("module")
        registered = value.get("registered_name")
        if kind not in kinds and kind not in _known_kinds():
            yield f"the class {str(kind)[:80]!r}"
        elif module is not None and kind not in kinds and not _is_home(str(module)):
            yield f"the module {str(module)[:80]!r}"
        elif registered not in (None, kind) and registered not in kinds:
            yield f"the class {str(registered)[:80]!r}"
        elif kind == "function" and value.get("config") not in _activations():
            yield f"the function {str(value.get('config'))[:80]!r}"
    for key, item in value.items():
        is_activation = str(key).endswith("activation") and isinstance(item, str)
        if is_activation and item not in _activations() and item not in kinds:
            yield f"the activation {item[:80]!r}"
        yield from _foreign(item, kinds)


def _is_home(module: str) -> bool:
    return _MODULE.fullmatch(module) is not None or module == "builtins"


def _known_kinds() -> set[str]:
    import tf_keras

    homes = (
        tf_keras.layers,
        tf_keras.initializers,
        tf_keras.regularizers,
        tf_keras.constraints,
        tf_keras.mixed_precision,
    )
    names = {
        name for home in homes for name, value in vars(home).items() if isinstance(value, type)
    }
    return names | MODELS | _CALLS | _PLAIN_KINDS


def _activations() -> set[str]:
    import tf_keras

    return {name for name in vars(tf_keras.activations) if not name.startswith("_")} - {
        *("get", "serialize", "deserialize"),
    }
