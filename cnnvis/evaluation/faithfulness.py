"""Agreement of the values of maps with the changes of scores that they are to explain."""

from __future__ import annotations

import numpy as np

from cnnvis.data.samples import Array

ROUNDING = 1e-9
"""Difference of sums, as a share of the largest, that is no difference."""


def scaled_infidelity(sums: Array, drops: Array) -> Array:
    """Compute the infidelity of each map after the best scaling, as a share, (n,) float64.

    The smallest E[(b a - d)^2] over factors b >= 0, as a share of E[d^2], for the values a that a map
    gives to what was removed and the drops d of the score: 1 - max(0, E[a d])^2 / (E[a^2] E[d^2]).
    Yeh et al. 2019, arXiv:1901.09392, definition 2.1 with the best scaling. A negative factor
    would forgive a map that has all signs wrong. NaN where all values or all drops are 0.

    Parameters
    ----------
    sums, drops
        For each removal and each map, (removals, n).
    """
    sizes = np.square(sums).mean(axis=0) * np.square(drops).mean(axis=0)
    common = np.maximum((sums * drops).mean(axis=0), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 - common**2 / sizes
    return np.where(sizes > 0, found, np.nan)


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
