"""Regression of KernelSHAP: Shapley values of units by the scores of some of their sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cnnvis

from ._game import Game
from ._kernel_sets import Sets
from ._tolerance import Draws, uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

AT_ONCE = 1024
"""Number of sets that are added up at a time, an even number: each stands beside its complement."""


class Regression:
    """Values of a game's inputs by the sets that were taken so far.

    Parameters
    ----------
    game
        The game.
    draws
        The sets that each input takes; by how many are first, sizes are taken whole.
    seed
        The seed of the sets.
    is_judged
        True if the uncertainty is asked for.

    Attributes
    ----------
    found
        The values, (n, units).
    passes
        The sets that each input has taken, (n,).
    """

    def __init__(self, game: Game, draws: Draws, seed: int, *, is_judged: bool) -> None:
        import numpy as np

        self._game, self._seed, self._is_judged, self._most = game, seed, is_judged, draws.most
        self._sets = Sets.of(game.count, min(draws.first, draws.most))
        images = len(game.x)
        self._left = np.arange(images)
        self._z, self._scores = self._sets.whole[:0], np.zeros((images, 0))
        self.found, self.passes = np.zeros((images, game.count)), np.zeros(images)

    def take(self, left: Array, some: range) -> Array:
        """Take sets for some of the inputs; return the uncertainty of their values, (k,)."""
        import numpy as np

        game = self._game if left.size == len(self.found) else self._game.picked(left)
        if some.stop >= 2**game.count - 2 and self._sets.masses:  # as many passes make them exact
            self._sets = Sets.of(game.count, some.stop)
            self._z, self._scores = self._sets.whole[:0], np.zeros((left.size, 0))
        elif left.size < self._left.size:
            self._scores = self._scores[np.isin(self._left, left)]
        self._left = left
        z = self._more(some.stop)
        parts = [one for _, one in game.scores(lambda part: z[part.start : part.stop], len(z))]
        self._z = np.concatenate([self._z, z])
        self._scores = np.concatenate([self._scores, *parts], axis=1)
        self.passes[left] += len(z)
        self.found[left], unsure = self._solved(game)
        return unsure

    def _more(self, stop: int) -> Array:
        """Return the sets that are taken next, up to so many."""
        import numpy as np

        whole, count = self._sets.whole, len(self._z)
        first = whole[count:]
        if not self._sets.masses:
            return first
        pairs = range(max(count - len(whole), 0) // 2, max(stop - len(whole), 0) // 2)
        return np.concatenate([first, self._sets.drawn(pairs, self._seed)])

    def _solved(self, game: Game) -> tuple[Array, Array]:
        """Return the values (n, units), which add up to what all units change, and their uncertainty (n,)."""
        import numpy as np

        total = game.whole - game.empty
        squares = np.zeros(
            (2, game.count - 1, game.count - 1)
        )  # of sets taken whole, and of others
        products = np.zeros((game.count - 1, len(total)))
        for part, weights in self._parts():
            z, scores = self._reduced(part, game, total)
            weighted = z * weights[:, None]
            squares[int(part.start >= len(self._sets.whole))] += z.T @ weighted
            products += weighted.T @ scores.T
        if np.linalg.matrix_rank(squares.sum(axis=0), hermitian=True) < game.count - 1:
            if self._is_judged and len(self._z) < self._most - 1:
                return np.zeros((len(total), game.count)), np.full(len(total), np.inf)
            raise _too_few(len(self._z), game.count)
        first = np.linalg.solve(squares.sum(axis=0), products)
        found = np.concatenate([first, total[None] - first.sum(axis=0, keepdims=True)]).T
        unsure = (
            self._uncertainty(game, found, squares) if self._is_judged else np.zeros(len(total))
        )
        return found, unsure

    def _uncertainty(self, game: Game, found: Array, squares: Array) -> Array:
        """Return how uncertain values are, (n,), by how far the scores of pairs of sets are off them.

        Standard errors are those of White 1980, doi:10.2307/1912934.
        """
        import numpy as np

        pairs, total = (len(self._z) - len(self._sets.whole)) // 2, game.whole - game.empty
        if not pairs:
            return np.zeros(len(found))
        inverse, spread = np.linalg.inv(squares.sum(axis=0)), np.zeros((game.count, len(found)))
        for part, weights in self._parts():
            if part.start < len(self._sets.whole):
                continue
            z, scores = self._reduced(part, game, total)
            off = scores - found[:, :-1] @ z.T
            shares = inverse @ (z[::2] * weights[::2, None]).T
            shares = np.concatenate([shares, -shares.sum(axis=0, keepdims=True)])
            spread += np.square(shares) @ np.square(off[:, ::2] - off[:, 1::2]).T
        degrees = pairs - float(np.trace(inverse @ squares[1]))
        if degrees < 1:
            return np.full(len(found), np.inf)
        return uncertainty(np.sqrt(spread * (pairs / degrees)).T, found, degrees)

    def _parts(self) -> Iterator[tuple[slice, Array]]:
        """Yield parts of the sets, taken whole or drawn, and the weights of these sets."""
        import numpy as np

        whole, count = len(self._sets.whole), len(self._z)
        each = sum(self._sets.masses.values()) / max(count - whole, 1)
        weights = np.concatenate([self._sets.weights, np.full(count - whole, each)])
        for begin, stop in ((0, whole), (whole, count)):
            for start in range(begin, stop, AT_ONCE):
                part = slice(start, min(start + AT_ONCE, stop))
                yield part, weights[part]

    def _reduced(self, part: slice, game: Game, total: Array) -> tuple[Array, Array]:
        """Return sets and scores as if all values but the last were free: it is what they leave of the total."""
        z = self._z[part].astype(float)
        scores = self._scores[:, part] - game.empty[:, None]
        return z[:, :-1] - z[:, -1:], scores - total[:, None] * z[:, -1]


def _too_few(sets: int, units: int) -> cnnvis.UserError:
    return cnnvis.UserError(
        f"{sets} different sets are too few for {units} units: {2 * units} are enough, which take {2 * units + 2} "
        f"passes (--budget {2 * units + 2}); or take fewer units"
    )
