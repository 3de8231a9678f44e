"""Integrated gradients: the integral of gradients along the path from a baseline to the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


ORDER = 50
"""Maximum number of points in a piece of the path: finding them takes the cube of their number."""

ROUNDING = 2.4e-7
"""Relative rounding error of a score in single precision."""


@cnnvis.technique(
    "integrated-gradients",
    family="integrated gradients",
    reference="arXiv:1703.01365",
    claims={"integrated-gradients": {"baseline": 0.0}, "complete": {}},
    signed={},
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
        The input that the way begins with: a number for every value; or by name, such as zero, mean,
        class:NAME, sample:N, blur or noise. Nothing is said about positions where it is the input
        itself, so auto is zero, or the mean of the data where more than 30 % of the positions are zero.
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
    weights = model.target_weights(x)
    score = model.scores(x, weights=weights)
    starts = _starts(model, samples, baseline)
    start = _score_of_baseline(model, samples, starts, weights, moving)
    # What the scores themselves are rounded by, no steps can mend.
    change, rounded = score - start, ROUNDING * np.maximum(abs(score), abs(start))
    maps, gaps, taken = np.zeros_like(x), np.zeros(len(x)), np.zeros(len(x))
    left, count = np.arange(len(x)), steps
    while left.size and count <= max(steps, most_steps):
        way, shares = _quadrature(count)
        maps[left], sums, sizes = _integrated(
            model, samples, left, starts, (way, shares), weights[left], moving
        )
        taken[left] = len(way)
        gaps[left] = cnnvis.completeness_gap(sums, sizes, change[left])
        is_off = (gaps[left] > tolerance) & (abs(sums - change[left]) > rounded[left])
        left, count = left[is_off], 2 * count
    if left.size:
        worst = left[gaps[left].argmax()]
        cnnvis.note(
            f"integrated-gradients is not complete for {left.size} of {len(x)} images: with "
            f"{int(taken[worst])} steps, the sum of image {samples.indices[worst]} is still off by "
            f"{gaps[worst]:.1%}; --most-steps {4 * count} may do"
        )
    if len(model.inputs) > 1 and moving == "one":
        cnnvis.note(
            f"the sum of each map of {samples.input!r} is what this input changes while the others "
            "are held; --moving all moves all inputs together"
        )
    return cnnvis.Explanation(maps, samples, measures={"completeness_gap": gaps, "steps": taken})


def _starts(
    model: cnnvis.Model, samples: cnnvis.Samples, baseline: str | float
) -> dict[str, Array]:
    """Return the baseline of each input, (n, ...) float32, by the inputs' names."""
    import numpy as np

    own = samples.input or model.inputs[0].name
    sources = samples.inputs or {own: samples.source}
    return {
        name: np.ascontiguousarray(
            np.broadcast_to(samples.baseline(baseline, None if name == own else name), source.shape)
        )
        for name, source in sources.items()
        if name == own or name in model.movable_inputs
    }


def _score_of_baseline(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    starts: dict[str, Array],
    weights: Array,
    moving: str,
) -> Array:
    """Return the score of each input at the baseline, (n,), with other inputs at it or held."""
    from dataclasses import replace

    own = samples.input or model.inputs[0].name
    if moving == "all":
        moved = {name: start for name, start in starts.items() if name != own}
        model = model.with_inputs_held(replace(samples, others={**samples.others, **moved}))
    return model.scores(starts[own], weights=weights)


def _integrated(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    rows: Array,
    starts: dict[str, Array],
    quadrature: tuple[Array, list[float]],
    weights: Array,
    moving: str,
) -> tuple[Array, Array, Array]:
    """Return maps of samples, (k, ...), and the signed and absolute sums over all that moves."""
    import numpy as np

    way, shares = quadrature
    own = samples.input or model.inputs[0].name
    start_of = {name: one[rows] for name, one in starts.items()}

    def perturbation_args(some: range) -> list[Array]:
        return [way[some.start : some.stop], 1 - way[some.start : some.stop]]

    x, of = np.asarray(samples.x[rows], np.float32), rows.tolist()
    if moving == "all":
        means = model.mean_gradients(
            x, _between, perturbation_args, shares,
            per_sample_args={name: [one] for name, one in start_of.items()},
            weights=weights, of=of,
        )  # fmt: skip
    else:
        mean = model.mean_gradient(
            x, _between, perturbation_args, shares,
            per_sample_args=[start_of[own]], weights=weights, of=of,
        )  # fmt: skip
        means = {own: mean}
    inputs = {name: x if name == own else np.asarray(samples.inputs[name][rows]) for name in means}
    moved = {name: (inputs[name] - start_of[name]) * mean for name, mean in means.items()}
    flat = [one.reshape(len(rows), -1).astype(np.float64) for one in moved.values()]
    sums, sizes = sum(one.sum(axis=1) for one in flat), sum(abs(one).sum(axis=1) for one in flat)
    return moved[own], np.asarray(sums), np.asarray(sizes)


def _quadrature(steps: int) -> tuple[Array, list[float]]:
    """Return Gauss-Legendre places from 0 to 1 and their weights, on pieces of equal length."""
    import numpy as np

    pieces = -(-steps // ORDER)
    nodes, weights = np.polynomial.legendre.leggauss(-(-steps // pieces))
    places = (np.arange(pieces)[:, None] + (nodes + 1) / 2) / pieces
    return places.ravel().astype(np.float32), np.tile(weights / 2 / pieces, pieces).tolist()


def _between(x: Any, start: Any, share: Any, rest: Any) -> Any:
    """Return places on the path from the baseline to x."""
    return x * share + start * rest
