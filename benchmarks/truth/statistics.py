"""Statistics of the scorecard: intervals, pairs of methods image by image, and rank correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.truth.case import Array

DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """Mean, and the 95 % bootstrap interval of it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"


def _draws(groups: Array) -> Array:
    """Return how often each value is drawn, (draws, n): as many of each group as there are of it."""
    rng = np.random.default_rng(0)
    found = np.zeros((DRAWS, len(groups)), np.float32)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        found[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), DRAWS)
    return found


def interval(values: Array, groups: Array | None = None) -> Interval:
    """Return the mean of values with its interval; values are drawn anew within each group."""
    groups = np.zeros(len(values), int) if groups is None else groups
    means = _draws(groups) @ values / len(values)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def parted(values: Array, groups: Array, level: float) -> Array:
    """Return which methods lie apart, (methods, methods): 1 where the row is above the column, -1 below.

    The mean difference over the images that both have, drawn anew image by image within each group; the
    interval is the mean of the draws and so many of their standard deviations to each side as the level
    asks for, since the tails of 2000 draws are too thin for the levels that many pairs need.

    Parameters
    ----------
    values
        (images, methods), NaN where a method has no map.
    groups
        The network of each image.
    level
        Of the interval, such as 0.9999.
    """
    from scipy import stats

    width = stats.norm.ppf(0.5 + level / 2)
    found = np.zeros((values.shape[1],) * 2, int)
    draws: dict[bytes, Array] = {}
    for one in range(len(found)):
        for other in range(one):
            both = ~np.isnan(values[:, one] + values[:, other])
            if both.sum() < 5:
                continue
            difference = values[both, one] - values[both, other]
            key = both.tobytes()
            if key not in draws:
                draws[key] = _draws(groups[both])
            spread = (draws[key] @ difference / len(difference)).std()
            mean = difference.mean()
            found[one, other] = int(np.sign(mean)) if abs(mean) > width * spread else 0
            found[other, one] = -found[one, other]
    return found


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's correlation of pairs that are known; NaN for fewer than three, or all equal."""
    from scipy import stats

    a, b = np.asarray(one, float), np.asarray(other, float)
    known = ~np.isnan(a + b)
    a, b = a[known], b[known]
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1])


def over_cases(values: Sequence[float]) -> Interval | None:
    """Return the mean over networks with its interval; None for fewer than three."""
    known = np.array([one for one in values if not np.isnan(one)])
    return interval(known) if len(known) >= 3 else None


def difference_of_shares(table: Array) -> Interval | None:
    """Return how much larger the first share is than the second, the networks drawn anew.

    Parameters
    ----------
    table
        (networks, 4): right and all of the first kind, right and all of the second.
    """
    table = np.asarray(table, float)
    drawn = _draws(np.zeros(len(table), int)) @ table
    there = (drawn[:, 1] > 0) & (drawn[:, 3] > 0)
    total = table.sum(axis=0)
    if not total[1] or not total[3] or there.mean() < 0.5:
        return None
    drawn = drawn[there]
    differences = drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]
    low, high = np.quantile(differences, [0.025, 0.975])
    return Interval(float(total[0] / total[1] - total[2] / total[3]), float(low), float(high))
