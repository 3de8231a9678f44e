"""Outputs, units and scores are those that Keras computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.compilation import computing
from cnnvis.network.perturbations import Perturbations
from cnnvis.network.unit_cache import units_cached


def test_the_answer_is_that_of_the_network(three_heads: Any, inferred: Any, x: Any) -> None:
    kind, sick, _ = three_heads.predict(x, verbose=0)
    np.testing.assert_allclose(inferred(three_heads).predict(x), kind, rtol=1e-5)
    np.testing.assert_allclose(inferred(three_heads, output="sick").predict(x), sick, rtol=1e-5)
    # Whatever the target is, the answer is the network's.
    np.testing.assert_allclose(inferred(three_heads, layer="conv").predict(x), kind, rtol=1e-5)


@pytest.mark.parametrize("asked", [{}, {"layer": "conv"}, {"filters": 1}])
def test_predicted_classes_are_the_largest_answers(
    asked: Any, three_heads: Any, inferred: Any, x: Any
) -> None:
    kind, sick, _ = three_heads.predict(x, verbose=0)
    found = inferred(three_heads, **asked).predicted_classes(x)
    assert found.tolist() == kind.argmax(axis=1).tolist()
    found = inferred(three_heads, output="sick").predicted_classes(x)
    assert found.tolist() == (sick[:, 0] > 0.5).astype(int).tolist()
    assert inferred(three_heads, output="sizes").predicted_classes(x) is None


def test_outputs_leave_the_softmax_out(three_heads: Any, inferred: Any, x: Any) -> None:
    (logits,) = inferred(three_heads).outputs(x)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, three_heads.predict(x, verbose=0)[0], rtol=1e-5)


def test_units_are_means_over_positions(three_heads: Any, inferred: Any, x: Any) -> None:
    conv = inferred(three_heads, layer="conv")
    (output,) = conv.outputs(x)
    np.testing.assert_allclose(conv.units(x), output.mean(axis=(1, 2)), rtol=1e-5)
    part = inferred(three_heads, layer="conv", region=("1:3", 0))
    np.testing.assert_allclose(part.units(x), output[:, 1:3, 0].mean(axis=1), rtol=1e-5)


def test_units_are_not_computed_twice(three_heads: Any, inferred: Any, x: Any) -> None:
    inference = inferred(three_heads)
    with units_cached():
        assert inference.units(x) is inference.units(x)
    assert inference.units(x) is not inference.units(x)


def test_weights_follow_the_prediction(three_heads: Any, inferred: Any, x: Any) -> None:
    inference = inferred(three_heads)
    units, weights = inference.units_and_weights(x, None, None)
    assert weights.argmax(axis=1).tolist() == units.argmax(axis=1).tolist()
    assert weights.tolist() == inference.weights(x).tolist()
    given = np.full_like(weights, 2)
    assert inference.units_and_weights(x, given, None)[1] is given


def test_values_go_into_layers_and_come_out(three_heads: Any, inferred: Any, x: Any) -> None:
    inference = inferred(three_heads)
    calls = inference.resolution.traced.calls
    conv, flat = inference.values(x, [calls["conv"], calls["flat"]])
    np.testing.assert_array_equal(conv.reshape(len(x), -1), flat)
    np.testing.assert_allclose(inference.value(x, calls["kind"].inputs[0]), flat, rtol=1e-5)


def test_a_pass_is_compiled_once(three_heads: Any, inferred: Any, x: Any) -> None:
    inference = inferred(three_heads)
    compiled = inference.resolution.traced.compiled
    inference.outputs(x)
    before = dict(compiled)
    replace(inference).outputs(x)
    assert compiled == before


def test_an_input_that_is_too_small_is_named_with_what_would_do(keras: Any, inferred: Any) -> None:
    layers = keras.layers
    image = keras.Input((None, None, 1))
    value = layers.Conv2D(2, 5, name="conv")(image)
    network = keras.Model(image, layers.GlobalAveragePooling2D(name="end")(value))
    with pytest.raises(cnnvis.UserError, match=r"\(3, 3, 1\), and the smallest .* has \(5, 5, 1\)"):
        inferred(network).outputs(np.ones((1, 3, 3, 1), np.float32))


def test_the_footprint_needs_no_sample(three_heads: Any, inferred: Any, x: Any) -> None:
    inference = inferred(three_heads)
    values = 6 * 5 + 4 * 3 * 4 + 4 * 3 * 4 + 3
    assert inference.footprint(cnnvis.Samples(x)) == 3 * 4 * values


def _around(keras: Any, *, fixed: int | None = None) -> Any:
    """A network with a branch around a convolution, from an image and a number."""
    keras.utils.set_random_seed(9)
    layers = keras.layers
    image = keras.Input((6, 5, 1), name="image", batch_size=fixed)
    age = keras.Input((2,), name="age", batch_size=fixed)
    first = layers.Conv2D(3, 3, padding="same", activation="relu", name="first")(image)
    second = layers.Conv2D(3, 3, padding="same", activation="relu", name="second")(first)
    both = layers.Flatten()(layers.Add()([first, second]))
    end = layers.Dense(2, name="end")(layers.Concatenate()([both, age]))
    return keras.Model([image, age], end)


@pytest.mark.parametrize("fixed", [None, 2])
def test_scores_go_on_from_given_activations(keras: Any, x: Any, fixed: int | None) -> None:
    network = _around(keras, fixed=fixed)
    ages = np.random.default_rng(2).normal(size=(5, 2)).astype(np.float32)
    samples = cnnvis.Samples(x, input="image", others={"age": ages})
    model = cnnvis.Model(network, filters=1).with_inputs_held(samples)
    activations = model.activations(x, "second")
    assert activations.shape == (5, 6, 5, 3) and activations.dtype == np.float32
    found = model.scores_from("second", activations, x)
    np.testing.assert_allclose(found, model.scores(x), rtol=1e-5)
    # Without the branch, what is left is that of the layer around it and of the other input.
    kernel, constant = network.get_layer("end").get_weights()
    around = model.activations(x, "first").reshape(5, -1)
    wanted = np.concatenate([around, ages], axis=1) @ kernel[:, 1] + constant[1]
    found = model.scores_from("second", np.zeros_like(activations), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    # Rows that are not samples say which sample each belongs to.
    rows = [3, 3, 0]
    found = model.scores_from(
        "second", activations[rows], x[rows], of=rows, weights=np.tile([[1.0, 0.0]], (3, 1))
    )
    np.testing.assert_allclose(found, model.with_target(filters=0).scores(x)[rows], rtol=1e-4)
    with pytest.raises(cnnvis.UserError, match="'end' is not between the input 'image' and the"):
        model.scores_from("end", activations, x)


def test_what_is_given_is_not_computed(keras: Any, x: Any) -> None:
    """Nor what only leads to it: a layer before a given value is not called."""
    layers = keras.layers

    class Counted(layers.Layer):
        calls = 0

        def call(self, inputs: Any) -> Any:
            Counted.calls += 1
            return inputs

    image = keras.Input((6, 5, 1))
    value = layers.Flatten(name="flat")(Counted()(image))
    model = cnnvis.Model(keras.Model(image, layers.Dense(1, name="end")(value)))
    flat = model.activations(x, "flat")
    before = Counted.calls
    model.scores_from("flat", flat, x)
    assert Counted.calls == before


def _mixed(x: Any, other: Any, share: Any) -> Any:
    return x * share + other * (1 - share)


@pytest.mark.parametrize("count", [1, 5, 19])
def test_scores_of_perturbed_copies_are_those_of_the_copies(
    two_inputs: Any, inferred: Any, x: Any, count: int
) -> None:
    samples = cnnvis.Samples(x, input="image", others={"age": np.eye(5, 2)})
    inference = inferred(two_inputs, filters=1)
    inference = replace(inference, feeds=inference.feeds.holding(samples))
    rng = np.random.default_rng(1)
    other, shares = rng.normal(size=x.shape), rng.random((count, 6)).astype(np.float32)
    weights = np.tile(np.float32([0.5, 2]), (5, 1))
    asked: list[range] = []

    def args(some: range) -> list[Any]:
        asked.append(some)
        return [shares[some.start : some.stop]]

    with computing(batch_size=8):
        parts = list(
            inference.perturbed_scores(
                x, Perturbations(_mixed, args, count, [other.astype(np.float32)]), weights
            )
        )
    assert [some for some, _ in parts] == asked and max(map(len, asked)) <= 8
    assert [number for some in asked for number in some] == list(range(count))
    found = np.concatenate([scores for _, scores in parts], axis=1)
    expected = [
        inference.units(_mixed(x, other, share[:, None, None])) @ weights[0] for share in shares
    ]
    np.testing.assert_allclose(found.T, expected, rtol=1e-4, atol=1e-5)


def test_scores_that_are_no_numbers_are_refused(two_inputs: Any, inferred: Any, x: Any) -> None:
    samples = cnnvis.Samples(x, input="image", others={"age": np.eye(5, 2)})
    inference = inferred(two_inputs, layer="seen", filters=1)
    inference = replace(inference, feeds=inference.feeds.holding(samples))
    args = [np.zeros((2, 1), np.float32), np.float32([[1], [np.nan]])]
    mixed = Perturbations(_mixed, lambda some: args, 2)
    with pytest.raises(
        cnnvis.UserError, match="score of 'seen' is NaN or infinite for an input of"
    ):
        list(inference.perturbed_scores(x, mixed))
    samples = replace(samples.explaining("age"), channel_axis=None)
    inference = replace(inference, feeds=inference.feeds.holding(samples))
    with pytest.raises(cnnvis.UserError, match="'seen' does not depend on the input 'age'"):
        list(inference.perturbed_scores(samples.x, mixed))


def test_arguments_of_perturbations_have_the_precision_of_the_network(
    keras: Any, inferred: Any, x: Any
) -> None:
    layers = keras.layers
    image = keras.Input((6, 5, 1), dtype="float64")
    end = layers.Dense(1, name="end", dtype="float64")(layers.Flatten(dtype="float64")(image))
    inference = inferred(keras.Model(image, end))
    shares = np.float32([[0.5], [2.0]])
    other = np.zeros(x.shape, np.float32)
    ((_, found),) = inference.perturbed_scores(
        x, Perturbations(_mixed, lambda some: [shares], 2, [other])
    )
    units = inference.units(x)
    np.testing.assert_allclose(found, units @ shares.T, rtol=1e-5)  # without a constant, linear
