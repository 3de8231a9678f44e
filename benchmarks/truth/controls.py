"""Techniques that know nothing of the network, or turn round what it says: maps have to be better.

A plugin file, as anybody may write one; ``cnnvis.load_plugin`` loads it.
"""

from __future__ import annotations

from typing import Any

import cnnvis


def _inverted(maps: Any) -> Any:
    """Return the largest value of each map less the map: what was brightest is 0."""
    return maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True) - maps


@cnnvis.technique("random-map", signed={})
def random_map(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """Random values."""
    return cnnvis.Explanation(cnnvis.random_maps(samples.space, samples.indices), samples)


@cnnvis.technique("edge-map", signed={})
def edge_map(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """Edges of the input: the size of its Sobel gradient."""
    return cnnvis.Explanation(cnnvis.edge_maps(samples.x, samples.channel_axis), samples)


@cnnvis.technique("laplace-map", signed={})
def laplace_map(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The size of the input's second derivatives, added up."""
    import numpy as np
    from scipy import ndimage

    x = np.asarray(samples.x, np.float64)
    planes = (
        x[..., None] if samples.channel_axis is None else np.moveaxis(x, samples.channel_axis, -1)
    )
    found = np.zeros(planes.shape[:-1])
    for row, image in enumerate(planes):
        for plane in np.moveaxis(image, -1, 0):
            found[row] += abs(ndimage.laplace(plane, mode="nearest"))
    return cnnvis.Explanation(found, samples)


@cnnvis.technique("input-map", signed={})
def input_map(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The input itself."""
    return cnnvis.Explanation(samples.x.copy(), samples)


@cnnvis.technique("inverted-input-map", signed={})
def inverted_input_map(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
    """The input, inverted: bright where its values are small."""
    return cnnvis.Explanation(_inverted(samples.x), samples)


@cnnvis.technique("inverted-gradient-map", signed={"sizes": False})
def inverted_gradient_map(
    model: cnnvis.Model, samples: cnnvis.Samples, *, sizes: bool = True
) -> cnnvis.Explanation:
    """The gradient, inverted: bright where the score depends little on the input.

    Parameters
    ----------
    sizes
        Invert the sizes of the values; else the values with their signs are negated.
    """
    gradient = model.input_gradient(samples.x)
    if not sizes:
        return cnnvis.Explanation(-cnnvis.channel_max(gradient, samples.channel_axis), samples)
    return cnnvis.Explanation(
        _inverted(cnnvis.channel_max(abs(gradient), samples.channel_axis)), samples
    )
