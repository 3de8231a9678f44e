"""Shapley values of units by random orders in which the units come into the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._budget import perturbations_within
from ._filling import NORMAL
from ._game import Game
from ._shapley import Pairs, exact_values

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def _check(*, orders: int, **_: Any) -> None:
    if orders % 2:
        raise cnnvis.UserError(
            f"orders is {orders}, and must be even: each order goes with its reverse"
        )


@cnnvis.technique(
    "shapley-sampling",
    family="perturbation",
    reference="doi:10.1016/j.cor.2008.04.004",
    check=_check,
    claims={"complete": {}, "integrated-gradients": {"units": "row,column"}},
    signed={},
)
def shapley_sampling(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    units: cnnvis.Units = "auto",
    orders: cnnvis.Count = 32,
    baseline: cnnvis.Baseline = "mean",
    budget: cnnvis.Budget | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Shapley value of each unit of the input, by random orders in which units come in.

    v_u = mean over orders of S(x with the units up to u) - S(x with those before u), for the score S and
    the input x, whose other units are a baseline x': Castro, Gomez and Tejada 2009. M(p) is v of the unit of
    p divided by the number of its positions, so that the sum of M is S(x) - S(x'). Each order goes with its
    reverse (Mitchell et al. 2022, arXiv:2104.12199). Where all 2^d sets of d units take no more passes, the
    Shapley values are computed exactly.

    Parameters
    ----------
    orders
        The number of orders, which are the same for every image, half of them the reverse of the others;
        each takes as many passes as there are units, less 1.
    baseline
        What stands in the place of units that are left out.
    budget
        A limit in place of orders.
    """
    import numpy as np

    game = Game.of(model, samples, baseline, units)
    inner = game.count - 1  # sets of an order that are neither empty nor whole

    def ranks(some: range) -> tuple[Array, Array]:
        """Return the place of each unit in the order of each pass, and how many units are left."""
        places = np.array(some)
        numbers, which = np.unique(places // inner, return_inverse=True)
        orders = np.stack([_order(game.count, int(one), seed) for one in numbers])
        return orders.argsort(axis=1)[which], (places % inner)[:, None] + 1

    def kept(some: range) -> Array:
        rank, left = ranks(some)
        return rank < left

    passes = orders * inner
    if budget is not None:
        passes = perturbations_within(
            budget, "shapley-sampling", model, lambda count: game.scores(kept, count), others=2,
            key=(units, game.count),
        )  # fmt: skip
    if 2**game.count - 2 <= passes:
        cnnvis.note(
            f"shapley-sampling is exact: it takes all {2**game.count} sets of {game.count} units"
        )
        return game.complete(exact_values(game), samples, 2**game.count - 2)
    orders = passes // inner // 2 * 2
    if not orders:
        raise cnnvis.UserError(
            f"two orders of {game.count} units take {2 * inner + 2} passes, and the budget is "
            f"{passes + 2}: give more, or take fewer units"
        )
    pairs = Pairs(len(samples), game.count)
    for some, scores in game.scores(kept, orders * inner):
        rank, left = ranks(some)
        # With this score, the unit that came last has come in, and the next has not.
        pairs.add(np.array(some) // inner // 2, scores, (rank == left - 1) * 1.0 - (rank == left))
    ends = [
        game.whole[:, None] * (one == game.count - 1) - game.empty[:, None] * (one == 0)
        for one in (_order(game.count, number, seed).argsort() for number in range(orders))
    ]
    every = (pairs.found() + np.reshape(ends, (orders // 2, 2, -1, game.count)).sum(axis=1)) / 2
    measures = {}
    if len(every) > 1:
        errors = every.std(axis=0, ddof=1) / np.sqrt(len(every))
        measures = {"half_width": NORMAL * errors.max(axis=1)}
    return game.complete(every.mean(axis=0), samples, orders * inner, measures)


def _order(units: int, number: int, seed: int) -> Array:
    """Draw an order of units; every other is the reverse of that before it."""
    import numpy as np

    found = np.random.default_rng((seed, number // 2)).permutation(units)
    return found[::-1] if number % 2 else found
