"""HiResCAM: feature maps times gradients."""

from __future__ import annotations

from typing import Any

import cnnvis

from ._cam_layers import Layers
from ._gradient_cams import mapped


@cnnvis.technique(
    "hires-cam",
    family="class activation maps",
    reference="arXiv:2011.08891",
    claims={"hires-cam": {}},
    signed={},
)
def hires_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: Layers = "auto"
) -> cnnvis.Explanation:
    """Class activation map by feature maps times gradients: what each position adds to the score.

    L = sum over k of g_k A_k, with g_k = dS/dA_k, for the score S and the feature maps A_k: Draelos
    and Carin 2020. Values keep their signs. Where a dense layer follows the feature
    maps, the sum of L over the positions of the layer is S without the constant of that layer.

    pytorch-grad-cam has this formula too, but leaves negative values of L out and scales it, so that its
    sum is not kept.
    """
    maps, _ = mapped("hires-cam", model, samples, penultimate, _hires)
    return cnnvis.Explanation(maps, samples)


def _hires(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(gradients * features, axis=-1)
