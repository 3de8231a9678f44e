"""Regions in which groups differ: connected places, with their strongest one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.evaluation.clusters import labelled
from cnnvis.evaluation.group_tests import GroupTest


@dataclass(frozen=True)
class GroupRegion:
    """Connected places at which groups differ in one direction.

    Attributes
    ----------
    sign
        1 where the last group has the larger mean, -1 where it has the smaller.
    places
        The number of places.
    start, stop
        The first place along each axis, and the place behind the last.
    peak
        The place of the strongest deviate.
    p
        The smallest corrected p-value in the region; of a cluster, its own.
    difference, statistic, effect
        Values at the peak.
    """

    sign: int
    places: int
    start: tuple[int, ...]
    stop: tuple[int, ...]
    peak: tuple[int, ...]
    p: float
    difference: float
    statistic: float
    effect: float


def regions_of(
    test: GroupTest, shape: tuple[int, ...], channel: int | None, alpha: float
) -> list[GroupRegion]:
    """Return the regions of a test: clusters, significant or not, or else the places with p <= alpha.

    Parameters
    ----------
    shape
        The shape of a map.
    channel
        The axis of channels, over which no places are neighbours.
    alpha
        The largest p-value of a place in a region.

    Returns
    -------
    list of GroupRegion
        The most significant first, and of equals the strongest.
    """
    z = test.z.reshape(shape)
    if test.clusters is not None:
        numbers = test.clusters.reshape(shape)
    else:
        found = test.p.reshape(shape) <= alpha
        apart = () if channel is None else (channel,)
        numbers, count = labelled(found & (z >= 0), apart)
        below, _ = labelled(found & (z < 0), apart)
        numbers = numbers + np.where(below, below + count, 0)
    regions = [_region(test, numbers == one, shape) for one in range(1, int(numbers.max()) + 1)]
    return sorted(regions, key=lambda one: (one.p, -abs(one.statistic)))


def _region(test: GroupTest, inside: Array, shape: tuple[int, ...]) -> GroupRegion:
    places = np.argwhere(inside)
    flat = np.flatnonzero(inside)
    peak = int(flat[abs(test.z[flat]).argmax()])
    return GroupRegion(
        sign=1 if test.z[peak] >= 0 else -1,
        places=len(flat),
        start=tuple(places.min(axis=0).tolist()),
        stop=tuple((places.max(axis=0) + 1).tolist()),
        peak=tuple(int(one) for one in np.unravel_index(peak, shape)),
        p=float(test.p[flat].min()),
        difference=float(test.difference[peak]),
        statistic=float(test.statistic[peak]),
        effect=float(test.effect[peak]),
    )
