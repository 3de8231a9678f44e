"""The gradient engine: scores of a network and what they depend on, compiled and in batches.

Every gradient technique comes down to one pass: run the network up to its target, take a weighted
sum of the target's outputs, and differentiate it by the inputs or by the activations of a layer in
between. Backpropagation modifiers change how that gradient passes a rectifier.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis._tensorflow import keras, tensorflow
from cnnvis.errors import UserError
from cnnvis.modifiers import Backprop
from cnnvis.reporting import progress
from cnnvis.samples import Array

BATCH = 32

SQUASHING = {"softmax", "softmax_v2", "sigmoid", "hard_sigmoid"}
"""Activations that are made linear on a target: saturated, they would hide what it depends on."""

swapping = threading.RLock()
"""Held while layers have replacements, and by whoever looks at what they are without them."""


@dataclass(frozen=True)
class Swap:
    """A layer's activation, or its whole call, to be replaced while a network is traced."""

    layer: Any
    attribute: str
    replacement: Callable[..., Any]


@contextmanager
def swapped(swaps: Iterable[Swap]) -> Iterator[None]:
    """The layers with their replacements, and afterwards just as they were.

    Functional networks ask their layers at every call, so this takes effect at once and leaves
    nothing behind in the network: what is traced inside keeps it, what runs later does not see it.
    """
    with swapping:
        undo: list[Callable[[], None]] = []
        try:
            for swap in swaps:
                undo.append(_put(swap))  # noqa: PERF401 (each must be undone if a later one fails)
            yield
        finally:
            for put_back in reversed(undo):
                put_back()


def _put(swap: Swap) -> Callable[[], None]:
    layer, name = swap.layer, swap.attribute
    # `call` is the class's; shadow it on the instance, past Keras's tracking of attributes.
    was_own = name in vars(layer)
    before = vars(layer).get(name)
    object.__setattr__(layer, name, swap.replacement)

    def put_back() -> None:
        if was_own:
            object.__setattr__(layer, name, before)
        else:
            object.__delattr__(layer, name)

    return put_back


def linear_target(layer: Any) -> tuple[list[Swap], Callable[[Any], Any] | None]:
    """What makes a target linear, and the squashing function that this leaves out, if any."""
    if isinstance(layer, keras().layers.Softmax):
        return [Swap(layer, "call", lambda inputs, mask=None: inputs)], layer.call
    activation = getattr(layer, "activation", None)
    is_softmax = isinstance(activation, keras().layers.Softmax)
    if is_softmax or _name_of(activation) in SQUASHING:
        return [Swap(layer, "activation", keras().activations.linear)], activation
    return [], None


def modified_rectifiers(layers: Iterable[Any], backprop: Backprop | None) -> list[Swap]:
    """What makes every rectifier among the layers pass its gradient back by the rule."""
    if backprop is None:
        return []
    swaps = []
    for layer in layers:
        if isinstance(layer, keras().layers.ReLU):
            swaps.append(Swap(layer, "call", _passing_back(layer.call, backprop)))
        elif _name_of(getattr(layer, "activation", None)) == "relu":
            swaps.append(Swap(layer, "activation", _passing_back(layer.activation, backprop)))
    return swaps


def _name_of(activation: object) -> str:
    return getattr(activation, "__name__", "")


def _passing_back(rectifier: Callable[[Any], Any], backprop: Backprop) -> Callable[[Any], Any]:
    """The same function forwards, and backwards the modifier's rule."""
    tf = tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def with_rule(x: Any) -> Any:
        y = rectifier(x)

        def back(g: Any) -> Any:
            passed = tf.nn.relu(g)
            return (
                tf.where(y > 0, passed, tf.zeros_like(passed)) if backprop == "guided" else passed
            )

        return y, back

    # Not `with_rule` itself: Keras passes a layer's call arguments that a gradient must not see.
    return lambda x, *_, **__: with_rule(x)


@dataclass(frozen=True)
class Pass:
    """One way of running a network: what is computed, and by which rules.

    Attributes
    ----------
    network
        A Keras network whose outputs are the wanted activations, if any, and then the target's.
    swaps
        What is replaced in its layers while it is traced.
    channel_axis
        Which axis of the target's output counts its filters: -1, or 1 for channels first.
    """

    network: Any
    swaps: Sequence[Swap]
    channel_axis: int = -1

    def outputs(self, x: Any) -> list[Any]:
        """The network's outputs for a batch, as tensors; call it only while tracing."""
        with swapped(self.swaps):
            answer = self.network(x, training=False)
        return list(answer) if isinstance(answer, list | tuple) else [answer]

    def score(self, x: Any, weights: Any) -> tuple[Any, Any]:
        """(activations or None, scores (n,)): the target's outputs, averaged over space, weighted.

        Parameters
        ----------
        x
            A batch of inputs, (n, ...).
        weights
            How much each output counts in each input's score, (n, k).
        """
        tf = tensorflow()
        *activations, output = self.outputs(x)
        units = per_unit(output, self.channel_axis)
        scores = tf.reduce_sum(tf.cast(units, tf.float32) * weights, axis=-1)
        return (activations[0] if activations else None), scores


def per_unit(output: Any, channel_axis: int) -> Any:
    """A layer's output, (n, k): each unit's, or each filter's average over its positions."""
    tf = tensorflow()
    rank = len(output.shape)
    if rank == 1:
        return output[:, None]
    channel = channel_axis % rank
    space = [axis for axis in range(1, rank) if axis != channel]
    return tf.reduce_mean(output, axis=space) if space else output


def compiled_forward(run: Pass) -> Callable[..., Sequence[Array]]:
    """A function of inputs (n, ...) that gives the network's last output, (n, ...)."""
    tf = tensorflow()
    forward = tf.function(lambda x: (run.outputs(x)[-1],), autograph=False)
    return lambda x: _in_batches(forward, x)


def compiled_gradient(run: Pass, *, of_activations: bool) -> Callable[..., Sequence[Array]]:
    """A function of inputs (n, ...) and weights (n, k) that gives a gradient and what it is of.

    It answers (gradient, inputs) or, `of_activations`, (gradient, activations), each (n, ...).
    """
    tf = tensorflow()

    def gradient(x: Any, weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            activations, scores = run.score(x, weights)
        source = activations if of_activations else x
        found = tape.gradient(scores, source)
        if found is None:
            raise UserError(
                "the target does not depend on the input through layers that have a gradient"
            )
        return found, source

    traced = tf.function(gradient, autograph=False)
    return lambda x, weights: _in_batches(traced, x, weights)


def _in_batches(function: Any, *arrays: Array) -> list[Array]:
    """Apply a compiled function batch by batch; all batches have one shape, so it is traced once."""
    count = len(arrays[0])
    size = min(count, BATCH)
    parts: list[list[Array]] = []
    with progress("computing", count) as advance:
        for start in range(0, count, max(size, 1)):
            batch = [_padded(array[start : start + size], size) for array in arrays]
            kept = min(size, count - start)
            # A concrete function, since TensorFlow warns of every new tf.function that is traced.
            concrete = function.get_concrete_function(*batch)
            # Networks of half precision answer in types that SciPy and others do not know.
            parts.append([answer.numpy()[:kept].astype(np.float32) for answer in concrete(*batch)])
            advance(kept)
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _padded(batch: Array, size: int) -> Any:
    """A batch as a tensor, filled up with its last sample to the size of the others."""
    missing = size - len(batch)
    if missing:
        batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
    return tensorflow().convert_to_tensor(batch)
