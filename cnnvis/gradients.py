"""The gradient engine: scores of a network and what they depend on, compiled and in batches.

Every gradient technique comes down to one pass: run the network up to its target, take a weighted
sum of the target's outputs, and differentiate it by the inputs or by the activations of a layer in
between. Backpropagation modifiers change how that gradient passes a rectifier.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnvis._tensorflow import tensorflow
from cnnvis.errors import UserError
from cnnvis.graph import Call, Graph, Slot
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

    Layers look these up at every call, so this takes effect at once and leaves nothing behind in
    the network: what is traced inside keeps it, what runs later does not see it.
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


def linear_target(call: Call) -> tuple[list[Swap], Callable[[Any], Any] | None]:
    """What makes a target linear, and the squashing function that this leaves out, if any."""
    layer = call.layer.layer if "TimeDistributed" in call.kinds else call.layer
    module = type(layer).__module__
    is_operation = ".ops." in module or call.kind in ("tf.nn.softmax", "tf.math.sigmoid")
    if type(layer).__name__ == "Softmax" or (
        is_operation and _squashes(type(layer).__name__, call.kind)
    ):
        return [Swap(layer, "call", lambda inputs, *_, **__: inputs)], layer.call
    activation = vars(layer).get("activation")
    if type(activation).__name__ == "Softmax" or _name_of(activation) in SQUASHING:
        return [Swap(layer, "activation", lambda x: x)], activation
    return [], None


def _squashes(*names: str) -> bool:
    return any(name.rpartition(".")[2].lower() in SQUASHING for name in names)


def _name_of(activation: object) -> str:
    return getattr(activation, "__name__", "")


@dataclass(frozen=True)
class Part:
    """One layer's output as part of a target.

    Attributes
    ----------
    slot
        Where the output goes when the network runs.
    channel_axis
        Which axis of it counts its units: -1, or 1 for channels first.
    region
        Over which positions each unit is averaged, one index or slice for each spatial axis; all
        of them for None.
    """

    slot: Slot
    channel_axis: int
    region: tuple[int | slice, ...] | None = None

    def units(self, output: Any) -> Any:
        """The output, (n, k): each unit's, averaged over the positions of the region.

        Parameters
        ----------
        output
            (n, ...), a tensor or an array.
        """
        tf = tensorflow()
        rank = len(output.shape)
        if rank == 1:
            return output[:, None]
        channel = self.channel_axis % rank
        if self.region is not None:
            # An index becomes a slice of one: no axis is lost before the mean is taken.
            within = [one if isinstance(one, slice) else _only(one) for one in self.region]
            within.insert(channel - 1, slice(None))
            output = output[(slice(None), *within)]
        space = [axis for axis in range(1, rank) if axis != channel]
        return tf.reduce_mean(output, axis=space) if space else output


def _only(position: int) -> slice:
    return slice(position, position + 1 or None)


@dataclass(frozen=True)
class Pass:
    """One way of running a network: what is computed, and by which rules.

    Attributes
    ----------
    graph
        The network.
    parts
        The layers' outputs that make up the target; their units stand one behind the other.
    swaps
        What is replaced in its layers while it is traced, by the names of the calls.
    activations
        Values on the way that are wanted too.
    explained
        Which of the network's inputs gradients are taken by.
    """

    graph: Graph
    parts: tuple[Part, ...]
    swaps: Mapping[str, Sequence[Swap]] = field(default_factory=dict)
    activations: tuple[Slot, ...] = ()
    explained: int = 0

    def outputs(
        self, x: Sequence[Any], watch: Callable[[Any], None] = lambda value: None
    ) -> list[Any]:
        """The activations and then the target's outputs, as tensors; call it only while tracing."""
        wanted = [*self.activations, *(part.slot for part in self.parts)]
        return self.graph.run(
            x,
            wanted,
            lambda call: swapped(self.swaps.get(call.name, ())),
            lambda slot, value: watch(value) if slot in self.activations else None,
        )

    def score(
        self, x: Sequence[Any], weights: Any, watch: Callable[[Any], None] = lambda value: None
    ) -> tuple[list[Any], Any]:
        """(activations, scores (n,)): the target's outputs, averaged over space, weighted.

        Parameters
        ----------
        x
            A batch of each input, (n, ...).
        weights
            How much each output counts in each sample's score, (n, k).
        watch
            Told of each of the activations before anything is made of it.
        """
        tf = tensorflow()
        answers = self.outputs(x, watch)
        activations, outputs = answers[: len(self.activations)], answers[len(self.activations) :]
        units = [part.units(one) for part, one in zip(self.parts, outputs, strict=True)]
        exact = tf.float64 if tf.float64 in [one.dtype for one in units] else tf.float32
        joined = tf.concat([tf.cast(one, exact) for one in units], axis=-1)
        return activations, tf.reduce_sum(joined * tf.cast(weights, exact), axis=-1)


def compiled_forward(run: Pass) -> Callable[..., list[Array]]:
    """A function of the inputs, (n, ...) each, that gives the target's outputs, (n, ...) each."""
    tf = tensorflow()
    forward = tf.function(lambda *x: run.outputs(x), autograph=False)
    return lambda *x: _in_batches(forward, *x)


def compiled_gradient(run: Pass) -> Callable[..., list[Array]]:
    """A function of the inputs (n, ...) and weights (n, k) that gives a gradient and what it is of.

    It answers (gradient, input) or, where the pass has activations, (gradient, activations) for
    the first of these, each (n, ...).
    """
    tf = tensorflow()

    def gradient(*arrays: Any) -> tuple[Any, Any]:
        *x, weights = arrays
        explained = x[run.explained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # Activations themselves, too: what is before them may have no gradient at all.
            if not run.activations:
                tape.watch(explained)
            activations, scores = run.score(x, weights, tape.watch)
        source = activations[0] if activations else explained
        found = tape.gradient(scores, source)
        if found is None:
            raise UserError(
                "the target does not depend on the input through layers that have a gradient"
            )
        return tf.convert_to_tensor(found), source

    traced = tf.function(gradient, autograph=False)
    return lambda *arrays: _in_batches(traced, *arrays)


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
            parts.append([_plain(answer.numpy()[:kept]) for answer in concrete(*batch)])
            advance(kept)
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _plain(answer: Array) -> Array:
    """An answer in a type that SciPy and others know, as those of half precision are not."""
    return answer if answer.dtype == np.float64 else answer.astype(np.float32)


def _padded(batch: Array, size: int) -> Any:
    """A batch as a tensor, filled up with its last sample to the size of the others."""
    missing = size - len(batch)
    if missing:
        batch = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
    return tensorflow().convert_to_tensor(batch)
