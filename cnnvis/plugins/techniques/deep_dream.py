"""Images changed so that a layer answers more."""

from __future__ import annotations

from typing import Any

import cnnvis

from ._changed_images import changed, layer_at_target
from ._climbing import Steps, Zoom, climbed, transformed
from ._film import Film, FrameCount, looks
from ._spectra import Statistics


@cnnvis.technique(
    "deep-dream", family="feature visualization", reference="arXiv:1512.02017", gives="pictures"
)
def deep_dream(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    steps: Steps = 40,
    rate: cnnvis.Positive = 0.01,
    zoom: Zoom = 0.1,
    frames: FrameCount | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """An image changed so that a layer answers more to all that it sees in the image.

    Maximizes the mean of A(T(y))^2 over the output A of the target layer by Adam from y = x, for random
    shifts and enlargements T: the gradient ascent of Mordvintsev, Olah and Tyka 2015, activation
    maximization as of Mahendran and Vedaldi 2016, section 3.3, that begins with an image. No classes or
    filters are chosen. Values stay in the range of the data.

    Parameters
    ----------
    rate
        The size of a step, as a share of the range of the data.
    """
    import numpy as np
    import tensorflow as tf

    layer = layer_at_target(model, samples)
    statistics = Statistics.of_data(references, None)
    start = np.asarray(samples.x, np.float32)
    low, high = statistics.low, statistics.high
    axes = statistics.spatial_axes

    def answer(x: Any) -> Any:
        features = layer(x)
        return tf.reduce_mean(tf.square(features), axis=range(1, len(features.shape)))

    def loss(change: list[Any], step: Any) -> tuple[Any, Any]:
        x = _clipped(start + change[0] * (high - low), low, high)
        found = answer(transformed(x, axes, seed, step, (1 - zoom, 1.0)))
        return -tf.reduce_sum(found), found

    def images(change: Any) -> Any:
        return (start + change * (high - low)).clip(low, high)

    film = Film(looks(steps, frames), lambda change: images(change[0]))
    about = f"deep-dream of {model.layer}"
    (change,), curves = climbed(loss, [np.zeros_like(start)], steps, rate, about, film)
    ends = (start, images(change))
    return changed(model, samples, ends, "mean square", answer, curves, film.frames)


def _clipped(x: Any, low: float, high: float) -> Any:
    """Return values cut off at the ends of the range, with a gradient as if they were not."""
    import tensorflow as tf

    return x + tf.stop_gradient(tf.clip_by_value(x, low, high) - x)
