"""Feature visualization: the input with the highest score, made of the frequencies of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.techniques._fourier import Statistics, climbed, transformed
from cnnvis.plugins.techniques._outputs import rows_of_outputs

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
    steps: cnnvis.Count = 256,
    rate: cnnvis.Positive = 0.05,
    zoom: cnnvis.Share = 0.1,
    copies: cnnvis.Count = 1,
    diversity: cnnvis.NotNegative = 1.0,
    input_range: tuple[float, float] | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The input with the highest score of a filter or class, made of the frequencies of the data.

    Maximizes S(T(x(z))) over the spectrum z by Adam, for the score S, random shifts and enlargements
    T, and the input x(z) whose frequencies z have the sizes that they have in the data, and whose channels
    have the data's principal components: Olah, Mordvintsev and Schubert 2017. Without data, the sizes fall
    as 1 / f, as those of photographs do, and the channels are taken each by itself.

    Parameters
    ----------
    steps
        The number of steps.
    rate
        The size of a step, as a share of a frequency's size in the data.
    zoom
        By how much the input is enlarged at most before each step, as a share of it.
    copies
        How many inputs are found for each output.
    diversity
        How much the copies of an output are kept different: the weight of the mean cosine of the Gram
        matrices of the target layer's channels, in units of the score.
    input_range
        The smallest and largest value of the result. By default the range of the data; without data, the
        range that the network's first layer expects, if this layer rescales or normalizes; else 0 to 255.
    seed
        The seed of the first spectrum and of the shifts; the same seed gives the same result.
    """
    import numpy as np

    statistics = _statistics(model, samples, input_range)
    weights = np.repeat(rows_of_outputs(model), copies, axis=0)
    shape = (len(weights), *statistics.magnitude.shape)
    rng = np.random.default_rng(seed)
    start = [START * rng.normal(size=(copies, *shape[1:])) for _ in range(2)]
    start = [np.tile(one, (len(weights) // copies, *[1] * (one.ndim - 1))) for one in start]
    score = model.scorer()
    apart = diversity if copies > 1 else 0.0
    layer = model.layer_function(model.target_layers[0]) if apart else None

    def loss(spectrum: list[Any], step: Any) -> Any:
        import tensorflow as tf

        x = statistics.inputs(*spectrum)
        x = transformed(x, statistics.spatial_axes, seed, step, (1 - zoom, 1.0))
        found = score(x, tf.constant(weights))
        alike = 0.0 if layer is None else apart * _alikeness(layer(x), model, copies)
        # Each input climbs by itself, whatever others are beside it.
        return tf.reduce_sum(-found + tf.abs(tf.stop_gradient(found)) * alike)

    best = climbed(loss, start, steps, rate, f"maximizing {model.layer}")
    return _pictures(model, statistics, best, start, weights)


@cnnvis.technique(
    "maco", family="feature visualization", reference="arXiv:2306.06805", gives="pictures"
)
def maco(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    steps: cnnvis.Count = 256,
    rate: cnnvis.Positive = 0.1,
    zoom: cnnvis.Share = 0.5,
    input_range: tuple[float, float] | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The input with the highest score whose frequencies have the very sizes that the data's have.

    Maximizes S(T(x(p))) over the phases p of the frequencies by Adam, for the score S and random shifts
    and enlargements T; the magnitudes of the frequencies are held at their means over the data: Fel et
    al. 2023, equation 4. So the result has the contrast and detail of the data, whatever the network is.

    Parameters
    ----------
    steps
        The number of steps.
    rate
        The size of a step, in radians.
    zoom
        By how much the input is enlarged at most before each step, as a share of it.
    input_range
        The smallest and largest value of the result. By default the range of the data.
    seed
        The seed of the first phases and of the shifts; the same seed gives the same result.
    """
    import numpy as np

    statistics = _statistics(model, samples, input_range)
    weights = rows_of_outputs(model)
    first = np.random.default_rng(seed).uniform(-np.pi, np.pi, (1, *statistics.magnitude.shape))
    start = [np.repeat(first, len(weights), axis=0)]
    score = model.scorer()

    def loss(phases: list[Any], step: Any) -> Any:
        import tensorflow as tf

        x = statistics.inputs(tf.cos(phases[0]), tf.sin(phases[0]))
        x = transformed(x, statistics.spatial_axes, seed, step, (1 - zoom, 1.0))
        return -tf.reduce_sum(score(x, tf.constant(weights)))

    (best,) = climbed(loss, start, steps, rate, f"maximizing {model.layer}")
    as_spectrum = [[wave(one) for wave in (np.cos, np.sin)] for one in (best, start[0])]
    return _pictures(model, statistics, as_spectrum[0], as_spectrum[1], weights)


def _statistics(
    model: cnnvis.Model, samples: cnnvis.Samples | None, bounds: tuple[float, float] | None
) -> Statistics:
    """Return the statistics of the data, or those of photographs without data."""
    if bounds is not None and not bounds[0] < bounds[1]:
        raise cnnvis.UserError(f"input_range is {bounds}; it takes the smallest value first")
    if len(model.inputs) > 1:
        raise cnnvis.UserError(
            f"the network takes {len(model.inputs)} inputs, and a single made input means nothing "
            "without the others; activation-max --start data can begin with data for all inputs"
        )
    if samples is not None:
        if not 1 <= len(samples.space) <= 3:
            raise cnnvis.UserError(
                f"the input has {len(samples.space)} spatial axes, and frequencies are along 1, 2 or 3; "
                "use activation-max"
            )
        found = Statistics.of_data(samples, bounds)
        cnnvis.note(
            f"frequencies, channels and range are those of {found.samples} samples of the data"
        )
        return found
    shape = tuple(size or 0 for size in model.input_shape)
    if 0 in shape:
        raise cnnvis.UserError(
            f"the network takes inputs of any size {model.input_shape}, so the size of the result is not "
            "known; give data of the wanted size with --data FILE"
        )
    axis = model.input_channel_axis
    if len(shape) - (axis is not None) not in (1, 2, 3):
        raise cnnvis.UserError("the input has no 1, 2 or 3 spatial axes; use activation-max")
    expected = model.expected_range
    bounds = bounds or ((0.0, 255.0) if expected is None else expected[0])
    cnnvis.note(
        f"without data, frequencies are those of photographs, and values lie from {bounds[0]:.3g} to "
        f"{bounds[1]:.3g}; with --data FILE they are those of the data"
    )
    return Statistics.guessed(shape, axis, bounds)


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


def _pictures(
    model: cnnvis.Model,
    statistics: Statistics,
    best: list[Array],
    start: list[Array],
    weights: Array,
) -> cnnvis.Explanation:
    """Return the inputs that were found, with their scores, and say how these rose."""
    import numpy as np

    found, begun = (
        np.asarray(statistics.inputs(*(one.astype(np.float32) for one in parts)))
        for parts in (best, start)
    )
    targets = model.targets(found, weights=weights)
    reached, before = (model.scores(x, weights=weights).astype(float) for x in (found, begun))
    if not np.isfinite(reached).all():
        raise cnnvis.UserError(
            "the score is NaN or infinite, so no step can raise it; try a smaller --rate"
        )
    if (reached == before).all():
        raise cnnvis.UserError(
            "no step changed the score: its ReLUs stay off, so the result shows nothing of it; try "
            "another --seed"
        )
    ways = [
        f"{target}: from {was:.3g} to {now:.3g}"
        for target, was, now in zip(targets, before, reached, strict=True)
    ]
    more = f" and {len(ways) - 5} more" if len(ways) > 5 else ""
    cnnvis.note(f"the score of {', '.join(ways[:5])}{more}")
    fell = [str(one) for one, was, now in zip(targets, before, reached, strict=True) if now <= was]
    if fell:
        cnnvis.note(
            f"the score of {', '.join(fell[:5])} did not rise, so the picture does not show an input with "
            "a high score; try more --steps, or another --seed"
        )
    return cnnvis.Explanation(
        found,
        axes=cnnvis.axis_names(found.ndim - 1, statistics.channel_axis),
        targets=targets,
        signed=False,
        are_inputs=True,
        measures={"score_at_start": before, "score_reached": reached},
    )
