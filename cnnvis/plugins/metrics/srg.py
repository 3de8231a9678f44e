"""Symmetric relevance gain: whether what a map says is important is what the network uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cnnvis

ENOUGH = 20
"""Number of images from which an interval that holds 0 is a failure."""


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    import numpy as np

    gain, edges = values["srg"], values["srg_edges"]
    known = gain[~np.isnan(gain)]
    inside = cnnvis.bootstrap_interval(gain)
    if inside is None:
        of = f"{len(known)} image{'' if len(known) == 1 else 's'}"
        mean = f"; the mean is {known.mean():.3g}" if len(known) else ""
        return cnnvis.Verdict(
            "information", f"nothing is judged of {of}: at least five are needed{mean}"
        )
    found = f"{known.mean():.3g} (95 % between {inside[0]:.3g} and {inside[1]:.3g}, {len(known)} images)"
    if inside[0] <= 0 < inside[1] and len(known) < ENOUGH:
        return cnnvis.Verdict(
            "warned", f"{found}: so few images do not decide whether it is above 0"
        )
    if inside[1] < 0:
        return cnnvis.Verdict(
            "failed",
            f"{found}: the score is lower without what the maps call unimportant, so they do not show "
            "what speaks for the target, but at most where the score is sensitive",
        )
    if inside[0] <= 0:
        return cnnvis.Verdict(
            "failed",
            f"{found}: the score falls no more without what the maps call important than without the "
            "rest",
        )
    better = cnnvis.bootstrap_interval(gain - edges)
    if better is None:
        return cnnvis.Verdict("warned", f"{found}; there is no edge filter to compare with")
    if better[0] <= 0:
        return cnnvis.Verdict(
            "warned",
            f"{found}: on these images not clearly above an edge filter, which knows nothing of the network "
            f"and has {np.nanmean(edges):.3g}: the mean difference lies between {better[0]:.3g} and {better[1]:.3g}",
        )
    return cnnvis.Verdict("passed", f"{found}, above the {np.nanmean(edges):.3g} of an edge filter")


@cnnvis.metric(
    "srg",
    reference="arXiv:2401.06654",
    judge=_judge,
    cost=cnnvis.Cost(passes=24),
    better="higher",
)
def srg(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fill: cnnvis.Baseline = "mean",
    fractions: cnnvis.Count = 4,
    units: cnnvis.Units = "auto",
) -> Any:
    """Symmetric gain: how much more of the score goes with what a map calls important than with the rest.

    The mean over removed shares of S(least important removed first) - S(most important removed
    first), for the score S: the symmetric relevance gain of Bluecher et al. 2024. Parts of the input
    are removed, 32 of one axis, 8 x 8 of two, 4 x 4 x 4 of three, with the mean of the map's values as
    their importance: which positions within a part are bright is not tested. ``srg_edges`` and
    ``srg_random`` are the same of an edge filter and of random values. The check fails if the 95 %
    interval of the mean over images does not lie above 0. It warns if the interval holds 0 and there are
    fewer than 20 images, or if the gain is not clearly above the edge filter's. With fewer than five
    images nothing is judged. NaN for a map that is the same everywhere.

    Parameters
    ----------
    fill
        What stands in the place of a removed part: never the method's own baseline, which would
        reward it for what it starts from.
    fractions
        How many shares of the parts are removed.
    """
    maps = cnnvis.map_values(explanation, "srg")
    removal = cnnvis.Removal.of(explanation, model, fill, units)
    samples = removal.samples
    every = {
        "srg": maps,
        "srg_edges": cnnvis.edge_maps(samples.x, samples.channel_axis),
        "srg_random": cnnvis.random_maps(samples.space, samples.indices),
    }
    return {
        name: cnnvis.without_order(one, removal.relevance_gain(one, fractions))
        for name, one in every.items()
    }
