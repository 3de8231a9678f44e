"""Tests whether maps of groups differ by more than chance, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import UserError, numbered
from cnnvis.evaluation import clusters
from cnnvis.evaluation.covariates import Adjusted
from cnnvis.evaluation.exchange import (
    Draws,
    balanced_signs,
    orders,
    permutations,
    resamples,
    signs,
)
from cnnvis.evaluation.group_design import GroupDesign
from cnnvis.evaluation.group_draws import (
    Drawn,
    flipped,
    flipped_about_zero,
    permuted,
    resampled,
)
from cnnvis.evaluation.group_statistics import (
    Moments,
    deviates,
    hedges_g,
    moments_of,
    omega_squared,
    welch_f,
    welch_t,
)
from cnnvis.evaluation.map_rows import MapRows
from cnnvis.evaluation.scratch import Scratch
from cnnvis.reporting import progress

Correction = Literal["max", "step-down", "cluster", "tfce", "bh", "by"]

FEWEST = 4
"""Fewest units of a group whose spread may differ from that of others, and that has an interval."""

BLOCK = 2048
"""Number of places that are gone through at a time: few enough for a processor's cache."""

VALUES = 2**22
"""Largest number of deviates of which clusters are found at a time."""

LOOKED_AT = 500
"""Number of units of a group in which skewness and spread are looked at."""

SURE = 8
"""Number of units of the smallest group from which on degrees of freedom can be estimated.

Of fewer, Satterthwaite's estimate is too uneven among many places; the fewest that there may be are
taken."""

MANY = 4096
"""Number of units from which on sums of draws are taken in single precision."""


@dataclass(frozen=True)
class GroupPlan:
    """How a comparison is tested.

    Attributes
    ----------
    correct
        The error rate that is held over all places: ``max``, ``step-down``, ``cluster`` and ``tfce`` the
        probability of a single false place or cluster, ``bh`` and ``by`` the share of false places.
    spread
        ``any``: groups may differ in spread. ``equal``: they may not, and a difference in spread
        alone may be found.
    draws
        The number of draws.
    threshold
        The p-value at a single place from which on it belongs to a cluster.
    level
        The level of intervals; None for no intervals.
    seed
        The seed of the draws.
    """

    correct: Correction = "max"
    spread: Literal["any", "equal"] = "any"
    draws: int = 1000
    threshold: float = 0.001
    level: float | None = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, kinds in (
            ("correct", self.correct, get_args(Correction)),
            ("spread", self.spread, ("any", "equal")),
        ):
            if value not in kinds:
                raise UserError(f"{name} is one of {', '.join(kinds)}, and not {value!r}")
        if self.draws < 1:
            raise UserError(f"at least one draw is needed, and there are {self.draws}")
        if not 0 < self.threshold < 1 or not (self.level is None or 0 < self.level < 1):
            raise UserError("threshold and level lie between 0 and 1")


@dataclass(frozen=True)
class Null:
    """A hypothesis of no difference: its draws, and the deviates that these have.

    Attributes
    ----------
    what
        The draws in words.
    draws
        The draws.
    moments
        Function of the maps of the units at some places that returns a function of some draws.
    least
        The smallest p-value that there can be.
    takes_fewest
        True where the fewest degrees of freedom of a group are taken in each draw, and no estimate.
    each
        The number of rows of numbers that are made of each draw.
    """

    what: str
    draws: Draws
    moments: Callable[[Array], Drawn]
    least: float
    takes_fewest: bool = False
    each: int = 1


@dataclass(frozen=True)
class GroupTest:
    """Result of a comparison, (places,) float64 each.

    Attributes
    ----------
    difference
        The mean of the last of two groups minus that of the first; of one group, its mean; of more
        groups, Welch's F.
    statistic
        Welch's t, or F.
    effect
        Hedges' g; of more than two groups, omega squared.
    p
        The p-value, corrected for the number of places.
    alone
        The p-value of each place by itself.
    z
        The deviate of each place.
    low, high
        The interval of the difference at each place by itself; None without one.
    clusters
        The signed number of the cluster of each place; None but for clusters.
    nulls
        The hypotheses that were tested: p is the largest of theirs.
    spread
        The standard deviation of each group over its units, in the mean over places, (groups,).
    skewness
        The size of the skewness of the units about the means of groups, in the mean over places.
    skewed_apart
        The largest difference of the skewness of two groups, in the mean over places; of one, 0.
    """

    difference: Array
    statistic: Array
    effect: Array
    p: Array
    alone: Array
    z: Array
    low: Array | None
    high: Array | None
    clusters: Array | None
    nulls: tuple[Null, ...]
    spread: Array
    skewness: float
    skewed_apart: float = 0.0

    @property
    def least(self) -> float:
        """The smallest p-value that there can be."""
        return max(null.least for null in self.nulls)


def nulls_of(
    design: GroupDesign, plan: GroupPlan, model: Adjusted | None = None
) -> tuple[Null, ...]:
    """Return the hypotheses of no difference that a comparison is tested against.

    Raises
    ------
    UserError
        If a group has too few units.
    """
    counts, most, seed = design.counts, plan.draws, plan.seed
    for name, count in zip(design.groups, counts, strict=False):
        if count < 2:
            raise UserError(
                f"there is {numbered(count, 'unit')} {_where(design, name)}, and a spread takes two at least"
            )
    if design.kind != "between":
        drawn = signs(counts[0], most, seed)
        least = 2.0 ** (1 - counts[0]) if drawn.is_exact else 1 / (most + 1)
        return (Null("changes of sign", drawn, flipped_about_zero, least),)
    if model is None:
        drawn = permutations(counts, most, seed)
        # Of two groups of the same size, the exchange of both gives the same sizes again.
        same = 2 if len(counts) == 2 and counts[0] == counts[1] else 1
        least = same / drawn.count if drawn.is_exact else 1 / (most + 1)
        found = Null("permutations", drawn, lambda maps: permuted(maps, counts), least)
    else:
        each = 2 * model.basis.shape[1]
        drawn = orders(sum(counts), most, seed)
        found = Null("permutations", drawn, model.permuted, 1 / (most + 1), each=each)
    if plan.spread == "equal":
        return (found,)
    for name, count in zip(design.groups, counts, strict=True):
        if count < FEWEST:
            raise UserError(
                f"there are {numbered(count, 'unit')} {_where(design, name)}: of fewer than {FEWEST} nobody "
                "can tell a difference in means from one in spread; --spread equal takes the spreads as equal"
            )
    drawn, least = balanced_signs(counts, most, seed), 1 / (most + 1)
    wild = (lambda maps: flipped(maps, counts)) if model is None else model.flipped
    words = "changes of sign of residuals"
    few = min(counts) < SURE
    return found, Null(words, drawn, wild, least, takes_fewest=few, each=found.each)


def _where(design: GroupDesign, name: str) -> str:
    return "with both groups" if design.kind == "within" else f"of {name}"


def tested(
    rows: MapRows,
    design: GroupDesign,
    plan: GroupPlan,
    shape: tuple[int, ...],
    channel: int | None,
    scratch: Scratch,
    model: Adjusted | None = None,
) -> GroupTest:
    """Return the test of a comparison.

    Parameters
    ----------
    rows
        The maps of the cells of the design.
    shape
        The shape of a map.
    channel
        The axis of channels in it, over which no places are neighbours; None without channels.
    scratch
        Where the deviates of draws are kept.
    model
        The model of two groups with covariates; None without covariates.

    Raises
    ------
    UserError
        If a group has too few units.
    DiskError
        If there is no room for the draws.
    """
    nulls = nulls_of(design, plan, model)
    found = {name: np.zeros(rows.places) for name in ("difference", "statistic", "effect", "z")}
    keeps = plan.correct in ("cluster", "tfce", "step-down")
    runs = [_Run(null, rows.places, scratch if keeps else None) for null in nulls]
    interval = plan.level is not None and min(design.counts) >= FEWEST and len(design.groups) < 3
    describe = partial(_described, design, model, any(null.takes_fewest for null in nulls))
    ends = np.zeros((2, rows.places)) if interval else None
    # Each place is gone through by all draws, and by those of the interval.
    total = rows.places * (sum(null.draws.count for null in nulls) + plan.draws * interval)
    shapes: list[tuple[Array, int]] = []
    dtype = np.float64 if sum(design.counts) <= MANY else np.float32
    with progress("comparing groups", total) as advance:
        for block in rows.blocks(BLOCK if dtype is np.float64 else BLOCK // 4):
            maps = design.maps(rows.means(block)).astype(dtype, copy=False)
            own, moments = describe(maps)
            shapes.append((_form(design, maps), block.stop - block.start))
            for name, values in own.items():
                found[name][block] = values
            for run in runs:
                run.add(block, maps, found["z"], advance)
            if ends is not None:
                ends[:, block] = _interval(design, plan, maps, moments, advance, model is None)
    apart = (0,) if channel is None else (0, channel + 1)
    whole = [_corrected(run, plan, found["z"], shape, apart) for run in runs]
    alone = np.maximum.reduce([run.null.draws.p(run.hits) for run in runs])
    p = np.maximum.reduce([one for one, _ in whole])
    if plan.correct in ("bh", "by"):
        from scipy import stats

        p = stats.false_discovery_control(alone, method=plan.correct)
    low, high = (None, None) if ends is None else ends
    forms = np.average([one for one, _ in shapes], axis=0, weights=[size for _, size in shapes])
    return GroupTest(
        **found, p=p, alone=alone, low=low, high=high, clusters=whole[0][1], nulls=nulls,
        spread=np.sqrt(forms[:-2]), skewness=float(forms[-2]), skewed_apart=float(forms[-1]),
    )  # fmt: skip


def _form(design: GroupDesign, maps: Array) -> Array:
    """Return the variance of each group, the size of the skewness, and how far groups differ in it.

    Each is a mean over places.
    """
    groups = np.split(maps, np.cumsum(design.counts)[:-1])
    some = [one[:: max(len(one) // LOOKED_AT, 1)] for one in groups]
    rest = [one - one.mean(axis=0) for one in some]
    variances = [float(np.square(one).sum(axis=0).mean()) / (len(one) - 1) for one in rest]
    # Each group on its own scale, so that a mixture of spreads is no skewness.
    whole = np.concatenate(
        [one / max(variance, 1e-300) ** 0.5 for one, variance in zip(rest, variances, strict=True)]
    )
    of_groups = np.stack([_skewness(one) for one in rest])
    apart = np.ptp(of_groups, axis=0).mean()
    return np.array([*variances, float(abs(_skewness(whole)).mean()), float(apart)])


def _skewness(rest: Array) -> Array:
    """Return the skewness of residuals (units, places) at each place; 0 without any spread."""
    squares = np.square(rest, dtype=np.float64)
    second, third = squares.mean(axis=0), (squares * rest).mean(axis=0)
    found: Array = np.divide(third, second**1.5, out=np.zeros_like(third), where=second > 0)
    return found


def _described(
    design: GroupDesign, model: Adjusted | None, least: bool, maps: Array
) -> tuple[dict[str, Array], Moments]:
    """Return what is observed at a block of places, and its moments."""
    groups = np.split(maps, np.cumsum(design.counts)[:-1])
    if model is None:
        moments, effect = moments_of(groups), None
    else:
        moments, effect = model.observed(np.asarray(maps, np.float64))
    z = deviates(moments, least=least)
    if len(groups) > 2:
        f = welch_f(moments)[0]
        effect = omega_squared(moments, len(maps))
        return {"z": z, "difference": f, "statistic": f, "effect": effect}, moments
    effect = hedges_g(moments, design.counts) if effect is None else effect
    t, _ = welch_t(moments)
    return {"z": z, "difference": moments.apart, "statistic": t, "effect": effect}, moments


def _interval(
    design: GroupDesign,
    plan: GroupPlan,
    maps: Array,
    moments: Moments,
    advance: Callable[[int], None],
    draws: bool,
) -> Array:
    """Return the ends of the interval at each place, (2, places).

    The bootstrap-t interval (Efron and Tibshirani 1993, 12.5); with covariates, that of t.
    """
    assert plan.level is not None
    tail, error = (1 - plan.level) / 2, np.sqrt(moments.variances.sum(axis=0))
    if not draws:
        from scipy import stats

        reach = stats.t.ppf(1 - tail, welch_t(moments)[1]) * error
        return np.stack([moments.apart - reach, moments.apart + reach])
    drawn = resamples(design.counts, plan.draws, plan.seed)
    statistics = resampled(maps, design.counts)
    every = np.empty((drawn.count, maps.shape[1]), np.float32)
    for numbers, some in drawn.chunks(maps.shape[1]):
        every[numbers] = statistics(some)
        advance(len(some) * maps.shape[1])
    low = np.quantile(every, tail, axis=0, method="lower").astype(np.float64)
    high = np.quantile(every, 1 - tail, axis=0, method="higher").astype(np.float64)
    reach = np.nan_to_num(np.stack([high, low]), posinf=1e6, neginf=-1e6) * error
    found: Array = moments.apart - reach
    return found


class _Run:
    """Draws of one hypothesis over all places: how often they reach what is observed."""

    def __init__(self, null: Null, places: int, scratch: Scratch | None) -> None:
        count = null.draws.count
        self.null = null
        self.hits = np.zeros(places, np.int64)
        self.largest = np.zeros(count)
        self.kept = None if scratch is None else scratch.zeros((count, places), np.float32)

    def add(self, block: slice, maps: Array, z: Array, advance: Callable[[int], None]) -> None:
        """Go through all draws at a block of places."""
        least, moments = _reached(z[block]), self.null.moments(maps)
        for numbers, drawn in self.null.draws.chunks(maps.shape[1], self.null.each):
            own = deviates(moments(drawn), least=self.null.takes_fewest)
            sizes = abs(own)
            self.hits[block] += (sizes >= least).sum(axis=0)
            np.maximum(self.largest[numbers], sizes.max(axis=1), out=self.largest[numbers])
            if self.kept is not None:
                self.kept[numbers, block] = own
            advance(len(drawn) * maps.shape[1])


def _reached(values: Array) -> Array:
    """Return the sizes that a draw must reach, less what rounding may take away."""
    found: Array = abs(values) * (1 - 1e-5)
    return found


def _at_least(draws: Array, values: Array) -> Array:
    """Return how many draws are at least as large as each value."""
    found: Array = len(draws) - np.searchsorted(np.sort(draws), _reached(values))
    return found


def _corrected(
    run: _Run, plan: GroupPlan, z: Array, shape: tuple[int, ...], apart: Sequence[int]
) -> tuple[Array, Array | None]:
    """Return p-values corrected for all places, and the numbers of clusters, if any."""
    p, kept = run.null.draws.p, run.kept
    if kept is None:
        return p(_at_least(run.largest, z)), None
    if plan.correct == "step-down":
        return p(_stepped_down(kept, z)), None
    from scipy import special

    limit = float(-special.ndtri(plan.threshold / 2))
    chunks = _chunks(kept, shape)
    observed = z.reshape(1, *shape)
    if plan.correct == "tfce":
        largest = np.concatenate(
            [abs(clusters.enhanced(one, apart)).reshape(len(one), -1).max(axis=1) for one in chunks]
        )
        return p(_at_least(largest, clusters.enhanced(observed, apart).ravel())), None
    largest = np.concatenate([clusters.largest_masses(one, limit, apart) for one in chunks])
    numbers, mass = clusters.masses(observed, limit, apart)
    each = p(_at_least(largest, mass))
    each[0] = 1.0
    numbers = numbers.ravel()
    return each[numbers], numbers


def _chunks(kept: Array, shape: tuple[int, ...]) -> list[Array]:
    step = max(VALUES // kept.shape[1], 1)
    return [kept[start : start + step].reshape(-1, *shape) for start in range(0, len(kept), step)]


def _stepped_down(kept: Array, z: Array) -> Array:
    """Return the hits of the step-down maximum (Westfall and Young 1993, algorithm 4.1).

    Places are compared with the largest draws of those places that are no stronger.
    """
    order = np.argsort(abs(z), kind="stable")
    least, hits = _reached(z[order]), np.zeros(len(z), np.int64)
    for draw in kept:
        hits += np.maximum.accumulate(abs(draw[order])) >= least
    # No weaker place may have a smaller p-value than a stronger one.
    found = np.empty_like(hits)
    found[order] = np.maximum.accumulate(hits[::-1])[::-1]
    return found
