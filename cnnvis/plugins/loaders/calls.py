"""Calls of a network in order, each with the sizes of its arguments and results.

Sizes are those for one sample. Where an axis may have any length it is taken to be `LENGTH` long, and
what follows from that is worked out anew, call by call; nothing is computed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

LENGTH = 64
"""Assumed length of an axis of any length."""


@dataclass(frozen=True)
class Call:
    """A call of a layer or an operation, of Keras 3 or of tf_keras.

    Attributes
    ----------
    layer
        The layer or operation.
    args, kwargs
        The arguments of the call; values are symbolic tensors with the sizes of one sample.
    given, made
        The values that the call takes and returns, without axes of unknown length.
    """

    layer: Any
    args: Any
    kwargs: Any
    given: tuple[Any, ...]
    made: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """Name of the class."""
        return type(self.layer).__name__

    @property
    def is_operation(self) -> bool:
        """True where the call is one of a function of `keras.ops`, and of no layer."""
        return not hasattr(self.layer, "weights")

    @functools.cached_property
    def graph(self) -> Any:
        """TensorFlow's graph of the call; None if tracing fails. Nothing of the graph runs."""
        import keras
        import tensorflow as tf

        def compute(*given: Any) -> Any:
            there = {id(one): other for one, other in zip(self.given, given, strict=True)}
            args, kwargs = keras.tree.map_structure(
                lambda one: there.get(id(one), one), (self.args, self.kwargs)
            )
            return self.layer.call(*args, **kwargs)

        return traced(compute, [tf.TensorSpec(one.shape, one.dtype) for one in self.given])


def traced(compute: Callable[..., Any], given: Sequence[Any]) -> Any:
    """Return TensorFlow's graph of a function of tensors; None if tracing fails.

    Parameters
    ----------
    given
        The arguments of the function: a `tf.TensorSpec` each.
    """
    import tensorflow as tf

    try:
        function = tf.function(compute, autograph=False, input_signature=given)
        return function.get_concrete_function().graph
    except Exception:  # it cannot run either
        return None


def calls_of(network: Any) -> Iterator[Call]:
    """Yield every call of a network in an order of execution, those of nested models one by one.

    Parameters
    ----------
    network
        A Functional or Sequential model that is built. Other models have no known calls.
    """
    functional = functional_of(network)
    if functional is None:
        return
    values = {id(tensor): sized(tensor) for tensor in functional.inputs}
    yield from _calls(functional, values, anew=any(map(_hides_sizes, nodes_of(functional))))


def _calls(functional: Any, values: dict[int, Any], *, anew: bool) -> Iterator[Call]:
    """Yield the calls of a model whose inputs have these values, by the ids of its own tensors.

    The values of all its other tensors are added.

    Parameters
    ----------
    anew
        True where the sizes at building may differ from those of one sample.
    """
    flatten = _flatten()
    for node in nodes_of(functional):
        layer = _layer(node)
        for tensor in _taken(node):
            values.setdefault(id(tensor), sized(tensor))
        args, kwargs = _filled(node, values)
        given = tuple(one for one in flatten((args, kwargs)) if _is_value(one))
        inner = functional_of(layer)
        outputs = flatten(node.outputs)
        if inner is not None and len(given) == len(inner.inputs):
            inside = {id(one): other for one, other in zip(inner.inputs, given, strict=True)}
            yield from _calls(inner, inside, anew=anew)
            made = [inside[id(tensor)] for tensor in inner.outputs]
            # What stands for a value has to live as long as it is known by its id.
            values.update((id(one), one) for one in inside.values())
        else:
            made = [sized(one) for one in (_made(node, args, kwargs) if anew else outputs)]
            yield Call(layer, args, kwargs, given, tuple(made))
        values.update((id(one), other) for one, other in zip(outputs, made, strict=False))


def _made(node: Any, args: Any, kwargs: Any) -> list[Any]:
    """Infer the outputs of a call for these inputs, or return its own outputs if that fails."""
    flatten = _flatten()
    with suppress(Exception):  # whatever a layer raises on lengths that it does not take
        return list(flatten(_layer(node).compute_output_spec(*args, **kwargs)))
    return list(flatten(node.outputs))


def _filled(node: Any, values: dict[int, Any]) -> tuple[Any, Any]:
    """Return the arguments with which a node calls its layer."""
    if hasattr(node, "arguments"):
        filled: tuple[Any, Any] = node.arguments.fill_in(values)
        return filled
    import tensorflow as tf

    found: tuple[Any, Any] = tf.nest.map_structure(
        lambda one: values.get(id(one), one), (node.call_args, node.call_kwargs)
    )
    return found


def _taken(node: Any) -> list[Any]:
    return list(node.input_tensors if hasattr(node, "arguments") else node.keras_inputs)


def _layer(node: Any) -> Any:
    return node.operation if hasattr(node, "operation") else node.layer


def _flatten() -> Any:
    import keras

    return keras.tree.flatten


def _is_value(one: Any) -> bool:
    import keras

    return isinstance(one, keras.KerasTensor)


def sized(tensor: Any) -> Any:
    """Return a symbolic tensor of the same kind for one sample, without axes of any length."""
    import keras

    first = [1 if size is None else size for size in tensor.shape[:1]]
    shape = (*first, *(LENGTH if size is None else size for size in tensor.shape[1:]))
    return keras.KerasTensor(shape, str(getattr(tensor.dtype, "name", tensor.dtype)))


def nodes_of(functional: Any) -> Iterator[Any]:
    """Return the nodes of a model, which are Keras's calls, in an order of execution."""
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        yield from (node for node in functional._nodes_by_depth[depth] if not node.is_input)


def functional_of(network: Any) -> Any:
    """Return the model with nodes that stands behind a network; None without such a model."""
    inner = getattr(network, "_functional", None) or network
    is_one = getattr(inner, "_nodes_by_depth", None) and getattr(inner, "inputs", None)
    return inner if is_one else None


def _hides_sizes(node: Any) -> bool:
    """Tell whether the shapes at building may hide the size of a call's results."""
    layer = _layer(node)
    if not hasattr(layer, "weights"):  # operations mix samples, too
        return True
    inner = functional_of(layer)
    if inner is not None and any(map(_hides_sizes, nodes_of(inner))):
        return True
    return any(None in tensor.shape[1:] for tensor in _flatten()(node.outputs))
