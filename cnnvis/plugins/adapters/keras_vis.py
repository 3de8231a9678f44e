"""keras-vis itself, version 0.4.1, in a process of its own: the library computes, cnnvis shows.

It was last released in 2017 and does not run beside today's Keras; see `_processes.keras_vis_worker` for how it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from cnnvis.plugins.adapters._processes.keras_vis import Worker

    Array = npt.NDArray[np.float32]

FACTS: dict[str, Any] = {
    "reference": "github.com/raghakot/keras-vis 0.4.1",
    "requires": ("vis", "tf_keras"),
    "extra": "keras-vis",
}
"""Facts about each of the techniques."""


@cnnvis.technique(
    "keras-vis:saliency", claims={"gradient": {"backprop": None, "gradient": None}}, **FACTS
)
def saliency(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = "absolute",
) -> cnnvis.Explanation:
    """Saliency maps by keras-vis: `vis.visualization.visualize_saliency`.

    The values are the values before keras-vis scales them to [0, 1] and colours them. With a
    modifier, this version of keras-vis replaces every activation by ReLU, also linear activations:
    where the score is negative, guided maps are blank.

    Parameters
    ----------
    backprop
        keras-vis's backprop_modifier: none, guided, rectified; deconv and relu are other names of
        rectified.
    gradient
        keras-vis's grad_modifier, before the maximum over channels.
    """
    given = {"backprop_modifier": backprop, "grad_modifier": gradient}
    maps = _explained(model, samples, "visualize_saliency", given)
    return cnnvis.Explanation(maps, samples)


@cnnvis.technique("keras-vis:grad-cam", **FACTS)
def grad_cam(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = None,
    penultimate: str | None = None,
) -> cnnvis.Explanation:
    """Grad-CAM by keras-vis: `vis.visualization.visualize_cam`; over two spatial axes only.

    The values are the values before keras-vis scales them to [0, 1] and colours them: gradients
    divided by the largest gradient, and the map enlarged with Pillow's bicubic filter. As with
    saliency, a modifier replaces every activation by ReLU.

    Parameters
    ----------
    backprop
        keras-vis's backprop_modifier: none, guided, rectified; deconv and relu are other names of
        rectified.
    gradient
        keras-vis's grad_modifier, before the mean of the gradients.
    penultimate
        The penultimate layer, which gives the feature maps. By default the nearest convolution or
        pooling layer before the target, but never the layer right before the target.
    """
    if len(samples.space) != 2:
        raise cnnvis.UserError(
            "keras-vis 0.4.1 draws Grad-CAM over two spatial axes, and these inputs have "
            f"{len(samples.space)}; use grad-cam for any number of axes"
        )
    given = {"backprop_modifier": backprop, "grad_modifier": gradient}
    plain = None if penultimate is None else penultimate.replace("/", "_")
    maps = _explained(model, samples, "visualize_cam", given, penultimate=plain)
    return cnnvis.Explanation(maps, samples, signed=False)


@cnnvis.technique("keras-vis:activation-max", gives="pictures", **FACTS)
def activation_max(
    model: cnnvis.Model,
    samples: cnnvis.Samples | None = None,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = None,
    iterations: cnnvis.Count = 200,
    activation_weight: float = 1.0,
    tv_weight: float = 1e-5,
    lp_norm_weight: float = 0.0,
    jitter: tuple[cnnvis.NotNegative, ...] = (16.0,),
    input_range: tuple[float, float] = (0.0, 255.0),
    start: Literal["noise", "data"] = "noise",
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """Activation maximization by keras-vis: `vis.visualization.visualize_activation`.

    The options and defaults are the same as of activation-max. Each step divides the gradient by
    the root of its mean square. Later commits of keras-vis, and so activation-max, divide the
    gradient by its L2 norm.

    Parameters
    ----------
    backprop
        keras-vis's backprop_modifier: none, guided, rectified; deconv and relu are other names of
        rectified.
    gradient
        keras-vis's grad_modifier, before each step.
    iterations
        The number of steps. The result is the input with the smallest loss.
    activation_weight
        The weight of the score in the loss.
    tv_weight
        The weight of the total variation in the loss.
    lp_norm_weight
        The weight of the L-6 norm in the loss.
    jitter
        The largest random shift of the input before each step: in pixels, or below 1 as a share of
        the axis. Give one number for all spatial axes or one number for each axis.
    input_range
        The smallest and largest value of the result and of the noise.
    start
        The start of the ascent: noise, or the images of the data, with one result for each image.
    seed
        The seed of the noise and the jitter; the same seed gives the same result.
    """
    import numpy as np

    if start == "data" and samples is None:
        raise cnnvis.UserError("start is 'data', and no data are given; add --data FILE")
    starts = [None] if samples is None or start == "noise" else list(samples.x)
    channels = model.input_channel_axis
    given: dict[str, Any] = {
        "backprop_modifier": backprop,
        "grad_modifier": gradient,
        "max_iter": iterations,
        "act_max_weight": activation_weight,
        "tv_weight": tv_weight,
        "lp_norm_weight": lp_norm_weight,
        "input_range": tuple(map(float, input_range)),
    }
    library = _loaded(model)
    weights = model.each_weights
    found, kept = [], []
    with cnnvis.progress("maximizing with keras-vis", len(starts) * len(weights)) as advance:
        for one in starts:
            for row in weights:
                found.append(
                    library.call(
                        "visualize_activation", _outputs(row), one,
                        {**given, "jitter": jitter, "seed": seed},
                    )
                )  # fmt: skip
                kept.append(row)
                advance(1)
    maps = np.stack(found)
    of = np.repeat(np.arange(len(starts)), len(weights)).tolist()
    return cnnvis.Explanation(
        maps,
        axes=cnnvis.axis_names(maps.ndim - 1, channels),
        targets=model.targets(maps, np.stack(kept), of=of),
        signed=False,
        are_inputs=True,
    )


def _loaded(model: cnnvis.Model) -> Worker:
    """Return the library's process with the network in it, started now if it does not run yet."""
    from cnnvis.plugins.adapters._processes.keras_vis import worker

    library = worker()
    library.load(model)
    return library


def _explained(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    function: str,
    given: dict[str, Any],
    penultimate: str | None = None,
) -> Array:
    """Return the result of a function of the library for each sample, (n, ...)."""
    import numpy as np

    library = _loaded(model)
    rows = model.target_weights(samples.x)
    maps = []
    with cnnvis.progress("explaining with keras-vis", len(samples)) as advance:
        for one, row in zip(samples.x, rows, strict=True):
            maps.append(library.call(function, _outputs(row), one, given, penultimate=penultimate))
            advance(1)
    return np.stack(maps)


def _outputs(row: Sequence[float]) -> list[int]:
    """Return the numbers of the outputs that count in a score."""
    if any(weight not in (0, 1) for weight in row):
        raise cnnvis.UserError(
            "keras-vis explains a high output, and class 0 of a single sigmoid means a low "
            "output; explain --class 1 instead"
        )
    return [number for number, weight in enumerate(row) if weight]
