"""KernelSHAP: Shapley values of units by a weighted regression over sets of units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cnnvis

from ._budget import perturbations_within
from ._game import Game

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "kernel-shap",
    family="perturbation",
    reference="arXiv:1705.07874",
    claims={"complete": {}, "integrated-gradients": {"units": "row,column"}},
    signed={},
)
def kernel_shap(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    units: cnnvis.Units = "auto",
    sets: cnnvis.Count = 2048,
    baseline: cnnvis.Baseline = "mean",
    budget: cnnvis.Budget | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Shapley value of each unit of the input, by a regression over sets of units.

    The values v of units minimize sum over z of k(z) (S(x with the units z) - S(x') - v z)^2 among those
    with sum of v = S(x) - S(x'), for sets z of some of d units, with the kernel
    k(z) = (d - 1) / (binomial(d, |z|) |z| (d - |z|)), the score S, the input x and a baseline x': Lundberg
    and Lee 2017, theorem 2. M(p) is v of the unit of p divided by the number of its positions, so that the
    sum of M is S(x) - S(x'). Sizes of sets are taken whole where there are enough sets for it; from the
    others, sets are drawn, each with its complement: Covert and Lee 2021, arXiv:2012.01536. With all
    2^d - 2 sets, the Shapley values are exact.

    Parameters
    ----------
    sets
        The number of sets of units, which are the same for every image.
    baseline
        What stands in the place of units that are left out.
    budget
        A limit in place of sets.
    """
    import numpy as np

    game = Game.of(model, samples, baseline, units)
    if budget is not None:
        every = np.eye(game.count, dtype=bool)
        sets = perturbations_within(
            budget, "kernel-shap", model,
            lambda count: game.scores(lambda some: every[[one % game.count for one in some]], count),
            others=2, key=(units, game.count),
        )  # fmt: skip
    z, weights = _sets(game.count, sets, seed)
    squares, products = np.zeros((game.count, game.count)), np.zeros((game.count, len(samples)))
    for some, scores in game.scores(lambda some: z[some.start : some.stop], len(z)):
        part = z[some.start : some.stop].astype(np.float64)
        weighted = part * weights[some.start : some.stop, None]
        squares += part.T @ weighted
        products += weighted.T @ (scores - game.empty[:, None]).T
    values = _constrained(squares, products, game.whole - game.empty, len(z))
    return game.complete(values, samples, len(z))


def _sets(units: int, count: int, seed: int) -> tuple[Array, Array]:
    """Return sets of units, (k, units) bool, and the weight of each in the regression, (k,)."""
    import itertools

    import numpy as np

    # Sets of a size and their complements are taken together, for all sizes up to a half.
    masses = {
        size: (units - 1) / (size * (units - size)) * (1 if 2 * size == units else 2)
        for size in range(1, units // 2 + 1)
    }
    found: list[Array] = []
    weights: list[float] = []
    left = count
    while masses:
        size = min(masses)
        number = math.comb(units, size) * (1 if 2 * size == units else 2)
        share = masses[size] / sum(masses.values())
        # Sets of a single unit and of all but one alone determine all values, if there are so many.
        if number > left * (1 if size == 1 else share):
            break
        for chosen in itertools.combinations(range(units), size):
            one = np.zeros(units, bool)
            one[[*chosen]] = True
            found += [one] if 2 * size == units else [one, ~one]
        weights += [masses.pop(size) / number] * number
        left -= number
    if masses:
        sizes, bounds = [*masses], np.cumsum([*masses.values()]) / sum(masses.values())
        for pair in range(left // 2):
            rng = np.random.default_rng((seed, pair))
            size = sizes[min(int(np.searchsorted(bounds, rng.random(), "right")), len(sizes) - 1)]
            one = np.zeros(units, bool)
            one[rng.permutation(units)[:size]] = True
            found += [one, ~one]
        weights += [sum(masses.values()) / max(left // 2 * 2, 1)] * (left // 2 * 2)
    return np.array(found, bool).reshape(-1, units), np.array(weights)


def _constrained(squares: Array, products: Array, total: Array, sets: int) -> Array:
    """Return the values, (n, units), that minimize the squares and add up to the total, (n,)."""
    import numpy as np

    # The last value is what the others leave of the total.
    last = squares[:-1, :-1] - squares[-1:, :-1] - squares[:-1, -1:] + squares[-1, -1]
    if np.linalg.matrix_rank(last, hermitian=True) < len(last):
        raise cnnvis.UserError(
            f"{sets} sets are too few for {len(squares)} units: {2 * len(squares)} are enough, which take "
            f"{2 * len(squares) + 2} passes (--budget {2 * len(squares) + 2}); or take fewer units"
        )
    known = products - total * squares[:, -1:]
    first = np.linalg.solve(last, known[:-1] - known[-1:])
    found: Array = np.concatenate([first, total[None] - first.sum(axis=0, keepdims=True)]).T
    return found
