"""Small networks over one, two and three axes, with random weights, and inputs for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

COUNT = 6
"""Number of inputs of each network."""

FEATURES = "features"
"""Layer whose feature maps class activation maps weigh.

It has a value for each position of the input, centred there: so maps of libraries that enlarge
otherwise are compared without any enlarging.
"""


@dataclass(frozen=True)
class Subject:
    """Network with inputs.

    Attributes
    ----------
    about
        What it is, for people.
    shape
        Shape of an input, channels last.
    low
        The smallest value of inputs, which reach up to 1 more; None for values drawn normally.
    body
        Makes the layers from `keras.layers`.
    """

    about: str
    shape: tuple[int, ...]
    low: float | None
    body: Callable[[Any], list[Any]]

    def network(self) -> Any:
        """Return the Keras network, whose weights are always the same."""
        import keras

        network = keras.Sequential([keras.Input(self.shape), *self.body(keras.layers)])
        rng = np.random.default_rng(20)
        for variable in network.weights:
            drawn = rng.normal(size=variable.shape)
            if "kernel" in variable.path:
                drawn *= np.sqrt(2 / np.prod(variable.shape[:-1]))
            elif "variance" in variable.path or "gamma" in variable.path:
                drawn = 0.5 + abs(drawn)
            else:
                drawn *= 0.2
            variable.assign(drawn)
        # Scores of both signs, since some formulas divide by them.
        scores = network.predict(self.inputs(), verbose=0)
        network.get_layer("output").bias.assign_add(-scores.mean(axis=0))
        return network

    def inputs(self) -> np.ndarray[Any, Any]:
        """Return inputs (n, ..., channels) float32."""
        rng = np.random.default_rng(21)
        shape = (COUNT, *self.shape)
        drawn = rng.normal(size=shape) if self.low is None else rng.random(shape) + self.low
        return drawn.astype(np.float32)

    def units(self) -> np.ndarray[Any, Any]:
        """Return four units of different sizes, numbers over the spatial axes."""
        space = self.shape[:-1]
        places = np.indices(space)
        if len(space) == 1:
            return np.digitize(places[0], [space[0] // 6, space[0] // 3, space[0] // 2])
        return 2 * (places[0] >= space[0] // 3) + (places[-1] >= space[-1] // 2)


def _image(k: Any, use_bias: bool = True) -> list[Any]:
    settings = {"padding": "same", "activation": "relu", "use_bias": use_bias}
    return [
        k.Conv2D(6, 3, name="first", **settings),
        k.Conv2D(8, 3, name=FEATURES, **settings),
        k.MaxPooling2D(2, name="pool"),
        k.Flatten(name="flat"),
        k.Dense(10, "relu", name="hidden"),
        k.Dense(3, name="output"),
    ]


SUBJECTS = {
    "image": Subject(
        "two axes: convolutions, ReLUs, max pooling and dense layers; inputs from 0 to 1",
        (12, 10, 2),
        0.0,
        _image,
    ),
    "centred": Subject("the same, with inputs from -0.5 to 0.5", (12, 10, 2), -0.5, _image),
    "unbiased": Subject(
        "as `image`, with no biases in convolutions",
        (12, 10, 2),
        0.0,
        lambda k: _image(k, use_bias=False),
    ),
    "normalized": Subject(
        "two axes: batch normalizations, a LeakyReLU, average pooling and global average pooling",
        (12, 10, 2),
        None,
        lambda k: [
            k.Conv2D(6, 3, padding="same", name="first"),
            k.BatchNormalization(name="first_norm"),
            k.LeakyReLU(negative_slope=0.2, name="first_leaky"),
            k.Conv2D(8, 3, padding="same", name="second"),
            k.BatchNormalization(name="second_norm"),
            k.ReLU(name=FEATURES),
            k.AveragePooling2D(2, name="pool"),
            k.Conv2D(7, 3, activation="relu", name="third"),
            k.GlobalAveragePooling2D(name="mean"),
            k.Dense(3, name="output"),
        ],
    ),
    "sequence": Subject(
        "a single axis: a batch normalization, a LeakyReLU and max pooling",
        (36, 4),
        None,
        lambda k: [
            k.Conv1D(8, 5, padding="same", name="first"),
            k.BatchNormalization(name="first_norm"),
            k.LeakyReLU(negative_slope=0.2, name="first_leaky"),
            k.Conv1D(6, 3, padding="same", activation="relu", name=FEATURES),
            k.MaxPooling1D(3, name="pool"),
            k.Flatten(name="flat"),
            k.Dense(3, name="output"),
        ],
    ),
    "volume": Subject(
        "three axes: convolutions, ReLUs, average pooling and dense layers",
        (6, 8, 6, 1),
        None,
        lambda k: [
            k.Conv3D(4, 3, padding="same", activation="relu", name="first"),
            k.Conv3D(6, 3, padding="same", activation="relu", name=FEATURES),
            k.AveragePooling3D(2, name="pool"),
            k.Flatten(name="flat"),
            k.Dense(8, "relu", name="hidden"),
            k.Dense(3, name="output"),
        ],
    ),
}

TARGET = 1
"""Output that is explained."""
