"""Class activation maps that come of feature maps and their gradients at a position."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

from ._cam_layers import layers_of
from ._feature_maps import fused, weighed

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

NOTED = 0.01
"""Share of a map that may come from feature maps whose weights mean little without a note."""


def mapped(
    name: str,
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    asked: str,
    combine: Callable[[Any, Any], Any],
    fuse: Callable[[Sequence[Array]], Array] = fused,
) -> tuple[Array, Array]:
    """Return the maps of a technique, (n, ...), and the largest share of each that means little, (n,).

    Parameters
    ----------
    name
        The technique.
    asked
        The layers; see `layers_of`.
    combine
        Gives maps over a layer's positions, of its feature maps and gradients; and perhaps the share of
        each map that comes from feature maps whose weights mean little, (n,).
    fuse
        Makes one map of those of several layers.
    """
    import numpy as np

    maps, shares = [], np.zeros(len(samples))
    for layer in layers_of(name, model, samples, asked):
        found = weighed(model, samples, layer, combine)
        small, *doubts = found if isinstance(found, tuple) else (found,)
        for doubt in doubts:
            shares = np.maximum(shares, doubt)
        maps.append(model.upsample(small, layer, samples.x.shape[1:]))
    return fuse(maps), shares


def cancelled(name: str) -> Callable[..., Iterator[str]]:
    """Return the remarks of a technique on maps whose weights mean little."""

    def remarks(measures: Mapping[str, Array], **options: Any) -> Iterator[str]:
        shares = measures["cancelled_share"]
        if (doubtful := shares > NOTED).any():
            yield (
                f"in {doubtful.sum()} of {doubtful.size} maps of {name}, up to {shares[doubtful].max():.0%} comes from "
                f"feature maps whose values of both signs cancel in a sum that {name} divides by, so their "
                "weights mean little; use hires-cam or layer-cam, or a layer behind a ReLU"
            )

    return remarks


def share_of(chosen: Any, parts: Any) -> Any:
    """Return the share that parts of the chosen channels have in each map, (n,)."""
    import tensorflow as tf

    axes = list(range(1, len(parts.shape)))
    some = tf.where(chosen, tf.abs(parts), tf.zeros_like(parts))
    return tf.math.divide_no_nan(
        tf.reduce_sum(some, axis=axes), tf.reduce_sum(tf.abs(parts), axis=axes)
    )
