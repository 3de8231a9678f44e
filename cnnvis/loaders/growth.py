"""Bounds on what a sample becomes on its way through a network, held before anything runs.

An `UpSampling2D` by a thousand, or a `keras.ops.tile`, makes a large value of a small one, and some
operations take much more memory on their way than what they give has: a blur makes a kernel, an
attention a table of all pairs. Shapes tell how much, so every call is held against them: for one
sample, with `LENGTH` where an axis may have any length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cnnvis
from cnnvis.loaders.obstacles import TRUST
from cnnvis.loaders.operations import PARTS, TAKES_NO_MORE

GROWTH, ALWAYS, MOST = 2**10, 2**26, 2**31
"""One sample may become so many times as large on its way; or so many values whatever its size is;
but never more than so many."""

LENGTH = 64
"""The length that is assumed for an axis of any length."""

_NEVER_EMPTY = {"FFT", "FFT2", "IFFT2", "IRFFT", "ISTFT", "RFFT", "STFT"}
"""Operations with which TensorFlow ends the process where there is nothing to transform."""

_TAKE_MORE = {
    *("AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention"),
    "ContrastLimitedAdaptiveHistogramEqualization",
}
"""Layers that take more memory on their way than what they are given and give."""


def require_growth(network: Any) -> None:
    """Refuse a network in which a sample becomes absurdly large on its way.

    Raises
    ------
    UserError
        Naming the layer.
    """
    model = cnnvis.Model(network)
    bound = _Bound(sum(_values(one.shape) for one in model.inputs))
    for layer in model.layers:
        bound.require(layer.name, layer.output_shape)
    functional = _functional(network)
    if functional is None:
        if any(None in layer.output_shape for layer in model.layers):
            _require_traced(network, model)
    elif any(_hides_sizes(node) for node in _nodes(functional)):
        given = {id(tensor): _sized(tensor) for tensor in functional.inputs}
        taken = sum(_values(tensor.shape) for tensor in given.values())
        _require_nodes(functional, given, _Bound(taken))


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


def _values(shape: Iterable[int | None]) -> int:
    return math.prod(size or 1 for size in shape)


def _require_nodes(functional: Any, values: dict[int, Any], bound: _Bound) -> None:
    """Hold every call of a model of Keras 3 against a bound.

    Parameters
    ----------
    functional
        A Functional model, or what stands behind a Sequential one.
    values
        What its inputs are, by the ids of its own tensors; those of all others are added.
    """
    import keras

    for node in _nodes(functional):
        layer = node.operation
        for tensor in node.input_tensors:
            values.setdefault(id(tensor), _sized(tensor))
        args, kwargs = node.arguments.fill_in(values)
        inner = _functional(layer)
        given = keras.tree.flatten(args)
        if inner is not None and len(given) == len(inner.inputs):
            inside = {id(one): other for one, other in zip(inner.inputs, given, strict=True)}
            _require_nodes(inner, inside, bound)
            made = [inside[id(tensor)] for tensor in inner.outputs]
        else:
            if type(layer).__name__ in _NEVER_EMPTY:
                _require_values(layer, keras.tree.flatten(args))
            made = keras.tree.flatten(_made(node, args, kwargs))
            for one in made:
                bound.require(layer.name, one.shape)
            for shape in _on_the_way(layer, args, kwargs):
                bound.require(layer.name, shape, " on its way")
        pairs = zip(node.outputs, made, strict=False)
        values.update((id(one), _sized(other)) for one, other in pairs)


def _require_values(layer: Any, given: Iterable[Any]) -> None:
    lengths = [getattr(layer, "fft_length", None), getattr(layer, "sequence_length", None)]
    sizes = [size for one in given for size in getattr(one, "shape", ())]
    if any(size is not None and size < 1 for size in (*lengths, *sizes)):
        raise cnnvis.UserError(
            f"the file is not loaded: its layer {layer.name!r} transforms nothing at all, which "
            "ends the process"
        )


def _made(node: Any, args: Any, kwargs: Any) -> Any:
    """Infer the outputs of a call for these inputs; those it was built with where that fails."""
    with suppress(Exception):  # whatever a layer raises on lengths that it does not take
        return node.operation.compute_output_spec(*args, **kwargs)
    return [_sized(tensor) for tensor in node.outputs]


def _require_traced(network: Any, model: cnnvis.Model) -> None:
    """Hold all values that TensorFlow would make in a network of tf_keras against a bound."""
    import tensorflow as tf

    shapes = [
        (1, *(LENGTH if size is None else size for size in one.shape)) for one in model.inputs
    ]
    given = [
        tf.TensorSpec(shape, one.dtype) for shape, one in zip(shapes, model.inputs, strict=True)
    ]
    bound = _Bound(sum(map(_values, shapes)))
    for name, shape in _traced(lambda *x: network(x if len(x) > 1 else x[0]), given):
        bound.require(name, shape)


def _on_the_way(layer: Any, args: Any, kwargs: Any) -> Iterator[list[int]]:
    """The shapes of all values that TensorFlow would make in a call, if these may be large."""
    import keras
    import tensorflow as tf

    if not _takes_more(layer):
        return
    flat = keras.tree.flatten((args, kwargs))
    tensors = [one for one in flat if isinstance(one, keras.KerasTensor)]

    def call(*given: Any) -> Any:
        there = {id(one): other for one, other in zip(tensors, given, strict=True)}
        filled = keras.tree.map_structure(lambda one: there.get(id(one), one), (args, kwargs))
        return layer.call(*filled[0], **filled[1])

    for _, shape in _traced(call, [tf.TensorSpec(one.shape, one.dtype) for one in tensors]):
        yield shape


def _traced(call: Callable[..., Any], given: Sequence[Any]) -> Iterator[tuple[str, list[int]]]:
    """The name and the shape of each value that TensorFlow would make, none of which it makes."""
    import tensorflow as tf

    try:
        function = tf.function(call, autograph=False, input_signature=given)
        graph = function.get_concrete_function().graph.as_graph_def(add_shapes=True)
    except Exception:  # it cannot run either
        return
    nodes = [*graph.node, *(node for one in graph.library.function for node in one.node_def)]
    for node in nodes:
        for shape in node.attr["_output_shapes"].list.shape:
            yield node.name, [max(axis.size, 1) for axis in shape.dim]


def _takes_more(layer: Any) -> bool:
    kind = type(layer).__name__
    return kind in _TAKE_MORE if hasattr(layer, "weights") else kind not in TAKES_NO_MORE


def _hides_sizes(node: Any) -> bool:
    """Tell whether the shapes that a call was built with may hide how much it makes."""
    layer = node.operation
    if not hasattr(layer, "weights") or _takes_more(layer):  # operations mix samples, too
        return True
    inner = _functional(layer)
    if inner is not None and any(map(_hides_sizes, _nodes(inner))):
        return True
    return any(None in tensor.shape[1:] for tensor in node.outputs)


def _sized(tensor: Any) -> Any:
    """A tensor of the same kind for one sample, without axes of any length."""
    import keras

    first = [1 if size is None else size for size in tensor.shape[:1]]
    shape = (*first, *(LENGTH if size is None else size for size in tensor.shape[1:]))
    return keras.KerasTensor(shape, tensor.dtype)


def _nodes(functional: Any) -> Iterator[Any]:
    """The calls in a model of Keras 3, in an order in which they can run."""
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        yield from (node for node in functional._nodes_by_depth[depth] if not node.is_input)


def _functional(network: Any) -> Any:
    """The model of Keras 3 with nodes that stands behind a network; None where there is none."""
    inner = getattr(network, "_functional", None) or network
    return inner if hasattr(inner, "_nodes_by_depth") and hasattr(inner, "_operations") else None


def bounded_operations() -> dict[str, Any]:
    """Operations that would give values without end while a network is built, bounded, by name."""
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
