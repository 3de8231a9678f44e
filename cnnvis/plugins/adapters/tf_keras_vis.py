"""tf-keras-vis, a library of its own, behind cnnvis's names: it computes, cnnvis shows."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.plugins.adapters._libraries import (
    BATCH,
    in_batches,
    network_of,
    penultimate_of,
)
from cnnvis.plugins.adapters._methods import PENULTIMATE, Method, technique_of
from cnnvis.plugins.adapters._processes.seeding import seeded

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

LIBRARY = "tf-keras-vis"
NEEDS: dict[str, Any] = {"requires": ("tf_keras_vis",), "extra": "tf-keras-vis"}


@cnnvis.technique(
    "tf-keras-vis:saliency",
    reference="arXiv:1312.6034, arXiv:1706.03825",
    claims={"gradient": {"gradient": None}},
    **NEEDS,
)
def saliency(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    gradient: cnnvis.GradientModifier | None = "absolute",
    smooth: int = 0,
    noise: cnnvis.NotNegative = 0.2,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Saliency maps by tf-keras-vis; with noisy copies, SmoothGrad.

    Parameters
    ----------
    gradient
        The change of the gradient before the maximum over channels.
    smooth
        The number of noisy copies of each image for the mean gradient; 0 for the image itself.
    noise
        The standard deviation of the noise, as a share of the image's range.
    seed
        The seed of the noise.
    """
    from tf_keras_vis.saliency import Saliency

    network = network_of(model, LIBRARY)
    if samples.channel_axis == 1:
        # Run operation by operation, as the library does, TensorFlow 2.21 takes wrong gradients of
        # a convolution behind pooling with channels first on a CPU; compiled, it takes right ones.
        import tensorflow as tf

        network.call = tf.function(network.call)
    library = Saliency(network, clone=False)

    def explain(x: Array, weights: Array) -> Any:
        with seeded(seed):
            return library(
                _score(weights), x, smooth_samples=smooth, smooth_noise=noise, keepdims=True,
                gradient_modifier=lambda g: cnnvis.modify_gradient(g, gradient),
                normalize_map=False,
            )  # fmt: skip

    # Noise is drawn for a whole batch: an image by itself gets what it gets among others.
    maps = in_batches(explain, model, samples, 1 if smooth else BATCH)
    if samples.channel_axis is not None:
        maps = maps.max(axis=samples.channel_axis)
    return cnnvis.Explanation(maps, samples)


@cnnvis.technique(
    "tf-keras-vis:activation-max",
    reference="Erhan et al. 2009, Univ. de Montreal 1341",
    gives="pictures",
    **NEEDS,
)
def activation_max(
    model: cnnvis.Model,
    *,
    iterations: cnnvis.Count = 200,
    tv_weight: float = 1.0,
    norm_weight: float = 0.3,
    jitter: int = 4,
    input_range: tuple[float, float] = (0.0, 255.0),
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Activation maximization by tf-keras-vis; over two spatial axes only.

    The library's own random rotation is left out, since no seed controls it.

    Parameters
    ----------
    iterations
        The number of steps.
    tv_weight
        The weight of the total variation in the loss.
    norm_weight
        The weight of the L-1 norm in the loss.
    jitter
        The largest random shift of the input before each step, in pixels; 0 for no shift.
    input_range
        The smallest and largest value of the result.
    seed
        The seed of the first noise and of the jitter.
    """
    import numpy as np
    from tf_keras_vis import activation_maximization as library

    network = network_of(model, LIBRARY)
    if len(network.input_shape) != 4 or model.input_channel_axis != -1:
        raise cnnvis.UserError(
            "tf-keras-vis maximizes activations over two spatial axes with channels last; use "
            "activation-max for other axes"
        )
    maximize = library.ActivationMaximization(network, clone=False)
    weights = model.each_weights
    found = []
    with cnnvis.progress("maximizing with tf-keras-vis", len(weights)) as advance:
        for row in weights:
            with seeded(seed):
                found.append(
                    maximize(
                        _score(row[None]),
                        input_range=input_range,
                        steps=iterations,
                        input_modifiers=[library.Jitter(jitter=jitter)] if jitter else [],
                        regularizers=[
                            library.TotalVariation2D(weight=tv_weight),
                            library.Norm(weight=norm_weight, p=1),
                        ],
                    )
                )
            advance(1)
    maps = np.concatenate([np.asarray(one) for one in found])
    return cnnvis.Explanation(
        maps,
        axes=cnnvis.axis_names(maps.ndim - 1, model.input_channel_axis),
        targets=model.targets(maps, weights),
        signed=False,
        are_inputs=True,
    )


def _score(weights: Array) -> Any:
    """Return the score of each image for the library: a function of outputs (n, k)."""
    import tensorflow as tf

    return lambda outputs: tf.reduce_sum(outputs * weights, axis=-1)


def _weighted(
    method: Method, model: cnnvis.Model, samples: cnnvis.Samples, *, penultimate: str | None
) -> cnnvis.Explanation:
    """Return the maps of one of the library's class activation methods."""
    network = network_of(model, LIBRARY)
    if method.kind == SCORE_CAM:
        _require_shares(network, model)
    layer = penultimate_of(network, model, penultimate, samples)
    if samples.channel_axis == 1 and len(samples.space) > 0:
        raise cnnvis.UserError(
            "tf-keras-vis weights feature maps with channels last, and this network has channels "
            "first; use grad-cam instead"
        )
    library = resolve_name(f"tf_keras_vis.{method.kind}")(network, clone=False)

    def explain(x: Array, weights: Array) -> Any:
        return library(
            _score(weights), x, penultimate_layer=layer, seek_penultimate_conv_layer=False,
            normalize_cam=False,
        )  # fmt: skip

    return cnnvis.Explanation(in_batches(explain, model, samples), samples, signed=False)


def _require_shares(network: Any, model: cnnvis.Model) -> None:
    """Refuse a single output; make a note where the network has no softmax over the outputs.

    Raises
    ------
    UserError
        If the target has one output, whose share of all is 1 whatever is visible.
    """
    if network.output_shape[-1] == 1:
        raise cnnvis.UserError(
            "tf-keras-vis's Score-CAM weights feature maps by a softmax over the outputs of "
            f"{model.layer!r}, and the share of a single output is always 1; use grad-cam instead"
        )
    if not (model.has_classes and model.tells_classes):
        cnnvis.note(
            "tf-keras-vis weighted feature maps by the target's share in a softmax over the "
            f"outputs of {model.layer!r}, which are perhaps no classes that exclude each other"
        )


SCORE_CAM = "scorecam:Scorecam"

METHODS = (
    Method("tf-keras-vis:grad-cam", "gradcam:Gradcam", "arXiv:1610.02391",
           "Grad-CAM by tf-keras-vis.",
           (PENULTIMATE,), claims={"grad-cam": {}}),
    Method("tf-keras-vis:grad-cam-plus-plus", "gradcam_plus_plus:GradcamPlusPlus",
           "arXiv:1710.11063",
           """Grad-CAM++ by tf-keras-vis: weights from higher derivatives, for several objects of a class.

           The library divides the weights of positions by their sum over each feature map, and
           keeps the factor e to the power of the score. So maps of several images, or of several
           targets, differ by these powers. Scale each map by itself to compare them.
           """,
           (PENULTIMATE,)),
    Method("tf-keras-vis:score-cam", SCORE_CAM, "arXiv:1910.01279",
           """Score-CAM by tf-keras-vis: each feature map weighted by the score of the input that it masks.

           The library takes a softmax over the outputs of the network, and not over the feature
           maps as the paper does: a weight is the target's share of all outputs. So the network
           must have several outputs.
           """,
           (PENULTIMATE,)),
    Method("tf-keras-vis:layer-cam", "layercam:Layercam", "doi:10.1109/TIP.2021.3089943",
           "LayerCAM by tf-keras-vis: every place of the feature maps has its own weight.",
           (PENULTIMATE,),
           claims={"layer-cam": {},
                   "equals": {"technique": "grad-cam", "theirs": {"backprop": None},
                              "where": "pooled-positive"}}),
)  # fmt: skip

TECHNIQUES = (
    *(technique_of(method, _weighted, **NEEDS) for method in METHODS),
    *(saliency, activation_max),
)


@cnnvis.hookimpl
def cnnvis_plugins() -> list[object]:
    """Return the techniques of the table, and those with options of their own."""
    return [cnnvis.plugin_of(technique) for technique in TECHNIQUES]
