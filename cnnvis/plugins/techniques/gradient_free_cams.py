"""Class activation maps without gradients: Score-CAM, Ablation-CAM and Eigen-CAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.techniques._cam_layers import features_of, fused, layers_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

AT_ONCE = 2**24
"""Number of values of changed inputs or activations that are held at a time."""


@cnnvis.technique("score-cam", reference="arXiv:1910.01279", paper={"baseline": 0.0})
def score_cam(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    baseline: cnnvis.Baseline = "auto",
    most_channels: cnnvis.Count | None = None,
    penultimate: str = "auto",
) -> cnnvis.Explanation:
    """Regions that keep the score when the rest of the input is hidden, by feature maps as masks.

    L = ReLU(sum over k of w_k A_k), with w = softmax over k of S(x' + m_k (x - x')), for the score S
    before a softmax or sigmoid, the input x, the baseline x' and the masks m_k: the feature maps A_k,
    laid over the input and each scaled to [0, 1]: Wang et al. 2020, where x' is 0. The score of the
    baseline, which the paper subtracts, changes nothing before the softmax. The network runs once for
    each feature map of each image.

    Parameters
    ----------
    baseline
        What is shown where the mask hides the input: a number for every value; or by name, such as
        zero, mean, class:NAME, sample:N, blur or noise. auto is zero, or the mean of the data where
        more than 30 % of the positions are zero.
    most_channels
        The largest number of feature maps to use, those that vary the most over positions of the
        image; none for all.
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map is divided by its maximum, and the mean is shown.
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
    maps, passes = [], 0
    for layer in layers_of("score-cam", model, samples, penultimate):
        _, features = features_of(model, samples, layer)
        used = _varying(features, most_channels)

        def masked(rows: Array, channels: Array, of: Array = features, at: str = layer) -> Array:
            masks = _from_0_to_1(model.upsample(of[rows, ..., channels], at, x.shape[1:]))
            if samples.channel_axis is not None:
                masks = np.expand_dims(masks, samples.channel_axis)
            changed = start[rows] + masks * (x[rows] - start[rows])
            return model.scores(changed, weights=weights[rows], of=rows.tolist())

        scores = np.where(used.any(axis=1, keepdims=True) & ~used, -np.inf, 0)
        scores[used] = _for_each(used, x[0].size, masked, "score-cam")
        shares = softmax(scores, axis=1) * used
        small = np.maximum(np.einsum("n...k,nk->n...", features, shares), 0)
        maps.append(model.upsample(small, layer, x.shape[1:]))
        passes += int(used.sum(axis=1).max())
    cnnvis.note(
        f"score-cam ran the network up to {passes} times for each image; --most-channels makes it fewer"
    )
    return cnnvis.Explanation(fused(maps), samples, signed=False)


@cnnvis.technique("ablation-cam", reference="doi:10.1109/WACV45572.2020.9093360")
def ablation_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str = "auto"
) -> cnnvis.Explanation:
    """Regions that speak for the target, by what the score loses without each feature map.

    L = ReLU(sum over k of w_k A_k), with w_k = (S - S_k) / |S|, for the score S, the feature maps A_k
    and the score S_k with A_k set to 0: Desai and Ramaswamy 2020, who divide by S, which turns the
    map where S is negative. The network runs once, from the layer on, for each feature map of each
    image.

    Parameters
    ----------
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map is divided by its maximum, and the mean is shown.
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    whole_score = model.scores(x, weights=weights)[:, None]
    maps, passes = [], 0
    for layer in layers_of("ablation-cam", model, samples, penultimate):
        whole, features = features_of(model, samples, layer)
        axis = 1 if model.has_channels_first(layer) else -1
        used = np.moveaxis(whole != 0, axis, 1).reshape(len(x), features.shape[-1], -1).any(axis=2)

        def ablated(rows: Array, channels: Array, of: Array = whole, at: str = layer) -> Array:
            changed = of[rows]
            last = np.moveaxis(changed, 1, -1) if model.has_channels_first(at) else changed
            last[np.arange(len(rows)), ..., channels] = 0
            return model.scores_from(at, changed, x[rows], weights=weights[rows], of=rows.tolist())

        fall = np.zeros(used.shape, np.float32)
        size = max(whole[0].size, x[0].size)
        fall[used] = whole_score.repeat(used.shape[1], axis=1)[used] - _for_each(
            used, size, ablated, "ablation-cam"
        )
        shares = fall / np.where(whole_score != 0, abs(whole_score), 1)
        small = np.maximum(np.einsum("n...k,nk->n...", features, shares), 0)
        maps.append(model.upsample(small, layer, x.shape[1:]))
        passes += int(used.sum(axis=1).max())
    cnnvis.note(
        f"ablation-cam ran the network up to {passes} times for each image, from the layer on"
    )
    return cnnvis.Explanation(fused(maps), samples, signed=False)


@cnnvis.technique("eigen-cam", reference="arXiv:2008.00299", claims={"any-target": {}}, signed={})
def eigen_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str = "auto"
) -> cnnvis.Explanation:
    """What stands out in a layer, whatever the target is: the main component of its feature maps.

    L = A v, for the feature maps A as a matrix with a row for each position, and its first right
    singular vector v; A is not centred: Muhammad and Yeasin 2020. The sign of v, which is free, is
    that by which L is positive where the sum of all feature maps is.

    Parameters
    ----------
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map is divided by its largest size, and the mean is shown.
    """
    import numpy as np

    maps = []
    for layer in layers_of("eigen-cam", model, samples, penultimate):
        _, features = features_of(model, samples, layer)
        small = np.zeros(features.shape[:-1], np.float32)
        for one, found in zip(features, small, strict=True):
            rows = one.reshape(-1, one.shape[-1])
            left, sizes, _ = np.linalg.svd(rows, full_matrices=False)
            component = left[:, 0] * sizes[0]
            turn = -1 if component @ rows.sum(axis=1) < 0 else 1
            found[:] = (turn * component).reshape(found.shape)
        maps.append(model.upsample(small, layer, samples.x.shape[1:]))
    cnnvis.note("the maps of eigen-cam are the same for every target")
    return cnnvis.Explanation(fused(maps), samples)


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


def _for_each(used: Array, size: int, scored: Callable[[Array, Array], Array], name: str) -> Array:
    """Compute scores for the used channels of each image, as `used` lists them, some at a time."""
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
