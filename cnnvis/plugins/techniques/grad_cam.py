"""Grad-CAM: the feature maps of a layer, weighted by the gradients of the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._cam_layers import Layers, layers_of
from ._feature_maps import fused, weighed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]


@cnnvis.technique(
    "grad-cam",
    family="class activation maps",
    reference="arXiv:1610.02391",
    claims={"grad-cam": {"backprop": None}},
    paper={"backprop": None, "penultimate": "auto"},
)
def grad_cam(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = None,
    penultimate: Layers | None = None,
    keras_vis: bool = False,
) -> cnnvis.Explanation:
    """Regions of the input that speak for the target, by the penultimate layer's feature maps.

    L = ReLU(sum over k of a_k A_k), with a_k the mean over space of dS/dA_k, for the score S and
    the feature maps A_k: Selvaraju et al. 2017, equations 1 and 2. Each position of L lies over the
    centre of its receptive field in the input; between positions, L is linear.

    Captum, pytorch-grad-cam and torch-cam have the same L. pytorch-grad-cam stretches L over the whole
    input: r is the correlation of its maps with those of cnnvis on a small network, for a convolution
    without padding (r 0.85).

    Parameters
    ----------
    gradient
        The change of the gradient before the mean over space.
    penultimate
        The penultimate layer, which gives the feature maps; by default the layer that keras-vis takes: the
        nearest convolution or pooling layer before the target, but never the layer right before the target. Of
        several layers, each map is divided by its maximum, and the mean is shown.
    keras_vis
        Compute exactly as keras-vis: divide each gradient by its maximum, which turns the sign of
        the map where all gradients are negative; zoom with a cubic spline from corner to corner, as
        if the layer's outer positions lay at the edges of the input; scale each map to [0, 1] by
        itself; let a modifier change only activations with the name relu.
    """
    layers = layers_of("grad-cam", model, samples, penultimate)
    if keras_vis and len(layers) > 1:
        raise cnnvis.UserError("--keras-vis takes one layer, as keras-vis does, and not several")
    shape = samples.x.shape[1:]
    maps = []
    for layer in layers:
        summed = weighed(
            model, samples, layer, _weighted,
            backprop=backprop, keras_vis=keras_vis, gradient=gradient, divided=keras_vis,
        )  # fmt: skip
        if keras_vis:
            _note_other_axes(model, samples, layer)
            maps.append(cnnvis.unit_scaled(_zoomed(summed, samples.space)))
        else:
            maps.append(model.upsample(summed, layer, shape))
    return cnnvis.Explanation(fused(maps), samples, signed=False)


def _weighted(
    features: Any, gradients: Any, *, gradient: cnnvis.GradientModifier | None, divided: bool
) -> Any:
    """Return the sum of feature maps weighted by mean gradients, without negatives (n, ...)."""
    import tensorflow as tf

    space = range(1, len(features.shape) - 1)
    gradients = cnnvis.modify_gradient(gradients, gradient)
    if divided:
        gradients /= tf.reduce_max(gradients, axis=[*space, -1], keepdims=True) + 1e-7
    weights = tf.reduce_mean(gradients, axis=space, keepdims=True)
    return tf.nn.relu(tf.reduce_sum(features * weights, axis=-1))


def _note_other_axes(model: cnnvis.Model, samples: cnnvis.Samples, layer: str) -> None:
    """Note where the axes of a layer are not those of the input, over which keras-vis lays them."""
    shape = samples.x.shape[1:]
    channel = None if samples.channel_axis is None else samples.channel_axis % samples.x.ndim
    space = [axis for axis in range(1, samples.x.ndim) if axis != channel]
    if list(model.followed_axes(layer, shape)) != [a for a in space if shape[a - 1] > 1]:
        cnnvis.note(
            f"the axes of {layer!r} are not the axes of the input in the same order, and "
            "--keras-vis still lays the map over the input"
        )


def _zoomed(maps: Array, size: tuple[int, ...]) -> Array:
    """Resize each map to the input's spatial axes as keras-vis does."""
    import numpy as np
    from scipy import ndimage

    if maps.ndim - 1 != len(size):
        raise cnnvis.UserError(
            f"feature maps with {maps.ndim - 1} spatial axes cannot be laid over inputs with "
            f"{len(size)} as keras-vis does; leave out --keras-vis, or name another layer with "
            "--penultimate"
        )
    factors = [wanted / found for wanted, found in zip(size, maps.shape[1:], strict=True)]
    return np.stack([ndimage.zoom(one, factors, order=3) for one in maps])
