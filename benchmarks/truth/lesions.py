"""Lesions planted in volumes: does the map find them over three axes?

Volumes of 16 x 16 x 16 of smooth noise. Every volume holds a bright ball. Half of them hold a lesion, too: a
hollow ball, as bright. The ball is striking and says nothing; only the hollow one makes the class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth.case import Array, Case, Scale, chosen, trained
from benchmarks.truth.scores import of_places

SIZE = 16
RADIUS = 3.2
HOLLOW = 1.8
BRIGHT = 1.5
NAMES = ("convolutions", "leaky")


def volumes(count: int, seed: int) -> tuple[Array, Array, Array]:
    """Return volumes (n, 16, 16, 16, 1), their classes, and the places of the lesion."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    places = np.moveaxis(np.indices((SIZE,) * 3), 0, -1)
    x = np.stack([ndimage.gaussian_filter(rng.normal(size=(SIZE,) * 3), 1.0) for _ in range(count)])
    x /= x.std()
    y = np.arange(count) % 2
    truth = np.zeros(x.shape, bool)
    low, high = 3.5, SIZE - 4.5
    for i in range(count):
        ball, lesion = rng.uniform(low, high, (2, 3))
        while np.linalg.norm(ball - lesion) < 2 * RADIUS:
            ball, lesion = rng.uniform(low, high, (2, 3))
        x[i] += BRIGHT * (np.linalg.norm(places - ball, axis=-1) <= RADIUS)
        if y[i]:
            distance = np.linalg.norm(places - lesion, axis=-1)
            truth[i] = distance <= RADIUS
            x[i] += BRIGHT * (truth[i] & (distance > HOLLOW))
    return x[..., None].astype(np.float32), y, truth


def network(kind: str) -> Any:
    """Return an untrained network over three axes, with global pooling."""
    from keras import Input, Sequential, layers

    steps: list[Any] = [Input((SIZE, SIZE, SIZE, 1))]
    if kind == "convolutions":
        steps += [layers.Conv3D(12, 3, padding="same", activation="relu"), layers.MaxPooling3D(2)]
        steps += [layers.Conv3D(24, 3, padding="same", activation="relu") for _ in range(2)]
        steps += [layers.GlobalMaxPooling3D()]
    else:
        for filters, strides in ((12, 1), (24, 2), (24, 1)):
            steps += [layers.Conv3D(filters, 3, strides=strides, padding="same", use_bias=False)]
            steps += [layers.BatchNormalization(momentum=0.9), layers.LeakyReLU(0.1)]
        steps += [layers.GlobalMaxPooling3D()]
    return Sequential([*steps, layers.Dense(2, activation="softmax", name="output")])


def case(name: str, cache: Path, scale: Scale) -> Case:
    """Return the volumes with a lesion that a network recognizes."""
    x, y, _ = volumes(scale.learn["lesions"], 0)
    new, label, truth = volumes(300, 1)
    found = trained(
        cache / f"lesions-{name}.keras",
        lambda: network(name),
        x,
        y,
        new,
        scale.epochs(16),
        batch=32,
    )
    right = found.answers == label

    return Case(
        suite="lesions",
        name=name,
        network=found.network,
        x=new,
        y=label,
        explained=chosen(np.flatnonzero(right & (label == 1)), scale.images["lesions"]),
        score=of_places(truth),
        main="average precision",
        right=0.5,
        chance=float(truth[label == 1].mean()),
        facts={"right answers": float(right.mean()), "volumes": len(new)},
        class_names=("healthy", "lesion"),
    )
