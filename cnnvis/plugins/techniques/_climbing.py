"""Gradient ascent of feature visualization: Adam, under random shifts and enlargements."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import cnnvis

from ._film import Film

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

AT_ONCE = 16
"""Number of steps between two moves of the bar."""

Steps = Annotated[cnnvis.Count, cnnvis.Help("The number of steps.")]
Zoom = Annotated[
    cnnvis.Share,
    cnnvis.Help("By how much the input is enlarged at most before each step, as a share of it."),
]


def transformed(x: Any, axes: list[int], seed: int, step: Any, zoom: tuple[float, float]) -> Any:
    """Return inputs enlarged and shifted at random, along each spatial axis, by linear interpolation."""
    import tensorflow as tf

    drawn = tf.random.stateless_uniform([len(axes) + 1], [seed, step])
    share = zoom[0] + (zoom[1] - zoom[0]) * drawn[0]
    for place, axis in enumerate(axes):
        size = int(x.shape[axis])
        room = (size - 1) * tf.maximum(1 - share, 1 / 8)
        first = ((size - 1) * (1 - share) - room) / 2 + room * drawn[place + 1]
        at = tf.clip_by_value(first + tf.range(size, dtype=tf.float32) * share, 0.0, size - 1.0)
        weights = tf.nn.relu(1 - tf.abs(at[:, None] - tf.range(size, dtype=tf.float32)[None]))
        moved = tf.tensordot(x, weights, [[axis], [1]])
        order = [*range(len(x.shape) - 1)]
        order.insert(axis, len(x.shape) - 1)
        x = tf.transpose(moved, order)
    return x


def climbed(
    loss: Callable[[list[Any], Any], tuple[Any, Any]],
    start: list[Array],
    steps: int,
    rate: float,
    about: str,
    film: Film,
) -> tuple[list[Array], Array]:
    """Return parameters with a smaller loss, by Adam: Kingma and Ba 2015, algorithm 1.

    Behind them, it returns what was to rise before each step, (n, steps).

    Parameters
    ----------
    loss
        Function of the parameters, tensors, and the number of the step: the loss, and what is to rise,
        (n,).
    start
        The first parameters.
    about
        What the bar says.
    film
        What takes frames of the parameters.
    """
    import numpy as np
    import tensorflow as tf

    def step(number: Any, first: Any, passed: Any, *state: Any) -> tuple[Any, ...]:
        now, mean, square = (state[place::3] for place in range(3))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(now)
            value, rising = loss(list(now), number)
        gradients = tape.gradient(value, list(now))
        if any(one is None for one in gradients):
            raise cnnvis.UserError(
                "the score has no gradient with respect to the input, so gradient ascent is impossible"
            )
        found: list[Any] = []
        count = tf.cast(number + 1, tf.float32)
        for one, m, v, g in zip(now, mean, square, gradients, strict=True):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            move = (m / (1 - 0.9**count)) / (tf.sqrt(v / (1 - 0.999**count)) + 1e-8)
            found += [one - rate * move, m, v]
        return number + 1, first, passed.write(number - first, rising), *found

    def some(number: Any, end: Any, *state: Any) -> tuple[Any, ...]:
        passed = tf.TensorArray(tf.float32, end - number, element_shape=[len(start[0])])
        found: tuple[Any, ...] = tf.while_loop(
            lambda at, *_: at < end, step, (number, number, passed, *state), parallel_iterations=1
        )
        return *found[3:], found[2].stack()

    state = [tf.constant(part, tf.float32) for one in start for part in (one, 0 * one, 0 * one)]
    whole = tf.TensorSpec((), tf.int32)
    traced = tf.function(some, autograph=False).get_concrete_function(whole, whole, *state)
    curves: list[Array] = []
    film.look(0, start)
    with cnnvis.progress(about, steps) as advance:
        for first, end in pairwise(sorted({*range(0, steps, AT_ONCE), steps, *film.steps})):
            *state, passed = traced(tf.constant(first), tf.constant(end), *state)
            curves.append(passed.numpy())
            film.look(end, state[::3])
            advance(end - first)
    return [one.numpy() for one in state[::3]], np.concatenate(curves).T
