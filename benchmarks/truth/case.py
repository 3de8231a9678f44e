"""Case: a trained network, images that it answers rightly, and where the answer lies in each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Score = Callable[[Array, Array, int], dict[str, float]]
"""Function of a map as it is shown, of the sizes of its values, and of the number of its image."""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes
    ----------
    sweeps_learn, sweeps_new
        Simulations to learn from, and to explain.
    learn
        Images of each other suite to learn from, by the suite.
    images
        Images to explain, at most, by the suite.
    checked
        Images that the checks are run on, the first ones.
    training
        Share of the passes over the data that training takes.
    processes
        How many processes simulate.
    """

    sweeps_learn: int = 3000
    sweeps_new: int = 450
    learn: Mapping[str, int] = field(
        default_factory=lambda: {"tris": 10_000, "motifs": 6000, "lesions": 900}
    )
    images: Mapping[str, int] = field(
        default_factory=lambda: {
            "sweeps": 90,
            "tris": 80,
            "grids": 80,
            "motifs": 80,
            "lesions": 60,
        }
    )
    checked: int = 24
    training: float = 1.0
    processes: int = 2

    def epochs(self, many: int) -> int:
        """Return how many passes over the data a training of so many takes at this scale."""
        return max(1, round(many * self.training))

    def with_most(self, images: int) -> Scale:
        """Return a scale with so many images to explain at most, a third of them checked."""
        fewer = {suite: min(count, images) for suite, count in self.images.items()}
        return replace(self, images=fewer, checked=min(self.checked, max(images // 3, 1)))


QUICK = Scale(
    sweeps_learn=400,
    sweeps_new=120,
    learn={"tris": 3000, "motifs": 800, "lesions": 300},
    images=dict.fromkeys(("sweeps", "tris", "grids", "motifs", "lesions"), 12),
    checked=8,
    training=0.5,
)


@dataclass(frozen=True)
class Trained:
    """Trained network, and its outputs for the images that may be explained."""

    network: Any
    outputs: Array

    @property
    def answers(self) -> Array:
        """The class that it answers for each image."""
        if self.outputs.shape[1] == 1:
            return (self.outputs[:, 0] > 0.5).astype(np.int64)
        found: Array = self.outputs.argmax(axis=1)
        return found


@dataclass(frozen=True)
class Case:
    """Network with images whose right places are known.

    Attributes
    ----------
    suite, name
        What it is called: ``sweeps``, ``demo``.
    network
        The Keras network.
    x, y
        All images, of which means are taken, and their labels.
    explained
        Places of the images that are explained.
    score
        How right a map is, in several numbers, all between 0 and 1 but ``kb off``.
    main
        The number that methods are ordered by.
    right
        From which value of this number on a single map is right.
    chance
        The number's mean for a map that knows nothing.
    facts
        What a reader wants to know of the network and the images.
    """

    suite: str
    name: str
    network: Any
    x: Array
    y: Array
    explained: Array
    score: Score
    main: str
    right: float
    chance: float
    facts: Mapping[str, float]
    class_names: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The suite and the name."""
        return f"{self.suite}/{self.name}"


def chosen(rows: Array, most: int) -> Array:
    """Return the first rows, at most so many."""
    if not len(rows):
        raise SystemExit("the network answers no image rightly, so there is nothing to explain")
    return rows[:most]


def kept_arrays(path: Path, make: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """Return arrays from a file, which is made if it is not there."""
    if not path.exists():
        part = path.with_suffix(".part.npz")
        np.savez_compressed(part, **make())  # type: ignore[arg-type]
        part.replace(path)
    with np.load(path) as file:
        return dict(file)


def write_json(path: Path, what: Any) -> None:
    """Write a file that is there as a whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(what, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def one_thread() -> None:
    """Keep TensorFlow to one thread, so that sums are always taken in the same order."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def trained(
    path: Path,
    build: Callable[[], Any],
    x: Array,
    y: Array,
    new: Array,
    epochs: int,
    rate: float = 1e-3,
    batch: int = 64,
) -> Trained:
    """Return a network, trained here or read from the cache, and what it answers for new images."""
    import keras

    if path.exists():
        network = keras.saving.load_model(path)
    else:
        keras.utils.set_random_seed(0)
        network = build()
        single = network.output_shape[-1] == 1
        loss = "binary_crossentropy" if single else "sparse_categorical_crossentropy"
        network.compile(keras.optimizers.Adam(rate), loss)
        network.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
        network = keras.Model(network.inputs, network.outputs)  # without its optimizer
        part = path.with_suffix(".part.keras")
        network.save(part)
        part.replace(path)
    return Trained(network, network.predict(new, batch_size=256, verbose=0))
