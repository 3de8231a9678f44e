"""Cost of a pass through a network, estimated from shapes before anything runs.

A pass is what an explanation needs: the answer for one sample, and its gradient with respect to the
input. The values that the backward pass needs are kept until it uses them; so the memory is that of
all kept values, and of the values that the largest call holds besides. The operations are those of
the forward pass, each multiplication and each addition counted, as TensorFlow's own profiler does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnvis.plugins.loaders.calls import Call
from cnnvis.plugins.loaders.operations import TAKES_NO_MORE, words

_SAME_VALUES = words(
    """
    ActivityRegularization AlphaDropout AugMix CutMix Dropout ExpandDims Flatten GaussianDropout
    GaussianNoise Identity InputLayer Masking MaxNumBoundingBoxes MixUp Pipeline RandAugment
    RandomErasing Ravel Reshape SpatialDropout1D SpatialDropout2D SpatialDropout3D Squeeze
    StochasticDepth StopGradient
    """
)
"""Layers and operations that return their input, outside of training, or a view of it."""

_MOVING = words(
    """
    BroadcastTo CenterCrop Concatenate Copy Cropping1D Cropping2D Cropping3D Flip Fliplr Flipud GetItem
    Moveaxis Permute RepeatVector Roll Rot90 Split Stack Swapaxes Transpose Unstack UpSampling1D
    UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """
)
"""Layers and operations that move values and compute nothing."""

_LINEAR = words(
    """
    Add Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization CustomScaleLayer
    Divide LayerScale Mean Negative Normalization Rescaling Subtract Sum
    """
)
"""Layers and operations whose backward pass needs none of their values."""

_WEIGHTED = words(
    """
    Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose Dense DepthwiseConv1D
    DepthwiseConv2D SeparableConv1D SeparableConv2D
    """
)
"""Layers that use each number of their kernels once at each position."""

_RECURRENT = words("ConvLSTM1D ConvLSTM2D ConvLSTM3D CuDNNGRU CuDNNLSTM GRU LSTM RNN SimpleRNN")
_POOLS = {f"{what}Pooling{axes}D" for what in ("Average", "Max") for axes in (1, 2, 3)}
_WRAPPING = {"Bidirectional", "SpectralNormalization", "TimeDistributed"}
_BY_OUTPUT = words("elu linear relu relu6 selu sigmoid softmax tanh ELU LeakyReLU ReLU Softmax")
"""Activations, by the names of functions and of layers, whose backward pass needs their results."""

_ON_THE_WAY = {"gelu": 3, "mish": 3, "LayerNormalization": 3, "GroupNormalization": 3, "erf": 2}
"""Number of extra values that some layers keep, each as large as the input."""

_EACH = {"gelu": 8, "softmax": 5, "Softmax": 5, "LayerNormalization": 9, "GroupNormalization": 9}
"""Number of operations for each value, if it is more than one or two."""

GATES, TRACED = 16, 2**6
"""Number of values that a recurrent layer keeps for each unit and step; number of traced steps.

A layer that Keras calls anew for each step counts as that many of its steps.
"""

LOOP = 2**13
"""Number of steps of a loop up to which all steps take equally long.

At each step, TensorFlow copies a list of all steps, which takes most of the time of a longer loop.
"""

_ALIASES = words(
    """
    Const ExpandDims Identity IdentityN NoOp Placeholder PlaceholderWithDefault ReadVariableOp Reshape
    Shape ShapeN Squeeze StopGradient
    """
)
"""TensorFlow's operations that need no extra memory."""

_KEEPING_NOTHING = words(
    """
    Add AddN AddV2 AvgPool AvgPool3D BiasAdd BroadcastTo Cast ConcatV2 DepthToSpace FusedBatchNormV3
    Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 DepthwiseConv2dNative GatherV2 MatMul Mean
    MirrorPad Neg Pack Pad PadV2 ResizeBilinear ResizeNearestNeighbor ReverseV2 Slice SpaceToBatchND
    BatchToSpaceND SpaceToDepth Split SplitV StridedSlice Sub Sum Tile Transpose Unpack
    """
)
"""Operations whose backward pass needs none of their values, where one of two is a weight."""

_NEEDING_ANSWERS = words("Elu Exp Relu Relu6 Rsqrt Selu Sigmoid Softmax Sqrt Tanh")
"""Operations whose backward pass needs their results, and not their inputs."""

_FIXED = {"Const", "Placeholder", "ReadVariableOp"}

_CUBIC = words(
    """
    Cholesky Eig LogMatrixDeterminant Lu MatrixDeterminant MatrixInverse MatrixSolve
    MatrixTriangularSolve Qr SelfAdjointEigV2 Svd
    """
)
"""Operations that take about twenty operations for each value of a matrix, times its length."""

_UNKNOWN = words(
    """
    CTCBeamSearchDecoder CTCGreedyDecoder CTCLoss CTCLossV2 EagerPyFunc If PartitionedCall PyFunc
    PyFuncStateless StatefulPartitionedCall StatelessIf StatelessWhile While
    """
)
"""Operations that run others, as often as only the running network knows."""

_BY_VALUE = words(
    """
    Bincount BroadcastTo CropAndResize DenseBincount Empty Fill LinSpace MirrorPad OneHot Pad PadV2
    Range ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScatterNd SegmentMax
    SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 SegmentSum SegmentSumV2
    Tile UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
    """
)
"""Operations whose number of results depends on values that only the running network may know."""


@dataclass
class Cost:
    """Cost of a pass for one sample.

    Attributes
    ----------
    operations
        Multiplications and additions on the way there.
    looked
        Values that windows look at one by one, again at each position, which a processor does some
        hundred times as slowly as other operations, above all on the way back.
    steps
        Calls that come after each other, such as those of a recurrent layer's cell, by how long they
        take: as so many of a short loop.
    kept
        Bytes of values that are kept for the backward pass.
    largest
        Bytes of values that the largest call holds.
    unsure
        The reason for uncertain numbers: the names of calls that may take more.
    """

    operations: int = 0
    looked: int = 0
    steps: int = 0
    kept: int = 0
    largest: int = 0
    unsure: list[str] = field(default_factory=list)

    @property
    def memory(self) -> int:
        """Maximum number of bytes that are held at a time."""
        return self.kept + 2 * self.largest


class Pass:
    """Pass through a network, to which calls are added one by one.

    Attributes
    ----------
    cost
        The cost so far. No value is kept twice.
    """

    def __init__(self) -> None:
        self.cost = Cost()
        self._kept: set[int] = set()
        self._origins: dict[int, int] = {}  # of values that are others, looked at otherwise
        self._held: list[Any] = []  # so that no id is used again

    def add(self, call: Call, times: int = 1) -> None:
        """Add a call that is made several times."""
        kind = call.kind
        self._held += (*call.given, *call.made)
        if kind in _SAME_VALUES and len(call.given) == len(call.made) == 1:
            origin = id(call.given[0])
            self._origins[id(call.made[0])] = self._origins.get(origin, origin)
            return
        if kind in _WRAPPING:
            self._add_wrapped(call, times)
            return
        taken, given = _bytes(call.given), _bytes(call.made)
        self.cost.largest = max(self.cost.largest, taken + given)
        if kind in _RECURRENT:
            self._add_recurrent(call, times)
        elif kind in _WEIGHTED:
            kernels = _kernels(call.layer)
            products = [2 * _positions(call, kernels) * math.prod(one) for one in kernels]
            biases = _count(call.given if "Transpose" in kind else call.made)
            self.cost.operations += times * (sum(products) + biases)
            if kind.startswith(("Depthwise", "Separable")):
                self.cost.looked += times * sum(products[:1])
            self._add_activation(_activation(call.layer), call, times, call.made)
        elif kind in _MOVING:
            pass
        elif kind in _POOLS or kind.startswith(("GlobalAverage", "GlobalMax")):
            looked = _pooled(call)
            self.cost.operations += times * looked
            if kind in _POOLS:
                self.cost.looked += times * looked
            if "Max" in kind:
                self._keep((*call.given, *call.made), times)
        elif kind == "Activation":
            self._add_activation(_name(call.layer.activation), call, times, call.given)
        elif kind == "Embedding":
            pass
        elif _is_by_values(call):
            if kind == "BatchNormalization" and type(call.layer).__module__.startswith("tf_keras"):
                self._keep(call.given, times)  # which the way back of its fused operation asks for
            self._add_activation(kind, call, times, call.given)
        else:
            self._add_traced(call, times)

    def _keep(self, values: Iterable[Any], times: int) -> None:
        for one in values:
            origin = self._origins.get(id(one), id(one))
            if origin not in self._kept or times > 1:
                self._kept.add(origin)
                self.cost.kept += times * _bytes([one])

    def _add_activation(self, name: str, call: Call, times: int, given: Sequence[Any]) -> None:
        """Add a function of each value; `given` is its input."""
        size = max((math.prod(one.shape) for one in (*given, *call.made)), default=0)
        many = max(len(call.given), 1) if not hasattr(call.layer, "kernel") else 1
        self.cost.operations += times * size * _EACH.get(name, many)
        if name == "linear" or name in _LINEAR:
            return
        if name in _BY_OUTPUT:
            self._keep(call.made, times)
        elif call.layer is not None and given is call.made:  # inside of a layer, what it is given
            self.cost.kept += times * _bytes(call.made)
        else:
            self._keep(given, times)
        self.cost.kept += times * _ON_THE_WAY.get(name, 0) * _bytes(call.made)

    def _add_recurrent(self, call: Call, times: int) -> None:
        steps = call.given[0].shape[1]
        cell = getattr(call.layer, "cell", call.layer)
        cells = getattr(cell, "cells", [cell])
        positions = math.prod(call.given[0].shape[2:-1])
        units = sum(map(_units, cells))
        self.cost.operations += times * steps * 2 * positions * _weights(call.layer)
        self.cost.steps += times * steps * len(cells) * max(steps // LOOP, 1)
        self.cost.kept += times * steps * positions * units * 4 * GATES

    def _add_wrapped(self, call: Call, times: int) -> None:
        """Add the cost of a wrapped layer, as often as it is called."""
        given, made, layer = call.given[:1], call.made, call.layer
        if call.kind == "TimeDistributed":
            if type(layer).__module__.startswith("keras."):  # which goes through them in Python
                self.cost.steps += TRACED * times * given[0].shape[1]
            times *= given[0].shape[1]
            given, made = tuple(map(_step, given)), tuple(map(_step, made))
        inner = [
            getattr(layer, name, None) for name in ("layer", "forward_layer", "backward_layer")
        ]
        for one in inner[1:] if inner[1] is not None else inner[:1]:
            self.add(Call(one, given, {}, given, made), times)
        if call.kind == "TimeDistributed":  # which takes the steps apart and puts them together
            self.cost.largest = max(self.cost.largest, 2 * (_bytes(call.given) + _bytes(call.made)))

    def _add_traced(self, call: Call, times: int) -> None:
        """Add the operations of TensorFlow in a call."""
        found = _traced_cost(call)
        if found is None or found.unsure:
            self.cost.unsure.append(call.layer.name)
        self._keep(call.made, times)
        if found is not None:
            self.cost.operations += times * found.operations
            self.cost.looked += times * found.looked
            self.cost.kept += times * found.kept
            self.cost.largest = max(self.cost.largest, found.largest)


def _is_by_values(call: Call) -> bool:
    """Tell whether a call computes each value of its result separately, or nearly so."""
    kind = call.kind
    if call.is_operation:
        return kind in TAKES_NO_MORE and kind not in ("Matmul", "Vdot")
    return kind in _LINEAR | _BY_OUTPUT | _VALUES


_VALUES = words(
    """
    GroupNormalization LayerNormalization Maximum Minimum Multiply PReLU RMSNormalization
    UnitNormalization
    """
)


def _kernels(layer: Any) -> list[tuple[int, ...]]:
    """Return the shapes of a layer's kernels, in the order in which the layer uses them."""
    return [
        tuple(int(size) for size in weight.shape)
        for weight in layer.weights
        if len(weight.shape) > 1
    ]


def _positions(call: Call, kernels: Sequence[tuple[int, ...]]) -> int:
    """Return how often a layer uses each number of its kernels."""
    values = _count(call.given if "Transpose" in call.kind else call.made)
    channels = kernels[-1][-1] if kernels else 1
    if call.kind.startswith("Depthwise"):
        channels *= kernels[-1][-2]
    return values // max(channels, 1)


def _pooled(call: Call) -> int:
    windows = getattr(call.layer, "pool_size", None)
    if windows is None:
        return _count(call.given)
    windows = windows if isinstance(windows, list | tuple) else [windows]
    longest = max((size for one in call.given for size in one.shape), default=1)
    window: int = math.prod(min(int(size), int(longest)) for size in windows)
    return window * _count(call.made)


def _units(cell: Any) -> int:
    return int(getattr(cell, "units", None) or getattr(cell, "filters", None) or 1)


def _step(tensor: Any) -> Any:
    import keras

    return keras.KerasTensor((tensor.shape[0], *tensor.shape[2:]), tensor.dtype)


def _activation(layer: Any) -> str:
    return _name(getattr(layer, "activation", None))


def _name(activation: Any) -> str:
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def _weights(layer: Any) -> int:
    """Return the number of values of a layer's weights."""
    return sum(math.prod(int(size) for size in one.shape) for one in getattr(layer, "weights", ()))


_SIZES = {"float64": 8, "int64": 8, "complex64": 8, "complex128": 16, "float16": 2, "bfloat16": 2}


def _count(values: Iterable[Any]) -> int:
    return sum(math.prod(map(int, one.shape)) for one in values)


def _bytes(values: Iterable[Any]) -> int:
    return sum(math.prod(one.shape) * _SIZES.get(str(one.dtype), 4) for one in values)


# What TensorFlow would do


def _traced_cost(call: Call) -> Cost | None:
    graph = call.graph
    if graph is None:
        return None
    cost = Cost()
    for operation in graph.get_operations():
        made = [list(_sizes(one)) for one in operation.outputs]
        taken = [list(_sizes(one)) for one in operation.inputs]
        if operation.type in _UNKNOWN or (
            operation.type in _BY_VALUE
            and not all(one.shape.is_fully_defined() for one in operation.outputs)
        ):
            cost.unsure.append(operation.type)
        if operation.type not in _ALIASES:
            held = sum(4 * math.prod(one) for one in made)
            if not _keeps_nothing(operation) or any(map(_needs_given, _takers(operation))):
                cost.kept += held
            cost.largest = max(cost.largest, held + sum(4 * math.prod(one) for one in taken))
            done = _done(operation, taken, made)
            cost.operations += done
            if operation.type.startswith(("AvgPool", "DepthwiseConv", "Dilation", "MaxPool")):
                cost.looked += done
    return cost


def _keeps_nothing(operation: Any) -> bool:
    """Tell whether the backward pass of an operation needs none of its values."""
    kind = operation.type
    if kind == "Mul":  # by a weight
        return any(one.op.type in _FIXED for one in operation.inputs)
    return kind in _KEEPING_NOTHING or kind in _ALIASES


def _needs_given(operation: Any) -> bool:
    return not _keeps_nothing(operation) and operation.type not in _NEEDING_ANSWERS


def _takers(operation: Any) -> Iterator[Any]:
    """Yield the operations that take an operation's result, directly or through views of it."""
    for value in operation.outputs:
        for taker in value.consumers():
            if taker.type in _ALIASES:
                yield from _takers(taker)
            else:
                yield taker


def _sizes(tensor: Any) -> Iterator[int]:
    if tensor.shape.rank is not None:
        yield from (max(size or 1, 1) for size in tensor.shape)


def _done(operation: Any, taken: list[list[int]], made: list[list[int]]) -> int:
    """Return the multiplications and additions of one of TensorFlow's operations."""
    kind = operation.type
    values = sum(map(math.prod, made))
    if kind in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"):
        over = operation.get_attr("transpose_a" if kind == "MatMul" else "adj_x")
        return 2 * values * int(taken[0][-2 if over else -1])
    if kind == "Einsum":
        words = operation.get_attr("equation").decode().partition("->")[0].split(",")
        lengths = {
            letter: size
            for word, sizes in zip(words, taken, strict=True)
            for letter, size in zip(word.replace("...", ""), sizes[-len(word) :], strict=False)
        }
        return max(2 * math.prod(lengths.values()), values)
    if kind in ("Conv2D", "Conv3D"):
        return 2 * values * math.prod(taken[1][:-1])
    if kind in ("DepthwiseConv2dNative", "Dilation2D"):
        return 2 * values * math.prod(taken[1][:2])
    if kind.startswith(("AvgPool", "MaxPool")):
        window: int = math.prod(operation.get_attr("ksize"))
        return values * min(window, max(map(math.prod, taken)))
    if kind in _CUBIC:
        return max((20 * math.prod(one) * max(one[-1:], default=1) for one in taken), default=0)
    return max(values, *map(math.prod, taken)) if taken else values
