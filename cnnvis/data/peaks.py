"""Peaks of maps: where their largest values are."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def peaks_of(sizes: Array) -> Array:
    """Return the position of the largest value of each map, (n, axes) int.

    Of several positions with that value, the nearest to their middle: a class activation map has the same value
    from the outermost receptive field on to the edge of the input.

    Parameters
    ----------
    sizes
        The sizes of values, (n, ...), without NaN.
    """
    flat = sizes.reshape(len(sizes), -1)
    found = np.stack(np.unravel_index(flat.argmax(axis=1), sizes.shape[1:]), axis=-1)
    is_largest = flat == flat.max(axis=1, keepdims=True)
    count = is_largest.sum(axis=1)
    # Blank maps are many, and their middle is known.
    found[count == flat.shape[1]] = [(length - 1) // 2 for length in sizes.shape[1:]]
    for row in np.flatnonzero((count > 1) & (count < flat.shape[1])):
        places = np.argwhere(is_largest[row].reshape(sizes.shape[1:]))
        found[row] = places[np.square(places - places.mean(axis=0)).sum(axis=1).argmin()]
    return found
