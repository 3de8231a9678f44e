"""Draws under the hypothesis that groups do not differ: permutations, changes of sign, resamples.

Draws come in pages, each of the seed and the number of the page alone, so that places may be gone through block
by block with the same draws in each.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from cnnvis.data.samples import Array

TOGETHER, NUMBERS = 2**17, 2**24
"""Largest numbers of values that draws give, and of their own numbers, that are held at a time."""


KEPT = 2**27
"""Largest number of bytes of draws that are kept for the next places."""

PAGE = 64
"""Number of draws that one generator of random numbers makes."""


@dataclass(frozen=True)
class Draws:
    """Draws of one kind: a row of numbers for each, one number a unit.

    Attributes
    ----------
    count
        The number of draws.
    units
        The number of units.
    page
        Function that returns the draws of a page, (`PAGE`, units); the last page may have fewer.
    is_exact
        True where the draws are all there are, the observed order among them.
    kept
        Pages that were made, where all of them together are small.
    """

    count: int
    units: int
    page: Callable[[int], Array]
    is_exact: bool = False
    kept: dict[int, Array] = field(default_factory=dict)

    def chunks(self, places: int, each: int = 1) -> Iterator[tuple[slice, Array]]:
        """Yield some draws at a time, (draws, units) whole numbers, with their numbers.

        Parameters
        ----------
        places
            The number of values that are computed for each draw.
        each
            The number of rows of numbers that are made of each draw.
        """
        most = min(TOGETHER // places, NUMBERS // self.units // each)
        pages = max(most // PAGE, 1)
        for start in range(0, self.count, pages * PAGE):
            stop = min(start + pages * PAGE, self.count)
            numbers = range(start // PAGE, -(-stop // PAGE))
            yield slice(start, stop), np.concatenate([*map(self._page, numbers)])[: stop - start]

    def _page(self, number: int) -> Array:
        if number in self.kept:
            return self.kept[number]
        found = self.page(number)
        if found.itemsize * self.units * self.count <= KEPT:
            self.kept[number] = found
        return found

    def p(self, hits: Array) -> Array:
        """Return p-values of numbers of draws that were as extreme as what was observed.

        ``(1 + hits) / (1 + count)``, since what was observed is a draw, too (Phipson and Smyth 2010).
        """
        own = 0 if self.is_exact else 1
        found: Array = (hits + own) / (self.count + own)
        return found


def _generator(kind: int, seed: int, page: int) -> np.random.Generator:
    return np.random.default_rng([seed, kind, page])


def _shuffled(rng: np.random.Generator, values: Array) -> Array:
    """Return a page of permutations of values."""
    return rng.permuted(np.tile(values, (PAGE, 1)), axis=1)


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
        every = np.stack([*_arrangements(counts)])
        return Draws(whole, units, lambda page: every[page * PAGE :][:PAGE], is_exact=True)
    return Draws(most, units, lambda page: _shuffled(_generator(0, seed, page), groups))


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
    every = np.arange(units, dtype=np.int32)
    return Draws(count, units, lambda page: _shuffled(_generator(4, seed, page), every))


SIGNS = np.array([-1, 1], np.int8)


def signs(units: int, most: int, seed: int) -> Draws:
    """Return changes of sign, 1 or -1 for each unit: all of them, where there are no more than `most`."""
    if units < 60 and 2**units <= most:

        def every(page: int) -> Array:
            numbers = np.arange(page * PAGE, min((page + 1) * PAGE, 2**units))
            found: Array = SIGNS[1 - (numbers[:, None] >> np.arange(units) & 1)]
            return found

        return Draws(2**units, units, every, is_exact=True)
    return Draws(most, units, lambda page: _generator(1, seed, page).choice(SIGNS, (PAGE, units)))


def balanced_signs(counts: Sequence[int], count: int, seed: int) -> Draws:
    """Return changes of sign, of half of the units of each group.

    So the sum of the signs of a group is 0, or 1 or -1 where the group is odd.
    """
    halves = [np.where(np.arange(one) < one // 2, -1, 1).astype(np.int8) for one in counts]

    def page(number: int) -> Array:
        rng = _generator(2, seed, number)
        return np.concatenate(
            [_shuffled(rng, half) * rng.choice(SIGNS, (PAGE, 1)) for half in halves], axis=1
        )

    return Draws(count, sum(counts), page)


def resamples(counts: Sequence[int], count: int, seed: int) -> Draws:
    """Return bootstrap samples: how often each unit is drawn, within its group."""

    def page(number: int) -> Array:
        rng = _generator(3, seed, number)
        return np.concatenate([_times(rng, one) for one in counts], axis=1)

    return Draws(count, sum(counts), page)


def _times(rng: np.random.Generator, count: int) -> Array:
    """Return how often each of so many units is drawn, for a page of bootstrap samples."""
    drawn = rng.integers(0, count, (PAGE, count)) + count * np.arange(PAGE)[:, None]
    found = np.bincount(drawn.ravel(), minlength=PAGE * count).reshape(PAGE, count)
    # As small as they are in nearly all samples, so that those of many units are kept for the next places.
    return found.astype(np.uint8 if found.max() < 2**8 else np.int32)
