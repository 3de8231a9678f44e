"""A network as a list of steps, each of which computes one kind of function.

A layer with an activation becomes two steps, the linear part and the activation. A batch
normalization right behind a layer with a kernel is multiplied into the kernel, as Hui and Binder
2019 do before relevance is passed back: what the two compute together is one linear function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis.network.activations import activation_name, rectifiers
from cnnvis.network.backend import tensorflow
from cnnvis.network.gradients import Pass, Swap, plain_names, require_each, swapped
from cnnvis.network.graph import Call, Slot
from cnnvis.network.relevance.behaviour import (
    BIG,
    Behaviour,
    behaviour_of_activation,
    is_cast,
    kerass_kind,
    known_behaviour,
    tried_behaviour,
)
from cnnvis.network.relevance.kernels import (
    Change,
    Kernel,
    factors_of_normalization,
    is_normalization_along,
    kernel_of,
)

Values = Mapping[Slot, Any]

_NOTHING_DONE = {
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"),
    *("GaussianNoise", "GaussianDropout", "ActivityRegularization", "Identity"),
}
"""Kinds of layers that hand on what they are given, outside of training."""


@dataclass(frozen=True, eq=False)
class Step:
    """Function in a network.

    Attributes
    ----------
    call
        Call of which it is a part.
    behaviour
        Kind of the function.
    inputs
        Slots of the values that depend on the network's inputs.
    outputs
        Slots of the function's values.
    swaps
        Replacements in the call's layers while it is computed.
    activation
        Activation that the step computes; None for a step that computes the call itself.
    kernel
        Kernel of a weighted step.
    behind
        Steps that are computed behind the call and belong to the same linear function.
    is_first
        True for a weighted step that no other weighted step is before.
    is_decided
        True if the function depends on whole numbers or truth values made of the network's inputs, as
        ``where(x > 1, ...)`` does.
    """

    call: Call
    behaviour: Behaviour
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    swaps: tuple[Swap, ...] = ()
    activation: Callable[[Any], Any] | None = None
    kernel: Kernel | None = None
    behind: tuple[Step, ...] = ()
    is_first: bool = False
    is_decided: bool = False

    @property
    def name(self) -> str:
        """Name of the call."""
        return self.call.name

    def compute(self, values: Values) -> list[Any]:
        """Compute the step's values."""
        found = self._own(values)
        if not self.behind:
            return found
        held = {**values, self._own_outputs[0]: found[0]}
        for step in self.behind:
            held.update(zip(step.outputs, step.compute(held), strict=False))
        return [held[slot] for slot in self.outputs]

    def with_kernel(self, values: Values, change: Change) -> list[Any]:
        """Compute the step's values with a changed kernel and without constants."""
        assert self.kernel is not None
        return self._own(values, self.kernel.swaps(change))

    @property
    def _own_outputs(self) -> tuple[Slot, ...]:
        return self.behind[0].inputs if self.behind else self.outputs

    def _own(self, values: Values, more: Sequence[Swap] = ()) -> list[Any]:
        with swapped([*self.swaps, *more, *plain_names(self.call)]):
            if self.activation is not None:
                return [self.activation(values[self.inputs[0]])]
            return self.call.answer(values)


@dataclass(frozen=True, eq=False)
class Plan:
    """Steps from the inputs of a network to a target.

    Attributes
    ----------
    steps
        The steps, in an order in which they can run.
    merged
        Number of the normalizations that are one linear function with a layer beside them.
    alone
        Number of the other normalizations.
    nonnegative
        Slots of values that are never below zero.
    """

    steps: tuple[Step, ...]
    merged: int
    alone: int
    nonnegative: frozenset[Slot]

    def values(self, given: Values) -> dict[Slot, Any]:
        """Compute all values.

        Parameters
        ----------
        given
            The values of the network's inputs.
        """
        values = dict(given)
        for step in self.steps:
            values.update(zip(step.outputs, step.compute(values), strict=False))
        return values

    def reached(self, start: Collection[Slot]) -> frozenset[Slot]:
        """Return every value that depends on these, themselves included."""
        found = set(start)
        for step in self.steps:
            if not found.isdisjoint(step.inputs):
                found.update(step.outputs)
        return frozenset(found)


def score_of(run: Pass, values: Values, weights: Any) -> tuple[Any, dict[Slot, Any]]:
    """Compute scores (n,) from all values of a network, and their gradients by the target's outputs.

    Parameters
    ----------
    weights
        Weights of the outputs in each score, (n, k).
    """
    tf = tensorflow()
    outputs = {part.slot: values[part.slot] for part in run.parts}
    for one in outputs.values():
        require_each(one.shape, weights.shape[0])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(outputs.values()))
        _, scores = run.weighted([outputs[part.slot] for part in run.parts], weights)
    gradients = tape.gradient(scores, list(outputs.values()))
    return scores, dict(zip(outputs, gradients, strict=True))


def plan_of(run: Pass, sample: Sequence[Any], *, merge: bool) -> Plan:
    """Write a pass through a network out as steps.

    Parameters
    ----------
    run
        The pass.
    sample
        Values of the network's inputs, tensors (n, ...), by which functions are tried.
    merge
        True to multiply normalizations into the kernels before them.
    """
    planner = _Planner(run)
    steps = planner.steps(sample)
    ends = [part.slot for part in run.parts]
    if merge:
        steps = _merged(steps, ends, planner.values)
    diagonal = [one for step in steps for one in (step, *step.behind)]
    count = sum(one.behaviour == "diagonal" for one in diagonal)
    alone = _alone(steps, ends)
    return Plan(tuple(steps), count - alone, alone, _nonnegative(steps))


@dataclass
class _Planner:
    """Walk along a network that finds out what each of its calls computes."""

    run: Pass
    values: dict[Slot, Any] = field(default_factory=dict)
    moving: set[Slot] = field(default_factory=set)
    weighted: set[Slot] = field(default_factory=set)
    touched: set[Slot] = field(default_factory=set)
    new: int = 0

    def steps(self, sample: Sequence[Any]) -> list[Step]:
        for one, tensor in zip(self.run.graph.inputs, sample, strict=True):
            self.values[one.slot] = tensor
            self.touched.add(one.slot)
            if tensor.dtype.is_floating:
                self.moving.add(one.slot)
        found = []
        for call in self.run.graph.needed([part.slot for part in self.run.parts]):
            for step in self._steps_of(call):
                self.values.update(zip(step.outputs, step.compute(self.values), strict=False))
                if step.inputs:
                    self.moving.update(
                        slot for slot in step.outputs if _is_real(self.values.get(slot))
                    )
                found.append(step)
        return found

    def _steps_of(self, call: Call) -> Iterator[Step]:
        swaps = tuple(self.run.swaps.get(call.name, ()))
        inputs = tuple(slot for slot in dict.fromkeys(call.inputs) if slot in self.moving)
        decisions = self.touched.intersection(call.inputs) - set(inputs)
        whole = Step(call, "other", inputs, call.slots, swaps, is_decided=bool(decisions))
        if not self.touched.isdisjoint(call.inputs):
            self.touched.update(call.slots)
        is_left_out = any(swap.attribute == "call" for swap in swaps)
        kernel = None if is_left_out else kernel_of(call)
        if not inputs:
            yield whole
        elif is_left_out:
            yield replace(whole, behaviour="routing")
        elif kernel is not None:
            is_first = self.weighted.isdisjoint(inputs)
            linear = replace(whole, behaviour="weighted", kernel=kernel, is_first=is_first)
            yield from self._with_activation(linear, kernel.layer)
        else:
            known = known_behaviour(call.layer)
            yield from self._tried(whole) if known is None else [replace(whole, behaviour=known)]
        if kernel is not None or not self.weighted.isdisjoint(inputs):
            self.weighted.update(call.slots)

    def _with_activation(self, step: Step, layer: Any) -> Iterator[Step]:
        """Yield the linear part of a layer, and the layer's activation."""
        activation = vars(layer).get("activation")
        if any(swap.layer is layer and swap.attribute == "activation" for swap in step.swaps):
            activation = None  # it is left out already
        if activation is None or activation_name(activation) == "linear":
            yield step
            return
        self.new -= 1
        between = (Slot(self.new),)
        left_out = Swap(layer, "activation", lambda x: x)
        yield replace(step, outputs=between, swaps=(*step.swaps, left_out))
        found = Step(step.call, "elementwise", between, step.outputs, activation=activation)
        behaviour = behaviour_of_activation(activation) or self._behaviour(found)
        yield replace(found, behaviour=behaviour)

    def _tried(self, step: Step) -> Iterator[Step]:
        """Yield what a call computes, found by trying."""
        behaviour = self._behaviour(step)
        if len(step.outputs) > 1 and behaviour != "routing":
            behaviour = "other"
        layer = step.call.layer
        if behaviour == "other" and vars(layer).get("activation") is not None:
            left_out = Swap(layer, "activation", lambda x: x)
            without = self._behaviour(replace(step, swaps=(*step.swaps, left_out)))
            if without in ("affine", "diagonal"):
                yield from self._with_activation(replace(step, behaviour=without), layer)
                return
        yield replace(step, behaviour=behaviour)

    def _behaviour(self, step: Step) -> Behaviour:
        given = [self.values[slot] for slot in step.inputs]
        kinds = [one.dtype for one in given]
        count = self.run.graph.batch or (2 if all(_size(one) < BIG for one in given) else 1)

        def compute(tensors: Sequence[Any]) -> list[Any]:
            tf = tensorflow()
            cast = [tf.cast(one, kind) for one, kind in zip(tensors, kinds, strict=True)]
            return step.compute({**held, **dict(zip(step.inputs, cast, strict=True))})

        held = {slot: _repeated(one, count) for slot, one in self._held(step).items()}
        shapes = [(count, *one.shape[1:]) for one in given]
        found = tried_behaviour(compute, shapes)
        return "routing" if found == "diagonal" and is_cast(compute, shapes[0], kinds[0]) else found

    def _held(self, step: Step) -> dict[Slot, Any]:
        """Return the values that a step takes and that do not depend on the network's inputs."""
        others = set(step.call.inputs) - set(step.inputs)
        return {slot: self.values[slot] for slot in others}


def _is_real(value: Any) -> bool:
    return hasattr(value, "dtype") and value.dtype.is_floating


def _size(value: Any) -> int:
    return int(np.prod(value.shape[1:]))


def _repeated(value: Any, count: int) -> Any:
    """Return a value with as many samples; one that has none stays as it is."""
    shape: Sequence[int] = getattr(value, "shape", ())
    if len(shape) == 0 or shape[0] != 1:
        return value
    return tensorflow().repeat(value, count, axis=0)


def _merged(steps: Sequence[Step], ends: Sequence[Slot], values: Values) -> list[Step]:
    """Multiply factors behind layers with kernels into the kernels."""
    found: list[Step] = []
    giver: dict[Slot, Step] = {}
    taken = Counter([*(slot for step in steps for slot in step.inputs), *ends])
    for step in steps:
        start, between = _linear_before(step, giver, taken)
        kernel = None if start is None else _scaled(start, step, values)
        if start is None or kernel is None:
            found.append(step)
            giver.update(dict.fromkeys(step.outputs, step))
            continue
        behind = (*start.behind, *between, step)
        whole = replace(start, kernel=kernel, behind=behind, outputs=step.outputs)
        found = [one for one in found if one is not start and one not in between]
        found.append(whole)
        giver.update(dict.fromkeys(step.outputs, whole))
    return found


def _alone(steps: Sequence[Step], ends: Sequence[Slot]) -> int:
    """Count the diagonal steps whose values go to anything but sums."""
    to_others = set(ends)
    count = 0
    for step in reversed(steps):
        passes_on = step.behaviour in ("diagonal", "routing")
        goes = not to_others.isdisjoint(step.outputs)
        count += step.behaviour == "diagonal" and goes
        if goes if passes_on else step.behaviour not in ("weighted", "affine"):
            to_others.update(step.inputs)
    return count


_SUMS_OF_POSITIVE = {
    *("Add", "Average"),
    *("AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
    *("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"),
}
"""Kinds of layers that add up values without turning a sign."""


def _nonnegative(steps: Sequence[Step]) -> frozenset[Slot]:
    """Find values that are never below zero: those behind ReLUs."""
    found: set[Slot] = set()
    for step in steps:
        keeps = step.behaviour in ("routing", "maximum") or (
            step.kernel is None and kerass_kind(step.call.layer) in _SUMS_OF_POSITIVE
        )
        is_from_positive = keeps and set(step.call.inputs) <= found
        if is_from_positive or (step.behaviour == "elementwise" and _is_relu(step)):
            found.update(step.outputs)
    return frozenset(found)


def _is_relu(step: Step) -> bool:
    layer = step.call.layer
    if step.activation is not None or kerass_kind(layer) == "Activation":
        return activation_name(step.activation or layer.activation) in ("relu", "relu6", "sigmoid")
    own = [one.kind for one in rectifiers(step.call)]
    return own in (["ReLU"], ["ReLU6"]) and not getattr(layer, "negative_slope", 0)


def _linear_before(
    step: Step, giver: Mapping[Slot, Step], taken: Mapping[Slot, int]
) -> tuple[Step | None, tuple[Step, ...]]:
    """Find the weighted step right before a diagonal one, and what stands between and does nothing."""
    between: tuple[Step, ...] = ()
    if step.behaviour != "diagonal" or len(step.inputs) != 1:
        return None, between
    slot = step.inputs[0]
    while taken[slot] == 1 and slot in giver:
        before = giver[slot]
        if before.behaviour == "weighted":
            return before, between
        if kerass_kind(before.call.layer) not in _NOTHING_DONE or len(before.inputs) != 1:
            break
        between = (before, *between)
        slot = before.inputs[0]
    return None, between


def _scaled(start: Step, step: Step, values: Values) -> Kernel | None:
    """Return the kernel of a step with the factors of a step behind it; None if they do not fit."""
    kernel, slot = start.kernel, step.inputs[0]
    assert kernel is not None
    layer = step.call.layer
    if is_normalization_along(layer, kernel.channel_axis, len(values[slot].shape)):
        return kernel.scaled(factors_of_normalization(layer))
    if getattr(layer, "weights", None) or step.activation is not None:
        return None
    tf = tensorflow()
    zero, one = (make(values[slot]) for make in (tf.zeros_like, tf.ones_like))
    factors = np.unique(
        step.compute({**values, slot: one})[0].numpy()
        - step.compute({**values, slot: zero})[0].numpy()
    )
    if len(factors) == 1:
        factor = float(factors[0])
        return kernel.scaled(lambda: tensorflow().constant(factor))
    return None
