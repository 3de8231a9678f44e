"""Bounds on the size and cost of a sample's values in a network, checked before anything runs.

An `UpSampling2D` by a thousand, or a `keras.ops.tile`, makes a large value of a small one, and some
operations take much more memory on their way than what they give has: a blur makes a kernel, an
attention a table of all pairs. Shapes tell how much, so every call is held against them: for one
sample, with `LENGTH` where an axis may have any length. What all calls take together, and what a pass
does, is added up meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.calls import LENGTH, Call, calls_of, functional_of, traced
from cnnvis.plugins.loaders.cost import Cost, Pass
from cnnvis.plugins.loaders.obstacles import TRUST
from cnnvis.plugins.loaders.operations import PARTS, TAKES_NO_MORE
from cnnvis.plugins.loaders.windows import require_windows

GROWTH, ALWAYS, MOST = 2**10, 2**26, 2**31
"""Maximum growth of one sample in a network, as a factor and as numbers of values.

The factor; the number of values that is allowed for samples of any size; and the upper limit of
both.
"""

KEPT, KEPT_BY_VALUE, KEPT_BY_WEIGHT = 2**30, 2**17, 2**8
"""Maximum numbers of bytes of a pass for one sample.

The number that any network may take; or the number for each value of the sample; or the number for
each weight.
"""

DONE, DONE_BY_WEIGHT, MOST_DONE = 2**40, 2**5, 2**47
"""Maximum numbers of multiplications and additions of a pass.

The number that any network may take; the number for each weight at each value of the sample, which
is more than any convolution needs; and the upper limit of both, which takes some hours.
"""

LOOKED, LOOKED_BY_VALUE = 2**34, 2**13
"""Numbers of values that windows of pools, and kernels of single channels, may look at.

The number for any network, which takes a minute; and the number for each value of the sample.
"""

STEPS = 2**18
"""Number of steps that recurrent layers, and others that go along time, may take in sequence.

This many steps take two minutes.
"""

_NEVER_EMPTY = {"FFT", "FFT2", "IFFT2", "IRFFT", "ISTFT", "RFFT", "STFT"}
"""Operations with which TensorFlow ends the process if their input is empty."""

_SEGMENTS = {"SegmentMax", "SegmentMin", "SegmentProd", "SegmentSum"}
"""Operations with as many results as the largest of their numbers says.

An argument may give the number of results; sorted variants have no such argument.
"""

_TAKE_MORE = {
    *("AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention"),
    "ContrastLimitedAdaptiveHistogramEqualization",
}
"""Layers that take more memory during the computation than their inputs and outputs."""


def require_growth(network: Any) -> Cost:
    """Refuse a network in which a sample becomes absurdly large.

    Returns
    -------
    Cost
        The cost of a pass for one sample.

    Raises
    ------
    UserError
        Naming the layer.
    """
    model = cnnvis.Model(network)
    bound = _Bound(sum(_values(one.shape) for one in model.inputs))
    for layer in model.layers:
        bound.require(layer.name, layer.output_shape)
    bound = _Bound(sum(_values(one.shape, LENGTH) for one in model.inputs))
    counted = Pass()
    for call in (
        calls_of(network) if functional_of(network) is not None else [_whole(network, model)]
    ):
        _require_call(call, bound)
        counted.add(call)
    if not _is_keras_3(network) and any(None in layer.output_shape for layer in model.layers):
        _require_traced(network, model, bound)
    return counted.cost


def _whole(network: Any, model: cnnvis.Model) -> Call:
    """Return a network whose own code decides what is called, as one call."""
    import keras

    given = tuple(
        keras.KerasTensor((1, *(LENGTH if n is None else n for n in one.shape)), one.dtype)
        for one in model.inputs
    )
    return Call(network, (given if len(given) > 1 else given[0],), {}, given, ())


def require_cost(cost: Cost, network: Any) -> None:
    """Refuse a network whose pass costs more than is available, or than its file explains.

    Parameters
    ----------
    cost
        The cost of a pass for one sample, from `require_growth`.
    network
        The network, with its weights.

    Raises
    ------
    UserError
        With the cost of the pass.
    """
    taken = sum(_values(one.shape, LENGTH) for one in cnnvis.Model(network).inputs)
    weights = network.count_params()
    of = f"one sample of {taken:,} values"
    accounted = f"than needed for its {weights:,} weights and this sample; {TRUST}"
    if cost.memory > max(KEPT, KEPT_BY_VALUE * taken, KEPT_BY_WEIGHT * weights):
        raise cnnvis.UserError(
            f"the file is not loaded: {of} takes about {_gb(cost.memory)} on its way through the "
            f"network and back, far more {accounted}"
        )
    if cost.operations > min(max(DONE, DONE_BY_WEIGHT * weights * taken), MOST_DONE):
        raise cnnvis.UserError(
            f"the file is not loaded: {of} takes about {cost.operations:.1e} multiplications and "
            f"additions, far more {accounted}"
        )
    if cost.looked > max(LOOKED, LOOKED_BY_VALUE * taken):
        raise cnnvis.UserError(
            f"the file is not loaded: with {of}, the windows of its layers look at about "
            f"{cost.looked:.1e} values one by one, far more than needed for this sample; {TRUST}"
        )
    if cost.steps > STEPS:
        raise cnnvis.UserError(
            f"the file is not loaded: its layers take as long as {cost.steps:,} steps, one "
            f"after the other, with {of}; {TRUST}"
        )
    there = cnnvis.available_memory()
    if cost.memory > there:
        raise cnnvis.UserError(
            f"the file is not loaded: {of} takes about {_gb(cost.memory)} on its way through the "
            f"network and back, and {_gb(there)} of memory are free here; use a machine with more "
            "memory, or try with --trust-model"
        )


def _gb(size: int) -> str:
    return f"{size / 2**30:.1f} GB"


def _is_keras_3(network: Any) -> bool:
    import keras

    return isinstance(network, keras.Model)


@dataclass(frozen=True)
class _Bound:
    """Bound on the size of values in a network that takes samples of so many values."""

    taken: int

    def require(self, name: str, shape: Iterable[int | None], what: str = "") -> None:
        if _values(shape) > min(max(ALWAYS, GROWTH * self.taken), MOST):
            sizes = " x ".join("any" if n is None else str(n) for n in shape)
            raise cnnvis.UserError(
                f"the file is not loaded: its layer {name!r} makes {sizes} values{what} of one "
                f"sample of {self.taken:,}; {TRUST}"
            )


def _values(shape: Iterable[int | None], length: int = 1) -> int:
    return math.prod(length if size is None else max(size, 1) for size in shape)


def _require_call(call: Call, bound: _Bound) -> None:
    """Check a call against the bounds."""
    require_windows(call)
    if call.kind in _NEVER_EMPTY:
        _require_values(call)
    if call.kind in _SEGMENTS and (call.layer.num_segments is None or call.layer.sorted):
        raise cnnvis.UserError(
            f"the file is not loaded: its layer {call.layer.name!r} lets its data set the number "
            f"of its values: it needs num_segments, and sorted=False; {TRUST}"
        )
    for one in call.made:
        bound.require(call.layer.name, one.shape)
    if _takes_more(call):
        for _, shape in _made_in(call.graph):
            bound.require(call.layer.name, shape, " on its way")


def _require_values(call: Call) -> None:
    layer = call.layer
    lengths = [getattr(layer, "fft_length", None), getattr(layer, "sequence_length", None)]
    sizes = [size for one in call.given for size in one.shape]
    if any(size is not None and size < 1 for size in (*lengths, *sizes)):
        raise cnnvis.UserError(
            f"the file is not loaded: its layer {layer.name!r} transforms an empty array, which "
            "crashes the process"
        )


def _require_traced(network: Any, model: cnnvis.Model, bound: _Bound) -> None:
    """Check all values that TensorFlow would make in a network of tf_keras against a bound."""
    import tensorflow as tf

    given = [
        tf.TensorSpec((1, *(LENGTH if size is None else size for size in one.shape)), one.dtype)
        for one in model.inputs
    ]
    for name, shape in _made_in(traced(lambda *x: network(x if len(x) > 1 else x[0]), given)):
        bound.require(name, shape)


def _made_in(graph: Any) -> Iterator[tuple[str, list[int]]]:
    """Yield the name and the shape of each value in a graph, those of its functions included."""
    if graph is None:
        return
    described = graph.as_graph_def(add_shapes=True)
    functions = described.library.function
    for node in (*described.node, *(node for one in functions for node in one.node_def)):
        for shape in node.attr["_output_shapes"].list.shape:
            yield node.name, [max(axis.size, 1) for axis in shape.dim]


def _takes_more(call: Call) -> bool:
    return call.kind not in TAKES_NO_MORE if call.is_operation else call.kind in _TAKE_MORE


def bounded_operations() -> dict[str, Any]:
    """Return bounded versions of operations that could make endless values, by name."""
    from keras.src.ops.core import Unstack

    given = 0

    class Bounded(Unstack):  # type: ignore[misc]
        def compute_output_spec(self, x: Any) -> Any:
            nonlocal given
            given += self.num or x.shape[self.axis] or 0
            if given > PARTS:
                raise ValueError(f"it takes values apart into more than {PARTS:,}")
            return super().compute_output_spec(x)

    Bounded.__name__ = Bounded.__qualname__ = "Unstack"
    Bounded.__module__ = Unstack.__module__
    return {"Unstack": Bounded}
