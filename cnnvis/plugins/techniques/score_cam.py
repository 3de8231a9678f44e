"""Score-CAM: feature maps as masks of the input, weighted by the scores of what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._cam_layers import Layers
from ._channel_scores import of_each_channel, weighed_by_scores

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "score-cam",
    family="class activation maps",
    reference="arXiv:1910.01279",
    paper={"baseline": 0.0},
)
def score_cam(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    baseline: cnnvis.Baseline = "auto",
    most_channels: cnnvis.Count | None = None,
    penultimate: Layers = "auto",
) -> cnnvis.Explanation:
    """Class activation map by masks: the score of what each feature map leaves of the input.

    L = ReLU(sum over k of w_k A_k), with w = softmax over k of S(x' + m_k (x - x')), for the score S
    before a softmax or sigmoid, the input x, the baseline x' and the masks m_k: the feature maps A_k,
    laid over the input and each scaled to [0, 1]: Wang et al. 2020, where x' is 0. The score of the
    baseline, which the paper subtracts, changes nothing before the softmax. The network runs once for
    each feature map of each image.

    pytorch-grad-cam and torch-cam have this formula, with x' = 0. tf-keras-vis takes the softmax over
    classes and not over feature maps: r is the correlation of its maps with those of cnnvis on four small
    networks (r 0.96 to 1.00).

    Parameters
    ----------
    baseline
        What is shown where the mask hides the input.
    most_channels
        The largest number of feature maps to use, those that vary the most over positions of the
        image; none for all.
    """
    import numpy as np
    from scipy.special import softmax

    if (samples.input or model.inputs[0].name) not in model.movable_inputs:
        raise cnnvis.UserError(
            "score-cam hides parts of the input, and this input holds whole numbers, between which "
            "no values lie; use ablation-cam or grad-cam"
        )
    x = np.asarray(samples.x, np.float32)
    start, weights = np.broadcast_to(samples.baseline(baseline), x.shape), model.target_weights(x)

    def shares(layer: str, _: Array, features: Array) -> Array:
        used = _varying(features, most_channels)

        def masked(rows: Array, channels: Array) -> Array:
            masks = model.upsample(features[rows, ..., channels], layer, x.shape[1:])
            masks = _from_0_to_1(masks)
            if samples.channel_axis is not None:
                masks = np.expand_dims(masks, samples.channel_axis)
            changed = start[rows] + masks * (x[rows] - start[rows])
            return model.scores(changed, weights=weights[rows], of=rows.tolist())

        # A softmax over the used ones; of none, nothing is shown.
        scores = np.where(used.any(axis=1, keepdims=True) & ~used, -np.inf, 0)
        scores[used] = of_each_channel("score-cam", used, x[0].size, masked)
        found: Array = softmax(scores, axis=1) * used
        return found

    return weighed_by_scores("score-cam", model, samples, penultimate, shares, most_channels)


def _varying(features: Array, most: int | None) -> Array:
    """Tell which feature maps are no constants, (n, k); of many, those that vary the most."""
    import numpy as np

    space = tuple(range(1, features.ndim - 1))
    found: Array = np.ptp(features, axis=space) > 0
    if most is not None:
        varied = np.var(features, axis=space, dtype=np.float64)
        order = np.argsort(-varied, axis=1, kind="stable")
        np.put_along_axis(found, order[:, most:], False, axis=1)
    return found


def _from_0_to_1(masks: Array) -> Array:
    """Scale each mask by itself to [0, 1]; one that is the same everywhere becomes 0."""
    import numpy as np

    space = tuple(range(1, masks.ndim))
    low, spread = masks.min(axis=space, keepdims=True), np.ptp(masks, axis=space, keepdims=True)
    found: Array = (masks - low) / np.where(spread > 0, spread, 1)
    return found
