"""Difference of the sum of maps from the sum that theory gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

CANCELLED = 0.01
"""Share of the sizes of contributions by which a gap is measured where they almost cancel out."""

FAR = 0.2
"""Gap from which on a map is not said to add up."""

ROUNDING = 2.4e-7
"""Share of a score that is lost in single precision, in which networks compute."""


def completeness_gap(
    sums: Array, sizes: Array, change: Array, *, score: Array | float = 0.0
) -> Array:
    """Return the completeness gap of maps, as a share of the change of the score.

    (|sum of M - (S(x) - S(x'))| - r) / max(|S(x) - S(x')|, 0.01 sum of |M|), at least 0, for the map M of
    an input x and a baseline x', and r = 2.4e-7 |S(x)|, by which scores are rounded: zero where a map is
    complete in the sense of Sundararajan et al. 2017, arXiv:1703.01365, proposition 1.

    Parameters
    ----------
    sums, sizes
        The sum of each map, and the sum of its absolute values, (n,).
    change
        S(x) - S(x'), (n,).
    score
        S(x), (n,). The gap is NaN where S(x) is no finite number, or rounds the change by so much that the
        map may add up and may not. By default scores are taken to be exact.

    Returns
    -------
    ndarray
        (n,) float64.
    """
    import numpy as np

    scale = np.maximum(abs(np.asarray(change, np.float64)), CANCELLED * np.asarray(sizes))
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    rounded = ROUNDING * abs(np.asarray(score, np.float64))
    gap: Array = np.maximum(abs(sums - change) - rounded, 0) / scale
    is_nothing = (np.asarray(change) == 0) & (np.asarray(sizes) == 0)
    return np.where((rounded > FAR * scale) & (gap <= FAR) & ~is_nothing, np.nan, gap)


def completeness_gap_of_maps(maps: Array, score: Array, start: Array) -> Array:
    """Return the completeness gap of maps, (n,) float64; see `completeness_gap`.

    Parameters
    ----------
    maps
        The maps, (n, ...).
    score, start
        S(x) and S(x'), (n,).
    """
    import numpy as np

    axes = tuple(range(1, maps.ndim))
    sums, sizes = maps.sum(axis=axes, dtype=np.float64), abs(maps).sum(axis=axes, dtype=np.float64)
    return completeness_gap(sums, sizes, np.asarray(score, np.float64) - start, score=score)


def within(gap: float) -> str:
    """Return a gap in words, as a bound: what is rounded is rounded up, to a tenth of a per cent."""
    return f"within {bound(gap)}"


def bound(gap: float) -> str:
    """Return a gap in per cent, rounded up to a tenth."""
    import numpy as np

    return f"{max(np.ceil(1000 * gap) / 10, 0.1):.1f}%"


def chance_in_words(unsure: float) -> str:
    """Say how far chance may have taken a map, for its title; nothing where that is not known."""
    import numpy as np

    return f", certain {within(unsure)}" if np.isfinite(unsure) else ""


def sum_in_words(gap: float) -> str:
    """Say how well a map adds up, for its title; nothing where that is not known."""
    import numpy as np

    if np.isnan(gap):
        return ""
    return f", adds up {within(gap)}" if gap <= FAR else f", does not add up, off by {bound(gap)}"
