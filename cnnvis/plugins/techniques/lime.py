"""LIME: a linear model of the score near the input, over its units."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cnnvis

from ._budget import perturbations_within
from ._game import Game

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


ENOUGH = 0.5
"""Share of the variance below which a note says how little the linear model explains."""


@cnnvis.technique(
    "lime",
    family="perturbation",
    reference="arXiv:1602.04938",
    claims={"integrated-gradients": {"units": "row,column", "ridge": 0.0}},
    signed={},
)
def lime(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    units: cnnvis.Units = "auto",
    sets: cnnvis.Count = 1000,
    baseline: cnnvis.Baseline = "mean",
    width: cnnvis.Positive = 0.25,
    ridge: cnnvis.NotNegative = 1.0,
    budget: cnnvis.Budget | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Weight of each unit of the input in a linear model of the score near the input.

    M(p) = b_u for the unit u of p, where a and b minimize sum over z of
    exp(-D(z)^2 / width^2) (S(x with the units z) - a - b z)^2 + ridge |b|^2, for random sets z of units,
    the score S and the input x; D is one less the cosine of z and all units: Ribeiro et al. 2016,
    equations 1 and 2, with the distance of its code for images.

    Captum's Lime takes the distance of values of the input and not of units by default, and a Lasso of
    0.01 for the ridge: r is the correlation of its maps with those of cnnvis on four small networks (r 0.83
    to 1.00).

    Parameters
    ----------
    sets
        The number of sets of units, which are the same for every image; each unit is in half of them.
    baseline
        What stands in the place of units that are left out.
    width
        The width of the kernel: the smaller, the more the sets with nearly all units count.
    ridge
        The penalty on the weights.
    budget
        A limit in place of sets.
    """
    import numpy as np

    game = Game.of(model, samples, baseline, units)

    @functools.lru_cache(maxsize=1)  # those that were scored last are fitted next
    def kept(some: range) -> Array:
        """Draw sets of units; the first is that of all."""
        return np.stack(
            [
                np.random.default_rng((seed, one)).random(game.count) < (0.5 if one else 1)
                for one in some
            ]
        )

    if budget is not None:
        key = (units, game.count)
        sets = perturbations_within(
            budget, "lime", model, lambda count: game.scores(kept, count), others=0, key=key
        )
    fit = _Fit(game.count, len(samples))
    for some, scores in game.scores(kept, max(sets, 1)):
        z = kept(some).astype(np.float64)
        distance = 1 - np.sqrt(z.mean(axis=1))
        fit.add(z, np.exp(-np.square(distance / width)), scores - game.whole[:, None])
    found, shares = fit.solved(ridge)
    if (shares < ENOUGH).any():
        cnnvis.note(
            f"the linear model of lime explains less than {ENOUGH:.0%} of the variance of the score for "
            f"{int((shares < ENOUGH).sum())} of {len(shares)} images, {shares.min():.0%} at least: what "
            "units do together is not in the maps; kernel-shap divides it among the units"
        )
    measures = {"explained_variance": shares, "passes": np.full(len(samples), sets)}
    maps = game.spread(found).astype(np.float32)
    return cnnvis.Explanation(maps, samples, measures=measures)


class _Fit:
    """Weighted ridge regression of scores of n images on sets of units, added up set by set."""

    def __init__(self, units: int, images: int) -> None:
        import numpy as np

        self._squares = np.zeros((units + 1, units + 1))
        self._products = np.zeros((units + 1, images))
        # The sums of 1, of scores and of their squares, weighted.
        self._scores = np.zeros((3, images))

    def add(self, z: Array, weights: Array, scores: Array) -> None:
        """Add sets z (k, units), their weights (k,) and scores (n, k)."""
        import numpy as np

        z = np.concatenate([np.ones((len(z), 1)), z], axis=1)
        self._squares += z.T @ (z * weights[:, None])
        self._products += z.T @ (scores * weights).T
        self._scores += [(scores**power * weights).sum(axis=1) for power in (0, 1, 2)]

    def solved(self, ridge: float) -> tuple[Array, Array]:
        """Return the weight of each unit, (n, units), and the share of the variance explained, (n,).

        Raises
        ------
        UserError
            If there are too few sets for so many units.
        """
        import numpy as np

        penalty = ridge * np.diag([0.0, *np.ones(len(self._squares) - 1)])
        if np.linalg.matrix_rank(self._squares + penalty, hermitian=True) < len(self._squares):
            raise cnnvis.UserError(
                f"there are too few sets for {len(self._squares) - 1} units, or too narrow a kernel: "
                "more sets, fewer units, a larger width, or a ridge above 0 would do"
            )
        found = np.linalg.solve(self._squares + penalty, self._products)
        total, first, second = self._scores
        residual = (
            second
            - 2 * (found * self._products).sum(axis=0)
            + (found * (self._squares @ found)).sum(axis=0)
        )
        spread = second - first**2 / total
        shares = 1 - residual / np.where(spread > 0, spread, np.inf)
        return found[1:].T, shares
