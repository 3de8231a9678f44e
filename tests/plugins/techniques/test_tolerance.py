"""Draws until chance adds little to a map: as many as are needed, and no less certain than is said."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from quick import quick_are
from scipy.stats import norm, t

import cnnvis
from cnnvis.plugins.techniques._tolerance import uncertainty

SHAPES = {1: (9, 2), 2: (4, 3, 2), 3: (3, 4, 2, 1)}
FILL = 0.25


def _cubic(keras: Any, shape: tuple[int, ...]) -> Any:
    """A network with the score sum of w x^3 / 3 + 3, and w: its gradient is w x^2."""
    layers = keras.layers
    x = keras.Input(shape)
    cube = layers.Flatten()(x * x * x)
    network = keras.Model(x, layers.Dense(1, name="end")(cube))
    weights = np.random.default_rng(1).normal(size=(math.prod(shape), 1)).astype(np.float32)
    network.set_weights([weights / 3, np.float32([3])])
    return network, weights.reshape(shape)


def _data(shape: tuple[int, ...], count: int = 3) -> Any:
    return np.random.default_rng(3).normal(size=(count, *shape)).astype(np.float32)


def _smooth(network: Any, data: Any, **options: Any) -> cnnvis.Explanation:
    settings = {"channels": "each", "gradient": None, "noise": 0.2, "checks": "none"}
    return cnnvis.run("smoothgrad", network, data=data, **settings, **options)


@pytest.mark.parametrize("axes", quick_are([1], [*SHAPES]))
def test_smoothgrad_is_as_uncertain_as_the_closed_form_says(keras: Any, axes: int) -> None:
    """The mean of a pair is w (x^2 + s^2 e^2), whose variance is 2 w^2 s^4."""
    shape = SHAPES[axes]
    network, weights = _cubic(keras, shape)
    x = _data(shape)
    found = _smooth(network, x, tolerance=1e-9, copies=1024)
    variance = (0.2 * np.ptp(x.reshape(3, -1), axis=1)) ** 2
    expected = weights * (x**2 + variance.reshape(3, *[1] * len(shape)))
    scale = np.sqrt((expected**2).reshape(3, -1).sum(axis=1))
    off = np.sqrt(((found.array - expected) ** 2).reshape(3, -1).sum(axis=1)) / scale
    errors = np.sqrt(2 / 512) * variance * np.sqrt((weights**2).sum()) / scale
    np.testing.assert_allclose(found.measures["uncertainty"], 1.96 * errors, rtol=0.1)
    assert (off < found.measures["uncertainty"]).all() and off.max() > 1e-4
    assert (found.measures["copies"] == 1024).all()
    (said,) = (note for note in found.notes if "less certain than the tolerance" in note)
    assert (
        said.startswith("smoothgrad: 3 of 3 maps")
        and "with 1024 copies" in said
        and "--copies " in said
    )


def test_each_image_stops_by_itself(keras: Any) -> None:
    network, _ = _cubic(keras, (9, 2))
    x = _data((9, 2), 6) * np.float32([0.01, 0.1, 1, 1, 10, 10]).reshape(6, 1, 1)
    x += np.float32([0, 0, 0, 5, 0, 50]).reshape(6, 1, 1)  # far from 0, the noise weighs little
    found = _smooth(network, x, tolerance=0.1, copies=2048)
    copies = found.measures["copies"]
    assert (found.measures["uncertainty"] <= 0.1).all() and copies.max() <= 2048
    assert copies.min() == 16 < copies.max()
    assert any(f"with 16 to {int(copies.max())} copies a map" in note for note in found.notes), (
        found.notes
    )
    assert "certain within" in found.title(0)
    for place in range(6):
        alone = _smooth(network, x, tolerance=0.1, copies=2048, images=[place])
        assert alone.measures["copies"] == copies[place]
        np.testing.assert_allclose(alone.array[0], found.array[place], rtol=1e-5)
    again = _smooth(network, x, tolerance=0.1, copies=2048)
    assert again.array.tobytes() == found.array.tobytes()


def test_copies_that_are_all_alike_are_not_certain_before_there_are_many(keras: Any) -> None:
    """What noise seldom switches on is in none of a few copies."""
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, name="end")])
    found = _smooth(network, _data((4,)), tolerance=1e-3, copies=300)
    assert (found.measures["copies"] == 128).all() and found.measures["uncertainty"].max() < 1e-5
    found = _smooth(network, _data((4,)), tolerance=1e-3)
    assert np.isinf(found.measures["uncertainty"]).all()
    assert any(
        "with 50 copies, how uncertain the worst is, is not known; a larger --copies" in note
        for note in found.notes
    )
    with pytest.raises(cnnvis.UserError, match="copies is 3, and how uncertain"):
        _smooth(network, _data((4,)), tolerance=0.1, copies=3)
    x = np.zeros((1, 2, 1), np.float32)
    x[0, 1] = 1.0
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((2, 1)), layers.Flatten(), layers.Dense(2, activation="relu"),
            layers.Dense(1, name="end"),
        ]
    )  # fmt: skip
    rare = 1.5 * 0.2  # standard deviations of the noise
    network.set_weights([np.eye(2), np.array([-rare, 5]), np.array([[10.0], [1.0]]), np.zeros(1)])
    exact = np.array([10 * norm.sf(1.5), 1.0])
    for seed in range(12):
        found = _smooth(network, x, tolerance=0.1, copies=4096, seed=seed)
        (unsure,) = found.measures["uncertainty"]
        off = np.sqrt(np.square(found.array.ravel() - exact).sum()) / np.sqrt(
            np.square(found.array).sum()
        )
        assert 0 < off < 2 * unsure < 0.21


def test_networks_with_a_batch_of_their_own_have_no_pairs(keras: Any) -> None:
    """They take the same copies, one at a time, and are no more certain than they say."""
    layers = keras.layers
    x = keras.Input(batch_shape=(1, 9))
    network = keras.Model(x, layers.Dense(1, use_bias=False, name="end")(x * x * x))
    weights = np.random.default_rng(1).normal(size=(9, 1)).astype(np.float32)
    network.set_weights([weights / 3])
    open_batch = keras.Input((9,))
    twin = keras.Model(
        open_batch,
        layers.Dense(1, use_bias=False, name="end")(open_batch * open_batch * open_batch),
    )
    twin.set_weights([weights / 3])
    one, other = (
        _smooth(each, _data((9,), 1), tolerance=1e-9, copies=64) for each in (network, twin)
    )
    np.testing.assert_allclose(one.array, other.array, rtol=1e-4, atol=1e-5)
    assert one.measures["uncertainty"] > other.measures["uncertainty"]


def test_an_interval_holds_in_no_fewer_cases_than_it_says() -> None:
    """For errors of one value, of many, and of many that go together."""
    rng = np.random.default_rng(0)
    for mixing in (np.ones((1, 1)), np.eye(50), np.ones((50, 1)), rng.normal(size=(50, 3))):
        draws = rng.normal(size=(2000, 12, mixing.shape[1])) @ mixing.T + 1
        means, errors = draws.mean(axis=1), draws.std(axis=1, ddof=1) / np.sqrt(12)
        off = np.sqrt(((means - 1) ** 2).sum(axis=1)) / np.sqrt((means**2).sum(axis=1))
        assert (off <= uncertainty(errors, means, 11)).mean() >= 0.94
    assert uncertainty(np.ones((1, 4)), np.full((1, 4), 2.0), 9) == t.ppf(0.975, 9) / 2
    assert uncertainty(np.ones((2, 4)), np.zeros((2, 4)), 9).tolist() == [np.inf] * 2
    assert uncertainty(np.zeros((1, 4)), np.zeros((1, 4)), 9) == 0


# Removal


def _product(keras: Any, count: int) -> Any:
    """A network with the score a b c + a, for three sums a, b and c of the input; and the weights."""
    layers = keras.layers
    x = keras.Input((count, 1))
    sums = layers.Dense(3, use_bias=False, name="sums")(layers.Flatten()(x))
    a, b, c = (keras.ops.take(sums, [place], axis=-1) for place in range(3))
    network = keras.Model(x, layers.Activation("linear", name="end")(a * b * c + a))
    weights = np.random.default_rng(2).normal(size=(count, 3)).astype(np.float32)
    network.set_weights([weights])
    return network, weights


def _sets_and_scores(x: Any, weights: Any) -> tuple[Any, Any]:
    """All sets of positions, (2^d, d) bool, and the scores of inputs with these alone, (n, 2^d)."""
    every = np.array([*itertools.product([False, True], repeat=x.shape[1])])
    inputs = np.where(every[None], x[:, None, :, 0], FILL).astype(float)
    a, b, c = np.moveaxis(inputs @ weights.astype(float), -1, 0)
    return every, a * b * c + a


def _shapley(x: Any, weights: Any) -> Any:
    every, scores = _sets_and_scores(x, weights)
    count, numbers = x.shape[1], np.arange(len(every))
    sizes = every.sum(axis=1)
    shares = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    found = np.zeros(x.shape[:2])
    for unit in range(count):
        before = numbers[~every[:, unit]]
        gains = scores[:, before + (1 << (count - 1 - unit))] - scores[:, before]
        found[:, unit] = gains @ shares[sizes[before]]
    return found


def _linear_model(x: Any, weights: Any) -> Any:
    """What LIME tends to with ever more sets."""
    every, scores = _sets_and_scores(x, weights)
    kernel = np.exp(-(((1 - np.sqrt(every.mean(axis=1))) / 0.25) ** 2))
    z = np.concatenate([np.ones((len(every), 1)), every], axis=1)
    return np.linalg.solve(z.T @ (z * kernel[:, None]), z.T @ (scores * kernel).T)[1:].T


def _masked(x: Any, weights: Any) -> Any:
    """What RISE tends to with ever more masks, from very many of them."""
    from cnnvis.plugins.techniques._masks import masks_of

    total, mixed = np.zeros(x.shape[1]), np.zeros(x.shape[:2])
    middle = np.zeros(len(x))
    for start in range(0, 100_000, 10_000):
        masks = masks_of(99, range(start, start + 10_000), x.shape[1:2], (7,), 0.5).astype(float)
        inputs = FILL + (x[:, None, :, 0] - FILL) * masks
        a, b, c = np.moveaxis(inputs @ weights.astype(float), -1, 0)
        scores = a * b * c + a
        total, mixed, middle = (
            total + masks.sum(axis=0),
            mixed + scores @ masks,
            middle + scores.sum(axis=1),
        )
    return mixed / total - middle[:, None] / 100_000


REMOVING: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any], float]] = {
    "kernel-shap": (_shapley, {"units": "position", "sets": 4000}, 0.05),
    "shapley-sampling": (_shapley, {"units": "position", "orders": 400}, 0.1),
    "lime": (_linear_model, {"units": "position", "sets": 20000}, 0.1),
    "rise": (_masked, {"masks": 20000}, 0.15),
}
"""Each technique: what it tends to, how much it may take, and a tolerance."""


@pytest.mark.slow
@pytest.mark.parametrize("technique", REMOVING)
def test_maps_by_removal_are_as_certain_as_the_tolerance(keras: Any, technique: str) -> None:
    """In 95 % of cases: of seeds and images."""
    truth, options, tolerance = REMOVING[technique]
    count = 13
    network, weights = _product(keras, count)
    model = cnnvis.Model(network)
    x = _data((count, 1), 4)
    x[0] = FILL + (x[0] - FILL) * 0.1  # nearly linear
    exact = truth(x, weights)
    settings = {"data": x, "baseline": FILL, "checks": "none", **options}
    offs, unsure = [], []
    for seed in range(12):
        found = cnnvis.run(technique, model, tolerance=tolerance, seed=seed, **settings)
        offs += (
            np.linalg.norm(found.array - exact, axis=1) / np.linalg.norm(exact, axis=1)
        ).tolist()
        unsure += found.measures["uncertainty"].tolist()
        passes = found.measures["passes"]
        if technique != "rise":  # which is as uncertain about other positions of a linear score
            assert passes[0] == passes.min() < passes.max()
    assert max(unsure) <= tolerance
    assert np.mean(np.array(offs) <= tolerance) >= 0.95
    assert np.median(offs) > tolerance / 50  # and no more certain than was asked for by far
    alone = cnnvis.run(technique, model, tolerance=tolerance, seed=11, images=[2], **settings)
    assert alone.measures["passes"] == passes[2]
    np.testing.assert_allclose(alone.array[0], found.array[2], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "technique", quick_are(["shapley-sampling"], ["kernel-shap", "shapley-sampling"])
)
def test_all_sets_are_taken_where_they_are_no_more(keras: Any, technique: str) -> None:
    network, weights = _product(keras, 9)
    x = _data((9, 1))
    found = cnnvis.run(
        technique, network, data=x, units="position", baseline=FILL, tolerance=1e-6, budget="100000"
    )
    np.testing.assert_allclose(found.array, _shapley(x, weights), rtol=1e-3, atol=1e-4)
    assert found.measures["uncertainty"].max() == 0
    assert found.measures["passes"].max() <= 2 * 2**9
