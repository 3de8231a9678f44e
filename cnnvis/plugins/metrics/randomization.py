"""Randomization: whether a map depends on what the network has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

PASSES, FAILS = 0.15, 0.2
BINS = 100


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    import numpy as np

    from . import _reasons

    known = values["randomization"][~np.isnan(values["randomization"])]
    if not len(known):
        why = _reasons.nothing(values["randomization_reason"])
        return cnnvis.Verdict("information", why)
    mean = float(known.mean())
    found = f"the correlation of signed maps with those of permuted networks is {mean:.2f}"
    found += _reasons.known_share(len(known), len(values["randomization"]))
    if mean > FAILS:
        return cnnvis.Verdict(
            "failed",
            f"{found}: maps look much the same with permuted weights, so they depend little on them",
        )
    if mean >= PASSES:
        return cnnvis.Verdict("warned", f"{found}, between the {PASSES} that passes and {FAILS}")
    return cnnvis.Verdict("passed", f"{found}, so maps depend on the weights")


# A map, four of permuted networks, and about one map's time to copy and compile the network.
@cnnvis.metric(
    "randomization",
    reference="arXiv:1810.03292",
    judge=_judge,
    cost=cnnvis.Cost(signed_maps=6),
    better="lower",
)
def randomization(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    explainer: cnnvis.Explainer,
    *,
    networks: cnnvis.Count = 4,
    seed: cnnvis.Seed = 0,
) -> Any:
    """Size of Spearman's correlation of a map with those of networks whose weights are permuted.

    |mean over networks of the correlation|, as Adebayo et al. 2018, with all layers at once and the
    signs kept: with the last layer alone, or with absolute values, verdicts turn round. A smooth map
    correlates with any other by chance, once this way and once that, which the mean over networks
    takes out before its size is taken. Positions where the input is the method's baseline do not
    count, since the map is 0 there for every network; nor do networks whose map is the same
    everywhere. Below 0.15 passes, above 0.2 fails, the mean over images. NaN where no network is
    left; ``randomization_reason`` is then the number of the reason, 0 for none.

    ``randomization_complexity`` is the efficient form of Hedström et al. 2024, arXiv:2401.06465,
    equation 3: how much the entropy of the map grows, as a share of it.

    Parameters
    ----------
    networks
        How many networks with permuted weights there are.
    """
    import numpy as np

    from . import _reasons

    samples = explanation.samples
    own = [target.filters for target in explanation.targets]
    if samples is None:
        return _unjudged(len(explanation), _reasons.NO_IMAGES)
    if not explainer.has_signs:
        return _unjudged(len(explanation), _reasons.NO_SIGNS)
    if any(len(filters) != 1 for filters in own):
        return _unjudged(len(explanation), _reasons.SEVERAL)
    filters = [one[0] for one in own]
    maps = explainer.maps(samples, filters, signed=True)
    where = _where(maps, samples, explainer.baseline(samples))
    before = _entropies(maps)
    alike, growth = [], []
    for other in model.with_permuted_weights(range(seed, seed + networks)):
        random = explainer.maps(samples, filters, model=other, signed=True)
        # A network whose activations are all dead, or too large for a number, has no map.
        is_map = np.isfinite(random).reshape(len(random), -1).all(axis=1)
        random[~is_map] = 0
        alike.append(cnnvis.spearman(maps, random, where))
        change = (_entropies(random) - before) / np.where(before > 0, before, np.nan)
        growth.append(np.where(np.isnan(alike[-1]), np.nan, change))
    if not alike:
        return _unjudged(len(explanation), _reasons.SAME_WEIGHTS)
    found = _known_mean(alike)
    is_blank = np.isnan(cnnvis.spearman(maps, maps, where))
    reasons = np.where(is_blank, _reasons.BLANK, _reasons.BLANK_OTHERS)
    return {
        "randomization": abs(found),
        "randomization_complexity": _known_mean(growth),
        "randomization_reason": np.where(np.isnan(found), reasons, 0),
    }


def _unjudged(count: int, reason: int) -> dict[str, Array]:
    import numpy as np

    nothing = np.full(count, np.nan)
    return {
        "randomization": nothing,
        "randomization_complexity": nothing,
        "randomization_reason": np.full(count, reason),
    }


def _known_mean(values: list[Array]) -> Array:
    """Return the mean of arrays (n,) without what is NaN; NaN where all are."""
    import numpy as np

    is_known = ~np.isnan(values)
    counts = is_known.sum(axis=0)
    found: Array = np.where(is_known, values, 0).sum(axis=0) / np.where(counts, counts, np.nan)
    return found


def _where(maps: Array, samples: cnnvis.Samples, start: Array | None) -> Array | None:
    """Return the values of maps where the input is not the baseline; None for all."""
    import numpy as np

    if start is None:
        return None
    differs = np.asarray(samples.x, np.float32) != start
    if differs.shape != maps.shape and samples.channel_axis is not None:
        differs = differs.any(axis=samples.channel_axis)
    return differs if differs.shape == maps.shape else None


def _entropies(maps: Array) -> Array:
    """Return the entropy of the histogram of each map's values, in bits, (n,)."""
    import numpy as np

    found = []
    for one in maps.reshape(len(maps), -1):
        counts, _ = np.histogram(one, BINS)
        shares = counts[counts > 0] / counts.sum()
        found.append(-(shares * np.log2(shares)).sum())
    return np.array(found)
