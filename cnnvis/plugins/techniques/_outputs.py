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


def models_at_targets(model: cnnvis.Model) -> list[cnnvis.Model]:
    """Return the model at the layer asked for, or at every convolution and dense layer."""
    if model.asked_layer is not None:
        return [model]
    names = [
        layer.name
        for layer in model.layers
        if "Conv" in layer.kind or layer.kind == "Dense" or layer.name == model.layer
    ]
    fitting = []
    for name in names:
        try:
            at = model.with_target(name, model.asked_filters)
            _ = at.filters  # looked up now, to leave out a layer that has no such filter
            if at.depends_on_input:
                fitting.append(at)
        except cnnvis.UserError as error:
            cnnvis.note(f"{name} was left out: {error}")
    if not fitting:
        raise cnnvis.UserError(f"no layer has the output {model.asked_filters}")
    return fitting


def rows_of_target(model: cnnvis.Model, *, together: bool) -> npt.NDArray[Any]:
    """Return the filter weights that each result maximizes, (results, k): one, or all."""
    each = model.each_weights
    return each.sum(axis=0, keepdims=True) if together else each
