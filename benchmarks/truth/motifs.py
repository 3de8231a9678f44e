"""Motifs planted in DNA: does the map find the letters that make the class?

Random sequences of 200 letters, one-hot. Of three classes, one has no motif and two have one of two motifs,
whose letters are changed now and then. Another motif lies in sequences of every class: what is striking, and
says nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth.case import Array, Case, Scale, chosen, trained
from benchmarks.truth.scores import of_places

LENGTH = 200
MOTIFS = ("TGACTCAG", "GATTACCA")
EVERYWHERE = "CCGCGCCC"
CHANGED = 0.08
"""Share of a motif's letters that are drawn anew."""

NAMES = ("pooled", "flat")


def sequences(count: int, seed: int) -> tuple[Array, Array, Array]:
    """Return sequences (n, 200, 4), their classes, and the places of the motif of the class."""
    rng = np.random.default_rng(seed)
    letters = rng.integers(0, 4, (count, LENGTH))
    y = np.arange(count) % 3
    truth = np.zeros((count, LENGTH), bool)
    for i in range(count):
        half = int(
            rng.integers(2)
        )  # one of the two motifs goes into each half, so none covers another
        wanted = [(EVERYWHERE, 1 - half, False)]
        if y[i]:
            wanted.append((MOTIFS[y[i] - 1], half, True))
        for motif, where, is_true in wanted:
            size = len(motif)
            start = where * LENGTH // 2 + int(rng.integers(LENGTH // 2 - size + 1))
            own = np.array(["ACGT".index(letter) for letter in motif])
            drawn = rng.random(size) < CHANGED
            letters[i, start : start + size] = np.where(drawn, rng.integers(0, 4, size), own)
            truth[i, start : start + size] |= is_true
    return np.eye(4, dtype=np.float32)[letters], y, truth


def network(kind: str) -> Any:
    """Return an untrained network over one axis: global maximum pooling, or dense layers at the end."""
    from keras import Input, Sequential, layers

    steps: list[Any] = [
        Input((LENGTH, 4)),
        layers.Conv1D(24, 11, padding="same", activation="relu"),
    ]
    if kind == "pooled":
        steps += [
            layers.Conv1D(24, 5, padding="same", activation="relu"),
            layers.GlobalMaxPooling1D(),
        ]
    else:
        steps += [layers.MaxPooling1D(4), layers.Conv1D(24, 5, padding="same"), layers.ELU()]
        steps += [layers.MaxPooling1D(5), layers.Flatten(), layers.Dropout(0.3)]
        steps += [layers.Dense(32, activation="relu")]
    return Sequential([*steps, layers.Dense(3, activation="softmax", name="output")])


def case(name: str, cache: Path, scale: Scale) -> Case:
    """Return the sequences with a motif that a network answers rightly."""
    x, y, _ = sequences(scale.learn["motifs"], 0)
    new, label, truth = sequences(600, 1)
    found = trained(
        cache / f"motifs-{name}.keras", lambda: network(name), x, y, new, scale.epochs(14)
    )
    right = found.answers == label

    return Case(
        suite="motifs",
        name=name,
        network=found.network,
        x=new,
        y=label,
        explained=chosen(np.flatnonzero(right & (label > 0)), scale.images["motifs"]),
        score=of_places(truth),
        main="average precision",
        right=0.5,
        chance=float(truth[label > 0].mean()),
        facts={"right answers": float(right.mean()), "sequences": len(new)},
        class_names=("none", "first", "second"),
    )
