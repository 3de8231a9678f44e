"""KernelSHAP: Shapley values of units by a weighted regression over sets of units."""

from __future__ import annotations

import cnnvis

from ._budget import perturbations_within
from ._game import Game
from ._regression import Regression
from ._tolerance import Draws, Tolerance, beyond_tolerance

FIRST = 128
"""Number of sets that each image takes at least with a tolerance, or four for each unit."""


@cnnvis.technique(
    "kernel-shap",
    family="perturbation",
    reference="arXiv:1705.07874",
    claims={"complete": {}, "integrated-gradients": {"units": "row,column"}},
    signed={},
    remarks=beyond_tolerance("sets"),
)
def kernel_shap(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    units: cnnvis.Units = "auto",
    sets: cnnvis.Count = 2048,
    baseline: cnnvis.Baseline = "mean",
    tolerance: Tolerance | None = None,
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
    most = min(sets, max(2**game.count - 2, 1))
    draws = Draws.within(tolerance, max(FIRST, 4 * game.count), most)
    regression = Regression(game, draws, seed, is_judged=tolerance is not None)
    _, unsure = draws.taken(samples, regression.take)
    measures = {} if tolerance is None else {"uncertainty": unsure}
    return game.complete(regression.found, samples, regression.passes, measures)
