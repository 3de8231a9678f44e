"""XGrad-CAM: feature maps, weighted so that they add up to the score."""

from __future__ import annotations

from typing import Any

import cnnvis

from ._cam_layers import Layers
from ._gradient_cams import cancelled, mapped, share_of

CANCELLED = 10.0
"""Size of the values of a feature map, as a multiple of their sum, beyond which weights explode."""


@cnnvis.technique(
    "xgrad-cam",
    family="class activation maps",
    reference="arXiv:2008.02312",
    claims={"equals": {"technique": "hires-cam", "where": "pooled"}},
    signed={},
    remarks=cancelled("xgrad-cam"),
)
def xgrad_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: Layers = "auto"
) -> cnnvis.Explanation:
    """Class activation map by weights under which it adds up to the score, as far as weights can.

    L = sum over k of w_k A_k, with w_k = sum of g_k A_k / sum of A_k over positions, for g_k = dS/dA_k,
    the score S and the feature maps A_k: Fu et al. 2020. Values keep their signs. The sum
    of L is that of hires-cam. A note says where values of both signs cancel in the sum of A_k, so that
    weights explode.

    pytorch-grad-cam and torch-cam have these weights too, but leave negative values of L out and scale it,
    so that its sum is not kept.
    """
    maps, shares = mapped("xgrad-cam", model, samples, penultimate, _xgrad)
    return cnnvis.Explanation(maps, samples, measures={"cancelled_share": shares})


def _xgrad(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    space = list(range(1, len(features.shape) - 1))
    sums = tf.reduce_sum(features, axis=space, keepdims=True)
    sizes = tf.reduce_sum(tf.abs(features), axis=space, keepdims=True)
    weights = tf.math.divide_no_nan(
        tf.reduce_sum(gradients * features, axis=space, keepdims=True), sums
    )
    parts = weights * features
    return tf.reduce_sum(parts, axis=-1), share_of(sizes > CANCELLED * tf.abs(sums), parts)
