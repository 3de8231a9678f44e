"""Gradient engine: scores of a network and what they depend on, compiled and in batches.

Every gradient technique comes down to one pass: run the network up to its target, take a weighted
sum of the target's outputs, and differentiate that sum by the inputs or by the activations of a
layer in between. Backpropagation modifiers change how that gradient passes a rectifier.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError, complaint
from cnnvis.network.backend import tensorflow
from cnnvis.network.compilation import Compiled
from cnnvis.network.graph import Call, Graph, Slot

SHARES = {"softmax", "softmaxv2", "logsoftmax", "sparsemax"}
"""Activations that divide 1 among the units of a layer, which are classes then."""

SQUASHING = SHARES | {
    *("sigmoid", "hardsigmoid", "hardsigmoidofkeras2", "sparsesigmoid", "logsigmoid")
}
"""Activations that are made linear on a target, since they hide the inputs' effect if saturated."""

swapping = threading.RLock()
"""Lock, held while layers have replacements, and while layers are examined without replacements."""


@dataclass(frozen=True)
class Swap:
    """Replacement of a layer's activation, whole call or name while a network is traced."""

    layer: Any
    attribute: str
    replacement: Callable[..., Any] | str


@contextmanager
def swapped(swaps: Iterable[Swap]) -> Iterator[None]:
    """Give layers their replacements inside the block, and restore the layers after it.

    Layers look these attributes up at every call, so a replacement takes effect at once and leaves
    nothing behind in the network: what is traced inside the block keeps the replacement, what runs
    later does not see it.
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


@dataclass(frozen=True)
class Squashing:
    """Softmax or sigmoid at the end of a target.

    Attributes
    ----------
    call
        Call that computes the function: the target, or one before layers that do nothing to the
        function's answer.
    swap
        Swap that leaves the function out.
    name
        Name of the function, in small letters: ``softmax``, ``logsoftmax``, ``sigmoid``, ...
    function
        The function.
    passed
        Calls behind the function that leave its answers as they are, but not all numbers, such as a
        clip to what lies between 0 and 1. These calls are left out together with the function.
    """

    call: Call
    swap: Swap
    name: str
    function: Callable[[Any], Any]
    passed: tuple[Call, ...] = ()

    @property
    def is_share(self) -> bool:
        """True if the function divides 1 among the units, which are classes then."""
        return self.name in SHARES

    @property
    def swaps(self) -> Iterator[tuple[Call, Swap]]:
        """Swaps that leave out the function and the passed calls, each with its call."""
        yield self.call, self.swap
        for call in self.passed:
            yield call, _left_out(call.layer)

    def probabilities(self, units: Any) -> Any:
        """Return the probabilities that units (n, k) stand for, a tensor."""
        answers = self.function(units)
        return tensorflow().exp(answers) if self.name.startswith("log") else answers


def squashing_of(graph: Graph, target: Call) -> Squashing | None:
    """Find the softmax or sigmoid that a target ends in; None if it ends in none.

    Layers between the two are looked through if they do nothing outside of training, or only give
    the answer another shape: Dropout, Activation("linear"), Flatten; and if they do nothing to what
    lies in the answer's range, such as a clip.
    """
    givers = {slot: call for call in graph.calls for slot in call.slots}
    shapes = {one.slot: one.shape for one in graph.inputs}
    for call in graph.calls:
        shapes.update(zip(call.slots, call.shapes, strict=True))
    behind: list[Call] = []
    call = target
    while (found := _own_squashing(call)) is None:
        if len(call.inputs) != 1 or getattr(call.layer, "weights", None):
            return None
        if call.inputs[0] not in givers:
            return None
        behind.append(call)
        call = givers[call.inputs[0]]
    passed: list[Call] = []
    for one in behind:
        shape, batch = shapes[one.inputs[0]], graph.batch
        if _hands_on(one, shape, ANY, batch):
            if found.is_share and not _keeps_units(one, shape, batch):
                return None
        elif _hands_on(one, shape, _range_of(found.name), batch, in_place=True):
            passed.append(one)
        else:
            return None
    return replace(found, passed=tuple(passed))


def is_answer(graph: Graph, call: Call) -> bool:
    """Tell whether a call gives the network's answer, or one with its classes in the same order.

    The calls behind it then have no weights, and leave each of several units as it is, or make a
    single number of all units, as an argmax does.
    """
    behind = graph.reached(call.slots)
    after = [one for one in graph.calls if one is not call and not behind.isdisjoint(one.slots)]
    if any(getattr(one.layer, "weights", None) for one in after):
        return False
    shapes = {
        slot: shape
        for one in graph.calls
        for slot, shape in zip(one.slots, one.shapes, strict=True)
    }
    single = ((), (1,))
    return call.shapes[0] in single or all(
        one.shapes[0] in single
        or (
            len(one.inputs) == 1
            and _hands_on(
                one, shapes[one.inputs[0]], _range_of("softmax"), graph.batch, in_place=True
            )
        )
        for one in after
    )


def squashed_before(graph: Graph, target: Call) -> Call | None:
    """Find a softmax or sigmoid that a target is made of without weights; None if there is none."""
    givers = {slot: call for call in graph.calls for slot in call.slots}
    left, seen = [target], set[int]()
    while left:
        call = left.pop()
        if "Softmax" in call.kinds or _own_squashing(call) is not None:
            return call
        if id(call) not in seen and not getattr(call.layer, "weights", None):
            left += [givers[slot] for slot in call.inputs if slot in givers]
        seen.add(id(call))
    return None


ANY = [
    sign * whole * power for sign in (-1, 1) for whole in range(256) for power in (2**-8, 1, 2**6)
]
"""Numbers below and above zero, small and large, such as half precision holds exactly."""


def _range_of(name: str) -> list[float]:
    """Return numbers in the range of a softmax or sigmoid that half precision holds exactly."""
    return [(-32 if name.startswith("log") else 1) * whole / 256 for whole in range(1, 256)]


def _hands_on(
    call: Call,
    shape: Sequence[int | None],
    numbers: Sequence[float],
    batch: int | None,
    *,
    in_place: bool = False,
) -> bool:
    """Tell whether a call hands on the numbers that it is given, if perhaps in another shape.

    Parameters
    ----------
    shape
        Shape of one sample of the call's input.
    numbers
        Numbers to try, each of them.
    batch
        Number of samples that the call takes at a time; None for any number.
    in_place
        True if each number must stay in its place.
    """
    tf = tensorflow()
    sizes = [3 if size is None else size for size in shape]
    each = math.prod(sizes)
    if each != math.prod(3 if size is None else size for size in call.shapes[0]):
        return False
    rows = -(-len(numbers) // max(each, 1))
    rows = rows if batch is None else -(-rows // batch) * batch
    # In no order that a layer could keep by chance.
    mixed = np.random.default_rng(5).permutation(np.resize(numbers, rows * each))
    given = mixed.reshape(rows, *sizes).astype(np.float32)
    for start in range(0, rows, batch or rows):
        part = tf.constant(given[start : start + (batch or rows)])
        try:
            (answer,) = call.answer({call.inputs[0]: part})
        except Exception:  # whatever a layer makes of numbers that are not those it was made for
            return False
        before, after = part.numpy(), tf.cast(answer, tf.float32).numpy()
        if not in_place:
            before, after = np.sort(before, axis=None), np.sort(after, axis=None)
        if not np.array_equal(before, after):
            return False
    return True


def _keeps_units(call: Call, shape: Sequence[int | None], batch: int | None) -> bool:
    """Tell whether units, which the last axis counts, stay units, if perhaps in another order."""
    if not shape or call.shapes[0][-1:] != tuple(shape[-1:]):
        return False
    sizes = [3 if size is None else size for size in shape]
    units = np.arange(1, sizes[-1] + 1, dtype=np.float32)
    given = np.broadcast_to(units / 256, (batch or 2, *sizes))
    (answer,) = call.answer({call.inputs[0]: tensorflow().constant(given)})
    found = np.asarray(answer).reshape(-1, sizes[-1])
    return bool((found == found[:1]).all())


def _own_squashing(call: Call) -> Squashing | None:
    """Return the softmax or sigmoid that a call itself computes; None if there is none."""
    layer = _computing(call.layer) if "TimeDistributed" in call.kinds else call.layer
    kind, activation = type(layer).__name__, vars(layer).get("activation")
    is_operation = ".ops." in type(layer).__module__
    name = _plain(call.kind.rpartition(".")[2] if call.kind.startswith("tf.") else kind)
    if kind == "Softmax" or (name in SQUASHING and (is_operation or call.kind.startswith("tf."))):
        return Squashing(call, _left_out(layer), name, layer.call)
    function = getattr(activation, "func", activation)  # of a partial
    name = _plain(getattr(function, "__name__", "") or type(function).__name__)
    if name in SQUASHING:
        return Squashing(call, Swap(layer, "activation", lambda x: x), name, activation)
    return None


def _computing(wrapper: Any) -> Any:
    """Return the layer that gives the answer of a TimeDistributed layer: of a network, the last."""
    layer = wrapper.layer
    while hasattr(layer, "layers") and len(layer.outputs or ()) == 1:
        history = layer.outputs[0]._keras_history
        layer = getattr(history, "operation", None) or history.layer
    return layer


def _left_out(layer: Any) -> Swap:
    return Swap(layer, "call", lambda inputs, *_, **__: inputs)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def plain_names(call: Call) -> list[Swap]:
    """Return swaps that give a call's layers names that TensorFlow's graphs take.

    Keras's own names may hold a blank or a dollar.
    """
    swaps = []
    for layer in call.layers():
        plain = re.sub(r"[^A-Za-z0-9_.\\/>-]", "_", f"{layer.name}")
        if not re.match(r"[A-Za-z0-9.]", plain):
            plain = f"layer{plain}"
        if plain != layer.name:
            swaps.append(Swap(layer, "name", plain))
    return swaps


@dataclass(frozen=True)
class Part:
    """Output of a layer as part of a target.

    Attributes
    ----------
    slot
        Slot of the output.
    channel_axis
        Axis of the output that counts its units: -1, or 1 for channels first.
    region
        Positions over which each unit is averaged, one index or slice for each spatial axis; all
        positions for None.
    """

    slot: Slot
    channel_axis: int
    region: tuple[int | slice, ...] | None = None

    def units(self, output: Any) -> Any:
        """Return the output as (n, k): each unit, averaged over the positions of the region.

        Parameters
        ----------
        output
            (n, ...), a tensor or an array.
        """
        tf = tensorflow()
        kind = tf.as_dtype(output.dtype)
        if not (kind.is_floating or kind.is_integer or kind.is_bool):
            raise UserError(
                f"the target gives values of the type {kind.name}, and cnnvis explains real "
                "numbers alone; explain another layer, with --layer"
            )
        if kind.is_bool:
            output = tf.cast(output, tf.float32)
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


def require_each(shape: Any, count: int | None) -> None:
    """Refuse a target without a value for each sample, such as one that adds up all samples."""
    if len(shape) == 0 or (count is not None and shape[0] not in (None, count)):
        raise UserError(
            f"the target gives values of the shape {tuple(shape)} for {count} images, and each "
            "image needs its own values; explain a layer before the target, with --layer"
        )


def _only(position: int) -> slice:
    return slice(position, position + 1 or None)


@dataclass(frozen=True)
class Pass:
    """Run of a network: the values to compute, and the rules by which layers compute.

    Attributes
    ----------
    graph
        The network.
    parts
        Outputs of layers that make up the target; their units stand one behind the other.
    swaps
        Replacements in the network's layers while it is traced, by the names of the calls.
    activations
        Values on the way that are wanted too.
    explained
        Number of the network's input by which gradients are taken.
    """

    graph: Graph
    parts: tuple[Part, ...]
    swaps: Mapping[str, Sequence[Swap]] = field(default_factory=dict)
    activations: tuple[Slot, ...] = ()
    explained: int = 0

    def outputs(
        self,
        x: Sequence[Any],
        watch: Callable[[Any], None] = lambda value: None,
        given: Mapping[Slot, Any] | None = None,
    ) -> list[Any]:
        """Compute the activations and then the target's outputs, as tensors, while tracing only.

        For `watch`, see `score`; for `given`, `Graph.run`.
        """
        wanted = [*self.activations, *(part.slot for part in self.parts)]
        return self.graph.run(
            x,
            wanted,
            lambda call: swapped([*self.swaps.get(call.name, ()), *plain_names(call)]),
            lambda slot, value: watch(value) if slot in self.activations else None,
            given,
        )

    def score(
        self,
        x: Sequence[Any],
        weights: Any = None,
        watch: Callable[[Any], None] = lambda value: None,
    ) -> tuple[list[Any], Any, Any]:
        """Compute (activations, units (n, k), scores (n,)): outputs, averaged over space, weighted.

        Parameters
        ----------
        x
            A batch of each input, (n, ...).
        weights
            Weight of each output in each sample's score, (n, k); for None, the largest output alone
            counts.
        watch
            Function that is called with each of the activations before it is used.
        """
        answers = self.outputs(x, watch)
        activations, outputs = answers[: len(self.activations)], answers[len(self.activations) :]
        return activations, *self.weighted(outputs, weights, x[0].shape[0])

    def weighted(
        self, outputs: Sequence[Any], weights: Any = None, count: int | None = None
    ) -> tuple[Any, Any]:
        """Compute (units (n, k), scores (n,)) of the outputs of the pass's parts; see `score`.

        Parameters
        ----------
        count
            The number of samples; None where it is not known.
        """
        tf = tensorflow()
        joined = self._joined(outputs, count)
        exact = joined.dtype
        if weights is None:
            weights = tf.one_hot(tf.argmax(joined, axis=-1), joined.shape[-1], dtype=exact)
        if joined.shape[-1] != weights.shape[-1]:
            raise UserError(
                f"the target gives {joined.shape[-1]} values, and its description says "
                f"{weights.shape[-1]}; explain a layer before the target, with --layer"
            )
        weights = tf.cast(weights, exact)
        counting = tf.where(weights != 0, joined, 0)  # also beside units that are NaN or infinite
        return joined, tf.reduce_sum(counting * weights, axis=-1)

    def units_from(self, x: Sequence[Any], given: Mapping[Slot, Any]) -> Any:
        """Compute the target's units, (n, k), from values on the way; see `Graph.run`."""
        return self._joined(self.outputs(x, given=given)[len(self.activations) :], x[0].shape[0])

    def _joined(self, outputs: Sequence[Any], count: int | None) -> Any:
        """Average outputs over their positions and put them one behind the other, (n, k)."""
        tf = tensorflow()
        for one in outputs:
            require_each(one.shape, count)
        units = [part.units(one) for part, one in zip(self.parts, outputs, strict=True)]
        exact = tf.float64 if tf.float64 in [one.dtype for one in units] else tf.float32
        return tf.concat([tf.cast(one, exact) for one in units], axis=-1)

    @property
    def layers(self) -> int:
        """Number of calls of layers in the run."""
        return len(self._calls)

    def footprint(self, x: Sequence[Array]) -> int:
        """Estimate the bytes that one sample needs on its way, the gradient's way back included."""
        # Where a length is not known before, it is hardly more than the input's.
        longest = max((max(one.shape[1:], default=1) for one in x), default=1)
        values = sum(one[0].size for one in x) + sum(
            math.prod(longest if size is None else size for size in shape)
            for call in self._calls
            for shape in call.shapes
        )
        return 3 * 4 * int(values)

    @property
    def _calls(self) -> list[Call]:
        return list(self.graph.needed([part.slot for part in self.parts]))


def compiled_forward(run: Pass, identity: Callable[[], str]) -> Compiled:
    """Compile the target's outputs, (n, ...) each, as a function of the inputs, (n, ...) each."""
    return _compiled(run, lambda *x: run.outputs(x), identity)


def compiled_units_from(run: Pass, identity: Callable[[], str], start: Call) -> Compiled:
    """Compile the units, (n, k), as a function of the inputs and of what a call gives, (n, ...)."""

    def units(*arrays: Any) -> tuple[Any, ...]:
        given = tensorflow().cast(arrays[-1], start.dtype)
        return (run.units_from(arrays[:-1], {start.slots[0]: given}),)

    return _compiled(run, units, identity)


def compiled_gradient(
    run: Pass,
    identity: Callable[[], str],
    *,
    predicted: bool = False,
    reduced: Callable[..., Any] | None = None,
) -> Compiled:
    """Compile a gradient of scores as a function of the inputs (n, ...) and weights (n, k).

    The function returns (units (n, k), sizes (n,), gradient). The gradient is by the input,
    (n, ...), or, where the pass has activations, by the first of these, which then stand behind the
    gradient. The sizes are the sums of the gradient's absolute values. If `predicted`, the function
    takes no weights: the largest unit of each sample is its score. With `reduced`, the result of
    that function of the gradient, or of activations and gradient, stands in their place: a tensor,
    or a tuple of tensors.
    """
    tf = tensorflow()

    def gradient(*arrays: Any) -> tuple[Any, ...]:
        x, weights = (arrays, None) if predicted else (arrays[:-1], arrays[-1])
        explained = x[run.explained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            # Activations themselves, too: what is before them may have no gradient at all.
            if not run.activations:
                tape.watch(explained)
            activations, units, scores = run.score(x, weights, tape.watch)
        found = _gradient(tape, scores, activations[0] if activations else explained)
        sizes = tf.reduce_sum(tf.abs(found), axis=range(1, len(found.shape)))
        if reduced is not None:
            made = reduced(*activations[:1], found)
            return units, sizes, *(made if isinstance(made, tuple) else (made,))
        return units, sizes, found, *activations[:1]

    return _compiled(run, gradient, identity)


def compiled_mean(
    run: Pass,
    identity: Callable[[], str],
    perturb: Callable[..., Any],
    per_sample: int,
    count: int,
    moved: Sequence[int],
    *,
    together: int | None = None,
) -> Compiled:
    """Compile the means of the gradients over perturbations of inputs.

    The function takes the inputs (n, ...), weights (n, k), and for each of the inputs in `moved` as
    many arrays with an entry for each sample, (n, ...), as `per_sample` says. Behind these it takes
    the arguments of the perturbations,
    which are the same for all inputs, (count, ...), and the factors by which their gradients count,
    (count,). It gives a mean for each of the inputs whose numbers are in `moved`; the others are
    held. With `together`, it gives for each of these the mean and the sum of squared deviations from
    the mean, of the means of so many gradients one behind the other whose factors are not 0.
    """
    tf = tensorflow()
    inputs = len(run.graph.inputs)

    def mean(*arrays: Any) -> tuple[Any, ...]:
        x, weights = list(arrays[:inputs]), arrays[inputs]
        first = inputs + 1 + per_sample * len(moved)
        own_args, args, factors = arrays[inputs + 1 : first], arrays[first:-1], arrays[-1]

        def repeated(value: Any) -> Any:
            return tf.repeat(value, count, axis=0)

        rows = {
            at: _perturbed(
                perturb, x[at], own_args[place * per_sample : (place + 1) * per_sample], args
            )
            for place, at in enumerate(moved)
        }
        feeds = [rows[at] if at in rows else repeated(one) for at, one in enumerate(x)]
        # The score is linear in its weights, so that gradients come out weighted.
        weighted = repeated(weights) * tf.tile(factors, [x[0].shape[0]])[:, None]
        with tf.GradientTape(persistent=len(moved) > 1, watch_accessed_variables=False) as tape:
            tape.watch([*rows.values()])
            _, _, scores = run.score(feeds, weighted)
        found = [
            tf.reshape(_gradient(tape, scores, rows[at]), [-1, count, *x[at].shape[1:]])
            for at in moved
        ]
        if together is None:
            return tuple(tf.reduce_sum(one, axis=1) for one in found)
        return tuple(part for one in found for part in _moments(one, factors, together))

    return _compiled(run, mean, identity, count)


def _moments(gradients: Any, factors: Any, together: int) -> tuple[Any, Any]:
    """Compute the mean of gradients (n, k, ...) whose factor is not 0, and the sum of squares around it.

    Of the gradients themselves, or of the means of so many of them together.
    """
    tf = tensorflow()
    if together > 1:
        first, *rest = gradients.shape[1:]
        groups = tf.reshape(gradients, [-1, first // together, together, *rest])
        gradients, factors = tf.reduce_mean(groups, axis=2), factors[::together]
    counts = tf.cast(factors != 0, gradients.dtype)
    share = counts / tf.reduce_sum(counts)
    share, counts = (
        tf.reshape(one, [1, -1, *[1] * (len(gradients.shape) - 2)]) for one in (share, counts)
    )
    middle = tf.reduce_sum(gradients * share, axis=1, keepdims=True)
    return middle[:, 0], tf.reduce_sum(tf.square(gradients - middle) * counts, axis=1)


def compiled_scores(
    run: Pass,
    identity: Callable[[], str],
    perturb: Callable[..., Any],
    per_sample: int,
    count: int,
) -> Compiled:
    """Compile the scores of perturbed copies of inputs, (n, count), without gradients.

    The arguments of the function are those of `compiled_mean`, without the factors; the explained
    input is perturbed.
    """
    tf = tensorflow()
    inputs = len(run.graph.inputs)

    def scores(*arrays: Any) -> tuple[Any, ...]:
        x, weights = list(arrays[:inputs]), arrays[inputs]
        first = inputs + 1 + per_sample
        rows = _perturbed(perturb, x[run.explained], arrays[inputs + 1 : first], arrays[first:])
        feeds = [
            rows if at == run.explained else tf.repeat(one, count, axis=0)
            for at, one in enumerate(x)
        ]
        _, _, found = run.score(feeds, tf.repeat(weights, count, axis=0))
        return (tf.reshape(found, [-1, count]),)

    return _compiled(run, scores, identity, count)


def _perturbed(
    perturb: Callable[..., Any], x: Any, own_args: Sequence[Any], args: Sequence[Any]
) -> Any:
    """Perturb inputs x (n, ...): one row for each input and each perturbation, (n count, ...)."""
    tf, rank = tensorflow(), len(x.shape) + 1

    def spread(value: Any, axis: int) -> Any:
        if value.dtype.is_floating:  # of a network in double precision, arguments are in single
            value = tf.cast(value, x.dtype)
        value = tf.expand_dims(value, axis)
        return tf.reshape(value, [*value.shape, *[1] * (rank - len(value.shape))])

    rows = perturb(
        spread(x, 1), *(spread(one, 1) for one in own_args), *(spread(one, 0) for one in args)
    )
    return tf.reshape(rows, [-1, *x.shape[1:]])


def _compiled(
    run: Pass, function: Callable[..., Any], identity: Callable[[], str], each: int = 1
) -> Compiled:
    return Compiled(function, run.layers, run.footprint, identity, each, run.graph.batch)


def _gradient(tape: Any, scores: Any, source: Any) -> Any:
    try:
        found = tape.gradient(scores, source)
    except (UserError, MemoryError, tensorflow().errors.ResourceExhaustedError):
        raise
    except Exception as error:  # whatever TensorFlow makes of a network on the way back
        raise UserError(
            f"TensorFlow has no gradient of a layer on the way to the target: {complaint(error)}; "
            "explain a layer before it, with --layer"
        ) from error
    if found is None:
        raise UserError(
            "the target does not depend on the input through layers that have a gradient"
        )
    return tensorflow().convert_to_tensor(found)
