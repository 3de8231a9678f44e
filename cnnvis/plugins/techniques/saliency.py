"""Saliency maps: the gradient of the score with respect to the input."""

from __future__ import annotations

import functools
from typing import Any, Literal

import cnnvis


@cnnvis.technique(
    "saliency",
    family="gradients",
    reference="arXiv:1312.6034",
    claims={"gradient": {"backprop": None, "gradient": None}},
    signed={"gradient": None, "channels": "each"},
    paper={"backprop": None},
)
def saliency(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = "absolute",
    channels: Literal["max", "each"] = "max",
    keras_vis: bool = False,
) -> cnnvis.Explanation:
    """The gradient of the target's score with respect to the input.

    M(p) = max over channels c of |dS/dx(p, c)|, for the score S and the input x at position p:
    Simonyan et al. 2014, section 3.

    Parameters
    ----------
    gradient
        The change of the gradient before the maximum over channels.
    channels
        The maximum over channels, or a map for each channel: of channels whose gradients have
        different signs, the maximum hides what speaks against the target.
    keras_vis
        Compute exactly as keras-vis: scale each map to [0, 1] by itself, and let a modifier change
        only activations with the name relu.
    """
    maps = model.input_gradient(
        samples.x,
        backprop=backprop,
        keras_vis=keras_vis,
        reduced=functools.partial(
            _largest, gradient, samples.channel_axis if channels == "max" else None
        ),
    )
    return cnnvis.Explanation(cnnvis.unit_scaled(maps) if keras_vis else maps, samples)


def _largest(
    modifier: cnnvis.GradientModifier | None, channel_axis: int | None, gradient: Any
) -> Any:
    return cnnvis.channel_max(cnnvis.modify_gradient(gradient, modifier), channel_axis)
