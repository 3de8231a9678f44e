"""LIME: a linear model of the score near the input, over its units."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import cnnvis

from ._budget import perturbations_within
from ._fit import Fit
from ._game import Game
from ._tolerance import Draws, Tolerance, beyond_tolerance

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


FIRST = 128
"""Number of sets that each image takes at least with a tolerance."""

ENOUGH = 0.5
"""Share of the variance below which a note says how little the linear model explains."""


def _remarks(measures: Mapping[str, Array], **options: Any) -> Iterator[str]:
    shares = measures["explained_variance"]
    if (few := shares < ENOUGH).any():
        yield (
            f"the linear model of lime explains less than {ENOUGH:.0%} of the variance of the score for "
            f"{few.sum()} of {few.size} maps, {shares[few].min():.0%} at least: what units do together is not "
            "in the maps; kernel-shap divides it among the units"
        )
    yield from beyond_tolerance("sets")(measures, **options)


@cnnvis.technique(
    "lime",
    family="perturbation",
    reference="arXiv:1602.04938",
    claims={"integrated-gradients": {"units": "row,column", "ridge": 0.0}},
    signed={},
    remarks=_remarks,
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
    tolerance: Tolerance | None = None,
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
    fit = Fit(game.count, len(samples), ridge, is_judged=tolerance is not None)
    going = np.arange(len(samples))
    found, shares = np.zeros((len(samples), game.count)), np.zeros(len(samples))

    def take(left: Array, some: range) -> Array:
        nonlocal going
        playing = game if left.size == len(samples) else game.picked(left)
        fit.keep(np.isin(going, left))
        going = left
        for part, scores in playing.scores(lambda one: kept(some[one.start : one.stop]), len(some)):
            z = kept(some[part.start : part.stop]).astype(np.float64)
            distance = 1 - np.sqrt(z.mean(axis=1))
            fit.add(z, np.exp(-np.square(distance / width)), scores - playing.whole[:, None])
        if tolerance is not None and some.stop < sets and not fit.is_determined:
            return np.full(left.size, np.inf)
        found[left], shares[left] = fit.solved()
        return np.zeros(left.size) if tolerance is None else fit.uncertainty()

    draws = Draws.within(tolerance, FIRST, max(sets, 1))
    passes, unsure = draws.taken(samples, take)
    measures = {"explained_variance": shares, "passes": passes}
    measures |= {} if tolerance is None else {"uncertainty": unsure}
    maps = game.spread(found).astype(np.float32)
    return cnnvis.Explanation(maps, samples, measures=measures)
