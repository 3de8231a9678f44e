"""Networks that only Keras 2 can build, by its last edition, the package tf_keras.

tf_keras is no safer than Keras 3 with what a stranger wrote, so everything in a configuration is
held against the same lists before tf_keras sees it.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Collection
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.allowed import KERAS_2_LAYERS, foreign, is_layer, made_plain
from cnnvis.plugins.loaders.application_layers import application_classes_of_keras_2
from cnnvis.plugins.loaders.config import (
    CALLS_OF_TENSORFLOW,
    MODELS,
    Config,
    cut_unreadable,
    every_layer,
    layers_of,
    name_of,
    naming,
    obstacle,
    references,
)
from cnnvis.plugins.loaders.custom import placed
from cnnvis.plugins.loaders.obstacles import TRUST, Obstacle
from cnnvis.plugins.loaders.sizes import counting
from cnnvis.plugins.loaders.weights import Weights

_FUNCTIONS = re.compile(
    r"(compat\.v1\.)?("
    r"(math|__operators__|linalg|signal|bitwise)\.\w+"
    r"|nn\.(?!\w*sampl|nce_loss)\w+|keras\.activations\.(?!get\b|\w*serialize\b)\w+"
    r"|image\.(adjust_(brightness|contrast|gamma|hue|saturation)|central_crop|convert_image_dtype"
    r"|crop_and_resize|crop_to_bounding_box|extract_patches|flip_left_right|flip_up_down"
    r"|grayscale_to_rgb|hsv_to_rgb|image_gradients|pad_to_bounding_box|per_image_standardization|psnr"
    r"|resize|resize_with_crop_or_pad|resize_with_pad|rgb_to_(grayscale|hsv|yiq|yuv)|rot90"
    r"|sobel_edges|ssim|ssim_multiscale|total_variation|transpose|yiq_to_rgb|yuv_to_rgb)"
    r"|quantization\.(fake_quant_with_min_max_\w+|quantize_and_dequantize(_v2)?)"
    r"|debugging\.check_numerics"
    r"|abs|add|add_n|argmax|argmin|argsort|batch_to_space(_nd)?|bitcast|boolean_mask|broadcast_to|cast"
    r"|clip_by_(norm|value)|complex|concat|constant|convert_to_tensor|cos|divide|equal|exp"
    r"|expand_dims|eye|fill|floor|floor_div|floordiv|floormod|gather|gather_nd|greater|greater_equal"
    r"|identity|less|less_equal|linspace|logical_and|logical_not|logical_or|matmul|maximum"
    r"|minimum|mod|multiply|negative|norm|not_equal|one_hot|ones|ones_like|pad|pow|range|rank|realdiv"
    r"|repeat|reshape|reverse|roll|round|rsqrt|saturate_cast|scatter_nd|searchsorted|sequence_mask"
    r"|shape|sigmoid|sign|sin|size|slice|softmax|sort|space_to_batch(_nd)?|split|sqrt|square|squeeze"
    r"|stack|stop_gradient|strided_slice|subtract|tan|tanh|tensor_scatter_nd_(add|max|min|sub|update)"
    r"|tensordot|tile|transpose|truediv|truncatediv|truncatemod|unique|unstack|where|zeros|zeros_like"
    r"|reduce_(all|any|logsumexp|max|mean|min|prod|std|sum|variance))"
)
"""Purely mathematical functions; other functions write files, read files or run code."""

_RANDOM = re.compile(
    r"(compat\.v1\.)?(random\.\w+|nn\.\w*dropout\w*|image\.(stateless_)?random_\w+)"
)

_INCOMPLETE = {"einsum", "meshgrid"}
"""Functions that take any number of values, of which Keras 2 writes only the first."""

_MAKING = {
    *("broadcast_to", "constant", "eye", "fill", "image.crop_and_resize", "image.extract_patches"),
    *("image.pad_to_bounding_box", "image.resize", "image.resize_with_crop_or_pad", "linalg.eye"),
    *("image.resize_with_pad", "linspace", "one_hot", "ones", "pad", "range", "repeat"),
    *("scatter_nd", "sequence_mask", "space_to_batch", "space_to_batch_nd", "tile", "zeros"),
}
"""Operations that make as many values as their arguments say, even from numbers alone."""

VALUES = 2**26

_LOST = {"LocallyConnected1D", "LocallyConnected2D", "RandomHeight", "RandomWidth"}
_LOST_WAYS = {"gaussian", "mitchellcubic"}
"""Layers, and ways to change the size of images, that only Keras 2 has."""


def _product(value: Any) -> int:
    """Return the product of all whole numbers above 1 in a piece of configuration."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return math.prod(map(_product, value))
    return value if isinstance(value, int) and value > 1 else 1


def why_keras_2(config: Config, given: dict[str, Any], *, is_older: bool) -> str | None:
    """Return why Keras 3 cannot build a configuration, to be read after "since"; None if it can.

    Parameters
    ----------
    config
        The configuration.
    given
        Classes that a person gave, by the kinds or layers that they stand for.
    is_older
        True where Keras 2, or an earlier version, wrote the configuration.
    """
    import sys

    tf_keras = sys.modules.get("tf_keras")
    if tf_keras is not None and any(
        isinstance(one, type) and issubclass(one, tf_keras.layers.Layer) for one in given.values()
    ):
        return "a class that was given is of tf_keras"
    layers = every_layer(config) if is_older else ()
    for layer in layers:
        kind, settings = str(layer.get("class_name")), layer.get("config")
        if kind in given or name_of(layer) in given:
            continue
        if kind in CALLS_OF_TENSORFLOW:
            return "it calls TensorFlow's functions"
        if kind in _LOST:
            return f"Keras 3 has no {kind}"
        way = settings.get("interpolation") if isinstance(settings, dict) else None
        if isinstance(way, str) and way in _LOST_WAYS:
            return f"Keras 3 has no interpolation {way!r}"
    return None


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
    """Build the network that a configuration describes in tf_keras, with its weights.

    Parameters
    ----------
    config
        The configuration of the file, which is not changed.
    path, origin, weights
        The file, its format with the program that wrote it, and the weights in the file.
    given
        Classes that a person gave, by the kinds or layers that they stand for.
    why
        The reason why Keras 3 cannot build the network, to be read after "since".
    trusted
        True where code in the file may run.

    Raises
    ------
    UserError
        If tf_keras is not installed or cannot build the network, or the file holds code that must
        not run.
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
            raise cnnvis.UserError(f"{str(path)!r} is not loaded: it names {named.with_cure()}")
        cut = cut_unreadable(config, lambda layer: _unreadable(layer, kinds, trusted=trusted))
        if not trusted:
            _require_plain(config, kinds, path)
        copying = _upsampling()
        _register(config, copying)
        with (
            nullcontext() if trusted else counting(weights.values),
            tf_keras.utils.custom_object_scope(
                {**application_classes_of_keras_2(), **copying, **kinds}
            ),
        ):
            if "module" in config:
                network = tf_keras.saving.deserialize_keras_object(config, safe_mode=not trusted)
            else:
                network = tf_keras.layers.deserialize(_decoded(config), custom_objects=kinds)
        weights.load(network, as_it_was, is_cut=bool(cut.reasons))
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever a stranger's numbers and words make tf_keras raise
        raise cnnvis.UserError(
            f"tf_keras cannot build {str(path)!r}: {cnnvis.complaint(error)}"
        ) from error
    return cnnvis.LoadedNetwork(
        network, (f"used tf_keras, since {why}",), cut.reasons, cut.learned, origin
    )


def _upsampling() -> dict[str, Any]:
    """Return classes of tf_keras, by name, that copy each value, and do so in one operation.

    The library's own classes take the values apart and put each copy into a list: a layer that
    copies sixteen values a thousand times holds sixteen thousand tensors, long before the size of
    its output is known.
    """
    import tensorflow as tf
    from tf_keras import layers

    class Copying:
        def call(self, inputs: Any) -> Any:
            made = inputs
            sizes = self.size if isinstance(self.size, tuple) else (self.size,)  # type: ignore[attr-defined]
            first = 2 if getattr(self, "data_format", None) == "channels_first" else 1
            for axis, size in enumerate(sizes, first):
                made = tf.repeat(made, size, axis=axis)
            made.set_shape(self.compute_output_shape(inputs.shape))  # type: ignore[attr-defined]
            return made

    return {
        kind.__name__: type(kind.__name__, (Copying, kind), {"__module__": kind.__module__})
        for kind in (layers.UpSampling1D, layers.UpSampling3D)
    }


def _register(value: Any, kinds: Collection[str]) -> None:
    """Have layers of these kinds looked for by name, where their module alone would be heeded."""
    if isinstance(value, list):
        for item in value:
            _register(item, kinds)
    elif isinstance(value, dict):
        if str(value.get("class_name")) in kinds and "module" in value:
            value["registered_name"] = value["class_name"]
        for item in value.values():
            _register(item, kinds)


def _decoded(value: Any) -> Any:
    """Decode the values in a configuration that Keras 2 writes to HDF5 as objects."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__ellipsis__":
        return ...
    if value.get("class_name") == "__tuple__" and isinstance(value.get("items"), list):
        return tuple(_decoded(item) for item in value["items"])
    return {key: _decoded(item) for key, item in value.items()}


def _require_callable(model: Config) -> None:
    """Refuse a network whose calls wait for each other, or for a call that does not exist.

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
                raise ValueError(
                    f"the layer {name!r} takes an output that {missing[0][0]!r} does not have"
                )
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
        raise ValueError(f"the layer {name!r} is its own input")


def _unreadable(layer: Config, kinds: dict[str, Any], *, trusted: bool) -> Obstacle | None:
    """Return the obstacle to a layer; None for Keras's own, mathematics and given layers."""
    import tf_keras

    kind, config = layer["class_name"], layer.get("config")
    if kind in kinds:
        return None
    if kind in CALLS_OF_TENSORFLOW:
        function = config.get("function") if isinstance(config, dict) else None
        if trusted or (kind == "SlicingOpLambda" and function is None):
            return None
        reason = _reason(str(function))
        if reason is not None:
            return Obstacle(f"{obstacle(layer)}, {reason}", obstacle(layer).cure)
        if not _FUNCTIONS.fullmatch(str(function)):
            return obstacle(layer)
        numbers = _product(layer.get("inbound_nodes"))
        if str(function).removeprefix("compat.v1.") in _MAKING and numbers > VALUES:
            return Obstacle(f"{obstacle(layer)} for more than {VALUES:,} values", TRUST)
        return None
    if trusted and hasattr(tf_keras.layers, str(kind)):
        return None
    if kind not in KERAS_2_LAYERS and not is_layer(layer):
        return obstacle(layer)
    named = next(foreign(layer, kinds), None)
    return None if named is None else naming(layer, named)


def _reason(function: str) -> str | None:
    """Return why a mathematical function is not called, to be read after a comma."""
    if _RANDOM.fullmatch(function):
        return "which makes random values"
    if function.removeprefix("compat.v1.") in _INCOMPLETE:
        return "whose arguments Keras 2 does not write completely into files"
    return None


def _require_plain(config: Config, kinds: dict[str, Any], path: Path) -> None:
    named = next(foreign(config, kinds), None)
    if named is not None:
        what = named.with_cure(", which is not a part of Keras")
        raise cnnvis.UserError(f"{str(path)!r} is not loaded: it names {what}")
    made_plain(config, kinds, "tf_keras.src.engine.functional")
