"""Saliency maps: the gradient of the score with respect to the input."""

from __future__ import annotations

import functools
from typing import Any

import cnnvis


@cnnvis.technique(
    "saliency",
    reference="arXiv:1312.6034",
    claims={"gradient": {"backprop": None, "gradient": None}},
)
def saliency(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    backprop: cnnvis.Backprop | None = "guided",
    gradient: cnnvis.GradientModifier | None = "absolute",
    keras_vis: bool = False,
) -> cnnvis.Explanation:
    """How much each value of the input changes the score of the target.

    M(p) = max over channels c of |dS/dx(p, c)|, for the score S and the input x at position p:
    Simonyan et al. 2014, section 3.

    Parameters
    ----------
    backprop
        How gradients pass back through ReLUs and other rectifiers: none (plain), guided (only
        positive ones, where the unit is on), rectified (only positive ones; also called deconv and
        relu).
    gradient
        What is made of the gradient before the maximum over channels is taken.
    keras_vis
        Do exactly as keras-vis does: scale each map to [0, 1] by itself, and let a modifier change
        only activations given by the name relu.
    """
    maps = model.input_gradient(
        samples.x,
        backprop=backprop,
        keras_vis=keras_vis,
        reduced=functools.partial(_largest, gradient, samples.channel_axis),
    )
    return cnnvis.Explanation(cnnvis.unit_scaled(maps) if keras_vis else maps, samples)


def _largest(
    modifier: cnnvis.GradientModifier | None, channel_axis: int | None, gradient: Any
) -> Any:
    return cnnvis.channel_max(cnnvis.modify_gradient(gradient, modifier), channel_axis)
