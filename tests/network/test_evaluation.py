"""Outputs, units and scores are those that Keras computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cnnvis
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
