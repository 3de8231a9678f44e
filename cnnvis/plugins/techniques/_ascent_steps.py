"""Steps of gradient ascent, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cnnvis

from ._ascent_loss import Terms, losses_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

EPSILON = 1e-7
DECAY = 0.95  # of RMSprop's running mean of squares


@dataclass(frozen=True)
class Raised:
    """Results of an ascent.

    Attributes
    ----------
    best
        The results, (n, ...).
    is_plain
        True where the plain gradient found the result instead of a modifier's, (n,).
    curves
        The scores before each step, (n, steps).
    frames
        The results if the ascent ended after some of the steps, (n, frames, ...).
    """

    best: Array
    is_plain: npt.NDArray[np.bool_]
    curves: Array
    frames: Array


def layers_that_look_up(model: cnnvis.Model) -> str:
    """Return the layers before the target that look whole numbers up, to be read in a sentence."""
    names = [f"{one.name!r}" for one in model.before_target() if one.kind == "Embedding"]
    return f"{' and '.join(names)} (Embedding)" if names else "a layer on the way"


def compiled_steps(score: Callable[[Any, Any], Any], terms: Terms, looking: str) -> Any:
    """Return a compiled function that takes one step of RMSprop for each shift that it is given.

    Behind the state after the steps, it returns the scores before each of them, (steps, n).

    Parameters
    ----------
    looking
        Names what may take whole numbers.
    """
    import tensorflow as tf

    losses, space = losses_of(score, terms), list(terms.space)

    def step(weights: Any, shift: Any, x: Any, cache: Any, best: Any, smallest: Any) -> Any:
        axes = list(range(1, len(x.shape)))
        x = tf.roll(x, shift, space)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            loss, scores = losses(x, weights)
        try:
            has_gradient = tape.gradient(scores, x) is not None
        except LookupError as error:
            raise cnnvis.UserError(
                "TensorFlow has no gradient of a layer on the way to the target: "
                f"{cnnvis.complaint(error)}"
            ) from error
        if not has_gradient:
            raise cnnvis.UserError(
                "the score has no gradient with respect to the input, so gradient ascent is "
                f"impossible: {looking} takes whole numbers; use grad-cam with data, which "
                "explains the layers behind it"
            )
        slope = tape.gradient(loss, x)
        slope = tf.math.l2_normalize(slope, axis=axes)
        slope = cnnvis.modify_gradient(slope, terms.gradient)
        cache = DECAY * cache + (1 - DECAY) * slope**2
        x -= slope / tf.sqrt(cache + EPSILON)
        # As in keras-vis: the loss is that before the step, the input kept the one after it.
        better = tf.reshape(loss < smallest, [-1] + [1] * len(axes))
        state = x, cache, tf.where(better, x, best), tf.minimum(loss, smallest)
        return state, tf.cast(scores, tf.float32)

    def steps(x: Any, cache: Any, best: Any, smallest: Any, weights: Any, shifts: Any) -> Any:
        def one(i: Any, passed: Any, *state: Any) -> Any:
            after, scores = step(weights, shifts[i], *state)
            return i + 1, passed.write(i, scores), *after

        there_are = tf.shape(shifts)[0]
        passed = tf.TensorArray(tf.float32, there_are, element_shape=[None])
        start = (0, passed, x, cache, best, smallest)
        # One after the other: TensorFlow would take care for ten at a time, at three times the cost.
        found = tf.while_loop(lambda i, *_: i < there_are, one, start, parallel_iterations=1)
        return *found[2:], found[1].stack()

    return tf.function(steps, autograph=False)
