"""Integrated gradients: the integral of gradients along the path from a baseline to the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

from ._path import Path, Quadrature

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def _remarks(
    measures: Mapping[str, Array], *, tolerance: float, most_steps: int, **_: Any
) -> Iterator[str]:
    gaps, steps = measures["completeness_gap"], int(measures["steps"].max())
    if (left := gaps > tolerance).any():
        yield (
            f"integrated-gradients is not complete for {left.sum()} of {left.size} maps: with {steps} steps, the "
            f"sum of a map is still off by {gaps[left].max():.1%}; --most-steps {4 * max(steps, most_steps)} may do"
        )


@cnnvis.technique(
    "integrated-gradients",
    family="integrated gradients",
    reference="arXiv:1703.01365",
    claims={"integrated-gradients": {"baseline": 0.0}, "complete": {}},
    signed={},
    remarks=_remarks,
)
def integrated_gradients(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    steps: cnnvis.Count = 50,
    baseline: cnnvis.Baseline = "auto",
    tolerance: cnnvis.Positive = 0.01,
    most_steps: cnnvis.Count = 1600,
    moving: Literal["one", "all"] = "one",
) -> cnnvis.Explanation:
    """How much each value adds to the score on the way from a baseline to the input.

    M = (x - x') * integral from 0 to 1 of dS/dx(x' + t (x - x')) dt, for the score S, the input x
    and the baseline x': Sundararajan et al. 2017, equation 1. The sum of M is S(x) - S(x'). The
    integral is taken by Gauss-Legendre quadrature, on pieces of the way with 50 points each, and with
    twice as many for each image whose sum is off by more than the tolerance, until it is not.

    Parameters
    ----------
    steps
        At how many points on the way gradients are taken at first.
    baseline
        The input that the way begins with.
    tolerance
        How far the sum of a map may be off S(x) - S(x'), as a share of it; where contributions
        cancel out, as a share of a hundredth of their sizes.
    most_steps
        How many steps an image may take.
    moving
        For a network with several inputs: one moves from its baseline and the others are held, so
        that the sum of each input's map is what this input changes; or all move together, so that
        the sums of all maps together are S(x) - S(x'). Inputs of whole numbers are always held.
    """
    import numpy as np

    x = np.asarray(samples.x, np.float32)
    path = Path.of(model, samples, baseline, moving_all=moving == "all")
    score, start = model.scores(x, weights=path.weights), path.score_at_start()
    change = score - start
    maps, gaps, taken = np.zeros_like(x), np.zeros(len(x)), np.zeros(len(x))
    left, count = np.arange(len(x)), steps
    while left.size and count <= max(steps, most_steps):
        quadrature = Quadrature.of(count)
        maps[left], sums, sizes = path.integrated(left, quadrature)
        taken[left] = len(quadrature.places)
        gaps[left] = cnnvis.completeness_gap(sums, sizes, change[left], score=score[left])
        left, count = left[gaps[left] > tolerance], 2 * count
    if len(model.inputs) > 1 and moving == "one":
        cnnvis.note(
            f"the sum of each map of {samples.input!r} is what this input changes while the others "
            "are held; --moving all moves all inputs together"
        )
    return cnnvis.Explanation(maps, samples, measures={"completeness_gap": gaps, "steps": taken})
