"""Class activation maps by a score for each feature map, without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cnnvis

from ._cam_layers import layers_of
from ._feature_maps import features_of, fused

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

AT_ONCE = 2**24
"""Number of values of changed inputs or activations that are held at a time."""


def weighed_by_scores(
    name: str,
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    asked: str,
    weights: Callable[[str, Array, Array], Array],
    most: int | None = None,
) -> cnnvis.Explanation:
    """Return maps of weighed feature maps, without negatives.

    Parameters
    ----------
    asked
        The layers; see `layers_of`.
    weights
        Gives the weights of the feature maps, (n, k), for a layer, its output and its feature maps.
    most
        The largest number of feature maps that it uses; None for all.
    """
    import numpy as np

    maps, passes = [], 0
    for layer in layers_of(name, model, samples, asked):
        whole, features = features_of(model, samples, layer)
        small = np.einsum("n...k,nk->n...", features, weights(layer, whole, features))
        maps.append(model.upsample(np.maximum(small, 0), layer, samples.x.shape[1:]))
        passes += min(features.shape[-1], most or features.shape[-1])
    cnnvis.note(f"{name} runs the network once for each feature map, up to {passes} times an image")
    return cnnvis.Explanation(fused(maps), samples, signed=False)


def of_each_channel(
    name: str, used: Array, size: int, scored: Callable[[Array, Array], Array]
) -> Array:
    """Compute a score for each used channel of each image, a few at a time.

    Parameters
    ----------
    used
        Which channels are used, (n, k).
    size
        The number of values that one pass needs.
    scored
        Computes the scores of pairs of an image and a channel.
    """
    import numpy as np

    rows, channels = np.nonzero(used)
    step = max(AT_ONCE // size, 1)
    found = [np.zeros(0, np.float32)]
    with cnnvis.progress(name, len(rows)) as advance:
        for start in range(0, len(rows), step):
            some = slice(start, start + step)
            found.append(scored(rows[some], channels[some]))
            advance(len(rows[some]))
    return np.concatenate(found)
