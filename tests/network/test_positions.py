"""Maps over a layer's positions are laid over the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.positions import laid_over_input, origin_of, spatial_axes
from cnnvis.network.traced import TracedNetwork


def test_spatial_axes_are_those_without_channels(keras: Any, three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    assert spatial_axes(traced, traced.graph.inputs[0]) == (1, 2)
    x = keras.Input((2, 6, 5))
    first = keras.layers.Conv2D(3, 3, data_format="channels_first")(x)
    traced = TracedNetwork.of(keras.Model(x, first))
    assert spatial_axes(traced, traced.graph.inputs[0]) == (2, 3)


def test_positions_are_followed_once(three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    source, conv = traced.graph.inputs[0], traced.calls["conv"]
    found = origin_of(traced, conv, source, (6, 5, 1))
    assert found is not None and found.followed == (1, 2)
    assert origin_of(traced, conv, source, (6, 5, 1)) is found


def test_a_map_is_drawn_where_receptive_fields_are_centred(three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    maps = np.zeros((1, 4, 3), np.float32)
    maps[0, 1, 2] = 1
    found = laid_over_input(traced, maps, traced.calls["conv"], traced.graph.inputs[0], (6, 5, 1))
    assert found.shape == (1, 6, 5)
    # A window of 3 is centred one position behind its start; outermost values go on to the edge.
    assert np.argwhere(found[0] == 1).tolist() == [[2, 3], [2, 4]]


def test_a_layer_without_positions_is_refused(three_heads: Any) -> None:
    traced = TracedNetwork.of(three_heads)
    with pytest.raises(cnnvis.UserError, match="no axis of the output of 'kind' is an axis of the"):
        laid_over_input(
            traced, np.zeros(1), traced.calls["kind"], traced.graph.inputs[0], (6, 5, 1)
        )


def test_layers_whose_maps_can_be_laid_over_the_input(keras: Any, three_heads: Any) -> None:
    model = cnnvis.Model(three_heads)
    assert [one.name for one in model.map_layers((6, 5, 1))] == ["conv"]
    assert model.positions_along("conv", (6, 5, 1)) == {1: 4, 2: 3}
    assert model.inner_positions("conv", (6, 5, 1)) == ((0, 4), (0, 3), (0, 4))
    assert model.positions_along("flat", (6, 5, 1)) == {}


def test_positions_within_a_patch_are_channels(keras: Any) -> None:
    layers = keras.layers
    x = keras.Input((6, 8, 1))
    flow = layers.Reshape((3, 2, 4, 2))(x)
    flow = layers.Reshape((12, 4), name="tokens")(layers.Permute((1, 3, 2, 4))(flow))
    mixed = layers.Dense(3, name="mixed")(flow)
    end = layers.Dense(2, name="end")(layers.Flatten(name="flat")(mixed))
    model = cnnvis.Model(keras.Model(x, end))
    for name in ("tokens", "mixed"):
        assert model.positions_along(name, (6, 8, 1)) == {1: 3, 2: 4}
    names = [one.name for one in model.map_layers((6, 8, 1))]
    assert names[-2:] == ["tokens", "mixed"] and "flat" not in names


def test_maps_are_linear_between_positions_however_many_there_are() -> None:
    """By a product of matrices for few positions of an axis, and place by place for many."""
    from cnnvis.network.geometry import upsampling

    rng = np.random.default_rng(0)
    for count in (2, upsampling.FEW, upsampling.FEW + 1):
        at = np.sort(rng.uniform(1, 300, count))
        for axis in (1, 2):
            maps = rng.random((3, 5, count) if axis == 2 else (3, count, 5)).astype(np.float32)
            found = upsampling._along(maps, axis, at, 320)
            expected = np.apply_along_axis(
                lambda values, at=at: np.interp(np.arange(320), at, values), axis, maps
            )
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            assert found.dtype == np.float32
