"""Orders in which units come into inputs, and the Shapley values of as many as were taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._game import Game
from ._shapley import Pairs, exact_values
from ._tolerance import uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def kept_in(some: range, units: int, seed: int) -> tuple[Array, Array]:
    """Return which units are left in each pass, (k, units), and how each counts with its score.

    With this score, the unit that came last has come in, and the next has not.
    """
    import numpy as np

    inner, places = units - 1, np.array(some)
    numbers, which = np.unique(places // inner, return_inverse=True)
    orders = np.stack([order_of(units, int(one), seed) for one in numbers])
    rank, left = orders.argsort(axis=1)[which], (places % inner)[:, None] + 1
    return rank < left, (rank == left - 1) * 1.0 - (rank == left)


def order_of(units: int, number: int, seed: int) -> Array:
    """Draw an order of units; every other is the reverse of that before it."""
    import numpy as np

    found = np.random.default_rng((seed, number // 2)).permutation(units)
    return found[::-1] if number % 2 else found


class Values:
    """Shapley values of a game's inputs, of the orders that were taken so far.

    Attributes
    ----------
    found, errors
        The values and their standard errors, (n, units).
    passes
        The passes that each input has taken, (n,).
    exact
        True for the inputs whose values are exact, (n,) bool.
    """

    def __init__(self, game: Game, seed: int) -> None:
        import numpy as np

        self._game, self._seed = game, seed
        images = len(game.x)
        self._left = np.arange(images)
        self._of_pairs = np.zeros((0, images, game.count))
        self.found, self.errors = np.zeros((2, images, game.count))
        self.passes, self.exact = np.zeros(images), np.zeros(images, bool)

    def take(self, left: Array, some: range) -> Array:
        """Take orders for some of the inputs; return the uncertainty of their values, (k,).

        All sets of units are taken instead where the orders so far would take as many passes.
        """
        import numpy as np

        game, inner = self._game, self._game.count - 1
        playing = game if left.size == len(game.x) else game.picked(left)
        if some.stop * inner >= 2**game.count - 2:
            self.found[left], self.errors[left], self.exact[left] = exact_values(playing), 0, True
            self.passes[left] += 2**game.count - 2
            return np.zeros(left.size)
        self._of_pairs = np.concatenate(
            [self._of_pairs[:, np.isin(self._left, left)], _of_pairs(playing, some, self._seed)]
        )
        self._left, count = left, len(self._of_pairs)
        self.passes[left] += len(some) * inner
        self.found[left] = self._of_pairs.mean(axis=0)
        if count < 2:
            return np.full(left.size, np.inf)
        self.errors[left] = self._of_pairs.std(axis=0, ddof=1) / np.sqrt(count)
        return uncertainty(self.errors[left], self.found[left], count - 1)


def _of_pairs(game: Game, some: range, seed: int) -> Array:
    """Return what each unit adds in orders, the mean of an order and its reverse, (pairs, n, units)."""
    import numpy as np

    inner = game.count - 1
    begin = some.start * inner
    pairs = Pairs(len(game.x), game.count)

    def kept(part: range) -> tuple[Array, Array]:
        return kept_in(range(begin + part.start, begin + part.stop), game.count, seed)

    for part, scores in game.scores(lambda part: kept(part)[0], len(some) * inner):
        pairs.add((begin + np.array(part)) // inner // 2, scores, kept(part)[1])
    ends = [
        game.whole[:, None] * (one == game.count - 1) - game.empty[:, None] * (one == 0)
        for one in (order_of(game.count, number, seed).argsort() for number in some)
    ]
    both = np.reshape(ends, (len(some) // 2, 2, -1, game.count)).sum(axis=1)
    found: Array = (pairs.found() + both) / 2
    return found
