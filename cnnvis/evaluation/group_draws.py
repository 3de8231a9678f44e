"""Moments of draws, at a block of places at a time, through products of matrices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.evaluation.group_statistics import Moments, quotient

Drawn = Callable[[Array], Moments]
"""Function of draws, (draws, units), that returns the moments of each at a block of places.

What all draws have in common is made once for a block: of many units, that takes as long as some draws.
"""


def permuted(maps: Array, counts: Sequence[int]) -> Drawn:
    """Return the moments of permuted groups, (groups, draws, places), by the group of each unit.

    Parameters
    ----------
    maps
        The maps of the units, (units, places).
    counts
        The number of units of each group.
    """
    middle = maps - maps.mean(axis=0)  # so that sums of squares keep their digits
    both, wide, places = _beside_squares(middle), len(counts), maps.shape[1]
    whole, sizes = both.sum(axis=0), np.array(counts)[:, None, None]

    def moments(labels: Array) -> Moments:
        found = np.empty((wide, len(labels), 2 * places), maps.dtype)
        for group in range(1, wide):
            found[group] = (labels == group).astype(maps.dtype) @ both
        found[0] = whole - found[1:].sum(axis=0)
        return _moments(found[..., :places], found[..., places:], sizes)

    return moments


def _beside_squares(values: Array) -> Array:
    """Return values (units, places) and their squares behind them, for a single product of matrices."""
    return np.concatenate([values, np.square(values)], axis=1)


def _moments(sums: Array, powers: Array, counts: Array, lost: Array | float = 1.0) -> Moments:
    means, freedom = sums / counts, counts - lost
    variances = np.maximum(powers - sums * means, 0) / freedom / counts
    return Moments(means, variances, freedom)


def flipped(maps: Array, counts: Sequence[int]) -> Drawn:
    """Return the moments of residuals from the groups' means whose signs are changed.

    The wild bootstrap (Wu 1986; Liu 1988): each residual keeps its size and its group, so a
    group of larger spread keeps it. Where half of the signs change, the mean of a group has the variance that
    it has in truth, and one degree of freedom less, which is counted.
    """
    residuals = _residuals(maps, counts)
    powers = [np.square(one).sum(axis=0) for _, one in residuals]
    sizes = np.array(counts)[:, None, None]

    def moments(signs: Array) -> Moments:
        sums, lost = [], []
        for group, rest in residuals:
            own = signs[:, group].astype(maps.dtype)
            sums.append(own @ rest)
            lost.append(2 - np.square(own.mean(axis=1, keepdims=True)))
        every = np.broadcast_to(np.stack(powers)[:, None], (len(counts), *sums[0].shape))
        found = _moments(np.stack(sums), every, sizes, np.stack(lost))
        scale = np.sqrt(np.stack(lost) - 1)  # of sums that are uneven by one unit
        return Moments(found.means / scale, found.variances, found.freedom)

    return moments


def _residuals(maps: Array, counts: Sequence[int]) -> list[tuple[slice, Array]]:
    """Return the units of each group, and the residuals of their maps from the group's mean."""
    groups = [slice(*ends) for ends in itertools.pairwise(np.cumsum([0, *counts]).tolist())]
    return [(one, maps[one] - maps[one].mean(axis=0)) for one in groups]


def flipped_about_zero(maps: Array) -> Drawn:
    """Return the moments of maps whose signs are changed, (1, draws, places)."""
    powers, count = np.square(maps).sum(axis=0), np.array(len(maps))

    def moments(signs: Array) -> Moments:
        sums = signs.astype(maps.dtype) @ maps
        return _moments(sums[None], powers, count)

    return moments


def resampled(maps: Array, counts: Sequence[int]) -> Callable[[Array], Array]:
    """Return t of bootstrap samples about the observed difference, (draws, places).

    By how often each unit is drawn, (draws, units):
    ``(d* - d) / se*`` with the difference d of the last of two groups minus the first, or of one group its
    mean. Infinite where a sample holds a single unit, many times.
    """
    groups = [(one, _beside_squares(rest)) for one, rest in _residuals(maps, counts)]
    places = maps.shape[1]

    def statistics(times: Array) -> Array:
        apart: Any = 0.0
        variance: Any = 0.0
        for number, (group, both) in enumerate(groups):
            found, count = times[:, group].astype(maps.dtype) @ both, counts[number]
            means, powers = found[:, :places] / count, found[:, places:]
            apart = apart + (means if number == len(counts) - 1 else -means)
            # Of a single unit, rounding leaves a spread of about nothing.
            spread = powers - count * means * means
            variance = variance + np.where(spread > 1e-9 * powers, spread, 0) / (count - 1) / count
        return quotient(apart, variance)

    return statistics
