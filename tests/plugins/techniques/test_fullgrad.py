"""Full gradients add up to the score, and their map is the paper's formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis

SHAPES = {1: (12, 2), 2: (8, 6, 2), 3: (4, 6, 4, 2)}


def _network(keras: Any, axes: int, activation: str) -> Any:
    keras.utils.set_random_seed(axes)
    layers = keras.layers
    convolution = getattr(layers, f"Conv{axes}D")
    network = keras.Sequential(
        [
            layers.Input(SHAPES[axes]),
            convolution(3, 3, padding="same", activation=activation, name="first"),
            layers.BatchNormalization(name="normal"),
            layers.LeakyReLU(name="leaky"),
            getattr(layers, f"MaxPooling{axes}D")(2),
            convolution(4, 1, activation=activation, name="second"),
            layers.Flatten(),
            layers.Dense(5, activation=activation, name="dense"),
            layers.Dense(2, activation="softmax", name="output"),
        ]
    )
    rng = np.random.default_rng(2)
    network.set_weights([rng.uniform(0.1, 0.6, one.shape) * rng.choice([-1, 1], one.shape)
                         if name.path.split("/")[-1] != "moving_variance" else rng.uniform(1, 2, one.shape)
                         for name, one in zip(network.weights, network.get_weights(), strict=True)])  # fmt: skip
    return network


@pytest.mark.parametrize("axes", quick_at([1], [1, 2, 3]))
@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_inputs_and_constants_add_up_to_the_score(keras: Any, axes: int, activation: str) -> None:
    network = _network(keras, axes, activation)
    data = np.random.default_rng(1).normal(size=(3, *SHAPES[axes])).astype(np.float32)
    model = cnnvis.Model(network, filters=1)
    found = model.full_gradient(data)
    np.testing.assert_allclose(found.scores, model.scores(data), rtol=1e-5)
    np.testing.assert_allclose(found.sums, found.scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.inputs, data * model.input_gradient(data), atol=1e-5)
    assert {"first", "normal", "second"} <= {name for name, _ in found.layers}


def test_the_map_is_its_formula(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((6, 5, 1)),
            layers.Conv2D(2, 3, padding="same", activation="relu", name="only"),
            layers.Flatten(),
            layers.Dense(2, name="output"),
        ]
    )
    network.get_layer("only").bias.assign([0.5, -0.25])
    data = np.random.default_rng(1).normal(size=(2, 6, 5, 1)).astype(np.float32)
    model = cnnvis.Model(network, filters=0)
    # Behind the ReLU, the gradient of what is before it is that where the unit is on.
    values, gradient = model.activation_gradient(data, "only")
    constants = abs((values > 0) * gradient * np.array([0.5, -0.25]))
    inputs = abs(data * model.input_gradient(data))

    def scaled(one: Any) -> Any:
        one = one - one.min(axis=(1, 2, 3), keepdims=True)
        return (one / one.max(axis=(1, 2, 3), keepdims=True)).sum(axis=-1)

    found = cnnvis.run("fullgrad", network, data=data, filter=0)
    np.testing.assert_allclose(
        found.array, scaled(inputs) + scaled(constants), rtol=1e-4, atol=1e-5
    )
    assert not any("add up" in note for note in found.notes)
    # A score in other units has the same map.
    network.get_layer("output").kernel.assign(1e-6 * network.get_layer("output").kernel)
    small = cnnvis.run("fullgrad", network, data=data, filter=0)
    np.testing.assert_allclose(small.array, found.array, rtol=1e-3)
    # An image has the map that it has, whatever is beside it.
    alone = cnnvis.run("fullgrad", network, data=data, filter=0, images=[1])
    np.testing.assert_allclose(alone.array[0], small.array[1], rtol=1e-5)
