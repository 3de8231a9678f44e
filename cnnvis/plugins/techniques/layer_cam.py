"""LayerCAM: feature maps times positive gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

from ._cam_layers import Layers
from ._feature_maps import scaled
from ._gradient_cams import mapped

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "layer-cam",
    family="class activation maps",
    reference="doi:10.1109/TIP.2021.3089943",
    claims={"layer-cam": {}},
)
def layer_cam(
    model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: Layers = "auto"
) -> cnnvis.Explanation:
    """Class activation map by feature maps times positive gradients, fine also in early layers.

    L = ReLU(sum over k of ReLU(g_k) A_k), with g_k = dS/dA_k, for the score S and the feature maps
    A_k: Jiang et al. 2021.

    Parameters
    ----------
    penultimate
        The layer of the feature maps. Of several layers, each map L is divided by its maximum m, all but
        the last layer's go through tanh(2 L / m), and the maximum at each position is shown, as in the
        paper.
    """
    maps, _ = mapped("layer-cam", model, samples, penultimate, _layer, _fused)
    return cnnvis.Explanation(maps, samples, signed=False)


def _layer(features: Any, gradients: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradients) * features, axis=-1))


def _fused(maps: Sequence[Array]) -> Array:
    """Return the maximum at each position of maps of several layers, the last layer's last."""
    import numpy as np

    if len(maps) == 1:
        return maps[0]
    *earlier, last = scaled(maps)
    found: Array = np.max([*(np.tanh(2 * one) for one in earlier), last], axis=0)
    return found.astype(np.float32)
