"""Draws under the hypothesis that groups do not differ: permutations, changes of sign, resamples.

Each draw depends on the seed and its number alone, so that places may be gone through block by block with
the same draws in each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.samples import Array

TOGETHER, NUMBERS = 2**17, 2**24
"""Largest numbers of values that draws give, and of their own numbers, that are held at a time."""


@dataclass(frozen=True)
class Draws:
    """Draws of one kind: a row of numbers for each, one number a unit.

    Attributes
    ----------
    count
        The number of draws.
    units
        The number of units.
    made
        Function that returns the draw of a number, (units,).
    is_exact
        True where the draws are all there are, the observed order among them.
    """

    count: int
    units: int
    made: Callable[[int], Array]
    is_exact: bool = False

    def chunks(self, places: int, each: int = 1) -> Iterator[tuple[slice, Array]]:
        """Yield some draws at a time, (draws, units) whole numbers, with their numbers.

        Parameters
        ----------
        places
            The number of values that are computed for each draw.
        each
            The number of rows of numbers that are made of each draw.
        """
        step = max(min(TOGETHER // places, NUMBERS // self.units // each, self.count), 1)
        for start in range(0, self.count, step):
            numbers = range(start, min(start + step, self.count))
            yield slice(start, numbers.stop), np.stack([self.made(one) for one in numbers])

    def p(self, hits: Array) -> Array:
        """Return p-values of numbers of draws that were as extreme as what was observed.

        ``(1 + hits) / (1 + count)``, since what was observed is a draw, too (Phipson and Smyth 2010).
        """
        own = 0 if self.is_exact else 1
        found: Array = (hits + own) / (self.count + own)
        return found


def _numbered(kind: int, seed: int, draw: int) -> np.random.Generator:
    return np.random.default_rng([seed, kind, draw])


def permutations(counts: Sequence[int], most: int, seed: int) -> Draws:
    """Return permutations of the labels of groups: the group's number of each unit, in each draw.

    All of them, where there are no more than `most`.
    """
    units = sum(counts)
    groups = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
    whole = math.factorial(units)
    for one in counts:
        whole //= math.factorial(one)
    if whole <= most:
        every = [*_arrangements(counts)]
        return Draws(whole, units, every.__getitem__, is_exact=True)
    return Draws(most, units, lambda draw: _numbered(0, seed, draw).permutation(groups))


def _arrangements(counts: Sequence[int]) -> Iterator[Array]:
    """Yield each way to share units out among groups of these sizes."""

    def shared(left: tuple[int, ...], group: int) -> Iterator[dict[int, int]]:
        if group == len(counts):
            yield {}
            return
        for chosen in itertools.combinations(left, counts[group]):
            rest = tuple(one for one in left if one not in chosen)
            for others in shared(rest, group + 1):
                yield {**dict.fromkeys(chosen, group), **others}

    for one in shared(tuple(range(sum(counts))), 0):
        yield np.array([one[unit] for unit in sorted(one)], np.int8)


def orders(units: int, count: int, seed: int) -> Draws:
    """Return permutations of units: the unit at each place, in each draw."""
    return Draws(count, units, lambda draw: _numbered(4, seed, draw).permutation(units))


def signs(units: int, most: int, seed: int) -> Draws:
    """Return changes of sign, 1 or -1 for each unit: all of them, where there are no more than `most`."""
    if units < 60 and 2**units <= most:
        places = np.arange(units)
        return Draws(
            2**units, units, lambda draw: (1 - 2 * (draw >> places & 1)).astype(np.int8), True
        )
    return Draws(
        most, units, lambda draw: _numbered(1, seed, draw).choice(np.array([-1, 1], np.int8), units)
    )


def balanced_signs(counts: Sequence[int], count: int, seed: int) -> Draws:
    """Return changes of sign, of half of the units of each group.

    So the sum of the signs of a group is 0, or 1 or -1 where the group is odd.
    """
    halves = [np.where(np.arange(one) < one // 2, -1, 1).astype(np.int8) for one in counts]

    def made(draw: int) -> Array:
        rng = _numbered(2, seed, draw)
        drawn = [rng.permutation(half) * rng.choice(np.array([-1, 1], np.int8)) for half in halves]
        return np.concatenate(drawn)

    return Draws(count, sum(counts), made)


def resamples(counts: Sequence[int], count: int, seed: int) -> Draws:
    """Return bootstrap samples: how often each unit is drawn, within its group."""

    def made(draw: int) -> Array:
        rng = _numbered(3, seed, draw)
        return np.concatenate(
            [np.bincount(rng.integers(0, one, one), minlength=one) for one in counts]
        ).astype(np.int32)

    return Draws(count, sum(counts), made)
