"""Gradients of noisy copies, and integrals of gradients along other paths, against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from quick import quick_at
from scipy import ndimage

import cnnvis

SHAPES = {1: (12, 2), 2: (6, 5, 2), 3: (4, 5, 3, 2)}


def _dense(keras: Any, shape: tuple[int, ...], hidden: int = 0) -> Any:
    keras.utils.set_random_seed(3)
    convolution = getattr(keras.layers, f"Conv{len(shape) - 1}D")
    layers = [keras.layers.Input(shape), convolution(3, 1), keras.layers.Flatten()]
    if hidden:
        layers.append(keras.layers.Dense(hidden, activation="softplus"))
    return keras.Sequential([*layers, keras.layers.Dense(2, name="output")])


def _data(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)


@pytest.fixture(params=quick_at([1], [1, 2, 3]), ids="{}-D".format)
def shape(request: pytest.FixtureRequest) -> tuple[int, ...]:
    return SHAPES[request.param]


def _run(technique: str, network: Any, data: Any, **options: Any) -> cnnvis.Explanation:
    return cnnvis.run(technique, network, data=data, filter=1, checks="none", **options)


def test_mean_square_and_variance_of_a_linear_score(keras: Any, shape: tuple[int, ...]) -> None:
    network, data = _dense(keras, shape), _data(shape)
    weights = cnnvis.Model(network, filters=1).input_gradient(data)
    squared = _run("smoothgrad-squared", network, data, channels="each", copies=5)
    np.testing.assert_allclose(squared.maps, weights**2, rtol=1e-5)
    with pytest.raises(cnnvis.UserError, match="zero everywhere"):
        _run("vargrad", network, data, copies=5)


def test_mean_square_and_variance_are_those_of_the_gradients(
    keras: Any, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any number of copies at a time; differences are taken before they are squared."""
    network, data = _dense(keras, shape, 8), _data(shape)
    copies, options = 7, {"channels": "each", "noise": 0.3, "seed": 4}
    noise = [
        np.random.default_rng((4, copy)).standard_normal(shape, np.float32)
        for copy in range(copies)
    ]
    deviation = 0.3 * np.ptp(data.reshape(3, -1), axis=1).reshape(3, *[1] * len(shape))
    model = cnnvis.Model(network, filters=1)
    each = np.stack([model.input_gradient(data + one * deviation) for one in noise])
    with cnnvis.computing(batch_size=3):  # three, two and two copies at a time
        variance = _run("vargrad", network, data, copies=copies, **options)
        squared = _run("smoothgrad-squared", network, data, copies=copies, **options)
    np.testing.assert_allclose(variance.maps, each.var(axis=0, ddof=1), rtol=1e-3, atol=1e-8)
    np.testing.assert_allclose(squared.maps, (each**2).mean(axis=0), rtol=1e-4)
    assert not variance.is_signed


def test_gradient_times_input(keras: Any, shape: tuple[int, ...]) -> None:
    network, data = _dense(keras, shape, 8), _data(shape)
    found = _run("gradient-times-input", network, data)
    gradient = cnnvis.Model(network, filters=1).input_gradient(data)
    np.testing.assert_allclose(found.maps, data * gradient, rtol=1e-6)


def test_a_guided_path_without_distance_is_the_straight_path(
    keras: Any, shape: tuple[int, ...]
) -> None:
    network, data = _dense(keras, shape, 8), _data(shape)
    guided = _run("guided-integrated-gradients", network, data, baseline=0.2, distance=0.0)
    straight = _run("integrated-gradients", network, data, baseline=0.2)
    np.testing.assert_allclose(
        guided.maps, straight.maps, rtol=1e-3, atol=1e-4 * abs(straight.maps).max()
    )


@pytest.mark.slow
def test_a_guided_path_moves_small_gradients_first(keras: Any) -> None:
    """Of S = 3 x y + y, y has the larger gradient: x moves first, as far as the band goes."""
    layers = keras.layers
    entry = keras.Input((2,))
    x, y = entry[:, :1], entry[:, 1:]
    network = keras.Model(entry, layers.Add(name="output")([3.0 * x * y, y]))
    data = np.ones((1, 2), np.float32)
    found = cnnvis.run(
        "guided-integrated-gradients", network, data=data, baseline=0.0, share=0.5, distance=1.0,
        steps=400, checks="none",
    )  # fmt: skip
    # x is moved while y is 0, so it adds nothing; then y has the gradient 4.
    np.testing.assert_allclose(found.maps, [[0, 4]], atol=0.02)
    band = cnnvis.run(
        "guided-integrated-gradients", network, data=data, baseline=0.0, share=0.5, distance=0.0,
        steps=400, checks="none",
    )  # fmt: skip
    np.testing.assert_allclose(band.maps, [[1.5, 2.5]], atol=0.02)
    assert found.measures["completeness_gap"].max() < 1e-3


def test_the_path_of_a_blur(keras: Any, shape: tuple[int, ...]) -> None:
    """Of a linear score, the map is the weights times what the blur takes away."""
    network, data = _dense(keras, shape), _data(shape)
    weights = cnnvis.Model(network, filters=1).input_gradient(data)
    found = _run("blur-integrated-gradients", network, data, steps=3, width=0.2)
    width = [0.2 * max(shape[:-1])] * (len(shape) - 1)
    blurred = np.stack([ndimage.gaussian_filter(one, [*width, 0], mode="reflect") for one in data])
    np.testing.assert_allclose(found.maps, weights * (data - blurred), rtol=1e-3, atol=1e-5)
    bent = _run("blur-integrated-gradients", _dense(keras, shape, 8), data, steps=200)
    assert bent.measures["completeness_gap"].max() < 1e-3


def test_what_is_refused(keras: Any) -> None:
    data = np.ones((2, 4), np.float32)
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="output")])
    with pytest.raises(cnnvis.UserError, match="a variance needs 2 or more"):
        cnnvis.run("vargrad", network, data=data, copies=1)
    with pytest.raises(cnnvis.UserError, match="it takes int >= 0"):
        cnnvis.run("vargrad", network, data=data, seed=-1)
