"""Outputs, units and scores are those that Keras computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.compilation import computing
from cnnvis.network.unit_cache import units_cached


def test_the_answer_is_that_of_the_network(three_heads: Any, evaluated: Any, x: Any) -> None:
    kind, sick, _ = three_heads.predict(x, verbose=0)
    np.testing.assert_allclose(evaluated(three_heads).predict(x), kind, rtol=1e-5)
    np.testing.assert_allclose(evaluated(three_heads, output="sick").predict(x), sick, rtol=1e-5)
    # Whatever the target is, the answer is the network's.
    np.testing.assert_allclose(evaluated(three_heads, layer="conv").predict(x), kind, rtol=1e-5)


@pytest.mark.parametrize("asked", [{}, {"layer": "conv"}, {"filters": 1}])
def test_predicted_classes_are_the_largest_answers(
    asked: Any, three_heads: Any, evaluated: Any, x: Any
) -> None:
    kind, sick, _ = three_heads.predict(x, verbose=0)
    found = evaluated(three_heads, **asked).predicted_classes(x)
    assert found.tolist() == kind.argmax(axis=1).tolist()
    found = evaluated(three_heads, output="sick").predicted_classes(x)
    assert found.tolist() == (sick[:, 0] > 0.5).astype(int).tolist()
    assert evaluated(three_heads, output="sizes").predicted_classes(x) is None


def test_outputs_leave_the_softmax_out(three_heads: Any, evaluated: Any, x: Any) -> None:
    (logits,) = evaluated(three_heads).outputs(x)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, three_heads.predict(x, verbose=0)[0], rtol=1e-5)


def test_units_are_means_over_positions(three_heads: Any, evaluated: Any, x: Any) -> None:
    conv = evaluated(three_heads, layer="conv")
    (output,) = conv.outputs(x)
    np.testing.assert_allclose(conv.units(x), output.mean(axis=(1, 2)), rtol=1e-5)
    part = evaluated(three_heads, layer="conv", region=("1:3", 0))
    np.testing.assert_allclose(part.units(x), output[:, 1:3, 0].mean(axis=1), rtol=1e-5)


def test_units_are_not_computed_twice(three_heads: Any, evaluated: Any, x: Any) -> None:
    evaluation = evaluated(three_heads)
    with units_cached():
        assert evaluation.units(x) is evaluation.units(x)
    assert evaluation.units(x) is not evaluation.units(x)


def test_weights_follow_the_prediction(three_heads: Any, evaluated: Any, x: Any) -> None:
    evaluation = evaluated(three_heads)
    units, weights = evaluation.units_and_weights(x, None, None)
    assert weights.argmax(axis=1).tolist() == units.argmax(axis=1).tolist()
    assert weights.tolist() == evaluation.weights(x).tolist()
    given = np.full_like(weights, 2)
    assert evaluation.units_and_weights(x, given, None)[1] is given


def test_values_go_into_layers_and_come_out(three_heads: Any, evaluated: Any, x: Any) -> None:
    evaluation = evaluated(three_heads)
    calls = evaluation.resolution.traced.calls
    conv, flat = evaluation.values(x, [calls["conv"], calls["flat"]])
    np.testing.assert_array_equal(conv.reshape(len(x), -1), flat)
    np.testing.assert_allclose(evaluation.values_into(x, calls["kind"]), flat, rtol=1e-5)


def test_a_pass_is_compiled_once(three_heads: Any, evaluated: Any, x: Any) -> None:
    evaluation = evaluated(three_heads)
    compiled = evaluation.resolution.traced.compiled
    evaluation.outputs(x)
    before = dict(compiled)
    replace(evaluation).outputs(x)
    assert compiled == before


def test_an_input_that_is_too_small_is_named_with_what_would_do(keras: Any, evaluated: Any) -> None:
    layers = keras.layers
    image = keras.Input((None, None, 1))
    value = layers.Conv2D(2, 5, name="conv")(image)
    network = keras.Model(image, layers.GlobalAveragePooling2D(name="end")(value))
    with pytest.raises(cnnvis.UserError, match=r"\(3, 3, 1\), and the smallest .* has \(5, 5, 1\)"):
        evaluated(network).outputs(np.ones((1, 3, 3, 1), np.float32))


def test_the_footprint_needs_no_sample(three_heads: Any, evaluated: Any, x: Any) -> None:
    evaluation = evaluated(three_heads)
    values = 6 * 5 + 4 * 3 * 4 + 4 * 3 * 4 + 3
    assert evaluation.footprint(cnnvis.Samples(x)) == 3 * 4 * values


def _mixed(x: Any, other: Any, share: Any) -> Any:
    return x * share + other * (1 - share)


@pytest.mark.parametrize("count", [1, 5, 19])
def test_scores_of_perturbed_copies_are_those_of_the_copies(
    two_inputs: Any, evaluated: Any, x: Any, count: int
) -> None:
    samples = cnnvis.Samples(x, input="image", others={"age": np.eye(5, 2)})
    evaluation = evaluated(two_inputs, filters=1)
    evaluation = replace(evaluation, feeds=evaluation.feeds.holding(samples))
    rng = np.random.default_rng(1)
    other, shares = rng.normal(size=x.shape), rng.random((count, 6)).astype(np.float32)
    weights = np.tile(np.float32([0.5, 2]), (5, 1))
    asked: list[range] = []

    def args(some: range) -> list[Any]:
        asked.append(some)
        return [shares[some.start : some.stop]]

    with computing(batch_size=8):
        parts = list(
            evaluation.perturbed_scores(
                x, _mixed, args, count,
                per_sample_args=[other.astype(np.float32)], weights=weights,
            )
        )  # fmt: skip
    assert [some for some, _ in parts] == asked and max(map(len, asked)) <= 8
    assert [number for some in asked for number in some] == list(range(count))
    found = np.concatenate([scores for _, scores in parts], axis=1)
    expected = [
        evaluation.units(_mixed(x, other, share[:, None, None])) @ weights[0] for share in shares
    ]
    np.testing.assert_allclose(found.T, expected, rtol=1e-4, atol=1e-5)


def test_scores_that_are_no_numbers_are_refused(two_inputs: Any, evaluated: Any, x: Any) -> None:
    samples = cnnvis.Samples(x, input="image", others={"age": np.eye(5, 2)})
    evaluation = evaluated(two_inputs, layer="seen", filters=1)
    evaluation = replace(evaluation, feeds=evaluation.feeds.holding(samples))
    args = [np.zeros((2, 1), np.float32), np.float32([[1], [np.nan]])]
    with pytest.raises(
        cnnvis.UserError, match="score of 'seen' is NaN or infinite for an input of"
    ):
        list(evaluation.perturbed_scores(x, _mixed, lambda some: args, 2))
    samples = replace(samples.explaining("age"), channel_axis=None)
    evaluation = replace(evaluation, feeds=evaluation.feeds.holding(samples))
    with pytest.raises(cnnvis.UserError, match="'seen' does not depend on the input 'age'"):
        list(evaluation.perturbed_scores(samples.x, _mixed, lambda some: args, 2))


def test_arguments_of_perturbations_have_the_precision_of_the_network(
    keras: Any, evaluated: Any, x: Any
) -> None:
    layers = keras.layers
    image = keras.Input((6, 5, 1), dtype="float64")
    end = layers.Dense(1, name="end", dtype="float64")(layers.Flatten(dtype="float64")(image))
    evaluation = evaluated(keras.Model(image, end))
    shares = np.float32([[0.5], [2.0]])
    other = np.zeros(x.shape, np.float32)
    ((_, found),) = evaluation.perturbed_scores(
        x, _mixed, lambda some: [shares], 2, per_sample_args=[other]
    )
    units = evaluation.units(x)
    np.testing.assert_allclose(found, units @ shares.T, rtol=1e-5)  # without a constant, linear
