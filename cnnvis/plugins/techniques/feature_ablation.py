"""Feature ablation: the fall of the score without each unit of the input."""

from __future__ import annotations

import cnnvis

from ._game import Game

MOST_NAMES = 100
"""Largest number of named units whose falls become measures of their own."""


@cnnvis.technique(
    "feature-ablation",
    family="perturbation",
    reference="arXiv:1311.2901",
    claims={
        "integrated-gradients": {"units": "row,column"},
        "occlusion": {"units": "row,column", "baseline": 0.0},
    },
    signed={},
)
def feature_ablation(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    units: cnnvis.Units = "auto",
    baseline: cnnvis.Baseline = "mean",
) -> cnnvis.Explanation:
    """Fall of the score without each unit of the input, such as each group that a person named.

    M(p) = S(x) - S(x without the unit of p), for the score S and the input x, as Zeiler and Fergus
    2014, section 4.2, with units that do not overlap. Units that a file names have their fall as a
    measure, too, in each table of the maps.

    Parameters
    ----------
    baseline
        What stands in the place of a unit.
    """
    import numpy as np

    game = Game.of(model, samples, baseline, units)
    every = np.eye(game.count, dtype=bool)
    left = [
        scores for _, scores in game.scores(lambda some: ~every[some.start : some.stop], game.count)
    ]
    falls = game.whole[:, None] - np.concatenate(left, axis=1)
    names = cnnvis.unit_names(samples, units)
    measures = dict(zip([f"fall without {name}" for name in names], falls.T, strict=False))
    return cnnvis.Explanation(
        game.spread(falls).astype(np.float32),
        samples,
        measures=measures if len(names) <= MOST_NAMES else {},
    )
