"""Networks whose weights are permuted, which know nothing of what was learned."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np


def permuted(weights: Sequence[Any], seed: int) -> list[Any]:
    """Return the weights of a Keras network with the values of each permuted among themselves.

    Each tensor keeps its values, so that activations keep their sizes; statistics of normalizations
    are permuted as well.
    """
    rng = np.random.default_rng(seed)
    found = []
    for one in weights:
        values = np.asarray(one)
        is_number = values.dtype.kind == "f"
        found.append(rng.permutation(values.ravel()).reshape(values.shape) if is_number else one)
    return found


def are_same(weights: Sequence[Any], others: Sequence[Any]) -> bool:
    """Tell whether two networks of the same layers have the same weights."""
    return all(np.array_equal(one, other) for one, other in zip(weights, others, strict=True))


def with_sigmoid(network: Any) -> Any:
    """Return a network with a sigmoid behind the answer of another, of the same Keras."""
    keras = importlib.import_module(type(network).__module__.partition(".")[0])
    answer = keras.layers.Activation("sigmoid")(network.outputs[0])
    return keras.Model(network.inputs, answer)


def answering_layer(network: Any) -> str:
    """Return the name of the layer that gives the answer of a network with one output."""
    history = network.outputs[0]._keras_history
    layer = getattr(history, "operation", None) or history.layer
    return str(layer.name)
