"""Gradients are those of TensorFlow, and what they cannot say is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.differentiation import Differentiation, GradientOptions
from cnnvis.network.perturbations import Perturbations

PLAIN = GradientOptions()


def test_the_gradient_is_that_of_the_score(three_heads: Any, inferred: Any, x: Any) -> None:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = tf.constant(x)
        tape.watch(value)
        score = tf.reduce_sum(three_heads(value)[2][:, 1])
    expected = tape.gradient(score, value)
    differentiation = Differentiation(inferred(three_heads, output="sizes", filters=1))
    (found,) = differentiation.gradient(x, PLAIN)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_gradients_by_activations_come_with_the_activations(
    three_heads: Any, inferred: Any, x: Any
) -> None:
    inference = inferred(three_heads, filters=0)
    conv = inference.resolution.traced.calls["conv"]
    gradient, activations = Differentiation(inference).gradient(x, PLAIN, conv)
    np.testing.assert_allclose(activations, inference.values(x, [conv])[0], rtol=1e-5)
    kernel = three_heads.get_layer("kind").get_weights()[0][:, 0]
    np.testing.assert_allclose(gradient[0].ravel(), kernel, rtol=1e-4, atol=1e-6)


def _scaled(x: Any, factor: Any) -> Any:
    return x * factor


def test_a_mean_is_weighted(three_heads: Any, inferred: Any, x: Any) -> None:
    differentiation = Differentiation(inferred(three_heads, filters=2))
    scales = np.array([0.5, 1.0, 2.0], np.float32)
    factors = [0.2, 0.3, 0.5]
    perturbations = Perturbations(
        _scaled, lambda some: [scales[some.start : some.stop]], 3, factors=factors
    )
    (found,) = differentiation.means(x, perturbations, PLAIN, (0,))
    expected = sum(
        factor * differentiation.gradient(x * scale, PLAIN)[0]
        for factor, scale in zip(factors, scales, strict=True)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_scorer_gives_scores(three_heads: Any, inferred: Any, x: Any) -> None:
    import tensorflow as tf

    inference = inferred(three_heads, filters=2)
    units, weights = inference.units_and_weights(x, None, None)
    score = Differentiation(inference).scorer(None, None)
    np.testing.assert_allclose(score(tf.constant(x), weights), units[:, 2], rtol=1e-5)


def _dead(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((6, 5, 1))
    value = layers.Conv2D(2, 3, activation="relu", name="dead", bias_initializer=layers_off(keras))(
        x
    )
    return keras.Model(x, layers.Dense(2, name="end")(layers.Flatten()(value)))


def layers_off(keras: Any) -> Any:
    return keras.initializers.Constant(-1e4)


def test_a_blank_gradient_is_refused_or_collected(keras: Any, inferred: Any, x: Any) -> None:
    inference = inferred(_dead(keras), filters=0)
    with pytest.raises(
        cnnvis.UserError, match=r"zero everywhere: every unit of 'dead' \(ReLU\) is off"
    ):
        Differentiation(inference).gradient(x, PLAIN)
    reasons: list[str] = []
    (found,) = Differentiation(inference, reasons).gradient(x, PLAIN)
    assert not found.any() and len(reasons) == 1
    Differentiation(inference, reasons).gradient(x, PLAIN)
    assert len(reasons) == 1  # one reason is enough


def test_a_modifier_that_stops_the_gradient_is_named(keras: Any, inferred: Any, x: Any) -> None:
    layers = keras.layers
    image = keras.Input((6, 5, 1))
    value = layers.Flatten()(layers.Conv2D(2, 3, activation="relu", name="conv")(image))
    end = layers.Dense(1, name="end", kernel_initializer=keras.initializers.Constant(-1.0))(value)
    differentiation = Differentiation(inferred(keras.Model(image, end)))
    assert differentiation.gradient(x, PLAIN)[0].any()
    with pytest.raises(cnnvis.UserError, match="guided lets only positive gradients pass"):
        differentiation.gradient(x, GradientOptions(backprop="guided"))


def test_broken_weights_are_named(keras: Any, inferred: Any, x: Any) -> None:
    network = _dead(keras)
    kernel, bias = network.get_layer("end").get_weights()
    network.get_layer("end").set_weights([kernel * np.nan, bias])
    with pytest.raises(cnnvis.UserError, match="NaN or infinite: the weights of 'end' hold NaN"):
        Differentiation(inferred(network, filters=0)).gradient(x, PLAIN)


def test_a_target_without_the_input_is_refused(two_inputs: Any, inferred: Any, x: Any) -> None:
    samples = cnnvis.Samples(np.ones((5, 2)), input="age", others={"image": x})
    inference = inferred(two_inputs, layer="seen")
    by_age = Differentiation(
        type(inference)(inference.resolution, inference.feeds.holding(samples), inference.file)
    )
    with pytest.raises(cnnvis.UserError, match="'seen' does not depend on the input 'age'"):
        by_age.gradient(np.ones((5, 2), np.float32), PLAIN)


def test_numbers_that_are_looked_up_have_no_gradient(keras: Any, inferred: Any) -> None:
    layers = keras.layers
    words = keras.Input((4,), dtype="int32", name="words")
    value = layers.Embedding(5, 3, name="meaning")(words)
    network = keras.Model(words, layers.Dense(2, name="end")(layers.Flatten(name="flat")(value)))
    inference = inferred(network, filters=0)
    x = np.array([[0, 1, 2, 3]], np.float32)
    with pytest.raises(cnnvis.UserError, match=r"'words' goes through 'meaning' \(Embedding\)"):
        Differentiation(inference).gradient(x, PLAIN)
    meaning = inference.resolution.traced.calls["meaning"]
    gradient, _ = Differentiation(inference).gradient(x, PLAIN, meaning)
    assert gradient.shape == (1, 4, 3)
