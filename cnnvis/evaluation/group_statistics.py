"""Statistics of differences between groups of maps, at each place: t, F, effect sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.samples import Array

STEEPEST = 30.0
"""Largest deviate: where maps do not vary at all within groups, a quotient would be infinite."""


@dataclass(frozen=True)
class Moments:
    """Means of groups and their variances, (groups, ..., places) each, of any number of draws.

    Attributes
    ----------
    means
        The mean of each group.
    variances
        The squared standard error of each mean.
    freedom
        The degrees of freedom of each variance, of a shape that fits to the variances.
    """

    means: Array
    variances: Array
    freedom: Array

    @property
    def apart(self) -> Array:
        """The mean of the last of two groups minus that of the first; of one group, its mean."""
        found: Array = self.means[-1] - self.means[0] if len(self.means) > 1 else self.means[0]
        return found


def moments_of(groups: Sequence[Array]) -> Moments:
    """Return the moments of groups of maps, (units, places) each, in double precision."""
    counts = np.array([len(one) for one in groups])[:, None]
    means = [one.mean(axis=0, dtype=np.float64) for one in groups]
    squares = [
        np.square(one - mean.astype(one.dtype)).sum(axis=0, dtype=np.float64)
        for one, mean in zip(groups, means, strict=True)
    ]
    return Moments(np.stack(means), np.stack(squares) / (counts - 1) / counts, counts - 1.0)


def welch_t(moments: Moments) -> tuple[Array, Array]:
    """Return Welch's t of the last of two groups minus the first, and its degrees of freedom.

    ``t = (b - a) / sqrt(v_a + v_b)`` with the squared standard errors v, and Satterthwaite's degrees of
    freedom (Welch 1947). Of one group, its mean over its standard error.
    """
    return quotient(moments.apart, moments.variances.sum(axis=0)), _satterthwaite(moments)


def _satterthwaite(moments: Moments) -> Array:
    whole = moments.variances.sum(axis=0)
    parts = (np.square(moments.variances) / moments.freedom).sum(axis=0)
    least = np.broadcast_to(moments.freedom.min(axis=0), whole.shape)
    found: Array = np.divide(np.square(whole), parts, out=least.copy(), where=parts > 0)
    return found


def quotient(apart: Array, variance: Array) -> Array:
    """Return a difference over its standard error: 0 for 0 / 0, infinite for a difference over 0."""
    error = np.sqrt(np.maximum(variance, 0))
    without = np.where(apart == 0, 0.0, np.copysign(np.inf, apart))
    found: Array = np.divide(apart, error, out=without, where=error > 0)
    return found


def t_as_z(t: Array, freedom: Array) -> Array:
    """Return the normal deviates of t values, about as improbable under a standard normal.

    Wallace's approximation, ``(8 f + 1) / (8 f + 3) sqrt(f log(1 + t^2 / f))`` with the sign of t (Wallace
    1959), right to 0.06 from three degrees of freedom on. Places and draws whose degrees of freedom
    differ are comparable as deviates, and not as t: the largest t of many places is where a
    group has by chance a small spread of few degrees of freedom.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t * t / freedom))
    found: Array = np.copysign(np.minimum(np.nan_to_num(sizes, posinf=STEEPEST), STEEPEST), t)
    return found


def welch_f(moments: Moments) -> tuple[Array, float, Array]:
    """Return Welch's F of any number of groups, and its two degrees of freedom (Welch 1951)."""
    count = len(moments.means)
    least = np.finfo(np.float64).tiny
    weights = 1 / np.maximum(moments.variances, least)
    whole = weights.sum(axis=0)
    middle = (weights * moments.means).sum(axis=0) / whole
    between = (weights * np.square(moments.means - middle)).sum(axis=0) / (count - 1)
    lost = (np.square(1 - weights / whole) / moments.freedom).sum(axis=0)
    found = between / (1 + 2 * (count - 2) / (count**2 - 1) * lost)
    return found, count - 1.0, (count**2 - 1) / (3 * np.maximum(lost, least))


def f_as_z(f: Array, first: float, second: Array) -> Array:
    """Return the sizes of normal deviates that are exceeded, on both sides, as often as F is."""
    from scipy import special

    probability = np.maximum(special.fdtrc(first, second, np.maximum(f, 0)), 1e-190)
    found: Array = np.clip(-special.ndtri(probability / 2), 0, STEEPEST)
    return found


def deviates(moments: Moments, *, least: bool) -> Array:
    """Return the normal deviates of a comparison: of Welch's t, or of more groups of Welch's F.

    Parameters
    ----------
    least
        Take the fewest degrees of freedom that any group has, a bound that no spread of the groups
        can break (Hsu 1938), and not an estimate.
    """
    fewest = moments.freedom.min(axis=0)
    if len(moments.means) > 2:
        f, first, second = welch_f(moments)
        return f_as_z(f, first, fewest if least else second)
    t, freedom = welch_t(moments)
    return t_as_z(t, fewest if least else freedom)


def hedges_g(moments: Moments, counts: Sequence[int]) -> Array:
    """Return Hedges' g of the last of two groups minus the first; of one group, of its mean."""
    sizes = np.array(counts)[:, None]
    squares = (moments.variances * sizes * (sizes - 1)).sum(axis=0)
    return unbiased(moments.apart, squares, sum(counts) - len(counts))


def unbiased(apart: Array, squares: Array, freedom: int) -> Array:
    """Return a difference over the pooled standard deviation, without bias (Hedges 1981).

    Times ``gamma(m / 2) / (sqrt(m / 2) gamma((m - 1) / 2))`` with m degrees of freedom. Where no value
    differs within groups: 0 for no difference, and else as large as single precision holds.
    """
    from scipy import special

    half, spread = freedom / 2, np.sqrt(squares / freedom)
    factor = np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / np.sqrt(half)
    largest = np.finfo(np.float32).max
    without = np.where(apart == 0, 0.0, np.copysign(largest, apart))
    found: Array = np.divide(factor * apart, spread, out=without, where=spread > 0)
    return found


def omega_squared(moments: Moments, units: int) -> Array:
    """Return the share of the spread that groups account for, from Welch's F; 0 at least."""
    f, first, _ = welch_f(moments)
    found: Array = np.maximum(first * (f - 1) / (first * (f - 1) + units), 0)
    return found
