"""Comparisons of groups of maps, against SciPy, and against the same computed one by one."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import cnnvis
from cnnvis.evaluation import clusters, scratch
from cnnvis.evaluation.covariates import Adjusted
from cnnvis.evaluation.exchange import balanced_signs, orders, permutations, resamples, signs
from cnnvis.evaluation.group_draws import flipped, flipped_about_zero, permuted, resampled
from cnnvis.evaluation.group_statistics import (
    Moments,
    f_as_z,
    hedges_g,
    moments_of,
    omega_squared,
    t_as_z,
    welch_f,
    welch_t,
)
from cnnvis.evaluation.map_rows import PLACES, ROWS, MapRows
from cnnvis.reporting import notes_kept

RNG = np.random.default_rng(0)
A, B, C = RNG.normal(size=(9, 5)), 2 * RNG.normal(size=(14, 5)) + 1, RNG.normal(size=(6, 5))
COUNTS = (9, 14)
MAPS = np.concatenate([A, B])


def _test(
    maps: Any, groups: Sequence[Any], units: Sequence[Any] | None = None, **settings: Any
) -> Any:
    pairs, covariates = settings.pop("pairs", None), settings.pop("covariates", None)
    own = [f"covariate {i}" for i in range(0 if covariates is None else covariates.shape[1])]
    channel, batch = settings.pop("channel", None), settings.pop("batch", 7)
    plan = cnnvis.GroupPlan(**{"draws": 99, "level": None, **settings})
    units = range(len(maps)) if units is None else units
    with cnnvis.GroupComparison(plan, maps.shape[1:], channel=channel, covariates=own) as made:
        for start in range(0, len(maps), batch):
            some = slice(start, start + batch)
            made.add(
                maps[some], groups[some], units[some], None if pairs is None else pairs[some],
                None if covariates is None else covariates[some],
            )  # fmt: skip
        names = {one: str(one) for one in sorted(set(groups))}
        design = made.design(names, is_paired=pairs is not None)
        return made.test(design), design, made


# Statistics


def test_statistics_are_those_of_scipy() -> None:
    expected = stats.ttest_ind(B, A, equal_var=False)
    t, freedom = welch_t(moments_of([A, B]))
    np.testing.assert_allclose(t, expected.statistic)
    np.testing.assert_allclose(freedom, expected.df)
    np.testing.assert_allclose(welch_t(moments_of([A]))[0], stats.ttest_1samp(A, 0).statistic)
    # Of two groups, Welch's F is t squared; of more, it is that of SciPy from 1.16 on.
    f, first, second = welch_f(moments_of([A, B]))
    np.testing.assert_allclose(f, t**2)
    np.testing.assert_allclose(second, freedom)
    assert first == 1
    f, first, second = welch_f(moments_of([A, B, C]))
    np.testing.assert_allclose(f, stats.f_oneway(A, B, C, equal_var=False).statistic)
    expected = stats.f_oneway(A, B, C, equal_var=False).pvalue
    np.testing.assert_allclose(2 * stats.norm.sf(f_as_z(f, first, second)), expected)
    assert (omega_squared(moments_of([A, A + 0.01, A]), 27) == 0).all()


def test_deviates_are_as_improbable_as_t() -> None:
    for freedom in (3, 5.5, 12, 200):
        t = stats.t.isf([0.4, 0.05, 1e-3, 1e-4], freedom)
        np.testing.assert_allclose(t_as_z(t, np.float64(freedom)), stats.norm.isf([0.4, 0.05, 1e-3, 1e-4]), atol=0.1)  # fmt: skip
    assert t_as_z(np.array([-np.inf, 0, np.inf]), np.array(5.0)).tolist() == [-30, 0, 30]


def test_hedges_g() -> None:
    """Hedges 1981: with 10 and 10 values, Cohen's d times about 1 - 3 / (4 * 18 - 1)."""
    a, b = RNG.normal(size=(2, 10, 3))
    pooled = np.sqrt((a.var(axis=0, ddof=1) + b.var(axis=0, ddof=1)) / 2)
    expected = (b.mean(axis=0) - a.mean(axis=0)) / pooled * (1 - 3 / (4 * 18 - 1))
    np.testing.assert_allclose(hedges_g(moments_of([a, b]), (10, 10)), expected, rtol=1e-3)
    assert hedges_g(moments_of([np.ones((4, 2))] * 2), (4, 4)).tolist() == [0, 0]


# Draws, each computed by itself


def _drawn(moments: Moments, draw: int) -> tuple[Any, Any, Any]:
    variances, freedom = np.broadcast_arrays(moments.variances, moments.freedom)
    return moments.apart[draw], variances[:, draw], freedom[:, draw]


def test_permuted_groups_one_by_one() -> None:
    labels = permutations(COUNTS, 20, 3).page(0)[:20]
    found = permuted(MAPS, COUNTS)(labels)
    for draw, own in enumerate(labels):
        assert np.bincount(own).tolist() == [9, 14]
        expected = moments_of([MAPS[own == 0], MAPS[own == 1]])
        apart, variances, _ = _drawn(found, draw)
        np.testing.assert_allclose(apart, expected.apart)
        np.testing.assert_allclose(variances, expected.variances)
    three = np.concatenate([MAPS, C])
    labels = permutations((9, 14, 6), 5, 3).page(0)[:5]
    expected_f = [welch_f(moments_of([three[own == k] for k in range(3)]))[0] for own in labels]
    np.testing.assert_allclose(welch_f(permuted(three, (9, 14, 6))(labels))[0], expected_f)


def test_residuals_whose_signs_change_one_by_one() -> None:
    changes = balanced_signs(COUNTS, 20, 3).page(0)[:20]
    found = flipped(MAPS, COUNTS)(changes)
    assert set(changes[:, :9].sum(axis=1)) == {-1, 1} and not changes[:, 9:].sum(axis=1).any()
    for draw, own in enumerate(changes):
        parts = [own[:9, None] * (A - A.mean(axis=0)), own[9:, None] * (B - B.mean(axis=0))]
        lost = [2 - 1 / 81, 2]
        apart, variances, freedom = _drawn(found, draw)
        np.testing.assert_allclose(
            apart, parts[1].mean(axis=0) - parts[0].mean(axis=0) / np.sqrt(1 - 1 / 81)
        )
        for group, part in enumerate(parts):
            degrees = len(part) - lost[group]
            squares = np.square(part - part.mean(axis=0)).sum(axis=0)
            np.testing.assert_allclose(freedom[group], degrees)
            np.testing.assert_allclose(variances[group], squares / degrees / len(part))
    changes = signs(9, 20, 3).page(0)[:20]
    found = flipped_about_zero(A)(changes)
    expected = np.stack([stats.ttest_1samp(own[:, None] * A, 0).statistic for own in changes])
    np.testing.assert_allclose(welch_t(found)[0], expected)


def test_bootstrap_samples_one_by_one() -> None:
    times = resamples(COUNTS, 20, 3).page(0)[:20]
    assert (times[:, :9].sum(axis=1) == 9).all() and (times[:, 9:].sum(axis=1) == 14).all()
    observed = moments_of([A, B]).apart
    for own, found in zip(times, resampled(MAPS, COUNTS)(times), strict=True):
        sample = moments_of([np.repeat(A, own[:9], axis=0), np.repeat(B, own[9:], axis=0)])
        expected = (sample.apart - observed) / np.sqrt(sample.variances.sum(axis=0))
        np.testing.assert_allclose(found, expected)
    one = np.array([[9] + [0] * 8])
    assert np.isinf(resampled(A, (9,))(one)).all()


def test_covariates_one_by_one() -> None:
    """Each draw is fitted anew by least squares, with a variance of each group's own."""
    covariates = RNG.normal(size=(23, 2))
    groups = np.repeat([0, 1], COUNTS)
    design = np.column_stack([groups == 0, groups == 1, covariates]).astype(float)
    reduced = np.column_stack([np.ones(23), covariates])
    model = Adjusted.of(COUNTS, covariates, ["age", "sex"])

    def fitted(columns: Any, maps: Any) -> tuple[Any, Any]:
        weights = np.linalg.lstsq(columns, maps, rcond=None)[0]
        return weights, maps - columns @ weights

    leverage = np.diag(design @ np.linalg.pinv(design))

    def expected(maps: Any, degrees: Any) -> tuple[Any, Any]:
        weights, rest = fitted(design, maps)
        contrast = np.linalg.pinv(design)[1] - np.linalg.pinv(design)[0]
        each = [np.square(rest[groups == k]).sum(axis=0) / degrees[k] for k in (0, 1)]
        shares = [np.square(contrast[groups == k]).sum() for k in (0, 1)]
        return weights[1] - weights[0], np.stack([e * s for e, s in zip(each, shares, strict=True)])

    whole = [(1 - leverage)[groups == k].sum() for k in (0, 1)]
    moments, _ = model.observed(MAPS)
    apart, variances = expected(MAPS, whole)
    np.testing.assert_allclose(moments.apart, apart)
    np.testing.assert_allclose(moments.variances, variances)
    order = orders(23, 6, 3).page(0)[:6]
    found = model.permuted(MAPS)(order)
    for draw, own in enumerate(order):
        apart, variances = expected(fitted(reduced, MAPS)[1][own], whole)
        np.testing.assert_allclose(found.apart[draw], apart)
        np.testing.assert_allclose(found.variances[:, draw], variances)
    changes = balanced_signs(COUNTS, 6, 3).page(0)[:6]
    found = model.flipped(MAPS)(changes)
    projection = np.eye(23) - design @ np.linalg.pinv(design)
    contrast = np.linalg.pinv(design)[1] - np.linalg.pinv(design)[0]
    for draw, own in enumerate(changes):
        twice = projection * own @ projection * own @ projection
        degrees = [np.diag(twice)[groups == k].sum() for k in (0, 1)]
        apart, variances = expected(own[:, None] * fitted(design, MAPS)[1], degrees)
        kept = (contrast * own) @ projection @ (own * contrast) / (contrast @ contrast)
        np.testing.assert_allclose(found.apart[draw], apart / np.sqrt(kept))
        np.testing.assert_allclose(found.variances[:, draw], variances)


def test_a_covariate_that_says_nothing_changes_nothing_else() -> None:
    """A covariate of mean zero in both groups, beside maps that it does not explain."""
    numbers = np.concatenate([np.linspace(-1, 1, 9), np.linspace(-1, 1, 14)])[:, None]
    maps = np.zeros((23, 1))
    maps[:, 0] = np.concatenate([np.cos(np.linspace(-1, 1, 9)), 3 + np.cos(np.linspace(-1, 1, 14))])
    model = Adjusted.of(COUNTS, numbers, ["age"])
    found, effect = model.observed(maps)
    plain = moments_of([maps[:9], maps[9:]])
    np.testing.assert_allclose(found.apart, plain.apart)
    # Only the degrees of freedom are fewer.
    np.testing.assert_allclose(found.variances * found.freedom, plain.variances * plain.freedom)
    assert (found.freedom < plain.freedom).all() and (effect > 0).all()
    for numbers in (np.ones((23, 1)), np.repeat([0.0, 1.0], COUNTS)[:, None]):
        with pytest.raises(cnnvis.UserError, match="age is constant, or follows from the groups"):
            Adjusted.of(COUNTS, numbers, ["age"])
    with pytest.raises(cnnvis.UserError, match="more than 9"):
        Adjusted.of(COUNTS, RNG.normal(size=(23, 7)), list("abcdefg"))


# Tests


def test_all_permutations_there_are() -> None:
    rng = np.random.default_rng(1)  # whatever other tests have drawn before
    maps = rng.normal(size=(8, 3)) + np.repeat([0, 9], 4)[:, None] * [1, 0, 0]
    found, design, _ = _test(maps, [0] * 4 + [1] * 4, spread="equal")
    expected, alone = [], []
    for chosen in itertools.combinations(range(8), 4):
        inside = np.isin(range(8), chosen)
        t = abs(welch_t(moments_of([maps[~inside], maps[inside]]))[0])
        freedom = welch_t(moments_of([maps[~inside], maps[inside]]))[1]
        alone.append(abs(t_as_z(t, freedom)))
        expected.append(alone[-1].max())
    least = abs(found.z) * (1 - 1e-6)
    np.testing.assert_allclose(found.p, [(expected >= z).mean() for z in least])
    np.testing.assert_allclose(found.alone, (np.array(alone) >= least).mean(axis=0))
    assert found.nulls[0].draws.count == 70 and found.least == 2 / 70 == found.p.min()
    assert design.sizes == "0: 4 images; 1: 4 images"


def test_signs_of_one_group() -> None:
    maps = RNG.normal(size=(6, 3)) + np.array([2, 0, 0])
    found, design, _ = _test(maps, ["all"] * 6)
    every = np.array([*itertools.product([1, -1], repeat=6)])
    t = np.stack([abs(stats.ttest_1samp(own[:, None] * maps, 0).statistic) for own in every])
    least = abs(found.statistic) * (1 - 1e-6)
    np.testing.assert_allclose(found.p, [(t.max(axis=1) >= one).mean() for one in least])
    assert design.kind == "zero" and found.nulls[0].draws.is_exact and found.least == 2 / 64


def test_corrections() -> None:
    maps = RNG.normal(size=(40, 8, 9))
    maps[20:, 2:5, 3:7] += 1.8
    groups = [0] * 20 + [1] * 20
    found = {one: _test(maps, groups, correct=one, threshold=0.01, draws=999)[0] for one in ("max", "step-down", "cluster", "tfce", "bh", "by")}  # fmt: skip
    inside = np.zeros((8, 9), bool)
    inside[2:5, 3:7] = True
    inside = inside.ravel()
    alone = found["max"].alone
    for name, one in found.items():
        np.testing.assert_array_equal(one.alone, alone)
        assert (one.p[inside] <= 0.05).mean() > 0.3, name
        assert (one.p[~inside] <= 0.05).mean() < 0.1, name
    assert (found["step-down"].p <= found["max"].p).all()
    assert (found["step-down"].p >= alone).all()
    strongest = abs(found["step-down"].z).argsort()
    assert (np.diff(found["step-down"].p[strongest]) <= 0).all()
    for name in ("bh", "by"):
        expected = stats.false_discovery_control(alone, method=name)
        np.testing.assert_array_equal(found[name].p, expected)
    assert (found["max"].p >= alone).all()


def test_p_is_the_largest_one_of_both_hypotheses() -> None:
    groups = [0] * 9 + [1] * 14
    both = _test(MAPS, groups)[0]
    assert [null.what for null in both.nulls] == ["permutations", "changes of sign of residuals"]
    assert (both.p >= 0.01).all() and not both.nulls[0].draws.is_exact
    # Batches, places in blocks and their order change nothing.
    wide = np.concatenate([MAPS, np.zeros((23, 3000)), MAPS[:, ::-1]], axis=1)
    again = _test(wide, groups, batch=23)[0]
    np.testing.assert_allclose(again.p[:5], both.p)
    np.testing.assert_allclose(again.p[-5:], both.p[::-1])
    assert (again.p[5:-5] == 1).all() and not again.statistic[5:-5].any()


def test_a_difference_without_any_spread() -> None:
    maps = np.repeat([[0.0, 1.0], [5.0, 1.0]], 8, axis=0)
    found = _test(maps, [0] * 8 + [1] * 8)[0]
    assert np.isinf(found.statistic[0]) and found.statistic[1] == 0
    assert found.p.tolist() == [0.01, 1.0] and found.difference.tolist() == [5, 0]


def test_intervals_hold_the_difference() -> None:
    held = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        maps = np.concatenate([rng.normal(size=(8, 40)), 2 + 3 * rng.normal(size=(15, 40))])
        found = _test(maps, [0] * 8 + [1] * 15, level=0.9, draws=199)[0]
        assert (found.low <= found.difference).all() and (found.difference <= found.high).all()
        held.append(((found.low <= 2) & (found.high >= 2)).mean())
    assert 0.87 <= np.mean(held) <= 0.95
    numbers = RNG.normal(size=(23, 1))
    found = _test(MAPS, [0] * 9 + [1] * 14, level=0.9, covariates=numbers)[0]
    assert (found.low < found.difference).all() and (found.difference < found.high).all()
    assert _test(MAPS, [0] * 9 + [1] * 14)[0].low is None


# Clusters


def test_clusters_and_their_masses() -> None:
    z = np.array([[[3.0, 3, 0, -4], [0, 0, 0, -4], [3, 0, -1, 2]], [[5, -5, 0, 0]] + [[0] * 4] * 2])
    numbers, mass = clusters.masses(z, 2.5, (0,))
    assert [round(mass[numbers[place]], 6) for place in ((0, 0, 0), (0, 1, 3), (0, 2, 0), (0, 2, 3), (1, 0, 0), (1, 0, 1))] == [6, 8, 3, 0, 5, 5]  # fmt: skip
    assert clusters.largest_masses(z, 2.5, (0,)).tolist() == [8, 5]
    # Channels are no neighbours.
    numbers, mass = clusters.masses(np.full((1, 2, 3), 4.0), 3, (0, 2))
    assert sorted(mass.tolist()) == [0, 8, 8, 8]


def test_threshold_free_enhancement() -> None:
    """Of two places of 1 beside one of 2: 3^0.5 sum h^2 dh up to 1, and 1^0.5 from there to 2."""
    z = np.array([[0, 1.0, 2.0, 1.0, 0, -2.0]])
    found = clusters.enhanced(z, (0,), step=0.001)[0]
    np.testing.assert_allclose(found[1], 3**0.5 / 3, rtol=0.01)
    np.testing.assert_allclose(found[2], 3**0.5 / 3 + (8 - 1) / 3, rtol=0.01)
    np.testing.assert_allclose(found[5], -8 / 3, rtol=0.01)
    assert found[0] == found[4] == 0


# Designs


def test_units_count_once_each() -> None:
    maps = RNG.normal(size=(16, 4))
    units = ["s0"] * 4 + ["s1"] * 2 + ["s2", "s3"] + ["s4"] * 5 + ["s5", "s6", "s7"]
    groups = [0] * 8 + [1] * 8
    found, design, _ = _test(maps, groups, units)
    means = np.stack([maps[np.array(units) == f"s{k}"].mean(axis=0) for k in range(8)])
    expected = stats.ttest_ind(means[4:], means[:4], equal_var=False).statistic
    np.testing.assert_allclose(found.statistic, expected)
    assert (
        design.counts == (4, 4) and design.sizes == "0: 8 images of 4 units; 1: 8 images of 4 units"
    )


def test_units_with_both_groups_are_compared_within() -> None:
    maps = RNG.normal(size=(21, 4))
    units = [*np.repeat(range(5), 4), 9]
    groups = ["a", "b", "b", "b"] * 5 + ["a"]
    with notes_kept() as notes:
        found, design, _ = _test(maps, groups, units)
    each = maps[:20].reshape(5, 4, 4)
    expected = stats.ttest_1samp(each[:, 1:].mean(axis=1) - each[:, 0], 0).statistic
    np.testing.assert_allclose(found.statistic, expected)
    assert design.kind == "within" and found.nulls[0].draws.count == 32
    assert design.sizes == "5 units; a: 5 images; b: 15 images"
    assert notes == ["1 unit of 6 with images of one group only are left out"]
    with pytest.raises(
        cnnvis.UserError, match="1 unit of 8 hold images of both a and b, and 7 of one"
    ):
        _test(maps[:9], list("abaaaabbb"), [0, 0, *range(1, 8)])
    with pytest.raises(cnnvis.UserError, match="two groups are compared: choose two with --of A B"):
        _test(maps[:9], list("abc") * 3, [0, 0, 0, 1, 1, 1, 2, 2, 2])


def test_pairs_in_units() -> None:
    """Two pairs of a unit are averaged; their unit is exchanged."""
    maps = RNG.normal(size=(24, 4))
    groups, pairs, units = ["a", "b"] * 12, [*np.repeat(range(12), 2)], [*np.repeat(range(6), 4)]
    found, design, _ = _test(maps, groups, pairs=pairs, units=pairs)
    apart = maps[1::2] - maps[::2]
    np.testing.assert_allclose(found.statistic, stats.ttest_1samp(apart, 0).statistic)
    assert design.counts == (12,)
    found, design, _ = _test(maps, groups, pairs=pairs, units=units)
    each = apart.reshape(6, 2, 4).mean(axis=1)
    np.testing.assert_allclose(found.statistic, stats.ttest_1samp(each, 0).statistic)
    assert design.counts == (6,)


def test_too_few_units() -> None:
    for counts, sentence in (
        ((1, 9), "there is 1 unit of 0, and a spread takes two at least"),
        ((3, 9), "3 units of 0: of fewer than 4 nobody can tell .* --spread equal"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _test(MAPS[: sum(counts)], [0] * counts[0] + [1] * counts[1])
    assert _test(MAPS[:12], [0] * 3 + [1] * 9, spread="equal")[0].least == pytest.approx(1 / 100)


# Memory


def test_rows_on_a_disk_are_those_in_memory(monkeypatch: Any) -> None:
    maps = RNG.normal(size=(3 * ROWS - 5, PLACES + 9)).astype(np.float32)
    keys = [number % (2 * ROWS) for number in range(len(maps))]
    with scratch.Scratch() as memory, scratch.Scratch(2**19) as disk:
        rows = []
        for where in (memory, disk):
            one = MapRows(maps.shape[1], where, np.float64)
            for start in range(0, len(maps), 11):
                one.add(keys[start : start + 11], maps[start : start + 11])
            rows.append(one)
        assert not memory.is_on_disk and disk.is_on_disk
        for block in rows[0].blocks(1):
            expected = [
                maps[np.array(keys) == key, block].mean(axis=0, dtype=float) for key in rows[0].keys
            ]
            np.testing.assert_allclose(rows[0].means(block), expected)
            np.testing.assert_array_equal(rows[0].means(block), rows[1].means(block))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch, "_lengthen", full)
    with (
        scratch.Scratch(0) as disk,
        pytest.raises(cnnvis.DiskError, match=r"has no room for 0\.0 GiB more .*TMPDIR"),
    ):
        disk.zeros((3, 4), np.float32)


def test_draws_on_a_disk_are_those_in_memory(monkeypatch: Any) -> None:
    groups = [0] * 9 + [1] * 14
    whole = _test(MAPS, groups, correct="cluster", threshold=0.2)[0]
    monkeypatch.setattr(scratch, "LARGEST", 0)
    again = _test(MAPS, groups, correct="cluster", threshold=0.2)[0]
    np.testing.assert_array_equal(whole.p, again.p)


# Other libraries; group_references.py wrote what they give


REFERENCES = np.load(Path(__file__).with_name("group_references.npz"))
TWELVE = [0] * 12 + [1] * 12


def test_the_largest_t_as_in_nilearn() -> None:
    """Their t has one variance for both groups, which is Welch's for groups of one size."""
    found = _test(REFERENCES["maps"], TWELVE, spread="equal", draws=2000)[0]
    np.testing.assert_allclose(found.statistic, REFERENCES["plain_t"])
    small = REFERENCES["plain_p"] < 0.2
    assert 3 <= small.sum() < 10
    np.testing.assert_allclose(found.p[small], REFERENCES["plain_p"][small], atol=0.02)
    numbers = REFERENCES["age"][:, None]
    found = _test(REFERENCES["maps"], TWELVE, spread="equal", draws=2000, covariates=numbers)[0]
    np.testing.assert_allclose(found.statistic, REFERENCES["adjusted_t"], atol=0.06)
    small = REFERENCES["adjusted_p"] < 0.2
    assert 2 <= small.sum() < 10
    np.testing.assert_allclose(found.p[small], REFERENCES["adjusted_p"][small], atol=0.03)


def test_threshold_free_enhancement_as_in_nilearn() -> None:
    """Their thresholds are evenly spaced up to the largest t, and they leave the distance out."""
    t = REFERENCES["plain_t"].reshape(1, 8, 9)
    step = t.max() / int(t.max() / clusters.STEP) * (1 - 1e-9)
    found = clusters.enhanced(t, (0,), step)[0]
    np.testing.assert_allclose(found, REFERENCES["tfce"] * step, rtol=1e-6)


def test_clusters_as_in_mne() -> None:
    settings: Any = {"draws": 2000, "correct": "cluster", "threshold": 0.01}
    for name, found in (
        ("cluster_p", _test(REFERENCES["maps"], TWELVE, spread="equal", **settings)[0]),
        ("cluster_of_one_p", _test(REFERENCES["centred"], ["all"] * 12, **settings)[0]),
    ):
        expected = REFERENCES[name].ravel()
        np.testing.assert_array_equal(found.p < 1, expected < 1)
        np.testing.assert_allclose(found.p, expected, atol=0.03)
