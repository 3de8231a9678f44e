"""Inputs that are made of frequencies: of which statistics they are, and how their scores rose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._spectra import Statistics

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def statistics_for(
    model: cnnvis.Model, samples: cnnvis.Samples | None, bounds: tuple[float, float] | None
) -> Statistics:
    """Return the statistics of the data, or those of photographs without data."""
    if bounds is not None and not bounds[0] < bounds[1]:
        raise cnnvis.UserError(f"input_range is {bounds}; it takes the smallest value first")
    if len(model.inputs) > 1:
        raise cnnvis.UserError(
            f"the network takes {len(model.inputs)} inputs, and a single made input means nothing "
            "without the others; activation-max --start data can begin with data for all inputs"
        )
    if samples is not None:
        if not 1 <= len(samples.space) <= 3:
            raise cnnvis.UserError(
                f"the input has {len(samples.space)} spatial axes, and frequencies are along 1, 2 or 3; "
                "use activation-max"
            )
        found = Statistics.of_data(samples, bounds)
        cnnvis.note(
            f"frequencies, channels and range are those of {found.samples} samples of the data"
        )
        return found
    shape = tuple(size or 0 for size in model.input_shape)
    if 0 in shape:
        raise cnnvis.UserError(
            f"the network takes inputs of any size {model.input_shape}, so the size of the result is not "
            "known; give data of the wanted size with --data FILE"
        )
    axis = model.input_channel_axis
    if len(shape) - (axis is not None) not in (1, 2, 3):
        raise cnnvis.UserError("the input has no 1, 2 or 3 spatial axes; use activation-max")
    expected = model.expected_range
    bounds = bounds or ((0.0, 255.0) if expected is None else expected[0])
    cnnvis.note(
        f"without data, frequencies are those of photographs, and values lie from {bounds[0]:.3g} to "
        f"{bounds[1]:.3g}; with --data FILE they are those of the data"
    )
    return Statistics.guessed(shape, axis, bounds)


def pictures(
    model: cnnvis.Model,
    statistics: Statistics,
    ends: tuple[list[Array], list[Array]],
    weights: Array,
    curves: Array,
    frames: cnnvis.Frames | None,
) -> cnnvis.Explanation:
    """Return the inputs that were found, with their scores, and say how these rose.

    Parameters
    ----------
    ends
        The spectra at the start and at the end.
    weights
        The weights of the outputs in the score of each input.
    curves
        The scores over the steps.
    frames
        The inputs on the way.
    """
    import numpy as np

    begun, found = (
        np.asarray(statistics.inputs(*(one.astype(np.float32) for one in parts))) for parts in ends
    )
    targets = model.targets(found, weights=weights)
    reached, before = (model.scores(x, weights=weights).astype(float) for x in (found, begun))
    if not np.isfinite(reached).all():
        raise cnnvis.UserError(
            "the score is NaN or infinite, so no step can raise it; try a smaller --rate"
        )
    if (reached == before).all():
        raise cnnvis.UserError(
            "no step changed the score: its ReLUs stay off, so the result shows nothing of it; try "
            "another --seed"
        )
    ways = [
        f"{target}: from {was:.3g} to {now:.3g}"
        for target, was, now in zip(targets, before, reached, strict=True)
    ]
    more = f" and {len(ways) - 5} more" if len(ways) > 5 else ""
    cnnvis.note(f"the score of {', '.join(ways[:5])}{more}")
    fell = [str(one) for one, was, now in zip(targets, before, reached, strict=True) if now <= was]
    if fell:
        cnnvis.note(
            f"the score of {', '.join(fell[:5])} did not rise, so the picture does not show an input with "
            "a high score; try more --steps, or another --seed"
        )
    return cnnvis.Explanation(
        found,
        axes=cnnvis.axis_names(found.ndim - 1, statistics.channel_axis),
        targets=targets,
        signed=False,
        are_inputs=True,
        measures={"score_at_start": before, "score_reached": reached},
        curves={"score": curves},
        frames=frames,
    )
