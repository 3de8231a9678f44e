"""The range that a network expects is what its first layer tells."""

from __future__ import annotations

from typing import Any

import pytest

from cnnvis.network.input_range import expected_of_input
from cnnvis.network.traced import TracedNetwork


def _found(keras: Any, layer: Any) -> Any:
    x = keras.Input((3,))
    graph = TracedNetwork.of(keras.Model(x, keras.layers.Dense(1)(layer(x)))).graph
    return expected_of_input(graph, graph.inputs[0].slot)


@pytest.mark.parametrize(
    ("scale", "offset", "expected"),
    [
        (1 / 255, 0.0, (0, 255)),
        (1 / 127.5, -1.0, (0, 255)),
        (-1.0, 0.0, None),
        (1.0, 0.5, None),
    ],
)
def test_a_rescaling_tells(keras: Any, scale: float, offset: float, expected: Any) -> None:
    found = _found(keras, keras.layers.Rescaling(scale, offset, name="scaled"))
    if expected is None:
        assert found is None
    else:
        assert found[0] == pytest.approx(expected) and found[1] == "scaled"


def test_a_normalization_tells_if_it_was_trained(keras: Any) -> None:
    layer = keras.layers.Normalization(mean=2.0, variance=4.0, name="normal")
    assert _found(keras, layer) == (pytest.approx((-4, 8)), "normal")
    assert _found(keras, keras.layers.BatchNormalization()) is None


def test_other_layers_do_not_tell(keras: Any) -> None:
    assert _found(keras, keras.layers.Dense(2)) is None
    x = keras.Input((3,))
    graph = TracedNetwork.of(keras.Model(x, keras.layers.Dense(1)(x))).graph
    assert expected_of_input(graph, graph.calls[-1].slots[0]) is None
