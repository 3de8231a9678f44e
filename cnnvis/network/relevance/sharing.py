"""Layer-wise relevance propagation: the score, shared out among the inputs step by step.

A normalization that is not multiplied into the kernel before it is a factor and a constant. The
constant goes along with the values to the next sum, and is a part of that sum's bias there: so a
normalization before a convolution is merged into the convolution, whatever padding, crops and
reshapes stand between. Where no sum comes, the constant has its share of the relevance at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnvis.errors import UserError
from cnnvis.network.backend import tensorflow
from cnnvis.network.gradients import Pass
from cnnvis.network.graph import Slot
from cnnvis.network.relevance.behaviour import known_behaviour
from cnnvis.network.relevance.rules import NORM_EPSILON, Pool, Rule, negative, positive, same
from cnnvis.network.relevance.steps import Plan, Step, score_of


@dataclass(frozen=True, eq=False)
class Sharing:
    """How the steps to a target share relevance out.

    Attributes
    ----------
    run
        Pass through the network.
    plan
        The steps.
    rules
        Rule of each weighted or affine step.
    absorbs
        True if constants take their share of the relevance; False to share all of it out among the
        inputs.
    """

    run: Pass
    plan: Plan
    rules: Mapping[Step, Rule]
    absorbs: bool

    @property
    def counts(self) -> bool:
        """True if a rule takes something else of inputs than their values."""
        terms = (term for rule in self.rules.values() for pool in rule for term in pool.terms)
        return any(taken not in ("all", "positive", "negative") for taken, _ in terms)

    def relevance(self, *arrays: Any) -> tuple[Any, Any, Any, Any]:
        """Compute (scores (n,), constants' share (n,), other inputs' share (n,), relevance (n, ...)).

        Parameters
        ----------
        arrays
            The inputs of the network, (n, ...) each; the weights of the outputs in the score, (n, k);
            the smallest and largest values of the explained input.
        """
        *x, weights, low, high = arrays
        inputs = self.run.graph.inputs
        given = {one.slot: tensor for one, tensor in zip(inputs, x, strict=True)}
        values = self.plan.values(given)
        source = inputs[self.run.explained].slot
        tf = tensorflow()
        kind = values[source].dtype
        walk = _Walk(self, values, {source: (tf.cast(low, kind), tf.cast(high, kind))})
        scores = walk.begin(weights)
        for step in self.plan.steps:
            walk.follow_constants(step)
        for step in reversed(self.plan.steps):
            walk.back(step)
        found = {slot: walk.taken(slot) for slot in given}
        mine = found.pop(source)
        others = sum(_sums(one) for one in found.values() if one is not None)
        return (
            tf.cast(scores, tf.float32),
            walk.constants,
            tf.zeros_like(walk.constants) + others,
            tf.cast(tf.zeros_like(values[source]) if mine is None else mine, tf.float32),
        )


def _sums(relevance: Any) -> Any:
    tf = tensorflow()
    return tf.reduce_sum(tf.cast(relevance, tf.float32), axis=range(1, len(relevance.shape)))


@dataclass
class _Walk:
    """Way back through a network, while it is traced.

    Attributes
    ----------
    sharing
        The steps and their rules.
    values
        All values of the network.
    bounds
        Smallest and largest values of inputs of the network.
    shifts
        The constant that is a part of a value, (1 or n, ...): the value less the shift is linear in
        what comes before.
    factors
        The factors that normalizations and paddings give a value, (1 or n, ...).
    relevance
        Relevance of values whose steps are to come; of a value with a shift, that of the rest.
    constants
        Sum of the relevance that constants took, (n,).
    """

    sharing: Sharing
    values: dict[Slot, Any]
    bounds: dict[Slot, tuple[Any, Any]]
    shifts: dict[Slot, Any] = field(default_factory=dict)
    factors: dict[Slot, Any] = field(default_factory=dict)
    relevance: dict[Slot, Any] = field(default_factory=dict)
    constants: Any = 0.0
    seeds: dict[Slot, Any] = field(default_factory=dict)

    def begin(self, weights: Any) -> Any:
        """Compute the scores, and the share of each output in them."""
        scores, gradients = score_of(self.sharing.run, self.values, weights)
        self.constants = tensorflow().zeros(scores.shape, tensorflow().float32)
        # An output that does not count has no share, also where it is infinite.
        multiplied = tensorflow().math.multiply_no_nan
        self.seeds = {slot: multiplied(self.values[slot], one) for slot, one in gradients.items()}
        return scores

    # Forwards: constants and factors

    def follow_constants(self, step: Step) -> None:
        """Note what a step makes of the constants in its inputs, and of the inputs' factors."""
        is_shifted = any(slot in self.shifts for slot in step.inputs)
        if step.behaviour == "diagonal" or (step.behaviour == "routing" and is_shifted):
            found = step.compute({**self.values, **self._constant_inputs(step)})
            self.shifts.update(zip(step.outputs, found, strict=False))
        if step.behaviour in ("diagonal", "routing") and step.inputs and self.sharing.counts:
            self._follow_factors(step)

    def _follow_factors(self, step: Step) -> None:
        """Note what a step makes of its inputs' factors, and of their smallest and largest values."""
        tf = tensorflow()
        ones = {
            slot: self.factors.get(slot, tf.ones_like(self._rows(step, slot)))
            for slot in step.inputs
        }
        nothing = {slot: tf.zeros_like(one) for slot, one in ones.items()}
        zero, factors = (step.compute({**self.values, **given}) for given in (nothing, ones))
        for slot, none, one in zip(step.outputs, zero, factors, strict=False):
            self.factors[slot] = one - none
        if not all(slot in self.bounds for slot in step.inputs):
            return
        ends = [
            {slot: one + self.bounds[slot][end] for slot, one in nothing.items()} for end in (0, 1)
        ]
        lows, highs = (step.compute({**self.values, **given}) for given in ends)
        for slot, none, low, high in zip(step.outputs, zero, lows, highs, strict=False):
            self.bounds[slot] = tf.minimum(low - none, high - none), tf.maximum(low, high) - none

    def _rows(self, step: Step, slot: Slot) -> Any:
        """Return a value's first sample, which has the shape of a constant, or all where it must."""
        value = self.values[slot]
        is_fixed = self.sharing.run.graph.batch is not None
        return value if is_fixed or set(step.call.inputs) - set(step.inputs) else value[:1]

    def _constant_inputs(self, step: Step) -> dict[Slot, Any]:
        tf = tensorflow()
        rows = {slot: self._rows(step, slot) for slot in step.inputs}
        return {
            slot: tf.zeros_like(one) + self.shifts.get(slot, tf.zeros((), one.dtype))
            for slot, one in rows.items()
        }

    # Backwards

    def back(self, step: Step) -> None:
        """Pass the relevance of a step's values back to its inputs."""
        tf = tensorflow()
        found = [self.taken(slot) for slot in step.outputs]
        if not step.inputs or all(one is None for one in found):
            return
        outputs = [
            tf.zeros_like(self.values[slot]) if one is None else one
            for slot, one in zip(step.outputs, found, strict=True)
        ]
        match step.behaviour:
            case "weighted" | "affine":
                shares = self._shared(step, outputs[0], self.sharing.rules[step])
                self._give(step.inputs, shares, of_rest=True)
            case "routing":
                self._give(step.inputs, self._routed(step, outputs), of_rest=True)
            case "diagonal":
                self._give(step.inputs, outputs, of_rest=True)
            case "maximum":
                self._give(step.inputs, self._routed(step, outputs))
            case "product":
                self._give(step.inputs, self._halves(step, outputs[0]))
            case _:
                self._give(step.inputs, outputs)

    def taken(self, slot: Slot) -> Any:
        """Take the relevance of a value, constants in it aside; None if it has none."""
        seed = self.seeds.pop(slot, None)
        if seed is not None:
            self._give((slot,), (seed,))
        return self.relevance.pop(slot, None)

    def _give(self, slots: Sequence[Slot], shares: Sequence[Any], *, of_rest: bool = False) -> None:
        """Add to the relevance of values; `of_rest` says that constants in them had their share."""
        tf = tensorflow()
        for slot, one in zip(slots, shares, strict=True):
            value, share = self.values[slot], one
            shift = None if of_rest else self.shifts.get(slot)
            if shift is not None and self.sharing.absorbs:
                share = share * _quotient(value - shift, stabilized(value, NORM_EPSILON))
                self.constants += _sums(one - share)
            share = tf.cast(share, value.dtype)
            held = self.relevance.get(slot)
            self.relevance[slot] = share if held is None else held + share

    def _routed(self, step: Step, outputs: Sequence[Any]) -> list[Any]:
        """Pass relevance back to the values that the step's values are."""
        _, back = self._applied(step, [self.values[slot] for slot in step.inputs], step.compute)
        return back(outputs)

    def _halves(self, step: Step, relevance: Any) -> list[Any]:
        """Give each factor of a product half of the relevance."""
        given = [self.values[slot] for slot in step.inputs]
        slots = step.inputs
        _, back = self._applied(step, given, lambda values: [values[slots[0]] + values[slots[1]]])
        return back([relevance / 2])

    def _applied(
        self, step: Step, given: Sequence[Any], function: Callable[[Mapping[Slot, Any]], list[Any]]
    ) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
        """Return a function's values, and the function that passes back what comes to the values."""
        tf = tensorflow()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(given))
            found = function({**self.values, **dict(zip(step.inputs, given, strict=True))})
        zero = tf.UnconnectedGradients.ZERO

        def back(outputs: Sequence[Any]) -> list[Any]:
            some = [tf.cast(one, value.dtype) for one, value in zip(outputs, found, strict=False)]
            gradients: list[Any] = tape.gradient(
                list(found[: len(some)]), list(given), some, unconnected_gradients=zero
            )
            return [tf.convert_to_tensor(one) for one in gradients]

        return found, back

    def _shared(self, step: Step, relevance: Any, rule: Rule) -> list[Any]:
        """Share relevance out among the inputs of a linear step by a rule."""
        tf = tensorflow()
        bias = self._bias(step)
        shares = [tf.zeros_like(self.values[slot]) for slot in step.inputs]
        for pool in rule:
            shares = [
                one + more
                for one, more in zip(
                    shares, self._of_pool(step, relevance, pool, bias), strict=True
                )
            ]
        return shares

    def _of_pool(self, step: Step, relevance: Any, pool: Pool, bias: Any) -> list[Any]:
        tf = tensorflow()
        value = self.values[step.outputs[0]]
        terms = []
        total: Any = 0.0
        for taken, change in pool.terms:
            if taken == "negative" and self._is_positive(step):
                continue  # there is nothing below zero
            given = [self._part(step, slot, taken) for slot in step.inputs]
            function = step.compute
            if step.kernel is not None:
                function = functools.partial(step.with_kernel, change=change)
            found, back = self._applied(step, given, function)
            if taken == "all" and change is same:  # computed already
                total = total + (value if bias is None else value - bias)
            else:
                total = total + found[0]
            terms.append((given, back))
        own = None if bias is None or pool.bias is None else pool.bias(bias)
        if own is not None and self.sharing.absorbs:
            total = total + own
        divisor = stabilized(total, pool.epsilon) if pool.epsilon else total
        if pool.where != "all":
            # The sum that is shared out decides: without the bias where the bias has no share.
            sum_ = value if bias is None or self.sharing.absorbs else value - bias
            at = sum_ >= 0 if pool.where == "positive" else sum_ < 0
            relevance = tf.where(at, relevance, tf.zeros_like(relevance))
        relevance = tf.cast(relevance, value.dtype)
        ratio = _quotient(pool.factor * relevance, tf.zeros_like(value) + divisor)
        if own is not None and self.sharing.absorbs:
            self.constants += _sums(ratio * own)
        shares: list[Any] = [0.0 for _ in step.inputs]
        for given, back in terms:
            shares = [
                share + one * more
                for share, one, more in zip(shares, given, back([ratio]), strict=True)
            ]
        return shares

    def _is_positive(self, step: Step) -> bool:
        inputs = set(step.inputs)
        return inputs <= self.sharing.plan.nonnegative and inputs.isdisjoint(self.shifts)

    def _part(self, step: Step, slot: Slot, taken: str) -> Any:
        """Return what a rule takes of a value; see `cnnvis.network.relevance.rules.Taken`."""
        tf = tensorflow()
        value = self.values[slot]
        match taken:
            case "ones" | "squares":
                factor = self.factors.get(slot)
                if factor is None:
                    return tf.ones_like(value)
                factor = tf.zeros_like(value) + factor
                return (
                    tf.square(factor) if taken == "squares" else tf.cast(factor != 0, value.dtype)
                )
            case "low" | "high":
                if slot not in self.bounds:
                    raise UserError(
                        f"the layer {step.name!r} ({step.call.kind}) is not right behind the explained "
                        "input, so the range of its inputs, which the rule z-box needs, is not known; "
                        "take another composite"
                    )
                low, high = self.bounds[slot]
                return tf.zeros_like(value) + (low if taken == "low" else high)
        if slot in self.shifts:
            value = value - self.shifts[slot]
        return {"all": same, "positive": positive, "negative": negative}[taken](value)

    def _bias(self, step: Step) -> Any:
        """Return what a linear step adds to the sum over its inputs, (1 or n, ...); None for nothing."""
        has_shift = any(slot in self.shifts for slot in step.inputs)
        layer = step.call.layer
        if step.kernel is not None:
            is_without = getattr(step.kernel.layer, "bias", None) is None and not step.behind
        else:
            is_without = set(step.call.inputs) == set(step.inputs) and (
                known_behaviour(layer) == "affine"
            )
        if is_without and not has_shift:
            return None
        return step.compute({**self.values, **self._constant_inputs(step)})[0]


LEAST = 1e-30
"""Size of a divisor below which nothing is shared out, so that no share is infinite."""


def _quotient(relevance: Any, divisor: Any) -> Any:
    """Divide; where the divisor is all but 0, the quotient is 0."""
    tf = tensorflow()
    nothing = tf.zeros_like(divisor)
    divisor = tf.where(tf.abs(divisor) < tf.constant(LEAST, divisor.dtype), nothing, divisor)
    return tf.math.divide_no_nan(relevance, divisor)


def stabilized(divisor: Any, epsilon: float) -> Any:
    """Return a divisor with epsilon added to its size; the sign of zero is 1."""
    tf = tensorflow()
    epsilon = tf.constant(epsilon, divisor.dtype)
    return divisor + tf.where(divisor >= 0, epsilon, -epsilon)
