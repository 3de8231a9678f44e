"""Activation maximization: the input with the highest activation of a filter or class."""

from __future__ import annotations

from typing import Literal

import cnnvis

from ._ascent import Ascent
from ._ascent_loss import Terms
from ._ascent_results import Found
from ._ascent_starts import channel_of, fixed, noise_in, pixels_of, range_of
from ._film import FrameCount, looks
from ._outputs import models_at_targets, rows_of_target


def _check(
    *,
    lp_norm: float,
    input_range: tuple[float, float] | None,
    jitter: tuple[float, ...],
    **_: object,
) -> None:
    if any(abs(value) > 1e9 or value != value for value in (*(input_range or ()), *jitter)):
        raise cnnvis.UserError("input_range and jitter take finite numbers, not NaN or infinity")
    if lp_norm < 1:
        raise cnnvis.UserError(f"lp_norm is {lp_norm:g}, and a norm's p is at least 1")
    if input_range is not None and input_range[0] >= input_range[1]:
        raise cnnvis.UserError(f"input_range is {input_range}; it takes the smallest value first")


@cnnvis.technique(
    "activation-max",
    family="feature visualization",
    reference="Erhan et al. 2009, Univ. de Montreal 1341",
    gives="pictures",
    check=_check,
    paper={"backprop": None, "tv_weight": 0.0, "jitter": (0.0,)},
)
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
    lp_norm: float = 6.0,
    jitter: tuple[cnnvis.NotNegative, ...] = (16.0,),
    input_range: tuple[float, float] | None = None,
    start: Literal["noise", "data"] = "noise",
    together: bool = False,
    fall_back: bool = True,
    frames: FrameCount | None = None,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """The input with the highest score of a filter or class, found by gradient ascent.

    Minimizes -w_a S(x) + w_tv TV(x) + w_p |x|_p, for the score S, by RMSprop from noise: Erhan et
    al. 2009; the total variation TV as in Mahendran and Vedaldi 2016, arXiv:1512.02017, section
    3.2.2. CNN-vis has the same defaults. Without a layer, the result shows every convolution and
    dense layer. As in keras-vis, the values of a picture lie about the middle of the input's range,
    with a tenth of the range as their deviation. The scores are the scores of these pictures; a
    note gives the score that the ascent reached.

    Parameters
    ----------
    fall_back
        Use the plain gradient where the modified gradient does not raise the score, and make a
        note.
    gradient
        The change of the gradient before each step.
    iterations
        The number of steps. The result is the input one step after the input with the smallest
        loss, as in keras-vis.
    activation_weight
        The weight of the score in the loss.
    tv_weight
        The weight of the total variation in the loss: more makes the input smoother.
    lp_norm_weight
        The weight of the L-p norm in the loss: more makes values smaller.
    lp_norm
        The p of the L-p norm, at least 1; inf for the largest value.
    jitter
        The largest random shift of the input before each step, around its edges: in pixels, or
        below 1 as a share of the axis. Give one number for all spatial axes or one number for each
        axis.
    input_range
        The smallest and largest value of the result and of the noise. By default the range of the
        data; without data, the range that the network's first layer expects, if this layer rescales
        or normalizes; else 0 to 255, which is a guess.
    start
        The start of the ascent: noise, or the images of the data, with one result for each image.
    together
        Find one input for the sum of all chosen filters, instead of one input for each filter.
    """
    if start == "noise" and len(model.inputs) > 1:
        raise cnnvis.UserError(
            f"the network takes {len(model.inputs)} inputs, and noise in one input means nothing "
            "without the other inputs; start from data for all inputs: --start data --data FILE"
        )
    if start == "data" and samples is None:
        raise cnnvis.UserError("start is 'data', and no data are given; add --data FILE")
    import numpy as np

    rng = np.random.default_rng(seed)
    bounds = input_range or range_of(model, samples)
    if start == "data" and samples is not None:
        starts = samples.x
    else:
        starts = noise_in(fixed(model.input_shape), bounds, rng)[None]
    space = [axis for axis in range(1, starts.ndim) if axis != channel_of(model, starts)]
    pixels = pixels_of(jitter, [starts.shape[axis] for axis in space])
    shifts = np.stack([rng.integers(-p, p + 1, iterations) for p in pixels], axis=1)
    terms = Terms(activation_weight, tv_weight, lp_norm_weight, lp_norm, gradient, tuple(space))

    found = Found(bounds, None if start == "noise" or samples is None else samples.indices)
    for at in models_at_targets(model):
        weights = rows_of_target(at, together=together)
        each = len(weights)
        ascent = Ascent(
            at,
            terms,
            shifts,
            x=np.repeat(starts.astype(np.float32), each, axis=0),
            weights=np.tile(weights, (len(starts), 1)),
            of=np.repeat(np.arange(len(starts)), each),
            is_held=start == "data",
            is_one_of_many=model.asked_layer is None and at.layer != model.layer,
            looks=looks(iterations, frames),
        )
        found.add(ascent, ascent.raised(backprop, fall_back=fall_back))
    found.say(backprop)
    return cnnvis.Explanation(
        np.concatenate(found.pictures),
        axes=cnnvis.axis_names(starts.ndim - 1, model.input_channel_axis),
        titles=tuple(found.titles),
        targets=tuple(found.targets),
        signed=False,
        are_inputs=True,
        measures={
            "score_at_start": np.array([target.score for target in found.before]),
            "score_reached": np.array([target.score for target in found.reached]),
        },
        curves={"score": np.concatenate(found.curves)},
        frames=found.film(looks(iterations, frames)),
    )
