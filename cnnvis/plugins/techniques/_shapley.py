"""Sums of the contributions of units over orders, and over all sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ._game import Game

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Pairs:
    """Sums of the contributions of units over each pair of orders, pass by pass."""

    def __init__(self, images: int, units: int) -> None:
        self._shape = images, units
        self._of_pair: dict[int, Array] = {}

    def add(self, pairs: Array, scores: Array, signs: Array) -> None:
        """Add passes of these pairs (k,), with scores (n, k) that count for units by signs (k, units)."""
        import numpy as np

        for pair in np.unique(pairs).tolist():
            of_it = pairs == pair
            part = scores[:, of_it].astype(np.float64) @ signs[of_it]
            self._of_pair[pair] = self._of_pair.get(pair, 0.0) + part

    def found(self) -> Array:
        """Return the sums, (pairs, n, units)."""
        import numpy as np

        if not self._of_pair:
            return np.zeros((1, *self._shape))
        return np.stack([self._of_pair[pair] for pair in sorted(self._of_pair)])


def exact_values(game: Game) -> Array:
    """Compute the Shapley values from the scores of all sets of units, (n, units)."""
    import numpy as np

    units, last = game.count, 2**game.count - 1

    def members(numbers: Array) -> Array:
        found: Array = (numbers[:, None] >> np.arange(units)) & 1 == 1
        return found

    inner = [
        scores for _, scores in game.scores(lambda some: members(np.array(some) + 1), last - 1)
    ]
    values = np.concatenate([game.empty[:, None], *inner, game.whole[:, None]], axis=1)
    every = np.arange(last + 1)
    is_in = members(every)
    sizes = is_in.sum(axis=1)
    shares = 1 / (units * np.array([float(math.comb(units - 1, size)) for size in range(units)]))
    found = np.zeros((len(values), units))
    for unit in range(units):
        before = every[~is_in[:, unit]]
        gains = values[:, before + (1 << unit)] - values[:, before]
        found[:, unit] = gains @ shares[sizes[before]]
    return found
