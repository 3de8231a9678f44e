"""Outputs of the target that are shown each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

OUTPUTS = 12
"""Most outputs of a layer that are shown if none are chosen."""


def rows_of_outputs(model: cnnvis.Model) -> npt.NDArray[Any]:
    """Return the weights of each chosen output in its score, (m, k) float32; of a few outputs all.

    Raises
    ------
    UserError
        If none are chosen of many.
    """
    import numpy as np

    if model.asked_filters is not None or len(model.target_layers) > 1 or model.target_units == 1:
        return model.each_weights
    if model.target_units > OUTPUTS:
        raise cnnvis.UserError(
            f"the layer {model.layer!r} has {model.target_units} outputs; choose some of them with "
            "--filter"
        )
    return np.eye(model.target_units, dtype=np.float32)
