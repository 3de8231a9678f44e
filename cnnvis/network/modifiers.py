"""Names of backpropagation and gradient modifiers, and computation of the latter.

Options are typed with these, so this module imports nothing heavy.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal, get_args

from cnnvis.errors import UserError, nearest, shown
from cnnvis.registry.bounds import Help

Backprop = Annotated[
    Literal["guided", "rectified", "deconv", "relu"],
    Help(
        "The backpropagation modifier of ReLUs and other rectifiers.",
        "none (the plain gradient), guided (positive gradients where the unit is on), rectified (all positive "
        "gradients; also called deconv and relu).",
    ),
]
"""Rule by which the gradient g of a rectifier's output y passes back to the rectifier's input.

==========  ==========================  ============================================
None        g where y > 0               the plain gradient
guided      g where y > 0 and g > 0     Springenberg et al. 2015, arXiv:1412.6806
rectified   g where g > 0               Zeiler and Fergus 2014, arXiv:1311.2901
==========  ==========================  ============================================

``deconv`` and ``relu`` are other names of ``rectified``, as in keras-vis.
"""

GradientModifier = Literal["absolute", "negate", "invert", "relu", "small_values"]
"""Change of a gradient after its computation; see `modify_gradient`."""

EPSILON = 1e-7
"""Number that keras-vis adds to a divisor (Keras's own default)."""


def modify_gradient(gradient: Any, modifier: GradientModifier | None) -> Any:
    """Change a gradient, array or tensor, as keras-vis's gradient modifiers do.

    ``absolute`` |g|, ``negate`` -g, ``invert`` 1/(g + 1e-7), ``relu`` max(g, 0), ``small_values``
    |1/(g + 1e-7)|; None leaves the gradient unchanged.

    Raises
    ------
    UserError
        If no modifier has this name.
    """
    match modifier:
        case None:
            return gradient
        case "absolute":
            return abs(gradient)
        case "negate":
            return -gradient
        case "invert":
            return 1.0 / (gradient + EPSILON)
        case "relu":
            return (gradient + abs(gradient)) / 2  # exact, and alike for NumPy and TensorFlow
        case "small_values":
            return abs(1.0 / (gradient + EPSILON))
    raise UserError(
        f"there is no gradient modifier {shown(modifier)}.{nearest(str(modifier), _NAMES)} There are: "
        f"none, {', '.join(_NAMES)}."
    )


_NAMES: tuple[str, ...] = get_args(GradientModifier)


def channel_max(maps: Any, channel_axis: int | None) -> Any:
    """Return the largest value over channels at each position: maps with one axis less.

    Parameters
    ----------
    maps
        (n, ...) floats, an array or a tensor.
    channel_axis
        Axis of the channels, as in `Samples.channel_axis`; for None the function returns the maps
        unchanged.
    """
    if channel_axis is None:
        return maps
    import numpy as np

    # One after the other, several times as fast as the maximum along an axis as short as that of
    # colours, and nothing at all where there is but one.
    if isinstance(maps, np.ndarray):
        return functools.reduce(np.maximum, np.moveaxis(maps, channel_axis, 0))
    import tensorflow as tf

    if maps.shape[channel_axis] == 1:
        return tf.squeeze(maps, channel_axis)
    return functools.reduce(tf.maximum, tf.unstack(maps, axis=channel_axis))


def unit_scaled(maps: Any) -> Any:
    """Scale each map by itself to [0, 1] as keras-vis does: (m - min) / (max - min + 1e-7).

    Parameters
    ----------
    maps
        (n, ...) floats.
    """
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    return (maps - low) / (high - low + EPSILON)
