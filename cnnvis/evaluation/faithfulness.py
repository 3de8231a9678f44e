"""Agreement of the values of maps with the changes of scores that they are to explain."""

from __future__ import annotations

import numpy as np

from cnnvis.data.samples import Array

ROUNDING = 1e-9
"""Difference of sums, as a share of the largest, that is no difference."""


def scaled_infidelity(sums: Array, drops: Array) -> Array:
    """Compute the infidelity of each map after the best scaling and offset, as a share, (n,) float64.

    The smallest E[(b a + c - d)^2] over factors b >= 0 and offsets c, as a share of the variance of d,
    for the values a that a map gives to what was removed and the drops d of the score:
    1 - max(0, r)^2 with Pearson's correlation r. Yeh et al. 2019, arXiv:1901.09392, definition 2.1
    with the best scaling. A negative factor would forgive a map that has all signs wrong; without an
    offset, a map that only counts what was removed would be right. NaN where all values or all drops
    are the same.

    Parameters
    ----------
    sums, drops
        For each removal and each map, (removals, n).
    """
    found: Array = 1 - np.maximum(pearson(sums, drops), 0) ** 2
    return found


def pearson(a: Array, b: Array) -> Array:
    """Compute Pearson's correlation over the first axis of (removals, n), (n,) float64.

    NaN where either is constant, up to the rounding of sums in another order.
    """
    constant = (np.ptp(a, axis=0) <= ROUNDING * abs(a).max(axis=0)) | (
        np.ptp(b, axis=0) <= ROUNDING * abs(b).max(axis=0)
    )
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    sizes = np.sqrt(np.square(a).sum(axis=0) * np.square(b).sum(axis=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(constant, np.nan, (a * b).sum(axis=0) / sizes)


def relative_change(maps: Array, other: Array) -> Array:
    """Return the size of the difference of each pair of maps as a share of the first's, (n,).

    Sizes are the roots of sums of squares. NaN for a map that is 0 everywhere.
    """
    first = np.asarray(maps, np.float64).reshape(len(maps), -1)
    sizes = np.linalg.norm(first, axis=1)
    change = np.linalg.norm(first - np.asarray(other, np.float64).reshape(first.shape), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sizes > 0, change / sizes, np.nan)
