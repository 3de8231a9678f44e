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

    known = values["randomization"][~np.isnan(values["randomization"])]
    if not len(known):
        return cnnvis.Verdict(
            "information",
            "nothing is judged: the method says nothing of signs, or the target is no single output",
        )
    mean = float(known.mean())
    found = f"the correlation of signed maps with those of permuted networks is {mean:.2f}"
    if mean > FAILS:
        return cnnvis.Verdict(
            "failed",
            f"{found}: maps look much the same with permuted weights, so they depend little on them",
        )
    if mean >= PASSES:
        return cnnvis.Verdict("warned", f"{found}, between the {PASSES} that passes and {FAILS}")
    return cnnvis.Verdict("passed", f"{found}, so maps depend on the weights")


@cnnvis.metric("randomization", reference="arXiv:1810.03292", judge=_judge, better="lower")
def randomization(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    explainer: cnnvis.Explainer,
    *,
    networks: cnnvis.Count = 4,
    seed: int = 0,
) -> Any:
    """Size of Spearman's correlation of a map with those of networks whose weights are permuted.

    |mean over networks of the correlation|, as Adebayo et al. 2018, with all layers at once and the
    signs kept: with the last layer alone, or with absolute values, verdicts turn round. A smooth map
    correlates with any other by chance, once this way and once that, which the mean over networks
    takes out before its size is taken. Positions where the input is the method's baseline do not
    count, since the map is 0 there for every network. Below 0.15 passes, above 0.2 fails, the mean
    over images.

    ``randomization_complexity`` is the efficient form of Hedström et al. 2024, arXiv:2401.06465,
    equation 3: how much the entropy of the map grows, as a share of it.

    Parameters
    ----------
    networks
        How many networks with permuted weights there are.
    seed
        Of the permutations.
    """
    import numpy as np

    if seed < 0:
        raise cnnvis.UserError(f"seed is {seed}, and must not be negative")
    samples = explanation.samples
    own = [target.filters for target in explanation.targets]
    nothing = np.full(len(explanation), np.nan)
    if samples is None or not explainer.has_signs or any(len(filters) != 1 for filters in own):
        return {"randomization": nothing, "randomization_complexity": nothing}
    filters = [one[0] for one in own]
    maps = explainer.maps(samples, filters, signed=True)
    where = _where(maps, samples, explainer.baseline(samples))
    alike, growth = [], []
    for number in range(networks):
        other = model.with_permuted_weights(seed + number)
        random = explainer.maps(samples, filters, model=other, signed=True)
        alike.append(cnnvis.spearman(maps, random, where))
        before, after = _entropies(maps), _entropies(random)
        growth.append((after - before) / np.where(before > 0, before, np.nan))
    return {
        "randomization": abs(np.mean(alike, axis=0)),
        "randomization_complexity": np.mean(growth, axis=0),
    }


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
