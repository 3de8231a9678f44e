"""Names that a configuration may hold: Keras's own layers and purely mathematical functions.

Keras looks up the names of a file among all that it has, and imports modules for them; some of that
writes files, reads files or runs code, whatever Keras's safe mode is. So a configuration is
compared with these lists before Keras sees it, and where a name would say in which module to look,
the name is written anew. A layer that is on neither list, such as a layer of a future Keras, is
refused until somebody has examined it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.application_layers import (
    application_layer,
    make_plain_application_layer,
)
from cnnvis.plugins.loaders.config import (
    ARRAYS,
    MODELS,
    REFUSED,
    Config,
    layers_of,
    name_of,
    references,
)
from cnnvis.plugins.loaders.obstacles import TRUST, Obstacle, give
from cnnvis.plugins.loaders.operations import (
    NAMES,
    OPERATIONS,
    absurd,
    make_plain_operation,
    operation,
    parts_of,
    words,
)

LAYERS = words(
    """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
    AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
    AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization
    Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose
    Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose
    Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D
    Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot
    Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout
    GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D
    GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization
    GroupQueryAttention GroupedQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking
    MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D
    Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute
    Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
    RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
    RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
    ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D SeparableConvolution1D
    SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
    TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
    """
)
"""Keras's layers that are purely mathematical."""

KERAS_2_LAYERS = words(
    """
    CuDNNGRU CuDNNLSTM LocallyConnected1D LocallyConnected2D RandomHeight RandomWidth
    SlicingOpLambda SyncBatchNormalization TFOpLambda ThresholdedReLU
    """
)
"""Layers of the same kind that only Keras 2 has; which functions those that call one may call is
said where Keras 2 is used."""

CLASSES = {"GroupedQueryAttention": "GroupQueryAttention"}
"""Layers whose class has another name than the one under which Keras offers it. HDF5 files call them
by their class, and archives call the places of their weights by it."""

INITIALIZERS = words(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal
    LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT
    STFTInitializer TruncatedNormal VarianceScaling Zeros
    """
)
REGULARIZERS = words("L1 L1L2 L2 OrthogonalRegularizer")
CONSTRAINTS = words("MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm")
_PLAIN_POLICIES = words("DTypePolicy FloatDTypePolicy Policy")
POLICIES = _PLAIN_POLICIES | words(
    """
    AWQDTypePolicy DTypePolicyMap GPTQDTypePolicy Int4DTypePolicy QuantizedDTypePolicy
    QuantizedFloat8DTypePolicy
    """
)
QUANTIZERS = words(
    """
    AWQConfig AbsMaxQuantizer Float8QuantizationConfig GPTQConfig Int4QuantizationConfig
    Int8QuantizationConfig QuantizationConfig Quantizer
    """
)
"""Classes that quantize weights and activations."""
ACTIVATIONS = words(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu
    linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus
    softmax_v2 softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold
    """
)
DTYPES = words(
    """
    bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 mixed_bfloat16
    mixed_float16 string uint16 uint32 uint64 uint8
    """
)
PLAIN = words("TensorShape __ellipsis__ __keras_tensor__ __slice__ __tuple__") | {*ARRAYS}
"""Kinds that Keras writes for values that JSON has no form for."""

SIZE, LENGTH = 2**31 - 1, 2**16
"""Maximum of a whole number, and maximum length of a text."""

NUMBER = 2**63
"""The largest whole number that a layer or an operation may be called with."""

_CALLED = LAYERS | KERAS_2_LAYERS | set(REFUSED) | NAMES
CALLS = 5_000
"""Maximum number of layers that run, each counted once for every call, in nested models too."""

DISORDER = 2_000_000
"""Maximum number of searches by Keras for layers that a file describes after their users."""

_HOMES = {
    **dict.fromkeys(LAYERS | KERAS_2_LAYERS, "keras.layers"),
    **dict.fromkeys(REGULARIZERS, "keras.regularizers"),
    **dict.fromkeys(CONSTRAINTS, "keras.constraints"),
    **dict.fromkeys(("Model", "Sequential"), "keras"),
    **dict.fromkeys(POLICIES, "keras.dtype_policies"),
    **dict.fromkeys(("DTypePolicy", "FloatDTypePolicy"), "keras"),
    "Policy": "keras.mixed_precision",
    **dict.fromkeys(QUANTIZERS, "keras.quantizers"),
    **dict.fromkeys(INITIALIZERS - LAYERS, "keras.initializers"),
}
_HOME = re.compile(r"((tf_|tensorflow\.|tensorflow\.python\.)?keras(\.[A-Za-z_]\w*)*|builtins)")
_MODE = re.compile(r"int8|float8|int4(/-?\d{1,6})?|(gptq|awq)/\d/-?\d{1,6}")
_QUANTIZED = re.compile(rf"({_MODE.pattern})_from_(\w+)")
_PLACE = re.compile(r"[\w./-]{0,500}")
_KINDS_BY_END = {
    "activation": ACTIVATIONS,
    "initializer": INITIALIZERS,
    "regularizer": REGULARIZERS,
    "constraint": CONSTRAINTS,
}
_SHORT = {"normal", "one", "uniform", "zero"}
_NUMBERS_OF_ANY_SIZE = {"seed", "salt", "shared_object_id"}
_SMALLER_NUMBERS = {
    "chain_depth": 100,
    "num_chains": 100,
    "num_ops": 100,
    "pool_size": 2**16,
    "tile_grid_size": 2**10,
}
"""Numbers in proportion to which an operation takes time."""

_FRAMES = {"MelSpectrogram", "STFTSpectrogram"}
"""Layers that make tables of a size that their options set."""


def is_layer(layer: Config) -> bool:
    """Tell whether a layer of Keras 3 is described that does mathematics and nothing else."""
    return _is_in(layer.get("class_name"), LAYERS) or application_layer(layer) is not None


def foreign(
    value: Any, given: Container[str], key: str = "", largest: int = SIZE
) -> Iterator[Obstacle]:
    """Yield the names and requests in a configuration that are neither Keras's own nor given."""
    if isinstance(value, list):
        for item in value:
            yield from foreign(item, given, key, largest)
    elif isinstance(value, dict):
        yield from _object(value, given)
        if _is_in(value.get("class_name"), ARRAYS):
            return
        for name, item in value.items():
            most = NUMBER if name == "inbound_nodes" else largest
            yield from foreign(item, given, str(name), most)
    elif isinstance(value, str):
        yield from _text(value, given, key)
    elif (
        isinstance(value, int)
        and abs(value) > min(largest, _SMALLER_NUMBERS.get(key, largest))
        and key not in _NUMBERS_OF_ANY_SIZE
    ):
        yield Obstacle(f"the number {str(value)[:20]} for {key!r}", TRUST)


def _object(value: dict[str, Any], given: Container[str]) -> Iterator[Obstacle]:
    """Yield the names in a description of an object that are neither Keras's own nor given."""
    if "class_name" not in value:
        for key in ("module", "registered_name"):
            if value.get(key) is not None:
                yield Obstacle(f"the {key} {_shown(value[key])} of nothing")
        return
    kind, module, registered = (
        value["class_name"],
        value.get("module"),
        value.get("registered_name"),
    )
    if _is_in(kind, given):
        return
    config, one = value.get("config"), operation(value)
    if one in OPERATIONS:
        yield from (Obstacle(what, TRUST) for what in absurd(value, one))
    elif application_layer(value) is not None:
        return
    elif kind == "function":
        if not _is_in(config, ACTIVATIONS) and not _is_in(config, given):
            yield _called("function", config)
    elif not _is_in(kind, _KINDS):
        yield _called("class", kind)
    elif module is not None and not (isinstance(module, str) and _HOME.fullmatch(module)):
        yield Obstacle(f"the module {_shown(module)}")
    elif registered not in (None, kind) and not _is_in(registered, given):
        yield Obstacle(f"the class {_shown(registered)}")
    elif kind in ARRAYS and not _is_array(config):
        yield Obstacle("an array of something other than numbers")
    elif kind in _FRAMES and isinstance(config, dict):
        frames = [config.get(name) or 1 for name in ("num_mel_bins", "fft_length")]
        if any(not isinstance(one, int) or one > 2**13 for one in frames):
            yield Obstacle(f"a table of {frames[0]} x {frames[1]} values in a {kind}", TRUST)
    elif kind in POLICIES and not _is_policy(kind, config):
        yield Obstacle(f"the type of numbers {_shown(config)}")


def _called(what: str, name: Any) -> Obstacle:
    """Return the obstacle of a class or function, with the option to give it if possible."""
    plain = str(name).rpartition(">")[2]
    can_be = isinstance(name, str) and plain.isidentifier() and not plain.startswith("__")
    # In the place of Keras's own layers that run code, each would be another's.
    cure = give("--custom", plain, what.replace("class", "Class")) if can_be else ""
    return Obstacle(f"the {what} {_shown(name)}", "" if _is_in(name, REFUSED) else cure)


_KINDS = (
    LAYERS
    | KERAS_2_LAYERS
    | INITIALIZERS
    | REGULARIZERS
    | CONSTRAINTS
    | POLICIES
    | QUANTIZERS
    | PLAIN
    | MODELS
)


def _is_policy(kind: str, config: Any) -> bool:
    """Tell whether a description of a dtype policy names one that Keras has."""
    if not isinstance(config, dict):
        return False
    if kind in _PLAIN_POLICIES:
        return config.get("name", "") is None or _is_in(config.get("name"), DTYPES)
    if kind == "DTypePolicyMap":  # Keras takes the names in it for regular expressions
        places = config.get("policy_map")
        return isinstance(places, dict) and all(map(_PLACE.fullmatch, places))
    mode, source = config.get("mode"), config.get("source_name")
    is_known = isinstance(mode, str) and _MODE.fullmatch(mode) is not None
    return is_known and (source is None or _is_in(source, DTYPES))


def _is_array(config: Any) -> bool:
    return isinstance(config, dict) and _is_in(config.get("dtype"), DTYPES - {"string"})


def _is_in(value: Any, known: Container[str]) -> bool:
    """Tell whether a value is one of these names; a stranger's file may hold any value."""
    return isinstance(value, str) and value in known


def _text(value: str, given: Container[str], key: str) -> Iterator[Obstacle]:
    """Yield the obstacles in a text that stands for a function or a type of numbers."""
    if len(value) > LENGTH:
        yield Obstacle(f"a text of {len(value):,} letters for {key!r}", TRUST)
    elif key.endswith("dtype") and not _is_type(value):
        yield Obstacle(f"the type of numbers {_shown(value)}")
    elif value not in given:
        for end, known in _KINDS_BY_END.items():
            # A person may write glorot_uniform and l1_l2 for what are GlorotUniform and L1L2.
            plain = {value, "".join(part.capitalize() for part in value.split("_"))}
            if key.endswith(end) and plain.isdisjoint(known | _SHORT):
                yield Obstacle(f"the {end} {_shown(value)}", _called("function", value).cure)


def _is_type(name: str) -> bool:
    found = _QUANTIZED.fullmatch(name)
    return name in DTYPES or (found is not None and found[found.lastindex or 0] in DTYPES)


def _shown(value: Any) -> str:
    return repr(str(value)[:80])


def made_plain(value: Any, given: Container[str], functional: str) -> None:
    """Set the only modules in which Keras looks for the names of a configuration.

    Parameters
    ----------
    value
        A configuration without anything `foreign`, which is changed.
    given
        The kinds that a person gave, which are left as they are.
    functional
        The module of the class Functional, which has no public place.
    """
    if isinstance(value, dict) and _is_in(value.get("class_name"), ARRAYS):
        return
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            made_plain(item, given, functional)
    if isinstance(value, list):
        value[:] = [_activation(item, given) for item in value]
        return
    for key, item in value.items():
        value[key] = _activation(item, given)
    kind = value.get("class_name")
    if not isinstance(kind, str) or _is_in(kind, given):
        return
    one, special = operation(value), application_layer(value)
    if one is not None:
        make_plain_operation(value, one)
        return
    if special is not None:
        make_plain_application_layer(value, special)
        return
    if kind in PLAIN:
        value.pop("module", None)
    elif value.get("module") is not None:
        # Keras calls both a layer and an initializer Identity.
        is_initializer = kind in INITIALIZERS and "initializers" in value["module"]
        home = "keras.initializers" if is_initializer else _HOMES.get(kind, functional)
        value["module"], value["class_name"] = home, CLASSES.get(kind, kind)
    if "registered_name" in value:
        value["registered_name"] = None
    config = value.get("config")
    if isinstance(config, dict) and config.get("unroll"):
        config["unroll"] = (
            False  # a loop instead of a copy of the layer for each of a million steps
        )


def say_homes(value: Any, given: Container[str], functional: str) -> None:
    """Write to layers of Keras that HDF5 files hold where they are, as archives say it.

    Keras has another way for layers without it, on which a Softmax or a LayerNormalization loses
    its axes where there are several, and layers within others are not found.

    Parameters
    ----------
    value, given, functional
        As `made_plain` takes them.
    """
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            say_homes(item, given, functional)
    if isinstance(value, list) or value.get("module") is not None:
        return
    kind, config = value.get("class_name"), value.get("config")
    if _is_in(kind, given) or not isinstance(config, dict):
        return
    one, special = operation(value), application_layer(value)
    if one is not None:
        make_plain_operation(value, one)
    elif special is not None:
        make_plain_application_layer(value, special)
    elif _is_in(kind, MODELS):
        value["module"] = _HOMES.get(kind, functional)
    elif _is_in(kind, LAYERS - INITIALIZERS) or (_is_in(kind, LAYERS) and "inbound_nodes" in value):
        value["module"], value["class_name"] = "keras.layers", CLASSES.get(kind, kind)


def _activation(value: Any, given: Container[str]) -> Any:
    """Replace an activation function's description by its name alone, which every layer takes."""
    is_function = isinstance(value, dict) and value.get("class_name") == "function"
    return value["config"] if is_function and not _is_in(value["config"], given) else value


def require_bounded(model: Config, what: str) -> None:
    """Refuse a model with too many layers to call, or in an order that takes too long.

    Raises
    ------
    UserError
        Naming `what`.
    """
    calls = _calls(model)
    if calls > CALLS:
        raise cnnvis.UserError(
            f"{what} is not loaded: it describes more than {CALLS:,} calls of layers; {TRUST}"
        )


def _calls(one: Any) -> int:
    """Return the number of layers that run when a part of a configuration is called."""
    if isinstance(one, list):
        return sum(map(_calls, one))
    if not isinstance(one, dict):
        return 0
    if not _is_in(one.get("class_name"), MODELS):
        own = parts_of(one) if _is_in(one.get("class_name"), _CALLED) else 0
        return own + sum(_calls(item) for key, item in one.items() if key != "inbound_nodes")
    layers = layers_of(one)
    if not isinstance(layers, list):
        raise TypeError(f"it holds {_shown(layers)} instead of its layers")
    found = 0
    for layer in layers:
        if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str):
            raise TypeError(f"it holds {_shown(layer)} instead of a layer")
        nodes = layer.get("inbound_nodes")
        found += max(1, _calls(layer)) * max(1, len(nodes) if isinstance(nodes, list) else 1)
        if found > CALLS:
            return found
    if one["class_name"] != "Sequential":
        _require_sound_calls(layers)
    return found


def _require_sound_calls(layers: list[Config]) -> None:
    """Refuse calls that take outputs of no layer, or in an order that takes too long."""
    places = {name_of(layer): place for place, layer in enumerate(layers)}
    behind = 0
    for place, layer in enumerate(layers):
        for node in layer.get("inbound_nodes") or ():
            parents = [places[one] for one, _, _ in references([node]) if one in places]
            if not parents:  # Keras would compute it at once, however much memory it takes
                raise cnnvis.UserError(
                    f"the file is not loaded: it calls the layer {name_of(layer)[:80]!r} with an "
                    f"input that no other layer gives; {TRUST}"
                )
            behind += sum(parent >= place for parent in parents)
    if behind * len(layers) > DISORDER:
        raise cnnvis.UserError(
            f"the file is not loaded: {behind:,} inputs of its layers come from layers that the "
            f"file describes later; {TRUST}"
        )
