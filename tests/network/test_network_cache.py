"""A live network is traced once, and anew when it has become another network."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cnnvis.network import cache
from cnnvis.network.cache import is_same, traced_network


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cache, "entries", [])
    yield


def _network(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [layers.Input((4,)), layers.Dense(3, "relu", name="in"), layers.Dense(2, name="out")]
    )


def test_a_network_that_is_the_same_is_not_traced_again(keras: Any) -> None:
    network = _network(keras)
    first = traced_network(network)
    network.set_weights([2 * one for one in network.get_weights()])
    assert traced_network(network) is first


def test_a_network_with_another_activation_is_traced_again(keras: Any) -> None:
    network = _network(keras)
    first = traced_network(network)
    network.layers[0].activation = keras.activations.elu
    assert traced_network(network) is not first
    assert len(cache.entries) == 1


def test_a_network_that_is_gone_is_forgotten(keras: Any) -> None:
    network = _network(keras)
    traced_network(network)
    del network
    gc.collect()
    assert cache.entries == []


def test_the_network_that_was_not_used_for_longest_is_forgotten_first(keras: Any) -> None:
    networks = [_network(keras) for _ in range(cache.SIZE + 1)]
    traces = [traced_network(network) for network in networks[: cache.SIZE]]
    assert traced_network(networks[0]) is traces[0]
    traced_network(networks[-1])
    assert traced_network(networks[0]) is traces[0]
    assert traced_network(networks[1]) is not traces[1]


def test_parts_are_compared_by_what_they_are() -> None:
    one = np.ones(2)
    assert is_same([1, "a", one, (1, one)], [1, "a", one, (1, one)])
    assert not is_same([one], [np.ones(2)])
    assert not is_same([1], [2])
    assert not is_same([1], [1, 1])
