"""Clusters of neighbouring places, and threshold-free enhancement of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis.data.samples import Array

STEP = 0.1
"""Distance of the thresholds of threshold-free enhancement, in standard deviations."""

EXTENT, HEIGHT = 0.5, 2.0
"""Powers of a cluster's size and of the threshold, as Smith and Nichols 2009 give them."""


def labelled(above: Array, apart: Sequence[int]) -> tuple[Array, int]:
    """Return the number of the cluster of each place, 0 for none, and the number of clusters.

    Places are neighbours that lie side by side along one axis.

    Parameters
    ----------
    above
        True for places in clusters, (n, ...).
    apart
        Axes along which no places are neighbours: 0, and that of channels.
    """
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(above.ndim, 1)
    for axis in apart:
        for end in (0, 2):
            structure[(slice(None),) * axis + (end,)] = False
    found, count = ndimage.label(above, structure)
    return found, int(count)


def masses(z: Array, threshold: float, apart: Sequence[int]) -> tuple[Array, Array]:
    """Return the signed number of the cluster of each place, and the mass of each cluster.

    Parameters
    ----------
    z
        Deviates, (n, ...). Clusters are of places of the same sign whose size is at least the threshold.

    Returns
    -------
    numbers, mass
        (n, ...), 0 for none; and the sum of the sizes in each cluster, (clusters + 1,), 0 first.
    """
    numbers, count = labelled(z >= threshold, apart)
    below, more = labelled(z <= -threshold, apart)
    numbers = numbers + np.where(below, below + count, 0)
    found = np.bincount(numbers.ravel(), abs(z).ravel(), count + more + 1)
    found[0] = 0
    return numbers, found


def largest_masses(z: Array, threshold: float, apart: Sequence[int]) -> Array:
    """Return the mass of the largest cluster of each draw, (n,), 0 where there is none."""
    numbers, mass = masses(z, threshold, apart)
    found: Array = mass[numbers].reshape(len(z), -1).max(axis=1)
    return found


def enhanced(z: Array, apart: Sequence[int], step: float = STEP) -> Array:
    """Return threshold-free cluster enhancement of deviates, of their signs, (n, ...).

    ``sum over thresholds h of e(h)^0.5 h^2 step`` with the size e(h) of the cluster above h around a
    place (Smith and Nichols 2009).

    Parameters
    ----------
    step
        The distance of thresholds.
    """
    found = np.zeros(z.shape)
    for sign in (1, -1):
        sizes = sign * z
        for height in np.arange(step, sizes.max(initial=0) + step, step):
            numbers, count = labelled(sizes >= height, apart)
            if not count:
                break
            extent = np.bincount(numbers.ravel()).astype(np.float64)
            extent[0] = 0
            found += sign * (extent**EXTENT)[numbers] * (height**HEIGHT * step)
    return found
