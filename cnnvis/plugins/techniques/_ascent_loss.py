"""Loss of gradient ascent: the score, the total variation and the norm of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cnnvis


@dataclass(frozen=True)
class Terms:
    """Terms to minimize, and the treatment of their gradient."""

    activation_weight: float
    tv_weight: float
    lp_norm_weight: float
    lp_norm: float
    gradient: cnnvis.GradientModifier | None
    space: tuple[int, ...]


def losses_of(score: Callable[[Any, Any], Any], terms: Terms) -> Callable[[Any, Any], Any]:
    """Return a function for each input's loss and score, (n,), without terms of no weight."""
    import tensorflow as tf

    def losses(x: Any, weights: Any) -> Any:
        values = float(x.shape[1:].num_elements())
        scores = score(x, weights)
        total = -terms.activation_weight * scores
        if terms.lp_norm_weight:
            total += terms.lp_norm_weight * _norm(tf.abs(x), terms.lp_norm) / values
        if terms.tv_weight:
            total += terms.tv_weight * _total_variation(x, terms.space) / values
        return total, scores

    return losses


def _norm(sizes: Any, p: float) -> Any:
    import tensorflow as tf

    axes = range(1, len(sizes.shape))
    if p == float("inf"):
        return tf.reduce_max(sizes, axis=axes)
    return tf.reduce_sum(sizes**p, axis=axes) ** (1 / p)


def _total_variation(x: Any, space: Sequence[int]) -> Any:
    """Return the sum of squared differences to the next value along each spatial axis, (n,).

    As in keras-vis, over values that are the last along none of these axes.
    """
    import tensorflow as tf

    rank = len(x.shape)

    def inner(moved: int | None) -> Any:
        bounds = [slice(None)] * rank
        for axis in space:
            bounds[axis] = slice(1, None) if axis == moved else slice(None, -1)
        return x[tuple(bounds)]

    squares = sum(tf.square(inner(axis) - inner(None)) for axis in space)
    return tf.reduce_sum(squares, axis=range(1, rank))
