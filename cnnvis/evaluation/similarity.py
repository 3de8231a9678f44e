"""Similarity of two maps, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis.data.samples import Array

MEASURES = {
    "largest": "the largest difference of two values at one place",
    "mean": "the mean size of the differences",
    "share": "the largest difference as a share of the first map's largest size",
    "pearson": "Pearson's correlation of the values",
    "spearman": "Spearman's correlation of their ranks",
    "overlap": "the share of the strongest places, none of them zero, that are the strongest of both",
    "ssim": "the structural similarity index of Wang et al. 2004, doi:10.1109/TIP.2003.819861",
}
"""Measures of each pair of maps. NaN where a map is constant or too small."""


def similarity_of(a: Array, b: Array, top: float, channel: int | None) -> dict[str, float]:
    """Return the value of each of `MEASURES` for two maps.

    Parameters
    ----------
    a, b
        Two maps of the same shape, of any number of axes, float64.
    top
        How many per cent of the places are the strongest.
    channel
        The axis of the channels; None for maps without one.
    """
    from scipy import stats

    difference, size = np.abs(a - b), np.abs(a).max()
    flat = np.ptp(a) == 0 or np.ptp(b) == 0
    return {
        "largest": float(difference.max()),
        "mean": float(difference.mean()),
        "share": float(difference.max() / size) if size else float("nan"),
        "pearson": float("nan") if flat else float(stats.pearsonr(a.ravel(), b.ravel())[0]),
        "spearman": float("nan") if flat else float(stats.spearmanr(a.ravel(), b.ravel())[0]),
        "overlap": _overlap(a, b, top),
        "ssim": _ssim(a, b, channel),
    }


def _overlap(a: Array, b: Array, top: float) -> float:
    """Return the overlap of the strongest places of two maps, as a share.

    The overlap is the sum over places of the smaller of the two weights, divided by the larger of
    the two sums of weights: 1 for a map and itself, and 0 for maps without a common place. Products
    of weights would measure how much is in common where ties are broken at random; then a map with
    ties would not be equal to itself.
    """
    count = max(1, round(a.size * top / 100))
    if not a.any() or not b.any():
        return float("nan")
    first, second = _strength(a, count), _strength(b, count)
    return float(np.minimum(first, second).sum() / max(first.sum(), second.sum()))


def _strength(one: Array, count: int) -> Array:
    """Return the weight of each place among the `count` strongest: 1, 0, or a share for ties.

    A place without a value has the weight 0, so the weights may add up to less than `count`. Places
    of equal size share the remaining weight, whatever their order.
    """
    sizes = np.abs(one).ravel()
    sizes = np.where(sizes > 0, sizes, 0)
    weakest = np.partition(sizes, -count)[-count]
    above, tied = sizes > weakest, (sizes == weakest) & (sizes > 0)
    share = (count - above.sum()) / max(1, tied.sum())
    found: Array = above + share * tied
    return found


def _ssim(a: Array, b: Array, channel: int | None) -> float:
    from skimage import metrics

    space = [size for axis, size in enumerate(a.shape) if axis != channel]
    window = min(7, *(size - 1 + size % 2 for size in space)) if space else 0
    low = min(a.min(), b.min())
    spread = max(a.max(), b.max()) - low
    if window < 3 or spread == 0:
        return float("nan")
    similarity: Any = metrics.structural_similarity
    # The index is made for brightnesses: of values around zero, two wrong signs, one in the means
    # and one in the structure, would make a right one.
    return float(
        similarity(a - low, b - low, win_size=window, data_range=spread, channel_axis=channel)
    )
