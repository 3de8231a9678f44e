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


def _masked(keras: Any, forbidden: float) -> Any:
    """A classifier that adds a constant to one of its classes."""
    keras.utils.set_random_seed(0)
    entry = keras.Input((6, 6, 1))
    features = keras.layers.Conv2D(3, 3, activation="relu", name="features")(entry)
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(features))
    masked = keras.ops.add(logits, np.array([0, forbidden, 0], np.float32))
    return keras.Model(entry, keras.layers.Softmax(name="output")(masked))


@pytest.mark.parametrize(
    "technique",
    [
        *("saliency", "occlusion", "rise", "integrated-gradients", "score-cam"),
        *("lrp", "deeplift", "deep-shap", "fullgrad"),
    ],
)
def test_a_unit_that_does_not_count_has_no_say_whatever_it_is(keras: Any, technique: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6, 6, 1)).astype(np.float32)
    found, expected = (
        cnnvis.run(technique, _masked(keras, forbidden), data=x, filter=2, checks="none")
        for forbidden in (-np.inf, 0)  # the largest class is the same
    )
    np.testing.assert_allclose(found.array, expected.array, rtol=1e-5, atol=1e-7)
    assert [one.score for one in found.targets] == pytest.approx(
        [one.score for one in expected.targets]
    )
    assert found.notes == expected.notes


def test_a_score_that_is_no_number_is_said_to_be(keras: Any) -> None:
    x = np.ones((2, 6, 6, 1), np.float32)
    found = cnnvis.run("saliency", _masked(keras, -np.inf), data=x, filter=1, checks="none")
    assert any(
        "is NaN or infinite for some images, as their titles show" in one for one in found.notes
    )


@pytest.mark.parametrize(("constant", "is_said"), [(0.0, False), (1e5, True)])
def test_a_score_whose_changes_are_rounded_is_said_to_be(
    keras: Any, constant: float, is_said: bool
) -> None:
    keras.utils.set_random_seed(0)
    entry = keras.Input((6, 6, 1))
    start = keras.initializers.Constant(constant)
    output = keras.layers.Dense(1, name="output", bias_initializer=start)
    network = keras.Model(entry, output(keras.layers.Flatten()(entry)))
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype(np.float32)
    found = cnnvis.run("occlusion", network, data=0.1 * x, checks="none")
    assert any("rounding takes more than 1 % of them" in one for one in found.notes) == is_said


def test_what_shows_both_signs_does_not_say_that_it_hides_one(keras: Any) -> None:
    keras.utils.set_random_seed(0)
    entry = keras.Input((6, 6, 1))
    convolution = keras.layers.Conv2D(3, 3, activation="relu", use_bias=False, name="features")
    output = keras.layers.Dense(2, name="output")
    network = keras.Model(entry, output(keras.layers.Flatten()(convolution(entry))))
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 1)).astype(np.float32)
    x[1] = 0
    for technique in ("hires-cam", "eigen-cam", "xgrad-cam"):
        found = cnnvis.run(technique, network, data=x, penultimate="features", checks="none")
        (said,) = [one for one in found.notes if "zero everywhere" in one]
        assert said.endswith("its feature maps there, or their weights, are all zero")
