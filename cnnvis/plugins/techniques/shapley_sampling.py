"""Shapley values of units by random orders in which the units come into the input."""

from __future__ import annotations

from typing import Any

import cnnvis

from ._budget import perturbations_within
from ._filling import NORMAL
from ._game import Game
from ._orders import Values, kept_in
from ._tolerance import Draws, Tolerance, beyond_tolerance

FIRST = 8
"""Number of orders that each image takes at least with a tolerance."""


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
    remarks=beyond_tolerance("orders"),
)
def shapley_sampling(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    units: cnnvis.Units = "auto",
    orders: cnnvis.Count = 32,
    baseline: cnnvis.Baseline = "mean",
    tolerance: Tolerance | None = None,
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
    game = Game.of(model, samples, baseline, units)
    inner = max(game.count - 1, 1)  # sets of an order that are neither empty nor whole
    passes = orders * inner
    if budget is not None:
        passes = perturbations_within(
            budget, "shapley-sampling", model,
            lambda count: game.scores(lambda some: kept_in(some, game.count, seed)[0], count),
            others=2, key=(units, game.count),
        )  # fmt: skip
    orders = passes // inner // 2 * 2
    if 2**game.count - 2 <= passes:  # then no more orders than take as many passes as all sets
        orders = max(2 * -(-(2**game.count - 2) // (2 * inner)), 2)
    if not orders:
        raise cnnvis.UserError(
            f"two orders of {game.count} units take {2 * inner + 2} passes, and the budget is "
            f"{passes + 2}: give more, or take fewer units"
        )
    values = Values(game, seed)
    draws = Draws.within(tolerance, FIRST, orders)
    _, unsure = draws.taken(samples, values.take)
    if values.exact.all():
        cnnvis.note(
            f"shapley-sampling is exact: it takes all {2**game.count} sets of {game.count} units"
        )
    is_known = tolerance is not None or (orders > 2 and not values.exact.all())
    measures = {"half_width": NORMAL * values.errors.max(axis=1)} if is_known else {}
    measures |= {} if tolerance is None else {"uncertainty": unsure}
    return game.complete(values.found, samples, values.passes, measures)
