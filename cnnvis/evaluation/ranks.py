"""Rank correlation of maps."""

from __future__ import annotations

import numpy as np

from cnnvis.data.samples import Array


def spearman(a: Array, b: Array, where: Array | None = None) -> Array:
    """Compute Spearman's rank correlation of each pair of maps, (n,) float64.

    Ties have the mean of their ranks. NaN for a map that is constant, or of fewer than three values.

    Parameters
    ----------
    a, b
        Maps of the same shape, (n, ...).
    where
        The values of each map that count, (n, ...) bool; all by default.
    """
    from scipy import stats

    found = np.full(len(a), np.nan)
    for row in range(len(a)):
        kept = slice(None) if where is None else where[row].ravel()
        one, other = a[row].ravel()[kept], b[row].ravel()[kept]
        if one.size < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
            continue
        ranks = stats.rankdata(one), stats.rankdata(other)
        found[row] = np.corrcoef(*ranks)[0, 1]
    return found
