"""Images changed so that a layer answers more, or so that they keep only what a layer sees in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.techniques._fourier import Statistics, climbed, transformed

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "deep-dream", family="feature visualization", reference="arXiv:1512.02017", gives="pictures"
)
def deep_dream(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    steps: cnnvis.Count = 40,
    rate: cnnvis.Positive = 0.01,
    zoom: cnnvis.Share = 0.1,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """An image changed so that a layer answers more to all that it sees in the image.

    Maximizes the mean of A(T(y))^2 over the output A of the target layer by Adam from y = x, for random
    shifts and enlargements T: the gradient ascent of Mordvintsev, Olah and Tyka 2015, activation
    maximization as of Mahendran and Vedaldi 2016, section 3.3, that begins with an image. No classes or
    filters are chosen. Values stay in the range of the data.

    Parameters
    ----------
    steps
        The number of steps.
    rate
        The size of a step, as a share of the range of the data.
    zoom
        By how much the image is enlarged at most before each step, as a share of it.
    seed
        The seed of the shifts; the same seed gives the same result.
    """
    import numpy as np
    import tensorflow as tf

    layer = _layer(model, samples)
    statistics = Statistics.of_data(references, None)
    start = np.asarray(samples.x, np.float32)
    low, high = statistics.low, statistics.high
    axes = statistics.spatial_axes

    def answer(x: Any) -> Any:
        features = layer(x)
        return tf.reduce_mean(tf.square(features), axis=range(1, len(features.shape)))

    def loss(change: list[Any], step: Any) -> Any:
        x = _clipped(start + change[0] * (high - low), low, high)
        return -tf.reduce_sum(answer(transformed(x, axes, seed, step, (1 - zoom, 1.0))))

    (change,) = climbed(loss, [np.zeros_like(start)], steps, rate, f"deep-dream of {model.layer}")
    found = (start + change * (high - low)).clip(low, high)
    return _changed(model, samples, found, "mean square", answer, start)


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
    steps: cnnvis.Count = 256,
    rate: cnnvis.Positive = 0.05,
    power: cnnvis.NotNegative = 2.0,
    zoom: cnnvis.Share = 0.1,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """An input made anew from what a layer sees in an image, and exaggerates.

    Maximizes A(T(y)) A(x) cos(A(T(y)), A(x))^p over the spectrum of y by Adam, for the output A of the
    target layer, the image x, and random shifts and enlargements T: Carter et al. 2019 (Activation
    Atlas) and Olah et al. 2018, feature visualization of the direction of an image's activations. y
    begins with noise, so that what it shows is what the layer knows of x. No classes or filters are chosen.

    Parameters
    ----------
    steps
        The number of steps.
    rate
        The size of a step, as a share of a frequency's size in the data.
    power
        The power p of the cosine: more keeps closer to the direction of the image's activations.
    zoom
        By how much the input is enlarged at most before each step, as a share of it.
    seed
        The seed of the first spectrum and of the shifts; the same seed gives the same result.
    """
    import numpy as np
    import tensorflow as tf

    layer = _layer(model, samples)
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

    def loss(spectrum: list[Any], step: Any) -> Any:
        y = statistics.inputs(*spectrum)
        y = transformed(y, statistics.spatial_axes, seed, step, (1 - zoom, 1.0))
        product, cosine = compared(y)
        reached = product * tf.maximum(cosine, 0.1) ** power
        return -tf.reduce_sum(reached / tf.reduce_sum(goal**2, axis=1))

    rng = np.random.default_rng(seed)
    noise = [0.1 * rng.normal(size=(1, *statistics.magnitude.shape)) for _ in range(2)]
    first = [np.repeat(one, len(x), axis=0) for one in noise]
    best = climbed(loss, first, steps, rate, f"caricature by {model.layer}")
    found, begun = (
        np.asarray(statistics.inputs(*(one.astype(np.float32) for one in parts)))
        for parts in (best, first)
    )

    return _changed(model, samples, found, "cosine", lambda y: compared(y)[1], begun)


def _layer(model: cnnvis.Model, samples: cnnvis.Samples) -> Callable[[Any], Any]:
    """Return the function of the target layer, for the given samples."""
    if not 1 <= len(samples.space) <= 3:
        raise cnnvis.UserError(
            f"the input has {len(samples.space)} spatial axes, and images have 1, 2 or 3"
        )
    if len(model.target_layers) > 1:
        raise cnnvis.UserError("the target is a sum of outputs; name a layer with --layer")
    return model.layer_function(model.target_layers[0], of=range(len(samples)))


def _clipped(x: Any, low: float, high: float) -> Any:
    """Return values cut off at the ends of the range, with a gradient as if they were not."""
    import tensorflow as tf

    return x + tf.stop_gradient(tf.clip_by_value(x, low, high) - x)


def _changed(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    found: Array,
    measure: str,
    answer: Callable[[Any], Any],
    before: Array,
) -> cnnvis.Explanation:
    """Return the pictures, each with its measure before and after."""
    import numpy as np
    import tensorflow as tf

    found = found.astype(np.float32)
    was, now = (np.asarray(answer(tf.constant(x)), float) for x in (before, found))
    if (now == was).all():
        raise cnnvis.UserError(
            f"no step changed the {measure} of {model.layer!r}; its ReLUs stay off, or it does not depend "
            "on the input"
        )
    names = [
        f"#{samples.indices[place]}, {model.layer}: {measure} {was[place]:.3g} to {now[place]:.3g}"
        for place in range(len(samples))
    ]
    return cnnvis.Explanation(
        found,
        axes=cnnvis.axis_names(found.ndim - 1, samples.channel_axis),
        titles=tuple(names),
        signed=False,
        are_inputs=True,
        measures={"answer_at_start": was, "answer_reached": now},
    )
