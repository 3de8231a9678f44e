"""Grad-CAM++: feature maps, weighted so that several objects count alike."""

from __future__ import annotations

from typing import Any

import cnnvis

from ._cam_layers import Layers
from ._gradient_cams import cancelled, mapped, share_of


@cnnvis.technique(
    "grad-cam-plus-plus",
    family="class activation maps",
    reference="arXiv:1710.11063",
    remarks=cancelled("grad-cam-plus-plus"),
)
def grad_cam_plus_plus(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: Layers = "auto"
) -> cnnvis.Explanation:
    """Class activation map by weights under which several objects, also small ones, count alike.

    L = ReLU(sum over k of w_k A_k), with w_k = sum over positions of a_k ReLU(g_k) and
    a_k = g_k^2 / (2 g_k^2 + s_k g_k^3), for g_k = dS/dA_k, the score S, the feature maps A_k and their
    sums s_k: Chattopadhay et al. 2018, equation 19. The factor e^S that the paper has for all w_k is
    left out. The paper takes feature maps without negative values; a note says where sums are
    negative and weights explode.

    pytorch-grad-cam has this formula. Other libraries have three others, and r is the correlation of
    their maps with those of cnnvis on two to four small networks: torch-cam 0.5 weighs by the sum of
    ReLU(g_k)^3 (r 0.84 to 0.99), tf-keras-vis divides a_k by its sum over positions (r 0.65 to 1.00), and
    Xplique takes the mean of A_k for s_k (r 0.98 to 1.00).
    """
    maps, shares = mapped("grad-cam-plus-plus", model, samples, penultimate, _plus_plus)
    return cnnvis.Explanation(maps, samples, signed=False, measures={"cancelled_share": shares})


def _plus_plus(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    space = list(range(1, len(features.shape) - 1))
    sums = tf.reduce_sum(features, axis=space, keepdims=True)
    # Where a gradient is positive, a_k is 1 / (2 + s_k g_k); elsewhere, the other factor is 0.
    positive = tf.nn.relu(gradients)
    below = 2 + sums * positive
    weights = tf.reduce_sum(tf.math.divide_no_nan(positive, below), axis=space, keepdims=True)
    is_doubtful = tf.reduce_min(below, axis=space, keepdims=True) < 1
    small = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1))
    return small, share_of(is_doubtful, weights * features)
