"""Small networks whose maps are known or compared, and data for them.

The same seed gives the same weights. Keras is imported when the first is built.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.network.backend import keras

SPACE = {1: (24,), 2: (12, 10), 3: (8, 6, 10)}
"""Lengths of the axes of inputs: no two the same, so that axes in the wrong order are seen."""

Place = tuple[int, ...]


def shape_of(axes: int, *, first: bool = False) -> tuple[int, ...]:
    """Return the shape of one input with two channels."""
    return (2, *SPACE[axes]) if first else (*SPACE[axes], 2)


def data_of(shape: Sequence[int], count: int = 4, seed: int = 5) -> Array:
    """Draw random inputs, (count, ...)."""
    return np.random.default_rng(seed).normal(0.3, 1, (count, *shape)).astype(np.float32)


def weighted(network: Any, seed: int, constant: float = 0.3) -> Any:
    """Give a network random weights, and biases around a constant; return the network."""
    rng = np.random.default_rng(seed)
    network.set_weights(
        [
            rng.normal(0, 1 / np.sqrt(np.prod(one.shape[:-1]) or 1), one.shape)
            if one.ndim > 1
            else rng.normal(constant, 0.1, one.shape)
            for one in network.get_weights()
        ]
    )
    return network


# Networks like those that people have


MIXED = 3
"""Seed of a small network that finds several classes among its data."""


def small_network(
    axes: int, *, first: bool = False, seed: int = 1, inputs: int = 1, constant: float = 0.3
) -> Any:
    """Build a network of two convolutions over so many axes, with pooling, and three classes."""
    layers = keras().layers
    form: dict[str, Any] = {"data_format": "channels_first" if first else "channels_last"}
    convolution = getattr(layers, f"Conv{axes}D")
    pooling = getattr(layers, f"MaxPooling{axes}D")
    shape = shape_of(axes, first=first)
    entries, ends = [], []
    for number in range(inputs):
        entry = keras().Input(shape, name=f"input_{number}")
        flow = convolution(4, 3, activation="relu", padding="same", **form)(entry)
        flow = pooling(2, **form)(flow)
        flow = convolution(5, 3, activation="relu", padding="same", **form)(flow)
        entries.append(entry)
        ends.append(layers.Flatten()(flow))
    joined = ends[0] if inputs == 1 else layers.Concatenate()(ends)
    output = layers.Dense(3, activation="softmax", name="output")(joined)
    network = keras().Model(entries[0] if inputs == 1 else entries, output)
    return weighted(network, seed, constant)


def twins(axes: int) -> tuple[Any, Any]:
    """Build one network with channels last and first: the same weights, in the order of each."""
    last, first = small_network(axes), small_network(axes, first=True)
    *weights, dense, bias = last.get_weights()
    # The dense layer alone meets positions and channels in one row, in another order.
    space = [length // 2 for length in SPACE[axes]]
    dense = np.moveaxis(dense.reshape(*space, -1, dense.shape[-1]), -2, 0)
    first.set_weights([*weights, dense.reshape(-1, dense.shape[-1]), bias])
    return last, first


def mirrored(network: Any, axis: int) -> Any:
    """Build the mirror image of a `pooled_network`, for inputs mirrored along an axis, 1 or 2."""
    kernel, *middle, dense, bias = network.get_weights()
    other = pooled_network(2)
    cells = [length // POOLED for length in EVEN[2]]
    turned = np.flip(dense.reshape(*cells, -1, dense.shape[-1]), axis - 1).reshape(dense.shape)
    other.set_weights([np.flip(kernel, axis - 1), *middle, turned, bias])
    return other


EVEN = {1: (24,), 2: (16, 12)}
"""Lengths of axes that are multiples of the pooled length."""

POOLED = 4
"""Number of positions along an axis that pooling turns into one."""


def pooled_network(axes: int, *, each: bool = True) -> Any:
    """Build two convolutions, with pooling, that treat both sides of a position alike.

    Parameters
    ----------
    each
        True if each position has weights of its own in the end, False if all have the same.
    """
    layers = keras().layers
    entry = keras().Input((*EVEN[axes], 2), name="input")
    convolution = getattr(layers, f"Conv{axes}D")
    flow = convolution(4, 3, activation="relu", padding="same")(entry)
    # Not the maximum: of equal values, such as zeros, its gradient goes to the first.
    flow = getattr(layers, f"AveragePooling{axes}D")(POOLED)(flow)
    flow = convolution(5, 1, activation="relu")(flow)
    end = layers.Flatten() if each else getattr(layers, f"GlobalAveragePooling{axes}D")()
    output = layers.Dense(3, activation="softmax", name="output")(end(flow))
    return weighted(keras().Model(entry, output), 3)


# Networks whose answers are sums that can be written down


def linear_network(channels: int, seed: int = 1) -> Any:
    """Build a network whose score is w x + b."""
    layers = keras().layers
    entry = keras().Input((6, 5, channels), name="input")
    output = layers.Dense(1, name="output")(layers.Flatten()(entry))
    return weighted(keras().Model(entry, output), seed)


def dense_network(channels: int) -> Any:
    """Build two dense layers with a ReLU between; each unit is on for some inputs only."""
    layers = keras().layers
    entry = keras().Input((6, 5, channels), name="input")
    hidden = layers.Dense(12, activation="relu", name="hidden")(layers.Flatten()(entry))
    network = keras().Model(entry, layers.Dense(1, name="output")(hidden))
    return weighted(network, 2, -0.2)


def features_network(*, pooled: bool = False, positive: bool = False) -> Any:
    """Build feature maps as large as the input, and a dense layer of three classes on them all.

    Parameters
    ----------
    pooled
        True if the dense layer takes the mean of each feature map instead of all positions.
    positive
        True if no weight of the dense layer is negative.
    """
    layers = keras().layers
    entry = keras().Input(shape_of(2), name="input")
    features = layers.Conv2D(5, 1, activation="relu", name="features")(entry)
    end = layers.GlobalAveragePooling2D() if pooled else layers.Flatten()
    output = layers.Dense(3, activation="softmax", name="output")(end(features))
    network = weighted(keras().Model(entry, output), 4, -0.3)
    if positive:
        *weights, dense, bias = network.get_weights()
        network.set_weights([*weights, abs(dense), bias])
    return network


# Networks that look at one place alone


@dataclass(frozen=True)
class Looking:
    """Network whose class k looks at the k-th place alone, and inputs with a light at each.

    Attributes
    ----------
    network
        The network.
    data
        The inputs, (k, ...): the k-th has a light in channel 0 at the k-th place, by which it is of
        class k, and another in channel 1 across from it that no class looks at.
    places
        For each class, the corner of its place.
    size
        Number of positions that a place reaches along each axis.
    space
        Lengths of the axes.
    """

    network: Any
    data: Array
    places: tuple[Place, ...]
    size: int
    space: tuple[int, ...]

    def block(self, number: int) -> tuple[slice, ...]:
        """Return the positions of a place."""
        return tuple(slice(at, at + self.size) for at in self.places[number])


DIM = 0.7
"""Brightness that a light must exceed to be seen: half a light is none."""


def looking_network(axes: int, *, size: int = 1) -> Looking:
    """Build a network that looks at each corner, and at a place three quarters along each axis.

    A feature is on where a light is, with weights that are all positive; the second layer has its
    channels in another order than the first. With `size`, so many positions are pooled to one.
    """
    layers = keras().layers
    space = SPACE[axes] if size == 1 else EVEN[axes]
    cells = tuple(length // size for length in space)
    corners: list[Place] = list(itertools.product(*((0, length - 1) for length in cells)))
    within = [
        tuple(3 * n // 4 if a == axis else n // 4 for a, n in enumerate(cells))
        for axis in range(axes)
    ]
    places: list[Place] = list(dict.fromkeys([*corners, *within]))
    entry = keras().Input((*space, 2), name="input")
    convolution: Callable[..., Any] = getattr(layers, f"Conv{axes}D")
    flow = convolution(4, 1, activation="relu", name="lights")(entry)
    if size > 1:
        flow = getattr(layers, f"AveragePooling{axes}D")(size)(flow)
    flow = convolution(4, 1, activation="relu", name="turned")(flow)
    output = layers.Dense(len(places), activation="softmax", name="output")(layers.Flatten()(flow))
    network = keras().Model(entry, output)
    ones = (1,) * axes
    gains = np.zeros((2, 4), np.float32)
    gains[0, :2], gains[1, 2:] = (10, 5), (6, 3)
    dims = np.array([-10 * DIM, -5 * DIM, -6 * (DIM - 0.1), -3 * (DIM - 0.1)], np.float32)
    turned = np.eye(4, dtype=np.float32)[[2, 3, 0, 1]]
    looks = np.zeros((*cells, 4, len(places)), np.float32)
    for number, place in enumerate(places):
        looks[place][2:4, number] = 1, 0.5
    network.set_weights(
        [
            *(gains.reshape(*ones, 2, 4), dims),
            *(turned.reshape(*ones, 4, 4), np.zeros(4, np.float32)),
            *(looks.reshape(-1, len(places)), np.zeros(len(places), np.float32)),
        ]
    )
    data = np.zeros((len(places), *space, 2), np.float32)
    found = Looking(
        network, data, tuple(tuple(size * at for at in place) for place in places), size, space
    )
    for number in range(len(places)):
        block = found.block(number)
        data[number, ..., 0][block] = 1
        data[number, ..., 1][tuple(map(_across, space, block))] = 0.8
    return found


def _across(length: int, block: slice) -> slice:
    return slice(length - block.stop, length - block.start)
