"""Occlusion: the fall of the score when a patch of the input is covered."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

from ._filling import fill_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

PARTS = {1: 32, 2: 8, 3: 4}
"""Number of patches side by side along each axis, by the number of axes, where no size is given."""


@cnnvis.technique(
    "occlusion",
    family="perturbation",
    reference="arXiv:1311.2901",
    claims={
        "integrated-gradients": {"patch": (1,), "stride": (1,)},
        "occlusion": {"patch": (1,), "stride": (1,), "baseline": 0.0},
    },
    signed={},
)
def occlusion(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    patch: tuple[cnnvis.Count, ...] | None = None,
    stride: tuple[cnnvis.Count, ...] | None = None,
    baseline: cnnvis.Baseline = "mean",
) -> cnnvis.Explanation:
    """Fall of the score when a patch of the input is covered.

    M(p) = mean over the patches P that hold p of S(x) - S(x covered at P), for the score S and the
    input x: Zeiler and Fergus 2014, section 4.2. The last patch along each axis ends where the axis
    ends, so that every position is in a patch.

    Captum has the same maps where patches and strides fit the input. Where they do not, it cuts the last
    patch off at the edge: r is the correlation of its maps with those of cnnvis on four small networks, for
    patches of 5 on axes of 6 to 36 positions (r 0.22 to 0.97).

    Parameters
    ----------
    patch
        The length of a patch along each spatial axis, in positions; a single number for all axes, or
        a number for each. By default a 32nd of one axis, an 8th of each of two, a 4th of each of three.
    stride
        The distance from one patch to the next, likewise; by default half a patch.
    baseline
        What stands in a covered place.
    """
    import numpy as np

    space = samples.space
    usual = [-(-size // PARTS.get(len(space), 4)) for size in space]
    sizes = [min(one, size) for one, size in zip(_each(patch, usual, "patch"), space, strict=True)]
    steps = _each(stride, [-(-one // 2) for one in sizes], "stride")
    if any(step > size for step, size in zip(steps, sizes, strict=True)):
        raise cnnvis.UserError(
            f"stride is {tuple(steps)} and patch is {tuple(sizes)}: positions between two patches would "
            "be in none; the stride can be as long as a patch at most"
        )
    begins = np.array([*itertools.product(*map(_begins, space, sizes, steps))], np.int32)
    axis = samples.channel_axis
    place = None if axis is None else axis % len(samples.source.shape) - 1

    def perturbation_args(some: range) -> list[Array]:
        """Return where patches begin and end along each axis of an image, channels included."""
        first, last = begins[some.start : some.stop], begins[some.start : some.stop] + sizes
        if place is not None:
            first = np.insert(first, place, 0, axis=1)
            last = np.insert(last, place, samples.source.shape[place + 1], axis=1)
        return [first.astype(np.int32), last.astype(np.int32)]

    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    whole = model.scores(x, weights=weights).astype(np.float64)
    maps, times = np.zeros((len(x), *space)), np.zeros(space)
    covered = cnnvis.Perturbations(
        _covered, perturbation_args, len(begins), [fill_of(model, samples, baseline)]
    )
    for some, scores in model.perturbed_scores(x, covered, weights=weights):
        for number, left in zip(some, scores.T, strict=True):
            inside = tuple(
                slice(at, at + size) for at, size in zip(begins[number], sizes, strict=True)
            )
            fall = (whole - left).reshape(-1, *[1] * len(space))
            maps[(slice(None), *inside)] += fall
            times[inside] += 1
    return cnnvis.Explanation((maps / times).astype(np.float32), samples)


def _each(asked: Sequence[int] | None, usual: Sequence[int], what: str) -> list[int]:
    """Return a number for each spatial axis.

    Raises
    ------
    UserError
        If there are too many or too few.
    """
    if asked is None:
        return list(usual)
    if len(asked) not in (1, len(usual)):
        raise cnnvis.UserError(
            f"{what} is {tuple(asked)}, and it takes a single number, or a number for each of the "
            f"{len(usual)} spatial axes"
        )
    return list(asked) * (len(usual) if len(asked) == 1 else 1)


def _begins(length: int, size: int, step: int) -> list[int]:
    """Return where patches begin along an axis; the last is pushed back to end with the axis."""
    return sorted({*range(0, length - size, step), length - size})


def _covered(x: Any, fill: Any, begins: Any, ends: Any) -> Any:
    """Return inputs x (n, 1, ...) with the fill between begins and ends, both (1, k, axes, ...)."""
    import tensorflow as tf

    inner = x.shape[2:]
    is_out = True
    for axis, size in enumerate(inner):
        at = tf.reshape(
            tf.range(size), [1, 1, *[-1 if one == axis else 1 for one in range(len(inner))]]
        )
        first, last = (
            tf.reshape(one[:, :, axis], [1, -1, *[1] * len(inner)]) for one in (begins, ends)
        )
        is_out = tf.logical_and(is_out, tf.logical_and(at >= first, at < last))
    return tf.where(is_out, fill, x)
