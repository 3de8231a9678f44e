"""Images that are changed for a layer, and how far its answer rose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def layer_at_target(model: cnnvis.Model, samples: cnnvis.Samples) -> Callable[[Any], Any]:
    """Return the function of the target layer, for the given samples."""
    if not 1 <= len(samples.space) <= 3:
        raise cnnvis.UserError(
            f"the input has {len(samples.space)} spatial axes, and images have 1, 2 or 3"
        )
    if len(model.target_layers) > 1:
        raise cnnvis.UserError("the target is a sum of outputs; name a layer with --layer")
    return model.layer_function(model.target_layers[0], of=range(len(samples)))


def changed(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    ends: tuple[Array, Array],
    measure: str,
    answer: Callable[[Any], Any],
    curves: Array,
    frames: cnnvis.Frames | None,
) -> cnnvis.Explanation:
    """Return the pictures, each with its measure before and after.

    Parameters
    ----------
    ends
        The images before and after.
    measure, answer
        The name of what was to rise, and its function of images.
    curves
        What it was over the steps.
    frames
        The images on the way.
    """
    import numpy as np
    import tensorflow as tf

    before, found = (one.astype(np.float32) for one in ends)
    was, now = (np.asarray(answer(tf.constant(x)), float) for x in (before, found))
    if (now == was).all():
        raise cnnvis.UserError(
            f"no step changed the {measure} of {model.layer!r}; its ReLUs stay off, or it does not depend "
            "on the input"
        )
    names = [
        f"#{samples.indices[place]}, {model.layer}: {measure} {was[place]:.3g} to {now[place]:.3g}"
        for place in range(len(samples))
    ]
    return cnnvis.Explanation(
        found,
        axes=cnnvis.axis_names(found.ndim - 1, samples.channel_axis),
        titles=tuple(names),
        signed=False,
        are_inputs=True,
        measures={"answer_at_start": was, "answer_reached": now},
        curves={measure: curves},
        frames=frames,
    )
