"""Confidence interval of a mean over images."""

from __future__ import annotations

import numpy as np

from cnnvis.data.samples import Array

LEAST = 5
"""Least number of values that have an interval: of fewer, draws are too much alike."""

DRAWS = 2000


def bootstrap_interval(values: Array, level: float = 0.95) -> tuple[float, float] | None:
    """Return the bootstrap interval of the mean of values, (n,); None for fewer than five values.

    The percentile interval of Efron and Tibshirani 1993, chapter 13, from 2000 draws with a fixed
    seed. NaN are left out.
    """
    known = values[~np.isnan(values)]
    if len(known) < LEAST:
        return None
    rng = np.random.default_rng(0)
    means = known[rng.integers(0, len(known), (DRAWS, len(known)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
