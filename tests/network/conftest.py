"""Small networks, and targets looked up in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.network.class_evidence import ClassEvidence
from cnnvis.network.feeds import Feeds
from cnnvis.network.file import NetworkFile
from cnnvis.network.inference import Inference
from cnnvis.network.request import TargetRequest
from cnnvis.network.resolution import Resolution, resolve
from cnnvis.network.traced import TracedNetwork

X = np.random.default_rng(4).normal(size=(5, 6, 5, 1)).astype(np.float32)


@pytest.fixture
def x() -> Any:
    return X.copy()


@pytest.fixture(scope="session")
def three_heads(keras: Any) -> Any:
    """A network with three outputs: classes by a softmax, yes or no by a sigmoid, and numbers."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    inputs = keras.Input((6, 5, 1), name="image")
    features = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    flat = layers.Flatten(name="flat")(features)
    heads = [
        layers.Dense(3, activation="softmax", name="kind")(flat),
        layers.Dense(1, activation="sigmoid", name="sick")(flat),
        layers.Dense(2, name="sizes")(flat),
    ]
    return keras.Model(inputs, heads)


@pytest.fixture(scope="session")
def two_inputs(keras: Any) -> Any:
    """A network of an image and a number of each sample."""
    keras.utils.set_random_seed(8)
    layers = keras.layers
    image, age = keras.Input((6, 5, 1), name="image"), keras.Input((2,), name="age")
    seen = layers.Dense(4, activation="tanh", name="seen")(layers.Flatten(name="flat")(image))
    end = layers.Dense(2, name="end")(layers.Concatenate(name="both")([seen, age]))
    return keras.Model([image, age], end)


Resolve = Callable[..., Resolution]
Evaluate = Callable[..., Inference]


@pytest.fixture(scope="session")
def resolved() -> Resolve:
    """Look a target up in a network; `evidence` and `loaded` hold what else is known."""

    def look_up(
        network: Any,
        evidence: ClassEvidence | None = None,
        loaded: LoadedNetwork | None = None,
        **asked: Any,
    ) -> Resolution:
        traced = TracedNetwork.of(network)
        request = TargetRequest.of(network, tuple(traced.outputs), **asked)
        return resolve(
            traced, loaded or LoadedNetwork(network), request, evidence or ClassEvidence()
        )

    return look_up


@pytest.fixture(scope="session")
def inferred(resolved: Resolve) -> Evaluate:
    """Make a network at a target ready to be computed."""

    def at_target(network: Any, **asked: Any) -> Inference:
        resolution = resolved(network, **asked)
        return Inference(resolution, Feeds(resolution.traced.graph.inputs), NetworkFile())

    return at_target
