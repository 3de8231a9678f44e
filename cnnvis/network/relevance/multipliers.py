"""DeepLIFT's multipliers: the change of the score from a baseline, passed back step by step.

A multiplier m says how much of the change of the score each unit of the change of a value accounts
for. Every step keeps the sum of m times the changes, so that at the input it is the change of the score.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.network.backend import tensorflow
from cnnvis.network.gradients import Pass
from cnnvis.network.graph import Slot
from cnnvis.network.relevance.steps import Plan, Step, score_of

CLOSE = 1e-5
"""Change of a value, as a share of the value, below which the derivative is the multiplier.

In single precision the quotient of two changes so small is mostly rounding error.
"""

POINTS = 16
"""Number of places on the way of a step's inputs at which its derivatives are averaged."""


@dataclass(frozen=True, eq=False)
class Multiplying:
    """Steps to a target, ready to pass multipliers back.

    Attributes
    ----------
    run
        Pass through the network.
    plan
        The steps.
    """

    run: Pass
    plan: Plan

    def multipliers(self, *arrays: Any) -> tuple[Any]:
        """Compute the multipliers of the explained input, (n, ...).

        Parameters
        ----------
        arrays
            The inputs of the network, (n, ...) each; the baseline of the explained input, (n, ...);
            and the weights of the outputs in the score, (n, k).
        """
        tf = tensorflow()
        *x, start, weights = arrays
        inputs, number = self.run.graph.inputs, self.run.explained
        source = inputs[number].slot
        given = {one.slot: tensor for one, tensor in zip(inputs, x, strict=True)}
        at, base = self.plan.values(given), self.plan.values({**given, source: start})
        pair = _Pair(at, base, self.plan.reached([source]), self.run.graph.batch)
        _, found = score_of(self.run, at, weights)
        for step in reversed(self.plan.steps):
            inside = [slot for slot in step.inputs if slot in pair.moving]
            some = [found.pop(slot, None) for slot in step.outputs]
            if not inside or all(one is None for one in some):
                continue
            outputs = [
                tf.zeros_like(at[slot]) if one is None else tf.cast(one, at[slot].dtype)
                for slot, one in zip(step.outputs, some, strict=True)
            ]
            for slot, one in zip(inside, pair.back(step, inside, outputs), strict=True):
                found[slot] = found[slot] + one if slot in found else one
        mine = found.get(source)
        return (tf.cast(tf.zeros_like(at[source]) if mine is None else mine, tf.float32),)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Values of a network at inputs and at their baselines.

    Attributes
    ----------
    at, base
        The values at the inputs, and at the baselines.
    moving
        Slots of the values that may differ.
    batch
        Number of samples that the network takes at a time; None for any number.
    """

    at: Mapping[Slot, Any]
    base: Mapping[Slot, Any]
    moving: frozenset[Slot]
    batch: int | None

    def back(self, step: Step, inside: Sequence[Slot], outputs: Sequence[Any]) -> list[Any]:
        """Pass the multipliers of a step's values back to some of its inputs."""
        match step.behaviour:
            case "weighted" | "affine" | "diagonal" | "routing":
                return self._derivative(step, inside, [self.at[slot] for slot in inside], outputs)
            case "elementwise":
                return [self._rescaled(step, inside[0], outputs[0])]
            case "maximum":
                return self._of_winners(step, inside, outputs[0])
            case "product":
                places = [self._middle(slot) for slot in inside]
                held = {slot: self._middle(slot) for slot in step.inputs}
                return self._derivative(step, inside, places, outputs, held)
            case _:
                return self._averaged(step, inside, outputs)

    def _middle(self, slot: Slot) -> Any:
        return (self.at[slot] + self.base[slot]) / 2

    def _derivative(
        self,
        step: Step,
        inside: Sequence[Slot],
        places: Sequence[Any],
        outputs: Sequence[Any],
        held: Mapping[Slot, Any] | None = None,
    ) -> list[Any]:
        """Compute the derivative of a step's values, weighted and summed, at places of its inputs."""
        tf = tensorflow()
        values = {**self.at, **(held or {})}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(places))
            found = step.compute({**values, **dict(zip(inside, places, strict=True))})
        found = found[: len(outputs)]
        given = [tf.cast(one, value.dtype) for one, value in zip(outputs, found, strict=True)]
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(found, list(places), given, unconnected_gradients=zero)
        return [tf.convert_to_tensor(one) for one in gradients]

    def _rescaled(self, step: Step, slot: Slot, output: Any) -> Any:
        """Multiply by the quotient of the changes; by the derivative where the change is too small."""
        tf = tensorflow()
        here, there = self.at[slot], self.base[slot]
        change = here - there
        is_close = tf.abs(change) <= CLOSE * (tf.abs(here) + tf.abs(there))
        answered = self.at[step.outputs[0]] - self.base[step.outputs[0]]
        # What is not passed on has no share, also where it is infinite.
        answered = tf.where(output == 0, tf.zeros_like(answered), answered)
        (derived,) = self._derivative(step, [slot], [self._middle(slot)], [output])
        quotient = output * tf.math.divide_no_nan(answered, change)
        return tf.where(is_close, derived, quotient)

    def _of_winners(self, step: Step, inside: Sequence[Slot], output: Any) -> list[Any]:
        """Give the change of each largest value to the winner of the larger side.

        Where the largest value grows, it is the winner at the input, which was smaller at the
        baseline; where it falls, the winner at the baseline, which is smaller at the input. So each
        of them changes at least as much as the largest value does.
        """
        tf = tensorflow()
        here, there = ([one[slot] for slot in inside] for one in (self.at, self.base))
        change = self.at[step.outputs[0]] - self.base[step.outputs[0]]
        up = self._derivative(step, inside, here, [output * tf.nn.relu(change)])
        still = self._derivative(step, inside, here, [output])
        held = {slot: self.base[slot] for slot in step.inputs}
        down = self._derivative(step, inside, there, [-output * tf.nn.relu(-change)], held)
        found = []
        for a, b, more, less, same in zip(here, there, up, down, still, strict=True):
            found.append(tf.where(a == b, same, tf.math.divide_no_nan(more + less, a - b)))
        return found

    def _averaged(self, step: Step, inside: Sequence[Slot], outputs: Sequence[Any]) -> list[Any]:
        """Average the derivatives on the straight way of a step's inputs, by Gauss's quadrature.

        Their product with the changes of the inputs adds up to the change of the step's values.
        """
        tf = tensorflow()
        nodes, shares = np.polynomial.legendre.leggauss(POINTS)
        if self.batch is not None:  # the layer takes no more samples at a time
            parts = []
            for node, share in zip((nodes + 1) / 2, shares / 2, strict=True):
                places = [self._on_the_way(slot, float(node)) for slot in inside]
                found = self._derivative(step, inside, places, outputs)
                parts.append([one * float(share) for one in found])
            return [functools.reduce(operator.add, ones) for ones in zip(*parts, strict=True)]
        count = outputs[0].shape[0]

        def repeated(value: Any) -> Any:
            return tf.repeat(value, POINTS, axis=0)

        way = np.tile((nodes + 1) / 2, count)
        places = [self._on_the_way(slot, _spread(way, self.at[slot]), repeated) for slot in inside]
        held = {
            slot: repeated(self.at[slot])
            for slot in step.call.inputs
            if slot not in inside and self.at[slot].shape[0] == count
        }
        weighted = [repeated(one) * _spread(np.tile(shares / 2, count), one) for one in outputs]
        found = self._derivative(step, inside, places, weighted, held)
        return [
            tf.reduce_sum(tf.reshape(one, [count, POINTS, *one.shape[1:]]), axis=1) for one in found
        ]

    def _on_the_way(self, slot: Slot, share: Any, made: Any = lambda value: value) -> Any:
        base = made(self.base[slot])
        return base + (made(self.at[slot]) - base) * share


def _spread(numbers: Any, value: Any) -> Any:
    """Return numbers, one for each sample, in a form that multiplies such values."""
    tf = tensorflow()
    return tf.constant(numbers.reshape(-1, *[1] * (len(value.shape) - 1)), value.dtype)
