"""Operations of `keras.ops` in saved networks: `h * 0.5`, `h[:, ::2]`, `keras.ops.mean(h)`.

Keras writes an operation as it writes a layer. Some operations and layers have one name, such as
Multiply: in a ``.keras`` file the module says which is meant; in an ``.h5`` file an operation lacks
what every layer has. As with layers, what is on neither list is refused until somebody has looked
at what it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


TAKES_NO_MORE = words(
    """
    Abs Absolute Add All AllClose Amax Amin Angle Any Append Arccos Arccosh Arcsin Arcsinh Arctan
    Arctan2 Arctanh Argmax Argmin Array ArraySplit Average BitwiseAnd BitwiseInvert
    BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cast Cbrt Ceil
    Celu Clip Concatenate Conj Conjugate ConvertToTensor Copy Cos Cosh CountNonzero Cumprod Cumsum
    Deg2rad Divide DivideNoNan Dsplit Dstack Elu EmptyLike Equal Erf Erfc Erfinv Exp Exp2 ExpandDims
    Expm1 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod FullLike Gelu GetItem Glu Greater
    GreaterEqual HardShrink HardSigmoid HardSilu HardTanh Heaviside Hsplit Hstack Hypot I0 Imag
    Isclose Isfinite Isinf Isnan Isneginf Isposinf Isreal Ldexp LeakyRelu LeftShift Less LessEqual
    Log Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr
    LogicalXor Logsumexp Matmul Max Maximum Mean Min Minimum Mish Mod Moments Moveaxis Multiply
    NanToNum Ndim Negative Nextafter Normalize NotEqual OnesLike Polar Power Prod Ptp Rad2deg Ravel
    ReLU Real Reciprocal Relu Relu6 Reshape RightShift Roll Rot90 Round Rsqrt SaturateCast Selu
    Sigmoid Sign Signbit Silu Sin Sinc Sinh Size SoftShrink Softmax Softplus Softsign SparsePlus
    SparseSigmoid Sparsemax Split Sqrt Square Squareplus Squeeze Stack Std StopGradient Subtract Sum
    Swapaxes Tan Tanh TanhShrink Threshold Transpose TrueDivide Trunc Unstack Var Vdot ViewAsReal
    Vsplit Vstack Where ZerosLike
    """
)
"""Operations that take no more memory during the computation than their inputs and outputs."""

_BY_MODULE = {
    "keras.src.activations.activations": "Mish ReLU",
    "keras.src.ops.core": """
        Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate StopGradient
        Unstack
        """,
    "keras.src.ops.einops": "Rearrange",
    "keras.src.ops.image": """
        AffineTransform CropImages ExtractPatches GaussianBlur HSVToRGB MapCoordinates PadImages
        PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM ScaleAndTranslate SobelEdges
        """,
    "keras.src.ops.linalg": """
        Cholesky CholeskyInverse Det Eig Eigh Inv Lstsq LuFactor MatrixRank Norm Pinv Qr SVD Solve
        SolveTriangular
        """,
    "keras.src.ops.math": """
        CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet Logsumexp
        RFFT Rsqrt STFT SegmentMax SegmentMin SegmentProd SegmentSum TopK ViewAsReal
        """,
    "keras.src.ops.nn": """
        AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy CTCDecode
        CTCLoss CategoricalCrossentropy Celu Conv DepthToSpace DepthwiseConv DotProductAttention Elu
        Fold Gelu Glu HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu LogSigmoid
        LogSoftmax MaxPool Moments MultiHot Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu
        SeparableConv Sigmoid Silu SoftShrink Softmax Softplus Softsign SpaceToDepth
        SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink
        Threshold Unfold
        """,
    "keras.src.ops.numpy": """
        Abs Absolute Add All AllClose Amax Amin Angle Any Append Arccos Arccosh Arcsin Arcsinh
        Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit Average
        BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor
        BroadcastTo Cbrt Ceil Clip Concatenate Conj Conjugate Copy Corrcoef Correlate Cos Cosh
        CountNonzero Cross Cumprod Cumsum Deg2rad Diag Diagflat Diagonal Diff Digitize Divide
        DivideNoNan Dot Dsplit Dstack Einsum EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip
        Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Full FullLike Gcd Geomspace GetItem Greater
        GreaterEqual Heaviside Hsplit Hstack Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan
        Isneginf Isposinf Isreal Kron Lcm Ldexp LeftShift Less LessEqual Linspace Log Log10 Log1p
        Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Matmul Max
        Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum Nanargmax Nanargmin
        Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile
        Nanstd Nansum Nanvar Ndim Negative Nextafter Nonzero NotEqual OnesLike Outer Pad Percentile
        Power Prod Ptp Quantile Rad2deg Ravel Real Reciprocal Repeat Reshape RightShift Roll Rot90
        Round SearchSorted Select Sign Signbit Sin Sinc Sinh Size Slogdet Sort Split Sqrt Square
        Squeeze Stack Std Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace
        Transpose Trapezoid Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View
        Vsplit Vstack Where ZerosLike
        """,
    "keras.src.quantizers.quantizers": "FakeQuantWithMinMaxVars",
}

HOMES = {name: module for module, names in _BY_MODULE.items() for name in names.split()}
"""Purely mathematical operations, each with the module that holds it."""

_FUNCTION = "runs a function, which is code"

REFUSED_OPERATIONS = {
    **dict.fromkeys(
        ("AssociativeScan", "Cond", "ForiLoop", "JVP", "Map", "Scan", "Switch"), _FUNCTION
    ),
    **dict.fromkeys(("VectorizedMap", "WhileLoop"), _FUNCTION),
    **dict.fromkeys(("ConvTranspose", "Histogram", "ViewAsComplex"), "Keras cannot run"),
    "Arange": "counts up to a number that is known only while the network runs",
    "Bincount": "makes as many values as its input is large",
    "ElasticTransform": "makes random values",
    "Function": "computes nothing",
    "SegmentReduction": "computes nothing",
}
"""Operations that are cut off or refused, each with the reason, to be read after "which"."""

OPERATIONS = frozenset(HOMES)
NAMES = OPERATIONS | set(REFUSED_OPERATIONS)

_OLD_NAMES = {"CtcLoss": "CTCLoss", "ExtractPatches3D": "ExtractPatches"}
_OLD_OPTIONS = {"Threshold": {"threshold_value": "threshold", "value": "default_value"}}
"""Names of operations and of their options in earlier versions of Keras 3."""

_OLD_CALLS: dict[str, tuple[str, ...]] = {
    "Array": ("x", "*dtype"),
    "DotProductAttention": (
        *("query", "key", "value", "bias", "mask", "scale"),
        "*flash_attention",
    ),
    "Full": ("*shape", "fill_value", "*dtype"),
    "FullLike": ("x", "fill_value", "*dtype"),
    "Isclose": ("x1", "x2", "rtol", "atol", "*equal_nan"),
    "OnesLike": ("x", "*dtype"),
    "Scatter": ("indices", "values", "*shape"),
    "SearchSorted": ("sorted_sequence", "values", "*side"),
    "Slice": ("inputs", "start_indices", "*shape"),
    "ZerosLike": ("x", "*dtype"),
}
"""Arguments of calls in earlier versions, in order; with a star those that are options now."""

_NEW_OPTIONS: dict[str, dict[str, Any]] = {"FFT": {"axis": -1}, "RMSNorm": {"scale": None}}
"""Options that some operations once had, each with the value that means the present behaviour."""

_NAMELESS = {"FakeQuantWithMinMaxVars"}
"""Operations whose names a person cannot set in Keras."""

_MODULE = re.compile(r"keras(_core)?(\.src)?\.(ops|operations|activations|quantizers)(\.\w+)*")

PARTS = 2**12
"""Maximum number of parts into which one operation may split a value."""

_PART_COUNTS = {
    **dict.fromkeys(("ArraySplit", "Dsplit", "Hsplit", "Split", "Vsplit"), "indices_or_sections"),
    "Unstack": "num",
}
_LARGEST: dict[str, dict[str, int]] = {
    **{name: {option: PARTS} for name, option in _PART_COUNTS.items()},
    "CTCDecode": {"beam_width": 2**12, "top_paths": 2**12},
    "Diff": {"n": 100},
    "GaussianBlur": {"kernel_size": 2**10},
    "ISTFT": {"sequence_length": 2**20, "fft_length": 2**20},
    "Round": {"decimals": 100},
    "SSIM": {"filter_size": 2**10},
    "STFT": {"sequence_length": 2**20, "fft_length": 2**20},
}
"""Options that determine the time or memory of an operation, where the result's shape does not."""

_AXES = {
    *("axes", "axis", "axis1", "axis2", "axisa", "axisb", "axisc", "destination", "source"),
    "spatial_dims",
}
_LAST_AXIS = 100


def operation(layer: dict[str, Any]) -> str | None:
    """Return the class of the operation that stands in the place of a layer; None for a layer."""
    kind, module = layer.get("class_name"), layer.get("module")
    if not isinstance(kind, str) or _OLD_NAMES.get(kind, kind) not in NAMES:
        return None
    if layer.get("registered_name") not in (None, kind):
        return None
    config, nodes = layer.get("config"), layer.get("inbound_nodes")
    if module is not None:
        is_one = isinstance(module, str) and _MODULE.fullmatch(module) is not None
    else:  # Every layer of Keras says whether it is trained, and what Keras 2 wrote is a layer.
        is_one = (
            isinstance(config, dict)
            and "trainable" not in config
            and isinstance(nodes, list)
            and bool(nodes)
            and all(isinstance(node, dict) for node in nodes)
        )
    return _OLD_NAMES.get(kind, kind) if is_one else None


def parts_of(layer: dict[str, Any]) -> int:
    """Count the outputs of an operation, as far as its description tells: at least 1."""
    config = layer.get("config")
    option = _PART_COUNTS.get(str(layer.get("class_name")))
    given = config.get(option) if isinstance(config, dict) and option is not None else None
    if isinstance(given, list):
        return len(given) + 1
    return given if isinstance(given, int) and given > 0 else 1


def absurd(layer: dict[str, Any], kind: str) -> Iterator[str]:
    """Yield options of an operation with absurd time or memory, to be read after "asks for"."""
    config = layer.get("config")
    for option, given in config.items() if isinstance(config, dict) else ():
        most = _LAST_AXIS if option in _AXES else _LARGEST.get(kind, {}).get(option)
        if most is None or (kind in _PART_COUNTS and isinstance(given, list)):
            continue  # places where it is taken apart
        for value in _numbers(given):
            if abs(value) > most:
                yield f"the number {str(value)[:20]} for {option!r} of {kind!r}"


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float):
        yield value


def make_plain_operation(layer: dict[str, Any], kind: str) -> None:
    """Describe an operation as the installed Keras does, whichever version wrote it."""
    if kind in REFUSED_OPERATIONS:
        return
    config = layer["config"]
    for old, new in _OLD_OPTIONS.get(kind, {}).items():
        if old in config:
            config[new] = config.pop(old)
    for option, value in {**_NEW_OPTIONS.get(kind, {}), "dtype": None}.items():
        if config.get(option, 0) == value:  # the type was once an option of every operation
            del config[option]
    for node in layer["inbound_nodes"] if kind in _OLD_CALLS else ():
        _take_options(node, _OLD_CALLS[kind], config)
    if "name" in layer and kind not in _NAMELESS:
        config.setdefault("name", layer["name"])
    # JSON knows no tuples, and some operations take nothing else for a shape.
    config.update({key: _tuples(value) for key, value in config.items()})
    # A name that is registered goes first, as `growth.bounded_operations` needs it.
    layer.update(module=HOMES[kind], class_name=kind, registered_name=kind)


def _take_options(node: dict[str, Any], called: tuple[str, ...], config: dict[str, Any]) -> None:
    """Move to an operation's options the arguments with which earlier versions called it."""
    args, kwargs = node["args"], node["kwargs"]
    options = {one[1:] for one in called if one.startswith("*")}
    if len(args) > len(called) - len(options):
        given = zip(called, args, strict=False)
        moved = {name[1:]: value for name, value in given if name.startswith("*")}
        node["args"] = [
            value for name, value in zip(called, args, strict=False) if not name.startswith("*")
        ]
    else:
        moved = {name: kwargs.pop(name) for name in options & set(kwargs)}
    config.update((name, value) for name, value in moved.items() if value is not None)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
