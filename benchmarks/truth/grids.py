"""Grid pointing game: of four digits in a grid, which one made the network answer as it does?

A network of convolutions and global pooling learns single digits (the 8 x 8 digits of scikit-learn, enlarged
to 16 x 16) and then sees four of four classes, 2 x 2. It answers one of them. What speaks for that class
lies in its cell: Boehle, Fritz and Schiele 2021, arXiv:2104.00032.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth.case import Array, Case, Scale, chosen, trained
from benchmarks.truth.scores import hit, share_inside

NAMES = ("average", "maximum")
SIDE = 16


def digits() -> tuple[Array, Array]:
    """Return digits (n, 16, 16, 1) from 0 to 1, and their classes."""
    from sklearn.datasets import load_digits

    known = load_digits()
    x = np.repeat(np.repeat(known.images / 16, 2, axis=1), 2, axis=2)
    return x[..., None].astype(np.float32), known.target.astype(np.int64)


def grids(x: Array, y: Array, count: int, seed: int) -> tuple[Array, Array]:
    """Compose grids (n, 32, 32, 1) of four digits, and the classes of their cells (n, 4)."""
    rng = np.random.default_rng(seed)
    found, classes = [], []
    for _ in range(count):
        four = rng.permutation(10)[:4]
        cells = [x[rng.choice(np.flatnonzero(y == one))] for one in four]
        found.append(
            np.concatenate([np.concatenate(cells[:2], axis=1), np.concatenate(cells[2:], axis=1)])
        )
        classes.append(four)
    return np.stack(found), np.stack(classes)


def network(pooling: str) -> Any:
    """Return an untrained network for pictures of any size, with global pooling."""
    from keras import Input, Sequential, layers

    steps: list[Any] = [Input((None, None, 1))]
    if pooling == "average":
        for filters in (16, 32, 64):
            steps += [layers.Conv2D(filters, 3, padding="same", activation="relu")]
            steps += [layers.MaxPooling2D(2)] if filters < 64 else []
        steps += [layers.GlobalAveragePooling2D()]
    else:
        for filters in (16, 32, 64):
            steps += [layers.Conv2D(filters, 3, strides=2 if filters > 16 else 1, padding="same")]
            steps += [layers.BatchNormalization(momentum=0.9), layers.LeakyReLU(0.1)]
        steps += [layers.GlobalMaxPooling2D()]
    return Sequential([*steps, layers.Dense(10, activation="softmax", name="output")])


def case(name: str, cache: Path, scale: Scale) -> Case:
    """Return the grids in which the network sees one of the four digits."""
    x, y = digits()
    known, new = slice(0, 1200), slice(1200, None)
    composed, classes = grids(x[new], y[new], 3 * scale.images["grids"], 1)
    path = cache / f"grids-{name}.keras"
    single = trained(path, lambda: network(name), x[known], y[known], x[new], scale.epochs(40))
    found = trained(path, lambda: network(name), x[known], y[known], composed, 0)
    cell = np.array([np.flatnonzero(row == one)[0] if one in row else -1
                     for row, one in zip(classes, found.answers, strict=True)])  # fmt: skip
    truth = np.zeros((len(composed), 2 * SIDE, 2 * SIDE), bool)
    for i, one in enumerate(cell):
        row, column = SIDE * (one // 2), SIDE * (one % 2)
        truth[i, row : row + SIDE, column : column + SIDE] = one >= 0

    def score(shown: Array, sizes: Array, image: int) -> dict[str, float]:
        return {
            "share inside": share_inside(shown, truth[image]),
            "share of sizes inside": share_inside(sizes, truth[image]),
            "brightest inside": hit(shown, truth[image]),
        }

    return Case(
        suite="grids",
        name=name,
        network=found.network,
        x=composed,
        y=np.where(cell >= 0, found.answers, classes[:, 0]),
        explained=chosen(np.flatnonzero(cell >= 0), scale.images["grids"]),
        score=score,
        main="share inside",
        right=0.5,
        chance=0.25,
        facts={
            "right answers for single digits": float((single.answers == y[new]).mean()),
            "one of the four digits": float((cell >= 0).mean()),
            "grids": len(composed),
        },
    )
