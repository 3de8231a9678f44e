"""Full gradients: a score as the sum of what inputs and the constants of all layers add to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.network.backend import tensorflow
from cnnvis.network.gradients import Pass
from cnnvis.network.graph import Slot
from cnnvis.network.relevance.steps import Plan, Step


@dataclass(frozen=True, eq=False)
class FullGradient:
    """Parts of scores.

    Attributes
    ----------
    inputs, sizes
        Gradient times input, (n, ...) float32; and its sizes, scaled to [0, 1] over each input.
    layers
        For each constant of a layer with positions, the name of the layer and a map: sizes of what
        the constant adds to the score, scaled to [0, 1] over the layer, and added up over channels,
        (n, positions ...).
    sums
        Sum of all parts, those of layers without positions included, (n,).
    scores
        Scores, (n,).
    """

    inputs: Array
    sizes: Array
    layers: Sequence[tuple[str, Array]]
    sums: Array
    scores: Array


@dataclass(frozen=True, eq=False)
class BiasGradients:
    """Network as a function of inputs that gives the parts of its score.

    Attributes
    ----------
    run, plan
        The pass to the target, and its steps.
    channel_axes
        The axis of channels of each value.
    """

    run: Pass
    plan: Plan
    channel_axes: Mapping[Slot, int]

    @property
    def steps(self) -> list[Step]:
        """Steps that may add a constant."""
        return [
            step
            for step in self.plan.steps
            if step.inputs and step.behaviour not in ("maximum", "routing")
        ]

    @property
    def mapped(self) -> list[Step]:
        """Steps whose constants lie at positions."""
        return [step for step in self.steps if _has_positions(step)]

    def parts(self, *arrays: Any) -> tuple[Any, ...]:
        """Compute scores, sums of all parts, gradient times input, its sizes, and maps of `mapped`.

        Parameters
        ----------
        arrays
            The inputs of the network, (n, ...) each, and the weights of the outputs, (n, k).
        """
        tf = tensorflow()
        *x, weights = arrays
        values: dict[Slot, Any] = {
            one.slot: tensor for one, tensor in zip(self.run.graph.inputs, x, strict=True)
        }
        moving = [one.slot for one in self.run.graph.inputs if values[one.slot].dtype.is_floating]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([values[slot] for slot in moving])
            for step in self.plan.steps:
                found = step.compute(values)
                tape.watch([one for one in found if one.dtype.is_floating])
                values.update(zip(step.outputs, found, strict=False))
            _, scores = self.run.weighted([values[part.slot] for part in self.run.parts], weights)
        ends = [step.outputs[0] for step in self.steps]
        gradients = tape.gradient(
            scores, [values[slot] for slot in (*moving, *ends)], unconnected_gradients="zero"
        )
        of_inputs, of_steps = gradients[: len(moving)], gradients[len(moving) :]
        terms = {slot: values[slot] * one for slot, one in zip(moving, of_inputs, strict=True)}
        sums = tf.add_n([_summed(one) for one in terms.values()])
        maps = []
        for step, gradient in zip(self.steps, of_steps, strict=True):
            part = tf.math.multiply_no_nan(_constant(step, values), gradient)
            sums += _summed(part)
            if _has_positions(step):
                axis = self.channel_axes[step.call.slots[0]]
                maps.append(tf.reduce_sum(_scaled(part), axis=axis))
        source = self.run.graph.inputs[self.run.explained].slot
        return scores, sums, terms[source], _scaled(terms[source]), *maps


def _has_positions(step: Step) -> bool:
    return len(step.call.shapes[0]) > 1


def _summed(part: Any) -> Any:
    tf = tensorflow()
    return tf.reduce_sum(tf.cast(part, tf.float32), axis=range(1, len(part.shape)))


def _constant(step: Step, values: Mapping[Slot, Any]) -> Any:
    """Return what a step would add to its output if it were linear around its inputs, (n, ...)."""
    tf = tensorflow()
    if step.behaviour in ("weighted", "affine", "diagonal"):
        nothing = {slot: tf.zeros_like(values[slot]) for slot in step.inputs}
        return step.compute({**values, **nothing})[0]
    inputs = [values[slot] for slot in step.inputs]
    try:
        with tf.autodiff.ForwardAccumulator(inputs, inputs) as forward:
            held = dict(zip(step.inputs, inputs, strict=True))
            found = step.compute({**values, **held})[0]
        moved = forward.jvp(found)
    except Exception as error:  # whatever TensorFlow makes of a layer
        raise UserError(
            f"TensorFlow has no derivatives forwards of {step.name!r} ({step.call.kind}), which full "
            "gradients need; use integrated-gradients, or explain a layer before it, with --layer"
        ) from error
    return found if moved is None else found - moved


def _scaled(part: Any) -> Any:
    """Return sizes, scaled to [0, 1] over each sample."""
    tf = tensorflow()
    size = tf.abs(tf.cast(part, tf.float32))
    axes = range(1, len(size.shape))
    size -= tf.reduce_min(size, axis=axes, keepdims=True)
    return tf.math.divide_no_nan(size, tf.reduce_max(size, axis=axes, keepdims=True))
