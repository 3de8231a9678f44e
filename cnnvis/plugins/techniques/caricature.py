"""Inputs made anew from what a layer sees in an image."""

from __future__ import annotations

from typing import Any

import cnnvis

from ._changed_images import changed, layer_at_target
from ._climbing import Steps, Zoom, climbed, transformed
from ._film import Film, FrameCount, looks
from ._spectra import Statistics


@cnnvis.technique(
    "caricature",
    family="feature visualization",
    reference="doi:10.23915/distill.00015",
    gives="pictures",
)
def caricature(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    steps: Steps = 256,
    rate: cnnvis.Positive = 0.05,
    power: cnnvis.NotNegative = 2.0,
    zoom: Zoom = 0.1,
    frames: FrameCount | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """An input made anew from what a layer sees in an image, and exaggerates.

    Maximizes A(T(y)) A(x) cos(A(T(y)), A(x))^p over the spectrum of y by Adam, for the output A of the
    target layer, the image x, and random shifts and enlargements T: Carter et al. 2019 (Activation
    Atlas) and Olah et al. 2018, feature visualization of the direction of an image's activations. y
    begins with noise, so that what it shows is what the layer knows of x. No classes or filters are chosen.

    Parameters
    ----------
    rate
        The size of a step, as a share of a frequency's size in the data.
    power
        The power p of the cosine: more keeps closer to the direction of the image's activations.
    """
    import numpy as np
    import tensorflow as tf

    layer = layer_at_target(model, samples)
    statistics = Statistics.of_data(references, None)
    x = np.asarray(samples.x, np.float32)
    wanted = layer(tf.constant(x))
    flat = tf.reshape(wanted, [len(x), -1])
    if flat.shape[1] == 1:
        raise cnnvis.UserError(
            f"the output of {model.layer!r} is a single value, which has no direction to exaggerate; "
            "choose a layer before it with --layer"
        )
    if not bool(tf.reduce_all(tf.norm(flat, axis=1) > 0)):
        raise cnnvis.UserError(
            f"the output of {model.layer!r} is 0 everywhere for some of the images, so nothing of them is "
            "seen there; choose another layer"
        )
    goal = tf.constant(flat.numpy())

    def compared(y: Any) -> tuple[Any, Any]:
        """Return the product and the cosine of the layer's output with that for the image."""
        own = tf.reshape(layer(y), goal.shape)
        product = tf.reduce_sum(own * goal, axis=1)
        return product, product / (tf.norm(own, axis=1) * tf.norm(goal, axis=1) + 1e-6)

    def loss(spectrum: list[Any], step: Any) -> tuple[Any, Any]:
        y = statistics.inputs(*spectrum)
        y = transformed(y, statistics.spatial_axes, seed, step, (1 - zoom, 1.0))
        product, cosine = compared(y)
        reached = product * tf.maximum(cosine, 0.1) ** power
        return -tf.reduce_sum(reached / tf.reduce_sum(goal**2, axis=1)), cosine

    rng = np.random.default_rng(seed)
    noise = [0.1 * rng.normal(size=(1, *statistics.magnitude.shape)) for _ in range(2)]
    first = [np.repeat(one, len(x), axis=0) for one in noise]
    film = Film(looks(steps, frames), lambda spectrum: statistics.inputs(*spectrum))
    best, curves = climbed(loss, first, steps, rate, f"caricature by {model.layer}", film)
    begun, found = (
        np.asarray(statistics.inputs(*(one.astype(np.float32) for one in parts)))
        for parts in (first, best)
    )
    ends = (begun, found)
    return changed(model, samples, ends, "cosine", lambda y: compared(y)[1], curves, film.frames)
