"""Ablation-CAM: feature maps, weighted by what the score loses without each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._cam_layers import Layers
from ._channel_scores import of_each_channel, weighed_by_scores

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "ablation-cam", family="class activation maps", reference="doi:10.1109/WACV45572.2020.9093360"
)
def ablation_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: Layers = "auto"
) -> cnnvis.Explanation:
    """Class activation map by what the score loses without each feature map.

    L = ReLU(sum over k of w_k A_k), with w_k = (S - S_k) / |S|, for the score S, the feature maps A_k
    and the score S_k with A_k set to 0: Desai and Ramaswamy 2020, who divide by S, which turns the
    map where S is negative. The network runs once, from the layer on, for each feature map of each
    image.

    pytorch-grad-cam divides by S. Where S is above 0, its maps are those of cnnvis; where S is below 0, on
    two small networks, the correlation r with them is negative (r -0.39 to -0.31).
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    score = model.scores(x, weights=weights)[:, None]

    def shares(layer: str, whole: Array, _: Array) -> Array:
        axis = 1 if model.has_channels_first(layer) else whole.ndim - 1
        used = (whole != 0).any(axis=tuple(a for a in range(1, whole.ndim) if a != axis))

        def ablated(rows: Array, channels: Array) -> Array:
            changed = whole[rows]
            np.moveaxis(changed, axis, -1)[np.arange(len(rows)), ..., channels] = 0
            return model.scores_from(
                layer, changed, x[rows], weights=weights[rows], of=rows.tolist()
            )

        left = np.repeat(score, used.shape[1], axis=1)
        left[used] = of_each_channel("ablation-cam", used, max(whole[0].size, x[0].size), ablated)
        found: Array = (score - left) / np.where(score != 0, abs(score), 1)
        return found

    return weighed_by_scores("ablation-cam", model, samples, penultimate, shares)
