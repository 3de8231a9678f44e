"""Maps that need no network: an edge filter, and random values."""

from __future__ import annotations

import numpy as np

from cnnvis.data.samples import Array


def edge_maps(x: Array, channel_axis: int | None) -> Array:
    """Compute the size of the Sobel gradient of each input, (n, ...) over its spatial axes.

    Over one to three axes; channels are added up. What an edge filter shows looks like a map of a
    network, and owes nothing to it: Adebayo et al. 2018, arXiv:1810.03292.
    """
    from scipy import ndimage

    channel = None if channel_axis is None else channel_axis % x.ndim
    x = np.asarray(x, np.float64)
    planes = x[..., None] if channel is None else np.moveaxis(x, channel, -1)
    found = np.zeros(planes.shape[:-1])
    for row, image in enumerate(planes):
        for plane in np.moveaxis(image, -1, 0):
            steps = [ndimage.sobel(plane, axis, mode="nearest") for axis in range(plane.ndim)]
            found[row] += np.sqrt(np.sum(np.square(steps), axis=0))
    return found


def random_maps(shape: tuple[int, ...], indices: Array) -> Array:
    """Draw a map of random values for each image, (n, ...), by its place in the data."""
    return np.array([np.random.default_rng([1, int(index)]).random(shape) for index in indices])
