"""Samples get the shapes that a network's inputs take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.graph import Graph, Input, Slot
from cnnvis.network.sample_shaping import shaped_samples
from cnnvis.network.traced import TracedNetwork


def test_an_axis_of_channels_is_added(three_heads: Any) -> None:
    graph = TracedNetwork.of(three_heads).graph
    (found,) = shaped_samples(graph, cnnvis.Samples(np.zeros((4, 6, 5)))).values()
    assert found.source.shape == (4, 6, 5, 1)


def test_each_input_gets_its_array(two_inputs: Any) -> None:
    graph = TracedNetwork.of(two_inputs).graph
    samples = cnnvis.Samples.of({"age": np.ones((4, 2)), "image": np.zeros((4, 6, 5, 1))})
    found = shaped_samples(graph, samples)
    assert list(found) == ["image", "age"]
    assert found["age"].source.shape == (4, 2) and list(found["age"].others) == ["image"]


def _whole(dtype: str) -> Graph:
    return Graph((Input("words", Slot(0), (3,), dtype),), (), (Slot(0),))


@pytest.mark.parametrize(
    ("dtype", "values", "said"),
    [
        ("int32", [0.5, 1, 2], "fractions, which Keras would cut off"),
        ("uint8", [0, 1, 256], "numbers outside of 0 to 255, which Keras would wrap around"),
        ("uint8", [-1.0, 1, 2], "numbers outside of 0 to 255"),
    ],
)
def test_numbers_that_an_input_cannot_hold_are_refused(dtype: str, values: Any, said: str) -> None:
    samples = cnnvis.Samples(np.array([values]))
    with pytest.raises(cnnvis.UserError, match=said):
        shaped_samples(_whole(dtype), samples)


def test_whole_numbers_may_be_written_as_floats() -> None:
    (found,) = shaped_samples(_whole("int32"), cnnvis.Samples(np.array([[0.0, 1, 2]]))).values()
    assert found.source.shape == (1, 3)
