"""XAI-TRIS of 8 x 8 pixels: small shapes in noise, whose places are known.

Clark et al. 2024, arXiv:2306.12816. Four scenarios: of two shapes, T and L, one is there, added at a fixed
place (linear), darkening the noise at a fixed place (multiplicative), or added at any place and turned
(translations_rotations); or both are there, and the class is whether their signs agree (xor). Noise is
white, or smoothed (correlated). The right places are those of both shapes, where they are fixed: that a shape
is absent says as much as that it is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth.case import Array, Case, Scale, chosen, trained
from benchmarks.truth.scores import earth_mover, top_precision

SIZE = 8
SHARES = {
    "linear": (0.18, 0.0125),
    "multiplicative": (0.7, 0.1),
    "translations_rotations": (0.65, 0.2),
    "xor": (0.35, 0.15),
}
"""Share of the shapes in the image, in white and in correlated noise."""

NOISES = ("white", "correlated")
SMOOTH = 3.0
SHAPES = (
    np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]]),
    np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]),
)
PLACES = ((1, 1), (4, 5))
NAMES = tuple(f"{scenario} {noise}" for scenario in SHARES for noise in NOISES)


def drawn(scenario: str, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the shapes of images without noise, (n, 8, 8), and their classes."""
    shapes = np.zeros((count, SIZE, SIZE))
    y = np.arange(count) % 2
    for i, one in enumerate(shapes):
        if scenario == "xor":
            sign = 1 if i % 4 < 2 else -1
            for shape, (row, column), times in zip(
                SHAPES, PLACES, (sign, sign * (1 - 2 * y[i])), strict=True
            ):
                one[row : row + 3, column : column + 2] = times * shape
            continue
        shape, (row, column) = SHAPES[y[i]], PLACES[y[i]]
        if scenario == "translations_rotations":
            shape = np.rot90(shape, int(rng.integers(4)))
            row, column = (int(rng.integers(SIZE - size + 1)) for size in shape.shape)
        one[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    return shapes, y


def images(scenario: str, noise: str, count: int, seed: int) -> tuple[Array, Array, Array]:
    """Return images (n, 8, 8, 1), their classes, and their right places (n, 8, 8)."""
    from scipy import ndimage

    rng = np.random.default_rng([seed, NAMES.index(f"{scenario} {noise}")])
    shapes, y = drawn(scenario, count, rng)
    behind = rng.normal(0.0, 0.5, shapes.shape)
    if noise == "correlated":
        behind = np.stack([ndimage.gaussian_filter(one, SMOOTH) for one in behind])
    share = SHARES[scenario][NOISES.index(noise)]
    behind /= np.linalg.norm(behind)
    if scenario == "multiplicative":
        factor = 1 - share * shapes
        x = factor / np.linalg.norm(factor) * behind
    else:
        x = share * shapes / np.linalg.norm(shapes) + (1 - share) * behind
    x /= abs(x).max()
    truth = shapes != 0
    if scenario in ("linear", "multiplicative"):
        truth = np.broadcast_to(truth.any(axis=0), truth.shape)
    return x[..., None].astype(np.float32), y, truth


def network() -> Any:
    """Return an untrained network of convolutions and dense layers over 8 x 8 pixels."""
    from keras import Input, Sequential, layers

    steps: list[Any] = [Input((SIZE, SIZE, 1))]
    for filters in (16, 32):
        steps += [layers.Conv2D(filters, 3, padding="same", activation="relu")]
    steps += [layers.MaxPooling2D(2), layers.Conv2D(32, 3, padding="same", activation="relu")]
    steps += [layers.Flatten(), layers.Dense(32, activation="relu")]
    return Sequential([*steps, layers.Dense(2, activation="softmax", name="output")])


def case(name: str, cache: Path, scale: Scale) -> Case:
    """Return the images of a scenario that a network answers rightly."""
    scenario, noise = name.split()
    x, y, truth = images(scenario, noise, scale.learn["tris"], 0)
    new = max(200, scale.learn["tris"] // 10)
    learn, held = slice(None, -new), slice(-new, None)
    found = trained(
        cache / f"tris-{scenario}-{noise}.keras",
        network,
        x[learn],
        y[learn],
        x[held],
        scale.epochs(40),
        rate=2e-3,
        batch=256,
    )
    right = found.answers == y[held]
    of_held = truth[held]

    def score(shown: Array, sizes: Array, image: int) -> dict[str, float]:
        return {
            "precision": top_precision(sizes, of_held[image]),
            "precision of signed maps": top_precision(np.maximum(shown, 0), of_held[image]),
            "earth mover": earth_mover(sizes, of_held[image]),
        }

    rows = np.flatnonzero(right)
    return Case(
        suite="tris",
        name=name,
        network=found.network,
        x=x[held],
        y=y[held],
        explained=chosen(rows, scale.images["tris"]),
        score=score,
        main="precision",
        right=0.5,
        chance=float(of_held.mean()),
        facts={"right answers": float(right.mean()), "images": new},
    )
