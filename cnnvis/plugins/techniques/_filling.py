"""Filling of parts of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


NORMAL = 1.96
"""Number of standard errors in half of an interval of 95 %."""


def fill_of(model: cnnvis.Model, samples: cnnvis.Samples, baseline: str | float) -> Array:
    """Return what stands in the place of removed values, (n, ...) float32.

    Raises
    ------
    UserError
        If the network looks whole numbers up, and the filling has others.
    """
    import numpy as np

    start = samples.baseline(baseline)
    if model.takes_whole_numbers and (start != np.round(start)).any():
        raise cnnvis.UserError(
            f"the baseline {baseline} has fractions, and the network takes whole numbers, such as those of "
            "words: fill with --baseline sample:N, or with a whole number"
        )
    return np.ascontiguousarray(np.broadcast_to(start, samples.source.shape), np.float32)


def require_fractions(model: cnnvis.Model, technique: str) -> None:
    """Refuse an input of whole numbers for a technique that fills values in part."""
    if model.takes_whole_numbers:
        raise cnnvis.UserError(
            f"{technique} mixes values with those of a baseline, and the network takes whole numbers, "
            "such as those of words, of which a mixture means nothing; occlusion and kernel-shap do "
            "without"
        )


def over_channels(masks: Array, samples: cnnvis.Samples) -> Array:
    """Return masks (k, *space) with an axis of length 1 where the samples have channels."""
    import numpy as np

    axis = samples.channel_axis
    return masks if axis is None else np.expand_dims(masks, axis % len(samples.source.shape))
