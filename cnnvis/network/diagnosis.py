"""Why a map is blank or not a number, in words, found by looking at what each layer answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnvis.data.samples import Array

if TYPE_CHECKING:
    from cnnvis.network.model import Model
    from cnnvis.network.modifiers import Backprop

_BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_sigmoid_of_keras_2": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
}
"""The values between which an activation is flat when it reaches them."""


def why_zero(model: Model, x: Array, backprop: Backprop | None) -> str:
    """Why a gradient is zero everywhere, for one input (1, ...), as the end of a sentence."""
    layers = [layer for layer in model.before_target() if layer.rectifiers or layer.activation]
    target = next((layer for layer in model.layers if layer.name == model.layer), None)
    if target is not None and target.rectifiers:
        layers.append(target)
    for layer, values in zip(
        layers, model.values(x, [layer.name for layer in layers]), strict=True
    ):
        if layer.rectifiers and not values.any():
            kinds = " and ".join(dict.fromkeys(layer.rectifiers))
            return f"every unit of {layer.name!r} ({kinds}) is off there, so nothing passes it"
        low, high = _BOUNDS.get(layer.activation, (np.nan, np.nan))
        flat = (np.abs(values - low) < 1e-6) | (np.abs(values - high) < 1e-6)
        if flat.all():
            return (
                f"the {layer.activation} of {layer.name!r} is saturated there: all its values are "
                f"{low:g} or {high:g}, where it is flat"
            )
    if backprop is not None and model.tallying([]).input_gradient(x).any():
        return (
            f"the modifier {backprop} lets only positive gradients pass, and none reach the input "
            "there; --backprop none shows the plain gradient"
        )
    often = ", most often since ReLUs on the way to it are off" if layers else ""
    return f"the score does not change with small changes of the input there{often}"


def why_not_finite(model: Model, x: Array) -> str:
    """Where NaN or infinite values come from, for one input (1, ...), as the end of a sentence."""
    names = [*(layer.name for layer in model.before_target()), *model.target_layers]
    for name, values in zip(names, model.values(x, names), strict=True):
        if np.isfinite(values).all():
            continue
        for weight in getattr(model.keras_layer(name), "weights", None) or ():
            if not np.isfinite(np.asarray(weight)).all():
                return f"the weights of {name!r} hold NaN or infinite values"
        return f"{name!r} is the first layer whose output holds NaN or infinite values"
    return "every layer's output is finite, so a derivative is not: a root or a logarithm at zero"


def expected_range(layer: Any, kinds: Collection[str]) -> tuple[float, float] | None:
    """The values that a network's first layer expects, smallest and largest; None if it is silent."""
    if "Rescaling" in kinds:
        scale, offset = (
            np.asarray(getattr(layer, name), np.float64) for name in ("scale", "offset")
        )
        if scale.size != 1 or offset.size != 1 or not scale > 0 or not -1 <= offset <= 0:
            return None
        largest = -offset if offset else 1.0  # what it makes of the largest: 1, or as far from 0
        return 0.0, float((largest - offset) / scale)
    if not {"BatchNormalization", "Normalization"}.isdisjoint(kinds):
        moving = "" if "Normalization" in kinds else "moving_"
        mean, variance = (
            np.asarray(getattr(layer, f"{moving}{name}", np.nan), np.float64)
            for name in ("mean", "variance")
        )
        spread = 3 * np.sqrt(variance)
        low, high = float((mean - spread).min()), float((mean + spread).max())
        untrained = not mean.any() and (variance == 1).all()
        return (
            (low, high) if np.isfinite([low, high]).all() and low < high and not untrained else None
        )
    return None
