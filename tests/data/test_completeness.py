"""The completeness gap: a share of the change, and not known where the change is lost in rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

import cnnvis


def test_a_gap_is_a_share_of_the_change_or_of_what_cancels_out() -> None:
    sums, sizes = np.array([1.1, 0.01]), np.array([2.0, 10.0])
    gaps = cnnvis.completeness_gap(sums, sizes, np.array([1.0, 0.0]))
    np.testing.assert_allclose(gaps, [0.1, 0.1])


def test_the_gap_of_maps_is_that_of_their_sums() -> None:
    maps = np.array([[[1.0, -2.0], [0.5, 0.0]], [[1.0, 0.0], [0.0, 0.0]]], np.float32)
    score, start = np.array([1.5, 3.0], np.float32), np.array([2.5, 1.0], np.float32)
    expected = cnnvis.completeness_gap(
        np.array([-0.5, 1.0]), np.array([3.5, 1.0]), np.array([-1.0, 2.0]), score=score
    )
    np.testing.assert_array_equal(cnnvis.completeness_gap_of_maps(maps, score, start), expected)
    np.testing.assert_allclose(expected, 0.5, rtol=1e-6)


def test_a_change_is_not_known_better_than_the_scores_are() -> None:
    sums, sizes, change = np.full(4, 0.03), np.full(4, 0.03), np.full(4, 0.026)
    score = np.array([1.0, 1e4, 2e5, np.nan])
    gaps = cnnvis.completeness_gap(sums, sizes, change, score=score)
    np.testing.assert_allclose(gaps[:2], [0.004 / 0.026, (0.004 - 2.4e-3) / 0.026], rtol=1e-3)
    assert np.isnan(gaps[2:]).all()


def test_a_map_that_is_off_by_more_than_rounding_is_off() -> None:
    off, same = np.array([10.0]), np.array([0.0])
    gap = cnnvis.completeness_gap(off, off, same, score=np.array([2e5]))
    np.testing.assert_allclose(gap, (10 - 0.048) / 0.1)
    assert cnnvis.completeness_gap(same, same, same, score=np.array([2e5])) == 0


def test_notes_and_verdicts_say_of_how_many_maps_it_is_not_known(keras: Any) -> None:
    entry = keras.Input((4, 4, 1))
    start = keras.initializers.Constant(1e6)
    output = keras.layers.Dense(1, name="output", bias_initializer=start)
    network = keras.Model(entry, output(keras.layers.Flatten()(entry)))
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    x[0] *= 1e6
    x[1:] *= 1e-3
    found = cnnvis.run("integrated-gradients", network, data=x, metrics="completeness", baseline=0)
    assert np.isnan(found.measures["completeness_gap"]).tolist() == [False, True, True]
    assert any(one.endswith("of 2 of 3 maps that is not known") for one in found.notes)
    assert "adds up" in found.title(0) and "adds up" not in found.title(1)
    few = cnnvis.run("integrated-gradients", network, data=x[1:], baseline=0)
    assert any("lost in the rounding of a much larger score" in one for one in few.notes)
