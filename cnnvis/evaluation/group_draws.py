"""Moments of draws, at a block of places at a time, through products of matrices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.evaluation.group_statistics import Moments, quotient


def permuted(labels: Array, maps: Array, counts: Sequence[int]) -> Moments:
    """Return the moments of permuted groups, (groups, draws, places).

    Parameters
    ----------
    labels
        The group of each unit in each draw, (draws, units).
    maps
        The maps of the units, (units, places).
    counts
        The number of units of each group.
    """
    middle = maps - maps.mean(axis=0)  # so that sums of squares keep their digits
    squares, wide = np.square(middle), len(counts)
    sums, powers = np.empty((2, wide, len(labels), maps.shape[1]), maps.dtype)
    for group in range(1, wide):
        chosen = (labels == group).astype(maps.dtype)
        sums[group], powers[group] = chosen @ middle, chosen @ squares
    sums[0] = middle.sum(axis=0) - sums[1:].sum(axis=0)
    powers[0] = squares.sum(axis=0) - powers[1:].sum(axis=0)
    return _moments(sums, powers, np.array(counts)[:, None, None])


def _moments(sums: Array, powers: Array, counts: Array, lost: Array | float = 1.0) -> Moments:
    means, freedom = sums / counts, counts - lost
    variances = np.maximum(powers - sums * means, 0) / freedom / counts
    return Moments(means, variances, freedom)


def flipped(signs: Array, maps: Array, counts: Sequence[int]) -> Moments:
    """Return the moments of residuals from the groups' means whose signs are changed.

    The wild bootstrap (Wu 1986; Liu 1988): each residual keeps its size and its group, so a
    group of larger spread keeps it. Where half of the signs change, the mean of a group has the variance that
    it has in truth, and one degree of freedom less, which is counted.
    """
    ends = np.cumsum([0, *counts])
    sums, powers, lost = [], [], []
    for start, stop in itertools.pairwise(ends):
        residuals = maps[start:stop] - maps[start:stop].mean(axis=0)
        own = signs[:, start:stop].astype(maps.dtype)
        uneven = np.square(own.mean(axis=1, keepdims=True))
        sums.append(own @ residuals)
        powers.append(np.broadcast_to(np.square(residuals).sum(axis=0), sums[-1].shape))
        lost.append(2 - uneven)
    sizes = np.array(counts)[:, None, None]
    found = _moments(np.stack(sums), np.stack(powers), sizes, np.stack(lost))
    scale = np.sqrt(np.stack(lost) - 1)  # of sums that are uneven by one unit
    return Moments(found.means / scale, found.variances, found.freedom)


def flipped_about_zero(signs: Array, maps: Array) -> Moments:
    """Return the moments of maps whose signs are changed, (1, draws, places)."""
    count = len(maps)
    sums = signs.astype(maps.dtype) @ maps
    powers = np.square(maps).sum(axis=0)
    return _moments(sums[None], powers, np.array(count))


def resampled(times: Array, maps: Array, counts: Sequence[int]) -> Array:
    """Return t of bootstrap samples about the observed difference, (draws, places).

    ``(d* - d) / se*`` with the difference d of the last of two groups minus the first, or of one group its
    mean. Infinite where a sample holds a single unit, many times.
    """
    ends = np.cumsum([0, *counts])
    apart: Any = 0.0
    variance: Any = 0.0
    for number, (start, stop) in enumerate(itertools.pairwise(ends)):
        residuals = maps[start:stop] - maps[start:stop].mean(axis=0)
        own, count = times[:, start:stop].astype(maps.dtype), stop - start
        means, powers = own @ residuals / count, own @ np.square(residuals)
        apart = apart + (means if number == len(counts) - 1 else -means)
        # Of a single unit, rounding leaves a spread of about nothing.
        spread = powers - count * means * means
        variance = variance + np.where(spread > 1e-9 * powers, spread, 0) / (count - 1) / count
    return quotient(apart, variance)
