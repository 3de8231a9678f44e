"""Mathematics of checks, against closed forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats

import cnnvis
from cnnvis.evaluation.bootstrap import bootstrap_interval
from cnnvis.evaluation.edges import edge_maps, random_maps
from cnnvis.evaluation.ranks import spearman
from cnnvis.evaluation.removal import parts_of
from cnnvis.evaluation.remover import Removal

RNG = np.random.default_rng(8)


def test_rank_correlations_are_scipys_with_ties_and_over_some_positions() -> None:
    a, b = RNG.integers(0, 5, (4, 6, 7)), RNG.normal(size=(4, 6, 7))
    where = RNG.random((4, 6, 7)) > 0.4
    for row in range(4):
        whole = stats.spearmanr(a[row].ravel(), b[row].ravel())[0]
        some = stats.spearmanr(a[row][where[row]], b[row][where[row]])[0]
        assert spearman(a, b)[row] == pytest.approx(whole)
        assert spearman(a, b, where)[row] == pytest.approx(some)
    assert np.isnan(spearman(np.ones((1, 9)), b[:1, 0, :1].repeat(9, 1))).all()


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(RNG.normal(3, 1, 40)) or (0, 0)
        hits += low < 3 < high
    assert 0.86 < hits / 200 < 0.99
    assert bootstrap_interval(np.array([1.0, 2, 3, 4])) is None
    values = np.array([1.0, 2, np.nan, 3, 4, 5])
    assert bootstrap_interval(values) == bootstrap_interval(values[~np.isnan(values)])


@pytest.mark.parametrize(
    ("space", "count"),
    [((100,), 32), ((7,), 7), ((64, 64), 64), ((5, 64), 40), ((9, 10, 11), 64), ((2, 3, 40), 24)],
)
def test_parts_are_all_positions_in_nearly_equal_shares(space: tuple[int, ...], count: int) -> None:
    parts = parts_of(space)
    assert parts.shape == space
    numbers, sizes = np.unique(parts, return_counts=True)
    assert numbers.tolist() == list(range(count))
    most = {1: 32, 2: 8, 3: 4}[len(space)]
    assert sizes.max() <= np.prod([-(-size // min(size, most)) for size in space])


@dataclass
class _Linear:
    """A network whose score is a sum of weighted inputs."""

    weights: Any

    def target_weights(self, x: Any, *, of: Any = None) -> Any:
        return np.ones((len(x), 1))

    def scores(self, x: Any, *, weights: Any = None, of: Any = None) -> Any:
        return (x * self.weights).reshape(len(x), -1).sum(axis=1)


def _gain(maps: Any, x: Any, weights: Any, axis: int | None = None) -> Any:
    samples = cnnvis.Samples(np.asarray(x, np.float32), channel_axis=axis)
    found = cnnvis.Explanation(maps, samples)
    return Removal.of(found, _Linear(weights), 0.0).relevance_gain(maps, 4)


def test_the_gain_of_a_linear_score_is_that_of_its_sorted_contributions() -> None:
    x, weights = RNG.normal(size=(3, 10)), RNG.normal(size=10)
    contributions = x * weights
    ranked = np.sort(contributions, axis=1)
    expected = np.zeros(3)
    for step in range(1, 5):  # of ten parts, 2, 4, 6 and 8 are removed
        removed = 2 * step
        least_first = ranked[:, removed:].sum(axis=1)
        most_first = ranked[:, : 10 - removed].sum(axis=1)
        expected += (least_first - most_first) / 4
    np.testing.assert_allclose(_gain(contributions, x, weights), expected, rtol=1e-5)
    np.testing.assert_allclose(_gain(-contributions, x, weights), -expected, rtol=1e-5)
    others = [_gain(RNG.normal(size=x.shape), x, weights) for _ in range(300)]
    assert (np.array(others) <= expected + 1e-9).all()  # no order does better
    assert abs(np.mean(others, axis=0)).max() < 0.25 * expected.min()


def test_larger_parts_do_not_come_first() -> None:
    """Of 418 columns, some parts have 53 and others 52; a map of ones with a little noise knows neither."""
    maps = 1 + 0.01 * RNG.random((40, 16, 418))
    sizes = np.bincount(parts_of((16, 418)).ravel())
    x = np.ones((40, 16, 418))
    weights = np.where(sizes[parts_of((16, 418))] == sizes.max(), 1.0, -1.0)
    found = bootstrap_interval(_gain(maps, x, weights))
    assert sizes.min() < sizes.max() and found is not None and found[0] < 0 < found[1]


def test_parts_of_equal_importance_are_in_no_order() -> None:
    """So that a map without differences gains nothing, wherever the score looks."""
    x, weights = RNG.random((3, 10)), np.arange(10.0)
    np.testing.assert_allclose(_gain(np.ones((3, 10)), x, weights), 0, atol=1e-12)
    corner = np.zeros((3, 10))
    corner[:, 0] = 1  # where the score does not look, so it calls the wrong part important
    assert (_gain(corner, x, weights) < 0).all()
    np.testing.assert_allclose(_gain(corner[:, ::-1], x[:, ::-1], weights[::-1]),
                               _gain(corner, x, weights))  # fmt: skip


@pytest.mark.parametrize("axis", [1, -1])
def test_all_channels_of_a_part_are_removed(axis: int) -> None:
    x, weights = RNG.normal(size=(2, 12, 3)), RNG.normal(size=(12, 3))
    maps = (x * weights).sum(axis=-1)
    alone = _gain(maps, (x * weights).sum(axis=-1), np.ones(12))
    if axis == 1:
        x, weights = np.moveaxis(x, -1, 1), np.moveaxis(weights, -1, 0)
    np.testing.assert_allclose(_gain(maps, x, weights, axis), alone)


def test_edges_are_where_values_change() -> None:
    assert not edge_maps(np.full((2, 8, 9), 3.0), None).any()
    step = np.zeros((1, 8, 9))
    step[..., 5:] = 2
    found = edge_maps(step, None)[0]
    assert set(np.flatnonzero(found.sum(axis=0))) == {4, 5} and np.ptp(found[:, 4]) == 0
    np.testing.assert_allclose(edge_maps(step.swapaxes(1, 2), None), found.T[None])
    images = RNG.normal(size=(2, 6, 7, 8, 3))
    whole = edge_maps(images, -1)
    np.testing.assert_allclose(whole, sum(edge_maps(images[..., i], None) for i in range(3)))
    np.testing.assert_allclose(edge_maps(np.moveaxis(images, -1, 1), 1), whole)
    np.testing.assert_allclose(edge_maps(images[[1]], -1), whole[[1]])


def test_random_maps_belong_to_their_images() -> None:
    found = random_maps((4, 5), np.array([3, 9]))
    np.testing.assert_array_equal(random_maps((4, 5), np.array([9])), found[[1]])
    assert abs(spearman(found[:1], found[1:])).max() < 0.5
