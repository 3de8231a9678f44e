"""Scores are weighted sums of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.class_evidence import ClassEvidence
from cnnvis.network.scores import (
    described_targets,
    probabilities,
    score_weights,
    weights_of_each,
)

UNITS = np.array([[1, 3, 2], [2, 1, 0]], np.float32)


@pytest.mark.parametrize(
    ("asked", "weights"),
    [
        ({}, [[0, 1, 0], [1, 0, 0]]),
        ({"filters": 2}, [[0, 0, 1]] * 2),
        ({"filters": [0, 2]}, [[1, 0, 1]] * 2),
        ({"layer": "conv"}, [[1, 0, 0, 0]] * 2),
        ({"layer": "kind[0]-0.5*kind[2]"}, [[1, 0, -0.5]] * 2),
        ({"layer": "sick", "filters": 0}, [[-1]] * 2),
    ],
)
def test_weights_are_those_of_what_was_asked(
    asked: Any, weights: Any, three_heads: Any, resolved: Any
) -> None:
    assert score_weights(resolved(three_heads, **asked), 2, UNITS).tolist() == weights


def test_a_target_that_adds_up_to_nothing_is_refused(three_heads: Any, resolved: Any) -> None:
    with pytest.raises(
        cnnvis.UserError,
        match=r"'sick' and its outputs \[0, 1\] is always zero, since its outputs cancel each other out",
    ):
        score_weights(resolved(three_heads, layer="sick", filters=[0, 1]), 2)
    assert score_weights(resolved(three_heads, layer="sick", filters=[0, 1]), 0).shape == (0, 1)


def test_each_unit_that_was_asked_for_has_a_row(three_heads: Any, resolved: Any) -> None:
    for asked, rows in (
        ({}, [[1, 0, 0]]),
        ({"filters": [2, 0]}, [[0, 0, 1], [1, 0, 0]]),
        ({"layer": "kind[0]-kind[1]"}, [[1, -1, 0]]),
    ):
        assert weights_of_each(resolved(three_heads, **asked)).tolist() == rows


def test_probabilities_are_those_of_the_softmax(three_heads: Any, resolved: Any) -> None:
    found = probabilities(resolved(three_heads), UNITS)
    assert found is not None
    np.testing.assert_allclose(
        found, np.exp(UNITS) / np.exp(UNITS).sum(1, keepdims=True), rtol=1e-5
    )
    assert probabilities(resolved(three_heads, layer="sizes"), UNITS[:, :2]) is None
    assert probabilities(resolved(three_heads, layer="kind[0]-kind[1]"), UNITS) is None


def test_targets_are_described_with_names_and_probabilities(
    three_heads: Any, resolved: Any
) -> None:
    resolution = resolved(three_heads, ClassEvidence(("cat", "dog", "eel")))
    first, second = described_targets(resolution, UNITS, score_weights(resolution, 2, UNITS))
    assert (first.layer, first.filters, first.class_names, first.score) == (
        "kind",
        (1,),
        ("dog",),
        3,
    )
    assert first.probability == pytest.approx(np.exp(3) / np.exp(UNITS[0]).sum())
    assert (second.filters, second.class_names) == ((0,), ("cat",))


def test_the_probability_of_the_first_class_of_a_sigmoid_is_the_rest(
    three_heads: Any, resolved: Any
) -> None:
    resolution = resolved(three_heads, layer="sick", filters=0)
    (found,) = described_targets(resolution, np.array([[2.0]]), np.array([[-1.0]]))
    assert (found.filters, found.score) == ((0,), -2.0)
    assert found.probability == pytest.approx(1 / (1 + np.exp(2)))


def test_a_sum_has_a_score_only(three_heads: Any, resolved: Any) -> None:
    resolution = resolved(three_heads, layer="kind[0]-kind[1]")
    found = described_targets(resolution, UNITS, score_weights(resolution, 2))
    assert [(one.layer, one.filters, one.score) for one in found] == [
        ("kind[0]-kind[1]", (), -2.0),
        ("kind[0]-kind[1]", (), 1.0),
    ]
