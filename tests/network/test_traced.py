"""Facts of a network that do not depend on a target."""

from __future__ import annotations

from typing import Any

import pytest

import cnnvis
from cnnvis.network.traced import TracedNetwork


def test_outputs_are_called_as_the_network_calls_them(keras: Any, three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    assert list(traced.outputs) == list(three_heads.output_names)
    x = keras.Input((4,))
    network = keras.Model(x, {"first": keras.layers.Dense(2, name="a")(x)})
    assert {key: call.name for key, call in TracedNetwork.of(network).outputs.items()} == {
        "first": "a"
    }


def test_units_are_counted_along_the_channel_axis(keras: Any, three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    conv = traced.calls["conv"]
    assert (traced.channel_axis(conv), traced.channels(conv), traced.units(conv)) == (-1, 4, 4)
    x = keras.Input((2, 6, 5))
    first = keras.layers.Conv2D(3, 3, data_format="channels_first", name="conv")(x)
    traced = TracedNetwork.of(keras.Model(x, first))
    assert traced.channel_axis(traced.calls["conv"]) == 1
    assert traced.units(traced.calls["conv"]) == 3


def test_units_that_the_size_of_the_input_decides_have_no_numbers(keras: Any) -> None:
    x = keras.Input((None, 1))
    flat = keras.layers.Reshape((-1,), name="flat")(x)
    traced = TracedNetwork.of(keras.Model(x, flat))
    assert traced.channels(traced.calls["flat"]) is None
    with pytest.raises(cnnvis.UserError, match="as many outputs as its input is large"):
        traced.units(traced.calls["flat"])


def test_a_softmax_is_found_once(three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    found = traced.squashing(traced.calls["kind"])
    assert found is not None and found.is_share
    assert traced.squashing(traced.calls["kind"]) is found
    assert traced.squashing(traced.calls["sizes"]) is None


def test_a_layer_called_output_is_the_answer_if_nothing_is_learned_behind_it(keras: Any) -> None:
    def network(*behind: Any) -> TracedNetwork:
        x = value = keras.Input((4,))
        for layer in (keras.layers.Dense(2, name="output"), *behind):
            value = layer(value)
        return TracedNetwork.of(keras.Model(x, value))

    assert network().has_answer_named_output
    assert network(keras.layers.Dropout(0.5)).has_answer_named_output
    assert not network(keras.layers.Dense(3)).has_answer_named_output


def test_layers_are_listed_with_why_they_cannot_be_targets(keras: Any) -> None:
    x = keras.Input((4,))
    value = keras.layers.Dense(3, "relu", name="dense")(x)
    end = keras.ops.argmax(value, axis=-1)
    dense, largest = TracedNetwork.of(keras.Model(x, end)).layers
    assert (dense.name, dense.kind, dense.parameters, dense.activation) == (
        "dense",
        "Dense",
        15,
        "relu",
    )
    assert dense.rectifiers == ("ReLU",) and dense.obstacle is None
    assert largest.obstacle is not None and "whole numbers" in largest.obstacle
