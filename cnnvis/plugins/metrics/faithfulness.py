"""Agreement of what a map gives to removed parts with what the score loses."""

from __future__ import annotations

from typing import Any

import cnnvis


def _check_draws(*, draws: int, **_: Any) -> None:
    if draws < 3:
        raise cnnvis.UserError(f"draws is {draws}, and of fewer than 3 nothing can be said")


@cnnvis.metric("infidelity", reference="arXiv:1901.09392", check=_check_draws, better="lower")
def infidelity(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fill: cnnvis.Baseline = "mean",
    draws: cnnvis.Count = 32,
    units: cnnvis.Units = "auto",
    seed: cnnvis.Seed = 0,
) -> Any:
    """Error of the sums of a map over random parts as estimates of what the score loses without these.

    The smallest E[(b a + c - d)^2] over factors b >= 0 and offsets c, as a share of the variance of d: 0
    for a map whose sums a are the drops d of the score up to a factor and an offset, about 1 for a map
    that says nothing. Yeh et al. 2019, definition 2.1 with the optimal scaling of section 2.2, since
    methods differ in the scale of their maps; half of the parts are removed each time, so that a map
    that only counts them gains nothing. A map is read as contributions, as that of integrated
    gradients: for a gradient, the paper multiplies by what is removed. NaN for a map that is the same
    everywhere, or where the score never changes.

    Parameters
    ----------
    fill
        What stands in the place of a removed part.
    draws
        How many times random parts are removed, the same ones for every method.
    """
    import numpy as np

    maps = cnnvis.map_values(explanation, "infidelity")
    removal = cnnvis.Removal.of(explanation, model, fill, units)
    whole, sums = removal.left(), removal.sums(maps)
    given, drops = [], []
    for number in range(draws):
        is_out = removal.random_parts(removal.count // 2, seed, number)
        given.append((sums * is_out).sum(axis=1))
        drops.append(whole - removal.left(is_out))
    found = cnnvis.scaled_infidelity(np.array(given), np.array(drops))
    return cnnvis.without_order(maps, found)


@cnnvis.metric(
    "sensitivity-n",
    reference="arXiv:1711.06104",
    check=_check_draws,
    better="higher",
)
def sensitivity_n(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    *,
    fill: cnnvis.Baseline = "mean",
    sizes: cnnvis.Count = 4,
    draws: cnnvis.Count = 16,
    units: cnnvis.Units = "auto",
    seed: cnnvis.Seed = 0,
) -> Any:
    """Correlation of the sum of a map over n random parts with the drop of the score without them.

    Pearson's correlation over `draws` random sets of n parts, averaged over several n: the sensitivity-n
    of Ancona et al. 2018, who take 100 sets each for n from 1 to 80 % of the values. 1 for a map whose sums are
    the drops, as for a linear network; about 0 for a map that knows nothing. So few sets make it a
    noisy number for one image: look at the mean over many. NaN where the sums, or the drops, are all
    the same.

    Parameters
    ----------
    fill
        What stands in the place of a removed part.
    sizes
        How many n there are, from 1 to 80 % of the parts, in equal steps of their logarithm.
    draws
        How many sets of parts are removed for each n, the same ones for every method.
    """
    import numpy as np

    maps = cnnvis.map_values(explanation, "sensitivity-n")
    removal = cnnvis.Removal.of(explanation, model, fill, units)
    whole, sums = removal.left(), removal.sums(maps)
    largest = max(1, round(0.8 * removal.count))
    found = []
    for size in np.unique(np.round(np.geomspace(1, largest, sizes)).astype(int)):
        given, drops = [], []
        for number in range(draws):
            is_out = removal.random_parts(int(size), seed, int(size), number)
            given.append((sums * is_out).sum(axis=1))
            drops.append(whole - removal.left(is_out))
        found.append(cnnvis.pearson(np.array(given), np.array(drops)))
    known = ~np.isnan(found)
    total = np.where(known, found, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
