"""MaCo: the input with the highest score whose frequencies have the sizes of the data's."""

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


@cnnvis.technique(
    "maco", family="feature visualization", reference="arXiv:2306.06805", gives="pictures"
)
def maco(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    steps: Steps = 256,
    rate: cnnvis.Positive = 0.1,
    zoom: Zoom = 0.5,
    input_range: tuple[float, float] | None = None,
    frames: FrameCount | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The input with the highest score whose frequencies have the very sizes that the data's have.

    Maximizes S(T(x(p))) over the phases p of the frequencies by Adam, for the score S and random shifts
    and enlargements T; the magnitudes of the frequencies are held at their means over the data: Fel et
    al. 2023, equation 4. So the result has the contrast and detail of the data, whatever the network is.

    Parameters
    ----------
    rate
        The size of a step, in radians.
    input_range
        The smallest and largest value of the result. By default the range of the data.
    """
    import numpy as np

    statistics = statistics_for(model, samples, input_range)
    weights = rows_of_outputs(model)
    first = np.random.default_rng(seed).uniform(-np.pi, np.pi, (1, *statistics.magnitude.shape))
    start = [np.repeat(first, len(weights), axis=0)]
    score = model.scorer()

    def loss(phases: list[Any], step: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        x = statistics.inputs(tf.cos(phases[0]), tf.sin(phases[0]))
        x = transformed(x, statistics.spatial_axes, seed, step, (1 - zoom, 1.0))
        found = score(x, tf.constant(weights))
        return -tf.reduce_sum(found), found

    def waves(phases: Any) -> list[Array]:
        return [np.cos(phases), np.sin(phases)]

    film = Film(looks(steps, frames), lambda phases: statistics.inputs(*waves(phases[0])))
    (best,), curves = climbed(loss, start, steps, rate, f"maximizing {model.layer}", film)
    ends = waves(start[0]), waves(best)
    return pictures(model, statistics, ends, weights, curves, film.frames)
