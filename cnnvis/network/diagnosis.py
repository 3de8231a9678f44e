"""Diagnosis of gradients that are zero or not finite, from the values that each layer gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis.data.lazy import Array
from cnnvis.network.graph import Call
from cnnvis.network.layers import Layer
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
"""Smallest and largest value of activations; an activation is flat where it reaches one."""


def blocking_layer(layers: Sequence[Layer], values: Sequence[Array]) -> str | None:
    """Say which layer lets no gradient pass, as the end of a sentence; None if all let some pass.

    Parameters
    ----------
    layers
        Layers with activations, in the order in which they run.
    values
        Output of each of them for one input, (1, ...).
    """
    for layer, given in zip(layers, values, strict=True):
        if layer.rectifiers and not given.any():
            kinds = " and ".join(dict.fromkeys(layer.rectifiers))
            return f"every unit of {layer.name!r} ({kinds}) is off there, so it passes no gradient"
        low, high = _BOUNDS.get(layer.activation, (np.nan, np.nan))
        flat = (np.abs(given - low) < 1e-6) | (np.abs(given - high) < 1e-6)
        if flat.all():
            return (
                f"the {layer.activation} of {layer.name!r} is saturated there: all its values are "
                f"{low:g} or {high:g}, where it is flat"
            )
    return None


def stopped_by_modifier(backprop: Backprop) -> str:
    """Say that a modifier stops a gradient that is not zero without it."""
    return (
        f"the modifier {backprop} lets only positive gradients pass, and none reach the input "
        "there; --backprop none shows the plain gradient"
    )


def no_small_change(*, has_activations: bool) -> str:
    """Say that a score does not change with small changes of the input.

    Parameters
    ----------
    has_activations
        True if there are layers with activations on the way.
    """
    often = ", most often since ReLUs on the way to it are off" if has_activations else ""
    return f"the score does not change with small changes of the input there{often}"


def why_not_finite(calls: Sequence[Call], values: Sequence[Array]) -> str:
    """Say where NaN or infinite values come from, as the end of a sentence.

    Parameters
    ----------
    calls
        The calls up to the target, in the order in which they run.
    values
        Output of each of them for one input, (1, ...).
    """
    for call, given in zip(calls, values, strict=True):
        if np.isfinite(given).all():
            continue
        for weight in getattr(call.layer, "weights", None) or ():
            if not np.isfinite(np.asarray(weight)).all():
                return f"the weights of {call.name!r} hold NaN or infinite values"
        return f"{call.name!r} is the first layer whose output holds NaN or infinite values"
    return "every layer's output is finite, so a derivative is not: a root or a logarithm at zero"
