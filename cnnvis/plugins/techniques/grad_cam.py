"""Grad-CAM: the feature maps of a layer, weighted by the gradients of the score."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]


@cnnvis.technique(
    "grad-cam",
    family="class activation maps",
    reference="arXiv:1610.02391",
    claims={"grad-cam": {"backprop": None}},
)
def grad_cam(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = None,
    penultimate: str | None = None,
    keras_vis: bool = False,
) -> cnnvis.Explanation:
    """Regions of the input that speak for the target, by the penultimate layer's feature maps.

    L = ReLU(sum over k of a_k A_k), with a_k the mean over space of dS/dA_k, for the score S and
    the feature maps A_k: Selvaraju et al. 2017, equations 1 and 2. Each position of L lies over the
    centre of its receptive field in the input; between positions, L is linear.

    Parameters
    ----------
    backprop
        The backpropagation modifier of ReLUs and other rectifiers: none (the plain gradient),
        guided (positive gradients where the unit is on), rectified (all positive gradients; also
        called deconv and relu).
    gradient
        The change of the gradient before the mean over space.
    penultimate
        The penultimate layer, which gives the feature maps. With auto it is the last layer before
        the target with positions along all spatial axes of the input. By default it is the layer
        that keras-vis takes: the nearest convolution or pooling layer before the target, but never
        the layer right before the target.
    keras_vis
        Compute exactly as keras-vis: divide each gradient by its maximum, which turns the sign of
        the map where all gradients are negative; zoom with a cubic spline from corner to corner, as
        if the layer's outer positions lay at the edges of the input; scale each map to [0, 1] by
        itself; let a modifier change only activations with the name relu.
    """
    shape = samples.x.shape[1:]
    layer, why = _penultimate(model, penultimate, shape, len(samples.space))
    summed = model.activation_gradient(
        samples.x,
        layer,
        backprop=backprop,
        keras_vis=keras_vis,
        reduced=functools.partial(
            _weighted, model.has_channels_first(layer), gradient=gradient, keras_vis=keras_vis
        ),
    )
    if summed.ndim == 1:
        raise cnnvis.UserError(
            f"the layer {layer!r} has no spatial axes to show; name a layer with spatial axes "
            "with --penultimate"
        )
    if keras_vis:
        channel = None if samples.channel_axis is None else samples.channel_axis % samples.x.ndim
        space = [axis for axis in range(1, samples.x.ndim) if axis != channel]
        if list(model.followed_axes(layer, shape)) != [a for a in space if shape[a - 1] > 1]:
            cnnvis.note(
                f"the axes of {layer!r} are not the axes of the input in the same order, and "
                "--keras-vis still lays the map over the input"
            )
        maps = cnnvis.unit_scaled(_zoomed(summed, samples.space))
    else:
        maps = model.upsample(summed, layer, shape)
    cnnvis.note(f"grad-cam weighted the feature maps of the layer {layer!r}, {why}")
    return cnnvis.Explanation(maps, samples, signed=False)


def _weighted(
    channels_first: bool,
    features: Any,
    gradients: Any,
    *,
    gradient: cnnvis.GradientModifier | None,
    keras_vis: bool,
) -> Any:
    """Return the sum of feature maps weighted by mean gradients, without negatives (n, ...)."""
    import tensorflow as tf

    channel = 1 if channels_first else len(features.shape) - 1
    space = [axis for axis in range(1, len(features.shape)) if axis != channel]
    gradients = cnnvis.modify_gradient(gradients, gradient)
    if keras_vis:
        gradients /= tf.reduce_max(gradients, axis=[*space, channel], keepdims=True) + 1e-7
    weights = tf.reduce_mean(gradients, axis=space, keepdims=True) if space else gradients
    return tf.nn.relu(tf.reduce_sum(features * weights, axis=channel))


_KERAS_VIS = {
    f"{kind}{axes}D" for axes in (1, 2, 3) for kind in ("Conv", "MaxPooling", "AveragePooling")
} | {
    *("Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
}
"""Kinds of layers whose feature maps keras-vis weights."""


def _penultimate(
    model: cnnvis.Model, asked: str | None, shape: tuple[int, ...], axes: int
) -> tuple[str, str]:
    """Return the layer of the weighted feature maps, for `axes` spatial axes, and the reason."""
    if asked is not None and asked != "auto":
        return asked, "as chosen"
    before = model.before_target()
    why = ""
    if asked is None:
        kept = [one for one in before[:-1] if not _KERAS_VIS.isdisjoint(one.kinds)]
        if kept and model.followed_axes(kept[-1].name, shape):
            return kept[-1].name, (
                "as keras-vis would: the last convolution or pooling layer before the layer right "
                f"before {model.layer!r}"
            )
        why = "; keras-vis would find no convolution or pooling layer"
    most, found = 0, None
    for layer in reversed(before):
        along = len(set(model.followed_axes(layer.name, shape))) if layer.spatial_axes else 0
        if along > most:
            most, found = along, layer.name
        if most == axes:
            break
    if found is None:
        raise cnnvis.UserError(
            f"no layer before {model.layer!r} has positions along the spatial axes of the input, "
            "so no feature maps can be laid over the input; use saliency, which needs no feature "
            "maps"
        )
    all_or_most = "the input's spatial axes" if most == axes else "an axis of the input"
    return found, f"the last layer before {model.layer!r} with positions along {all_or_most}{why}"


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
