"""Blank, broken and flat maps are explained in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis


def _network(keras: Any, *stack: Any) -> Any:
    keras.utils.set_random_seed(2)
    return keras.Sequential([keras.layers.Input((6, 6, 1)), *stack])


X = np.random.default_rng(0).normal(size=(3, 6, 6, 1)).astype(np.float32)


def test_dead_relus_are_named(keras: Any) -> None:
    layers = keras.layers
    network = _network(
        keras,
        layers.Conv2D(3, 3, activation="relu", name="alive"),
        layers.Conv2D(3, 3, activation="relu", name="dead"),
        layers.Flatten(),
        layers.Dense(2, name="output"),
    )
    kernel, _ = network.get_layer("dead").get_weights()
    network.get_layer("dead").set_weights([kernel, np.full(3, -1e4)])
    with pytest.raises(cnnvis.UserError, match=r"every unit of 'dead' \(ReLU\) is off there"):
        cnnvis.run("saliency", network, data=X, filter=0, backprop=None)


def test_saturated_activations_are_named(keras: Any) -> None:
    layers = keras.layers
    network = _network(
        keras,
        layers.Flatten(),
        layers.Dense(4, "sigmoid", name="gate"),
        layers.Dense(2, name="output"),
    )
    kernel, bias = network.get_layer("gate").get_weights()
    network.get_layer("gate").set_weights([kernel * 0, bias + 200])
    with pytest.raises(cnnvis.UserError, match=r"the sigmoid of 'gate' is saturated there"):
        cnnvis.run("saliency", network, data=X, filter=0, backprop=None)


def test_a_modifier_that_stops_everything_is_named(keras: Any) -> None:
    layers = keras.layers
    network = _network(
        keras,
        layers.Conv2D(3, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(1, name="output", kernel_initializer=keras.initializers.Constant(-1.0)),
    )
    with pytest.raises(cnnvis.UserError, match=r"guided lets only positive gradients pass.*none"):
        cnnvis.run("saliency", network, data=X)
    assert cnnvis.run("saliency", network, data=X, backprop=None).maps is not None


def test_where_nan_comes_from_is_said(keras: Any) -> None:
    layers = keras.layers
    network = _network(
        keras, layers.Conv2D(2, 3, name="broken"), layers.Flatten(), layers.Dense(2, name="output")
    )
    kernel, bias = network.get_layer("broken").get_weights()
    network.get_layer("broken").set_weights([kernel * np.nan, bias])
    with pytest.raises(cnnvis.UserError, match=r"NaN or infinite: the weights of 'broken' hold"):
        cnnvis.run("saliency", network, data=X, filter=0, backprop=None)
    inputs = layers.Input((6, 6, 1))
    x = keras.ops.log(layers.Conv2D(2, 3, name="first")(inputs) * 0)
    network = keras.Model(inputs, layers.Dense(2, name="output")(layers.Flatten()(x)))
    with pytest.raises(cnnvis.UserError, match=r"'log(_\d+)?' is the first layer whose output"):
        cnnvis.run("saliency", network, data=X, filter=0, backprop=None)


def test_only_some_blank_maps_are_a_note(keras: Any) -> None:
    layers = keras.layers
    network = _network(
        keras,
        layers.Conv2D(1, 6, activation="relu", name="dark", use_bias=False),
        layers.Flatten(),
        layers.Dense(1, name="output", use_bias=False),
    )
    network.set_weights([np.ones((6, 6, 1, 1)), np.ones((1, 1))])
    x = np.stack([np.ones((6, 6, 1)), -np.ones((6, 6, 1))])
    found = cnnvis.run("saliency", network, data=x, backprop=None)
    assert any(
        "zero everywhere in 1 of 2 images (1)" in note and "'dark' (ReLU) is off" in note
        for note in found.notes
    )
    assert any("is the same everywhere in 1 of 2 images" in note for note in found.notes)
