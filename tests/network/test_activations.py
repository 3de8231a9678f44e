"""Backpropagation modifiers on every kind of rectifier, against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import cnnvis

X = np.random.default_rng(2).normal(size=(5, 6)).astype(np.float32) * 3

DERIVATIVES: dict[str, tuple[str, Callable[[Any], Any], float]] = {
    "relu": ("ReLU", lambda z: z > 0, 0),
    "relu6": ("ReLU6", lambda z: (z > 0) & (z < 6), 0),
    "leaky_relu": ("LeakyReLU", lambda z: np.where(z > 0, 1, 0.2), 0),
    "elu": ("ELU", lambda z: np.where(z > 0, 1, np.exp(z)), 0),
    "selu": ("SELU", lambda z: 1.05070098 * np.where(z > 0, 1, 1.67326324 * np.exp(z)), 0),
    "silu": ("SiLU", lambda z: special.expit(z) * (1 + z * special.expit(-z)), 0),
    "gelu": (
        "GELU",
        lambda z: special.ndtr(z) + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
        0,
    ),
    "softplus": ("softplus", special.expit, 0),
}
"""What it is called, its derivative, and from where on it is on; the formulas are the papers'."""


def _layer(keras: Any, kind: str) -> tuple[Any, Callable[[Any], Any], float]:
    layers = keras.layers
    return {
        "ReLU": (layers.ReLU(), lambda z: z > 0, 0),
        "bounded": (layers.ReLU(max_value=2.0), lambda z: (z > 0) & (z < 2), 0),
        "thresholded": (layers.ReLU(threshold=1.0), lambda z: z > 1, 1.0),
        "sloped": (layers.ReLU(negative_slope=0.1), lambda z: np.where(z > 0, 1, 0.1), 0),
        "LeakyReLU": (layers.LeakyReLU(0.3), lambda z: np.where(z > 0, 1, 0.3), 0),
        "PReLU": (
            layers.PReLU(alpha_initializer=keras.initializers.Constant(0.7)),
            lambda z: np.where(z > 0, 1, 0.7),
            0,
        ),
        "ELU": (layers.ELU(), lambda z: np.where(z > 0, 1, np.exp(z)), 0),
        "Activation": (layers.Activation("silu"), DERIVATIVES["silu"][1], 0),
        "layer as activation": (
            layers.Activation(layers.LeakyReLU(0.3)),
            lambda z: np.where(z > 0, 1, 0.3),
            0,
        ),
    }[kind]


def _check(network: Any, derivative: Callable[[Any], Any], threshold: float, places: Any) -> None:
    rng = np.random.default_rng(1)
    w1, w2 = rng.normal(size=(6, 8)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32)
    network.get_layer("first").set_weights([w1])
    network.get_layer("output").set_weights([w2])
    z = X @ w1
    g = np.broadcast_to(w2[:, 1], z.shape)
    expected = {
        None: derivative(z) * g,
        "guided": derivative(z) * g * (z > threshold) * (g > 0),
        "rectified": g * (g > 0),
    }
    model = cnnvis.Model(network, filters=1)
    for backprop, passed in expected.items():
        found = model.input_gradient(X, backprop=backprop)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, passed @ w1.T, rtol=1e-3, atol=1e-4)
    layer = next(layer for layer in model.layers if layer.rectifiers)
    assert layer.name in places


@pytest.mark.parametrize("name", DERIVATIVES)
def test_inline_activations(keras: Any, name: str) -> None:
    kind, derivative, threshold = DERIVATIVES[name]
    activation: Any = name
    network = keras.Sequential(
        [
            keras.layers.Input((6,)),
            keras.layers.Dense(8, activation=activation, use_bias=False, name="first"),
            keras.layers.Dense(2, use_bias=False, name="output"),
        ]
    )
    _check(network, derivative, threshold, {"first"})
    assert cnnvis.Model(network).layers[0].rectifiers == (kind,)


@pytest.mark.parametrize(
    "kind",
    [
        *("ReLU", "bounded", "thresholded", "sloped", "LeakyReLU", "PReLU", "ELU", "Activation"),
        "layer as activation",
    ],
)
def test_rectifiers_as_layers(keras: Any, kind: str) -> None:
    layer, derivative, threshold = _layer(keras, kind)
    network = keras.Sequential(
        [
            keras.layers.Input((6,)),
            keras.layers.Dense(8, use_bias=False, name="first"),
            layer,
            keras.layers.Dense(2, use_bias=False, name="output"),
        ]
    )
    _check(network, derivative, threshold, {layer.name})


@pytest.mark.parametrize("function", ["relu", "leaky_relu", "silu"])
def test_operations(keras: Any, function: str) -> None:
    inputs = keras.layers.Input((6,))
    hidden = keras.layers.Dense(8, use_bias=False, name="first")(inputs)
    on = getattr(keras.ops, function)(hidden)
    network = keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="output")(on))
    _, derivative, threshold = DERIVATIVES[function]
    names = {layer.name for layer in cnnvis.Model(network).layers if layer.rectifiers}
    assert len(names) == 1
    _check(network, derivative, threshold, names)


def test_functions_of_tensorflow_in_tf_keras() -> None:
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.layers.Input((6,))
    hidden = tf_keras.layers.Dense(8, use_bias=False, name="first")(inputs)
    on = tf.nn.relu(hidden)
    network = tf_keras.Model(inputs, tf_keras.layers.Dense(2, use_bias=False, name="output")(on))
    names = {layer.name for layer in cnnvis.Model(network).layers if layer.rectifiers}
    assert len(names) == 1
    _check(network, DERIVATIVES["relu"][1], 0, names)


def test_a_run_says_what_a_modifier_changed(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Conv2D(4, 3),
            layers.LeakyReLU(),
            layers.Conv2D(4, 3, activation=lambda x: x * 0.5),
            layers.Flatten(),
            layers.Dense(2, "tanh"),
            layers.Dense(2),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1))
    notes = cnnvis.run("saliency", network, data=x, filter=0).notes
    assert any("was used in 2 activations" in n and "(1 ReLU and 1 LeakyReLU)" in n for n in notes)
    assert any("'<lambda>'" in note and "not known" in note for note in notes)
    plain = cnnvis.run("saliency", network, data=x, filter=0, backprop=None).notes
    assert not any("guided" in note for note in plain)


@pytest.mark.slow
def test_keras_vis_leaves_all_but_inline_relu_alone(keras: Any) -> None:
    layers = keras.layers

    def built(activation: Any) -> Any:
        keras.utils.set_random_seed(4)
        return keras.Sequential(
            [
                layers.Input((8, 8, 1)),
                layers.Conv2D(4, 3),
                activation,
                layers.Conv2D(4, 3, padding="same"),
                layers.LeakyReLU(),
                layers.Flatten(),
                layers.Dense(2),
            ]
        )

    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1))
    leaky = built(layers.LeakyReLU())
    maps = {
        keras_vis: cnnvis.run("saliency", leaky, data=x, filter=0, keras_vis=keras_vis)
        for keras_vis in (False, True)
    }
    plain = cnnvis.run("saliency", leaky, data=x, filter=0, backprop=None, keras_vis=True)
    np.testing.assert_array_equal(maps[True].maps, plain.maps)
    assert np.abs(cnnvis.unit_scaled(maps[False].maps) - plain.maps).max() > 0.05
    assert any("changed no activation" in note for note in maps[True].notes)
    inline = built(layers.Activation("relu"))
    notes = cnnvis.run("saliency", inline, data=x, filter=0, keras_vis=True).notes
    assert any("guided backpropagation was used in 1 activation up to" in note for note in notes)


@pytest.mark.slow
def test_the_genomatnn_model(reference: Any) -> None:
    folder = reference / "genomatnn"
    settings: dict[str, Any] = {
        "data": folder / "validation_256x418.npz",
        "images": [0, 150, 299],
    }
    path = folder / "nea_to_ceu.hdf5"
    guided = cnnvis.run("saliency", path, **settings)
    plain = cnnvis.run("saliency", path, backprop=None, **settings)
    assert any("7 LeakyReLU" in note for note in guided.notes)
    scaled = cnnvis.unit_scaled(guided.maps), cnnvis.unit_scaled(plain.maps)
    assert np.abs(scaled[0] - scaled[1]).max() > 0.1


def test_a_modifier_without_a_rule_is_an_error(keras: Any) -> None:
    network = keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(4, "relu"),
            keras.layers.Dense(1, name="output"),
        ]
    )
    model, x = cnnvis.Model(network), np.ones((1, 3), np.float32)
    for ask in (model.input_gradient, lambda x, backprop: model.scorer(backprop=backprop)):
        with pytest.raises(
            cnnvis.UserError, match=r"no .* modifier 'gudied'\. Did you mean 'guided'\? There"
        ):
            ask(x, backprop="gudied")
    with pytest.raises(
        cnnvis.UserError, match=r"no gradient modifier 'abs'\. .* There are: none, absolute"
    ):
        cnnvis.modify_gradient(x, "abs")
