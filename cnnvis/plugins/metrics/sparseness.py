"""Sparseness: concentration of a map in few places."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.metric("sparseness", reference="arXiv:0811.4706")
def sparseness(explanation: cnnvis.Explanation) -> Any:
    """Gini index of a map: 0 where all places are equal, near 1 where a single place counts.

    The Gini index of the absolute values m of a map, sorted from the smallest to the largest:
    1 - 2 sum_k (m_k / sum m) (N - k + 1/2) / N for k = 1, ..., N (Hurley and Rickard 2009, equation
    12), as Chalasani et al. 2020, arXiv:1810.06583, use it for attributions. The values of a place's
    channels count as one, their absolute values added up. It describes a map and does not judge it:
    a map of random numbers has 0.33 for uniform ones, and an edge filter more.

    Not defined, and so NaN, for a map that is zero everywhere.
    """
    import numpy as np

    maps = np.abs(np.asarray(explanation.array, np.float64))
    if "channel" in explanation.axes:
        maps = maps.sum(axis=1 + explanation.axes.index("channel"))
    values = np.sort(maps.reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    weights = (count - np.arange(1, count + 1) + 0.5) / count
    total = values.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (values * weights).sum(axis=1) / total
    return np.where(total > 0, 1 - 2 * shares, np.nan)
