"""Class activation maps by gradients: HiResCAM, LayerCAM, Grad-CAM++ and XGrad-CAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.techniques._cam_layers import fused, layers_of, weighed

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

CANCELLED = 10.0
"""Size of the values of a feature map, as a multiple of their sum, beyond which weights explode."""

NOTED = 0.01
"""Share of a map that may come from such feature maps without a note."""


@cnnvis.technique(
    "hires-cam",
    family="class activation maps",
    reference="arXiv:2011.08891",
    claims={"hires-cam": {}},
    signed={},
)
def hires_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str = "auto"
) -> cnnvis.Explanation:
    """Class activation map by feature maps times gradients: what each position adds to the score.

    L = sum over k of g_k A_k, with g_k = dS/dA_k, for the score S and the feature maps A_k: Draelos
    and Carin 2020. Values keep their signs. Where a dense layer follows the feature
    maps, the sum of L over the positions of the layer is S without the constant of that layer.

    pytorch-grad-cam has this formula too, but leaves negative values of L out and scales it, so that its
    sum is not kept.

    Parameters
    ----------
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map is divided by its largest size, and the mean is shown.
    """
    maps = _mapped("hires-cam", model, samples, penultimate, _hires)
    return cnnvis.Explanation(maps, samples)


@cnnvis.technique(
    "layer-cam",
    family="class activation maps",
    reference="doi:10.1109/TIP.2021.3089943",
    claims={"layer-cam": {}},
)
def layer_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str = "auto"
) -> cnnvis.Explanation:
    """Class activation map by feature maps times positive gradients, fine also in early layers.

    L = ReLU(sum over k of ReLU(g_k) A_k), with g_k = dS/dA_k, for the score S and the feature maps
    A_k: Jiang et al. 2021.

    Parameters
    ----------
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map L is divided by its maximum m, all but the last layer's go through tanh(2 L / m), and
        the maximum at each position is shown, as in the paper.
    """
    maps = _mapped("layer-cam", model, samples, penultimate, _layer)
    return cnnvis.Explanation(maps, samples, signed=False)


@cnnvis.technique(
    "grad-cam-plus-plus", family="class activation maps", reference="arXiv:1710.11063"
)
def grad_cam_plus_plus(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str = "auto"
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

    Parameters
    ----------
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map is divided by its maximum, and the mean is shown.
    """
    maps = _mapped("grad-cam-plus-plus", model, samples, penultimate, _plus_plus)
    return cnnvis.Explanation(maps, samples, signed=False)


@cnnvis.technique(
    "xgrad-cam",
    family="class activation maps",
    reference="arXiv:2008.02312",
    claims={"equals": {"technique": "hires-cam", "where": "pooled"}},
    signed={},
)
def xgrad_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str = "auto"
) -> cnnvis.Explanation:
    """Class activation map by weights under which it adds up to the score, as far as weights can.

    L = sum over k of w_k A_k, with w_k = sum of g_k A_k / sum of A_k over positions, for g_k = dS/dA_k,
    the score S and the feature maps A_k: Fu et al. 2020. Values keep their signs. The sum
    of L is that of hires-cam. A note says where values of both signs cancel in the sum of A_k, so that
    weights explode.

    pytorch-grad-cam and torch-cam have these weights too, but leave negative values of L out and scale it,
    so that its sum is not kept.

    Parameters
    ----------
    penultimate
        The layer of the feature maps; auto for the last with positions along all spatial axes of the
        input. Of several layers, by names or patterns with commas between (conv3,conv4 or conv*),
        each map is divided by its largest size, and the mean is shown.
    """
    maps = _mapped("xgrad-cam", model, samples, penultimate, _xgrad)
    return cnnvis.Explanation(maps, samples)


def _mapped(
    name: str,
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    asked: str,
    combine: Callable[[Any, Any], Any],
) -> Array:
    """Return maps; `combine` gives them over a layer's positions, perhaps with shares in doubt."""
    maps = []
    for layer in layers_of(name, model, samples, asked):
        found = weighed(model, samples, layer, combine)
        small, *doubts = found if isinstance(found, tuple) else (found,)
        for doubt in doubts:
            count = int((doubt > NOTED).sum())
            if count:
                cnnvis.note(
                    f"in {count} of {len(doubt)} maps of {name}, up to {doubt.max():.0%} comes from "
                    f"feature maps of {layer!r} whose values of both signs cancel in a sum that {name} "
                    "divides by, so their weights mean little; use hires-cam or layer-cam, or a layer "
                    "behind a ReLU"
                )
        maps.append(model.upsample(small, layer, samples.x.shape[1:]))
    return fused(maps, layer_cam=name == "layer-cam")


def _hires(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(gradients * features, axis=-1)


def _layer(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradients) * features, axis=-1))


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
    return small, _share_of(is_doubtful, weights * features)


def _xgrad(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    space = list(range(1, len(features.shape) - 1))
    sums = tf.reduce_sum(features, axis=space, keepdims=True)
    sizes = tf.reduce_sum(tf.abs(features), axis=space, keepdims=True)
    weights = tf.math.divide_no_nan(
        tf.reduce_sum(gradients * features, axis=space, keepdims=True), sums
    )
    parts = weights * features
    return tf.reduce_sum(parts, axis=-1), _share_of(sizes > CANCELLED * tf.abs(sums), parts)


def _share_of(chosen: Any, parts: Any) -> Any:
    """Return the share that parts of the chosen channels have in each map, (n,)."""
    import tensorflow as tf

    axes = list(range(1, len(parts.shape)))
    some = tf.where(chosen, tf.abs(parts), tf.zeros_like(parts))
    return tf.math.divide_no_nan(
        tf.reduce_sum(some, axis=axes), tf.reduce_sum(tf.abs(parts), axis=axes)
    )
