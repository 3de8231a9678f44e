"""Layers and outputs are found by the names and places that people give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.layer_names import every_name, find_call, layer_name, output_name
from cnnvis.network.plain_values import plain

CALLS: Any = {
    name: f"the call {name}"
    for name in ("backbone/conv", "backbone/end", "tower@1/conv", "tower@2/conv", "head")
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("head", "head"),
        ("backbone/conv", "backbone/conv"),
        ("tower@2/conv", "tower@2/conv"),
        ("backbone", "backbone/end"),  # the name of a nested model means its last call
        ("end", "backbone/end"),
    ],
)
def test_a_layer_is_found_by_any_name_that_is_clear(name: str, found: str) -> None:
    assert find_call(CALLS, name, {}) == CALLS[found]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tower/conv", "2 calls of a layer 'tower/conv'"),
        ("conv", "3 calls of a layer 'conv'"),
        ("haed", "there is no layer 'haed'.*head"),
        ("lost", "the layer 'lost' cannot be explained: it is unknown"),
    ],
)
def test_a_name_that_is_not_clear_is_refused(name: str, said: str) -> None:
    with pytest.raises(cnnvis.UserError, match=said):
        find_call(CALLS, name, {"lost": "it is unknown"})


def test_all_names_of_a_layer_are_known() -> None:
    assert set(every_name(["tower@1/block/conv"])) == {
        *("tower@1", "tower@1/block", "tower@1/block/conv", "block/conv", "conv"),
        *("tower", "tower/block", "tower/block/conv"),
    }


class InputLayer:
    name = "in"


def test_a_layer_may_be_asked_for_by_its_place_or_as_an_object() -> None:
    first, last = SimpleNamespace(name="first"), SimpleNamespace(name="last")
    network = SimpleNamespace(layers=[InputLayer(), first, last])
    assert layer_name(network, "anything") == "anything"
    assert layer_name(network, last) == "last"
    assert layer_name(network, -1) == layer_name(network, np.int64(2)) == "last"
    for wrong, said in (
        (3, "no layer 3: the network has 3 layers, 0 to 2"),
        (0, "the layer 0 is 'in', an input"),
        (SimpleNamespace(name="other"), "by its place among network.layers"),
        (1.5, "by its place among network.layers"),
    ):
        with pytest.raises(cnnvis.UserError, match=said):
            layer_name(network, wrong)


def test_an_output_may_be_asked_for_by_its_place() -> None:
    assert output_name(("a", "b"), "anything") == "anything"
    assert output_name(("a", "b"), 1) == "b"
    with pytest.raises(cnnvis.UserError, match=r"no output 2; it has 2 outputs.*a \(0\), b \(1\)"):
        output_name(("a", "b"), 2)


def test_numbers_become_pythons_own() -> None:
    found = plain([np.int64(3), (np.float32(2.0), "a"), np.arange(2), 1.5])
    assert found == [3, [2, "a"], [0, 1], 1.5]
    assert type(found[0]) is int and type(found[1][0]) is int
