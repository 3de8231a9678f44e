"""Agreement of maps with places that are known to matter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnnvis.data.samples import Array


def pointing_hits(maps: Array, masks: Array, tolerance: float = 0) -> Array:
    """Return whether the largest value of each map lies in its mask, (n,): 1 or 0.

    Zhang et al. 2018, doi:10.1007/s11263-017-1059-x. Where several positions have the
    largest value, the share of them that does. NaN for a map that is the same everywhere and for an
    empty mask.

    Parameters
    ----------
    maps, masks
        (n, *space), numbers and bool.
    tolerance
        How far from the mask a position may lie, in positions along a straight line.
    """
    found = np.full(len(maps), np.nan)
    for row, (one, mask) in enumerate(zip(maps, widened_masks(masks, tolerance), strict=True)):
        if masks[row].any() and np.ptp(one) > 0:
            found[row] = mask[one == one.max()].mean()
    return found


def widened_masks(masks: Array, tolerance: float) -> Array:
    """Return masks (n, *space) with all positions that lie so near to one in them."""
    from scipy import ndimage

    if not tolerance:
        return masks
    return np.stack(
        [ndimage.distance_transform_edt(~one) <= tolerance if one.any() else one for one in masks]
    )


def energy_inside(maps: Array, masks: Array) -> Array:
    """Return the share of each map's positive values that lies in its mask, (n,).

    Wang et al. 2020, arXiv:1910.01279, the energy-based pointing game. NaN for a map without positive values and for an
    empty mask.
    """
    flat = np.maximum(maps, 0).reshape(len(maps), -1)
    inside = masks.reshape(len(maps), -1)
    total = flat.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (flat * inside).sum(axis=1) / total
    return np.where((total > 0) & inside.any(axis=1), shares, np.nan)


def average_precision(maps: Array, masks: Array) -> Array:
    """Return the average precision of each map for its mask, (n,).

    The mean of the precision over the positions in the mask: sum_k (R_k - R_(k-1)) P_k for the precision P_k
    and the recall R_k of the positions with at least the k-th largest value. Positions of equal value are
    taken together. A map that knows nothing has about the share of the positions in the mask.

    Parameters
    ----------
    maps, masks
        (n, *space), numbers and bool.

    Returns
    -------
    ndarray
        NaN for a map that is the same everywhere and for an empty mask.
    """
    found = np.full(len(maps), np.nan)
    for row, common, last in _ranked(maps, masks):
        gained = np.diff(common, prepend=0) / common[-1]
        found[row] = (gained * common / (last + 1)).sum()
    return found


def _ranked(maps: Array, masks: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield, for each map that ranks the positions of its mask, what each threshold leaves.

    The number of the map; for each threshold the number of positions in the mask, and the place of the last
    value.
    """
    for row, (one, mask) in enumerate(zip(maps, masks, strict=True)):
        if not mask.any() or np.ptp(one) == 0:
            continue
        order = np.argsort(-one, axis=None)
        values = one.ravel()[order]
        # The last of equal values: a threshold is never between them.
        last = np.append(np.flatnonzero(np.diff(values)), values.size - 1)
        yield row, np.cumsum(mask.ravel()[order])[last], last


def mask_overlap(maps: Array, masks: Array, share: float | None = None) -> Array:
    """Return the intersection over union of each map's largest values and its mask, (n,).

    Parameters
    ----------
    maps, masks
        (n, *space), numbers and bool.
    share
        How large a share of the positions the largest values are, above 0 and up to 1. By default
        the share for which the result is best: the largest over all thresholds. Positions of equal
        value are taken together, so that there may be more of them.

    Returns
    -------
    ndarray
        NaN for a map that is the same everywhere and for an empty mask.
    """
    found = np.full(len(maps), np.nan)
    for row, common, last in _ranked(maps, masks):
        ratios = common / (common[-1] + last + 1 - common)
        if share is None:
            found[row] = ratios.max()
        else:
            wanted = max(1, round(share * (last[-1] + 1)))
            found[row] = ratios[np.searchsorted(last, wanted - 1)]
    return found
