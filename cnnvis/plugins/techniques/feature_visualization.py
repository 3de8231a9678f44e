"""Feature visualization: the input with the highest score, made of the frequencies of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._climbing import Steps, Zoom, climbed, transformed
from ._film import Film, FrameCount, looks
from ._made_inputs import pictures, statistics_for
from ._outputs import rows_of_outputs

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

START = 0.1
"""Size of the first spectrum, as a share of the data's."""


@cnnvis.technique(
    "feature-visualization",
    family="feature visualization",
    reference="doi:10.23915/distill.00007",
    gives="pictures",
)
def feature_visualization(
    model: cnnvis.Model,
    samples: cnnvis.Samples | None = None,
    *,
    steps: Steps = 256,
    rate: cnnvis.Positive = 0.05,
    zoom: Zoom = 0.1,
    copies: cnnvis.Count = 1,
    diversity: cnnvis.NotNegative = 1.0,
    input_range: tuple[float, float] | None = None,
    frames: FrameCount | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The input with the highest score of a filter or class, made of the frequencies of the data.

    Maximizes S(T(x(z))) over the spectrum z by Adam, for the score S, random shifts and enlargements
    T, and the input x(z) whose frequencies z have the sizes that they have in the data, and whose channels
    have the data's principal components: Olah, Mordvintsev and Schubert 2017. Without data, the sizes fall
    as 1 / f, as those of photographs do, and the channels are taken each by itself.

    Parameters
    ----------
    rate
        The size of a step, as a share of a frequency's size in the data.
    copies
        How many inputs are found for each output.
    diversity
        How much the copies of an output are kept different: the weight of the mean cosine of the Gram
        matrices of the target layer's channels, in units of the score.
    input_range
        The smallest and largest value of the result. By default the range of the data; without data, the
        range that the network's first layer expects, if this layer rescales or normalizes; else 0 to 255.
    """
    import numpy as np

    statistics = statistics_for(model, samples, input_range)
    weights = np.repeat(rows_of_outputs(model), copies, axis=0)
    shape = (len(weights), *statistics.magnitude.shape)
    rng = np.random.default_rng(seed)
    start = [START * rng.normal(size=(copies, *shape[1:])) for _ in range(2)]
    start = [np.tile(one, (len(weights) // copies, *[1] * (one.ndim - 1))) for one in start]
    score = model.scorer()
    apart = diversity if copies > 1 else 0.0
    layer = model.layer_function(model.target_layers[0]) if apart else None

    def loss(spectrum: list[Any], step: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        x = statistics.inputs(*spectrum)
        x = transformed(x, statistics.spatial_axes, seed, step, (1 - zoom, 1.0))
        found = score(x, tf.constant(weights))
        alike = 0.0 if layer is None else apart * _alikeness(layer(x), model, copies)
        # Each input climbs by itself, whatever others are beside it.
        return tf.reduce_sum(-found + tf.abs(tf.stop_gradient(found)) * alike), found

    film = Film(looks(steps, frames), lambda spectrum: statistics.inputs(*spectrum))
    best, curves = climbed(loss, start, steps, rate, f"maximizing {model.layer}", film)
    return pictures(model, statistics, (start, best), weights, curves, film.frames)


def _alikeness(features: Any, model: cnnvis.Model, copies: int) -> Any:
    """Return the mean cosine of each input's Gram matrix with those of the other copies, (n,)."""
    import tensorflow as tf

    channel = 1 if model.has_channels_first(model.target_layers[0]) else len(features.shape) - 1
    order = [0, *(axis for axis in range(1, len(features.shape)) if axis != channel), channel]
    flat = tf.reshape(
        tf.transpose(features, order), [features.shape[0], -1, features.shape[channel]]
    )
    gram = tf.matmul(flat, flat, transpose_a=True)
    unit = tf.math.l2_normalize(tf.reshape(gram, [-1, copies, int(gram.shape[1]) ** 2]), axis=-1)
    cosines = tf.matmul(unit, unit, transpose_b=True)
    return tf.reshape((tf.reduce_sum(cosines, axis=-1) - 1) / (copies - 1), [-1])
