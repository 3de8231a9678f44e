"""Maps with only their strong values."""

from __future__ import annotations

import cnnvis


@cnnvis.transform("threshold")
def threshold(
    explanation: cnnvis.Explanation, *, at: cnnvis.NotNegative = 0.5
) -> cnnvis.Explanation:
    """Keep the values with a size of at least the threshold; set all other values to zero.

    Parameters
    ----------
    at
        The threshold, on the maps' own scale.
    """
    maps = explanation.array
    return explanation.with_maps(maps * (abs(maps) >= at))


@cnnvis.transform("top")
def top(explanation: cnnvis.Explanation, *, percent: cnnvis.Percent = 5.0) -> cnnvis.Explanation:
    """Keep the values of the largest size in each map; set all other values to zero.

    Parameters
    ----------
    percent
        The share of a map's values to keep, in per cent; at least one value.
    """
    import numpy as np

    maps = explanation.array
    sizes = abs(maps).reshape(len(maps), -1)
    count = max(round(sizes.shape[1] * percent / 100), 1)
    least = np.partition(sizes, -count, axis=1)[:, -count]
    kept = abs(maps) >= least.reshape(-1, *(1,) * (maps.ndim - 1))
    return explanation.with_maps(maps * kept)
