"""Remove and debias (ROAD): removal of parts that leaves no edges behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cnnvis


@cnnvis.metric("road", reference="arXiv:2202.00449", better="higher")
def road(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fractions: cnnvis.Count = 4,
    noise: cnnvis.NotNegative = 0.01,
    units: cnnvis.Units = "auto",
    seed: cnnvis.Seed = 0,
) -> Any:
    """Gain of removal by a map over the reverse order, with parts filled in from around them.

    The mean over removed shares of S(least important removed first) - S(most important removed
    first), for the score S, where removed positions become weighted means of their neighbours, plus a
    little noise: the noisy linear imputation of Rong et al. 2022. So neither the shape of what was removed nor a
    strange value tells the network anything. ``road_most`` and ``road_least`` are the two mean scores.
    In the unit of the score. NaN for a map that is the same everywhere.

    Parameters
    ----------
    fractions
        How many shares of the parts are removed: of four, 20, 40, 60 and 80 %.
    noise
        The standard deviation of the noise, as a share of the range of the image's values.
    units
        The parts; the paper removes single pixels.
    """
    import numpy as np

    maps = cnnvis.map_values(explanation, "road")
    samples = explanation.samples
    assert samples is not None
    axis, indices = samples.channel_axis, samples.indices

    def fill(x: Any, is_out: Any, rows: Sequence[int]) -> Any:
        seeds = [
            [seed, int(indices[row]), int(out.sum())] for row, out in zip(rows, is_out, strict=True)
        ]
        sizes = noise * np.ptp(x.reshape(len(x), -1), axis=1).reshape(-1, *[1] * (x.ndim - 1))
        out = is_out if axis is None else np.expand_dims(is_out, axis % x.ndim)
        drawn = cnnvis.image_noise(x, axis, seeds, "normal")
        return cnnvis.imputed(x, is_out, axis) + np.where(out, sizes * drawn, 0)

    removal = cnnvis.Removal.of(explanation, model, fill, units)
    counts = removal.inner_counts(fractions)
    least = removal.curve(maps, counts, least_first=True).mean(axis=0)
    most = removal.curve(maps, counts).mean(axis=0)
    every = {"road": least - most, "road_most": most, "road_least": least}
    return {name: cnnvis.without_order(maps, values) for name, values in every.items()}
