"""The engine against formulas that do not share its code."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import cnnvis


@pytest.fixture(scope="module")
def rectifier(keras: Any) -> tuple[Any, Any, Any]:
    """Two dense layers with a ReLU between, and their weights."""
    rng = np.random.default_rng(1)
    w1 = rng.normal(size=(6, 8)).astype(np.float32)
    w2 = rng.normal(size=(8, 2)).astype(np.float32)
    network = keras.Sequential(
        [
            keras.layers.Input((6,)),
            keras.layers.Dense(8, activation="relu", use_bias=False),
            keras.layers.Dense(2, use_bias=False, name="output"),
        ]
    )
    network.set_weights([w1, w2])
    return network, w1, w2


@pytest.mark.parametrize("backprop", [None, "guided", "rectified", "deconv", "relu"])
@pytest.mark.parametrize("form", ["inline", "Activation", "ReLU"])
def test_modifiers_are_their_definitions(
    keras: Any, rectifier: tuple[Any, Any, Any], backprop: Any, form: str
) -> None:
    _, w1, w2 = rectifier
    layers = keras.layers
    between = {"inline": [], "Activation": [layers.Activation("relu")], "ReLU": [layers.ReLU()]}
    network = keras.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(8, activation="relu" if form == "inline" else None, use_bias=False),
            *between[form],
            layers.Dense(2, use_bias=False, name="output"),
        ]
    )
    network.set_weights([w1, w2])
    x = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32)
    found = cnnvis.Model(network, filters=1).input_gradient(x, backprop=backprop)
    upstream = np.broadcast_to(w2[:, 1], (5, 8))
    on = x @ w1 > 0
    passes = {None: on, "guided": on & (upstream > 0)}.get(backprop, upstream > 0)
    np.testing.assert_allclose(found, (upstream * passes) @ w1.T, rtol=1e-5, atol=1e-6)


def test_a_modifier_that_would_change_nothing_is_refused(keras: Any) -> None:
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, "tanh")])
    with pytest.raises(cnnvis.UserError, match=r"guided would change nothing.*--backprop none"):
        cnnvis.Model(network).input_gradient(np.ones((1, 4)), backprop="guided")


def test_gradient_is_the_central_difference(classifier: Any, images: Any) -> None:
    model = cnnvis.Model(classifier, filters=2)
    found = model.input_gradient(images[:2])
    rng, step = np.random.default_rng(0), 1e-2
    for _ in range(20):
        place = (int(rng.integers(2)), *(int(rng.integers(size)) for size in images.shape[1:]))
        there = np.zeros_like(images[:2])
        there[place] = step
        above = model.outputs(images[:2] + there)[place[0], 2]
        below = model.outputs(images[:2] - there)[place[0], 2]
        # float32 and a step that may cross a ReLU's edge leave some play.
        assert found[place] == pytest.approx((above - below) / (2 * step), rel=0.05, abs=2e-3)


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 70])
def test_the_size_of_the_batch_does_not_matter(classifier: Any, count: int) -> None:
    x = np.random.default_rng(count).normal(size=(count, 12, 10, 2)).astype(np.float32)
    model = cnnvis.Model(classifier, filters=1)
    whole = model.input_gradient(x, backprop="guided")
    assert whole.shape == x.shape
    alone = model.input_gradient(x[-1:], backprop="guided")
    np.testing.assert_allclose(whole[-1:], alone, rtol=1e-4, atol=1e-7)


def test_one_trace_serves_all_batches(classifier: Any) -> None:
    model = cnnvis.Model(classifier, filters=1)
    calls: list[Any] = []
    layer = classifier.get_layer("second")
    plain = layer.activation
    layer.activation = lambda x: (calls.append(x.shape), plain(x))[1]
    try:
        for _ in range(3):
            model.input_gradient(np.ones((70, 12, 10, 2), np.float32))
    finally:
        layer.activation = plain
    assert len(calls) == 1


def test_the_network_is_left_as_it_was(classifier: Any, images: Any) -> None:
    activations = [getattr(layer, "activation", None) for layer in classifier.layers]
    weights = [weight.copy() for weight in classifier.get_weights()]
    answers = classifier.predict(images, verbose=0)
    before = images.copy()
    model = cnnvis.Model(classifier, filters=0)
    model.input_gradient(images, backprop="guided")
    model.activation_gradient(images, "second", backprop="rectified")
    np.testing.assert_array_equal(images, before)
    assert [getattr(layer, "activation", None) for layer in classifier.layers] == activations
    for now, then in zip(classifier.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(classifier.predict(images, verbose=0), answers)


def test_the_network_is_left_as_it_was_when_tracing_fails(keras: Any) -> None:
    class Failing(keras.layers.Layer):
        ready = False

        def call(self, x: Any) -> Any:
            if self.ready:
                raise RuntimeError("broken")
            return x

    failing = Failing()
    network = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(3, activation="relu"),
            failing,
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    failing.ready = True
    relu, softmax = network.layers[0].activation, network.layers[2].activation
    with pytest.raises(cnnvis.UserError, match=r"'failing' .* broken"):
        cnnvis.Model(network, filters=0).input_gradient(np.ones((1, 4)), backprop="guided")
    assert network.layers[0].activation is relu
    assert network.layers[2].activation is softmax


def test_activation_gradient_is_that_of_the_rest_of_the_network(
    classifier: Any, images: Any
) -> None:
    import tensorflow as tf

    model = cnnvis.Model(classifier, filters=1)
    activations, gradients = model.activation_gradient(images, "pool")
    x = tf.constant(activations)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = classifier.get_layer("flat")(classifier.get_layer("second")(x))
        kernel, bias = classifier.get_layer("classes").get_weights()
        score = (y @ kernel + bias)[:, 1]
    np.testing.assert_allclose(gradients, tape.gradient(score, x), rtol=1e-4, atol=1e-6)


def test_a_gradient_that_is_zero_everywhere_is_no_answer(keras: Any) -> None:
    network = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, activation="relu", name="dead")]
    )
    network.set_weights([np.ones((4, 3)), np.full(3, -100.0)])
    with pytest.raises(cnnvis.UserError, match="gradient of 'dead' is zero everywhere"):
        cnnvis.Model(network, filters=0).input_gradient(np.ones((2, 4)))


@pytest.mark.parametrize(
    ("modifier", "expected"),
    [
        (None, [-2.0, 0.0, 4.0]),
        ("absolute", [2.0, 0.0, 4.0]),
        ("negate", [2.0, 0.0, -4.0]),
        ("relu", [0.0, 0.0, 4.0]),
        ("invert", [-0.5, 1e7, 0.25]),
        ("small_values", [0.5, 1e7, 0.25]),
    ],
)
def test_gradient_modifiers(modifier: Any, expected: list[float]) -> None:
    import tensorflow as tf

    gradient = np.array([-2.0, 0.0, 4.0])
    np.testing.assert_allclose(cnnvis.modify_gradient(gradient, modifier), expected, rtol=1e-6)
    tensor = cnnvis.modify_gradient(tf.constant(gradient), modifier)
    np.testing.assert_allclose(tensor, expected, rtol=1e-6)


def test_unit_scaled_takes_each_map_by_itself() -> None:
    maps = np.array([[[1.0, 3.0]], [[-10.0, 10.0]], [[5.0, 5.0]]])
    expected = [[[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 0.0]]]
    np.testing.assert_allclose(cnnvis.unit_scaled(maps), expected, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_other_precisions(keras: Any, images: Any, policy: str) -> None:
    keras.utils.set_random_seed(3)  # other weights may leave guided gradients blank
    network = keras.Sequential(
        [
            keras.layers.Input((12, 10, 2)),
            keras.layers.Conv2D(4, 3, activation="relu", dtype=policy),
            keras.layers.Flatten(dtype=policy),
            keras.layers.Dense(3, activation="softmax", dtype=policy),
        ]
    )
    for technique in ("saliency", "grad-cam"):
        found = cnnvis.run(technique, network, data=images, filter=0)
        assert found.maps.dtype == np.float32 and found.maps.shape == (7, 12, 10)


def test_what_is_wanted_of_gradients_is_computed_with_them(classifier: Any, images: Any) -> None:
    import tensorflow as tf

    def largest(gradient: Any) -> Any:
        return tf.reduce_max(tf.abs(gradient), axis=-1)

    def product(activations: Any, gradient: Any) -> Any:
        return tf.reduce_sum(activations * gradient, axis=[1, 2])

    model = cnnvis.Model(classifier, filters=1)
    plain = model.input_gradient(images)
    np.testing.assert_allclose(
        model.input_gradient(images, reduced=largest), abs(plain).max(axis=-1), rtol=1e-6
    )
    activations, gradients = model.activation_gradient(images, "pool")
    np.testing.assert_allclose(
        model.activation_gradient(images, "pool", reduced=product),
        (activations * gradients).sum(axis=(1, 2)),
        rtol=1e-4, atol=1e-6,
    )  # fmt: skip
    # The same function of the same arguments is traced once, and another argument tells.
    before = len(model._resolution.traced.compiled)
    for axis in (-1, -1, 1):
        reduced = functools.partial(_sum_over, axis)
        np.testing.assert_allclose(
            model.input_gradient(images, reduced=reduced),
            plain.sum(axis=axis),
            rtol=1e-3,
            atol=1e-5,
        )
    assert len(model._resolution.traced.compiled) == before + 2


def _sum_over(axis: int, gradient: Any) -> Any:
    import tensorflow as tf

    return tf.reduce_sum(gradient, axis=axis)


@pytest.mark.parametrize("count", [1, 5, 50, 100])
def test_a_mean_gradient_is_the_mean_of_gradients(classifier: Any, images: Any, count: int) -> None:
    rng = np.random.default_rng(count)
    factors = rng.uniform(0.5, 1.5, count).astype(np.float32)
    noise = rng.normal(size=(count, 12, 10, 2)).astype(np.float32)
    shares = rng.uniform(size=count)
    widths = rng.uniform(size=len(images)).astype(np.float32)
    model = cnnvis.Model(classifier)

    def told(some: range) -> list[Any]:
        return [factors[some.start : some.stop], noise[some.start : some.stop]]

    varied = cnnvis.Perturbations(_varied, told, count, [widths], shares.tolist())
    found = model.mean_gradient(images, varied)
    expected = np.zeros_like(images)
    weights = model.target_weights(images)
    for factor, one, share in zip(factors, noise, shares, strict=True):
        varied = images * factor + widths[:, None, None, None] * one
        expected += share * model.input_gradient(varied, weights=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * abs(expected).max())


def test_the_last_perturbations_are_not_compiled_anew(classifier: Any, images: Any) -> None:
    model, shares = cnnvis.Model(classifier), np.arange(10, dtype=np.float32)

    def scaled(x: Any, share: Any) -> Any:
        return x * share

    def args(some: range) -> list[Any]:
        return [shares[some.start : some.stop]]

    with cnnvis.computing(batch_size=4):  # four, four and two at a time
        perturbations = cnnvis.Perturbations(scaled, args, 10, factors=shares / 45)
        found = model.mean_gradient(images, perturbations)
    weights = model.target_weights(images)
    each = [model.input_gradient(images * one, weights=weights) * one / 45 for one in shares[1:]]
    np.testing.assert_allclose(found, sum(each), rtol=1e-3, atol=1e-5 * abs(found).max())
    compiled = model._resolution.traced.compiled
    assert sum(scaled in key for key in compiled if isinstance(key, tuple)) == 1


def _varied(x: Any, width: Any, factor: Any, noise: Any) -> Any:
    return x * factor + width * noise
