"""Activation maximization maximizes, or says that it does not; and says what it takes for granted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis

SETTINGS: dict[str, Any] = {"jitter": [0], "iterations": 60, "tv_weight": 0, "input_range": (-1, 1)}


@pytest.fixture(scope="module")
def falling(keras: Any) -> Any:
    """Two scores of inputs x: the sum of relu(x), and 5 minus that, which is at most 5.

    As in keras-vis, what is minimized is the negative score, and a modifier passes what is positive
    of its gradient: nothing at all of the first.
    """
    layers = keras.layers
    x = keras.Input((4, 4, 1))
    value = layers.Conv2D(1, 1, activation="relu", use_bias=False, name="conv")(x)
    network = keras.Model(x, layers.Dense(2, name="output")(layers.Flatten()(value)))
    weights = np.repeat([[1.0, -1.0]], 16, axis=0)
    network.set_weights([np.ones((1, 1, 1, 1)), weights, np.array([0.0, 5.0])])
    return network


@pytest.mark.slow
def test_the_plain_gradient_is_taken_where_a_modifier_does_not_raise_the_score(
    falling: Any,
) -> None:
    found = cnnvis.run("activation-max", falling, layer="output", filter=[0, 1], **SETTINGS)
    reached, start = found.measures["score_reached"], found.measures["score_at_start"]
    assert reached[0] > 100 > start[0]
    assert reached[1] == pytest.approx(5) and reached[1] > start[1]
    assert found.titles == ("output[0], plain gradient", "output[1]")
    notes = " ".join(found.notes)
    assert (
        "guided gradient does not raise the score of output[0], so the ascent used the plain"
        in notes
    )
    assert f"output[1]: from {start[1]:.3g} to 5 (of the picture: " in notes
    kept = cnnvis.run("activation-max", falling, layer="output", filter=1, **SETTINGS)
    plain = cnnvis.run(
        "activation-max", falling, layer="output", filter=0, backprop=None, **SETTINGS
    )
    np.testing.assert_array_equal(found.array, np.concatenate([plain.array, kept.array]))
    assert kept.titles == () and not any("used the plain" in note for note in kept.notes)


def test_frames_are_the_results_of_fewer_steps(falling: Any) -> None:
    """Also of the plain gradient, which takes over after the other gave up."""
    settings: dict[str, Any] = {**SETTINGS, "layer": "output", "filter": [0, 1]}
    found = cnnvis.run("activation-max", falling, **settings, frames=4)
    alone = cnnvis.run("activation-max", falling, **settings)
    np.testing.assert_array_equal(found.array, alone.array)
    assert found.frames is not None and found.frames.steps.tolist() == [0, 20, 40, 60]
    np.testing.assert_array_equal(found.frames.maps[:, -1], found.array)
    early = cnnvis.run("activation-max", falling, **{**settings, "iterations": 40})
    assert early.titles == found.titles
    np.testing.assert_array_equal(found.frames.maps[:, 2], early.array)


def test_whoever_insists_gets_the_modifier(falling: Any) -> None:
    with pytest.raises(cnnvis.UserError, match=r"no step changed the score of output\[0\]"):
        cnnvis.run("activation-max", falling, layer="output", filter=0, fall_back=False, **SETTINGS)


def test_a_score_that_did_not_rise_is_said_to_have_fallen(falling: Any) -> None:
    settings = {**SETTINGS, "tv_weight": 1e6, "iterations": 300}  # nothing but smoothness counts
    data = np.indices((4, 4)).sum(axis=0) % 2 * 20.0 - 10  # the sum of what is positive is 80
    found = cnnvis.run(
        "activation-max", falling, data=data[None, ..., None].astype(np.float32), start="data",
        layer="output", filter=0, **settings,
    )  # fmt: skip
    assert found.measures["score_reached"] < found.measures["score_at_start"] == 80
    assert any("output[0] from image 0, plain gradient" in title for title in found.titles)
    assert any("output[0] from image 0 did not rise" in note for note in found.notes)


def test_pictures_that_were_begun_with_images_say_with_which(falling: Any) -> None:
    data = np.random.default_rng(0).random((6, 4, 4, 1)).astype(np.float32)
    found = cnnvis.run(
        "activation-max", falling, data=data, images=[5, 2], start="data", layer="output", filter=1,
        **SETTINGS,
    )  # fmt: skip
    titles = [title.removesuffix(", plain gradient") for title in found.titles]
    assert titles == ["output[1] from image 5", "output[1] from image 2"]
    assert "output[1] from image 5: from" in " ".join(found.notes)


def test_the_score_of_what_is_drawn_is_that_of_the_picture(falling: Any) -> None:
    found = cnnvis.run("activation-max", falling, layer="output", filter=0, **SETTINGS)
    drawn = falling.predict(found.array, verbose=0)[0, 0]
    (target,) = found.targets
    assert target.score == pytest.approx(drawn, rel=1e-5) and f"{drawn:.3g}" in found.title(0)
    assert any(f"(of the picture: {drawn:.3g})" in note for note in found.notes)


@pytest.mark.parametrize("seed", quick_at([0], [0, 1]))
@pytest.mark.parametrize("tv_weight", [1e-5, 50.0])
def test_it_is_what_the_page_of_mathematics_says(keras: Any, seed: int, tv_weight: float) -> None:
    """The step behind the smallest loss is kept, and last rows and columns are only stepped to."""
    import tensorflow as tf

    from cnnvis.plugins.techniques._ascent_starts import deprocessed, noise_in

    keras.utils.set_random_seed(2)
    inputs = keras.Input((8, 8, 2))
    h = keras.layers.Conv2D(5, 3, activation="relu")(inputs)
    network = keras.Model(inputs, keras.layers.Dense(3, name="output")(keras.layers.Flatten()(h)))
    x = noise_in((8, 8, 2), (0.0, 1.0), np.random.default_rng(seed))[None].astype(np.float32)
    squares, smallest, kept = np.zeros_like(x), np.inf, x
    for _ in range(25):
        at = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(at)
            inner = at[:, :-1, :-1]
            steps = (at[:, 1:, :-1] - inner) ** 2 + (at[:, :-1, 1:] - inner) ** 2
            loss = -network(at)[0, 1] + tv_weight / 128 * tf.reduce_sum(steps)
        slope = tape.gradient(loss, at).numpy()
        slope /= np.linalg.norm(slope)
        squares = 0.95 * squares + 0.05 * slope**2
        x = x - slope / np.sqrt(squares + 1e-7)
        if loss < smallest:
            smallest, kept = loss, x
    found = cnnvis.run(
        "activation-max", network, layer="output", filter=1, backprop=None, iterations=25, seed=seed,
        input_range=(0.0, 1.0), jitter=(0.0,), tv_weight=tv_weight, lp_norm_weight=0.0,
    )  # fmt: skip
    score = float(network(kept)[0, 1])
    assert found.measures["score_reached"][0] == pytest.approx(score, rel=1e-3, abs=1e-3)
    np.testing.assert_allclose(found.array, deprocessed(kept, (0.0, 1.0)), atol=2e-3)


def test_word_numbers_cannot_be_climbed(keras: Any) -> None:
    layers = keras.layers
    inputs = keras.Input((12,), dtype="int32")
    value = layers.Conv1D(4, 3, activation="relu", name="conv")(
        layers.Embedding(20, 6, name="words")(inputs)
    )
    network = keras.Model(
        inputs, layers.Dense(2, name="output")(layers.GlobalMaxPooling1D()(value))
    )
    for layer in ("conv", "output"):
        with pytest.raises(
            cnnvis.UserError,
            match=r"gradient ascent is impossible: 'words' \(Embedding\) takes whole numbers; use grad-cam",
        ):
            cnnvis.run("activation-max", network, layer=layer, filter=0)


Made = Callable[[Any], Any]


def _normalization(keras: Any) -> Any:
    layer = keras.layers.BatchNormalization(name="first")
    layer.build((None, 4, 4, 1))
    layer.set_weights([np.ones(1), np.zeros(1), np.array([0.5]), np.array([0.04])])
    return layer


RANGES: dict[str, tuple[Made, tuple[float, float], str]] = {
    "by 255": (lambda k: k.layers.Rescaling(1 / 255), (0, 255), "as the layer"),
    "to -1": (lambda k: k.layers.Rescaling(1 / 127.5, -1), (0, 255), "as the layer"),
    "to halves": (lambda k: k.layers.Rescaling(0.1, -0.5), (0, 10), "as the layer"),
    "normalized": (_normalization, (-0.1, 1.1), "as the layer 'first' expects"),
    "mean": (lambda k: k.layers.Normalization(mean=10, variance=4), (4, 16), "as the layer"),
    "nothing": (lambda k: k.layers.Identity(), (0, 255), "which is a guess"),
    "untrained": (lambda k: k.layers.BatchNormalization(), (0, 255), "which is a guess"),
}


@pytest.mark.parametrize("name", quick_at(range(0, len(RANGES), 3), RANGES))
def test_the_range_is_that_of_the_data_or_of_the_first_layer(keras: Any, name: str) -> None:
    made, (low, high), said = RANGES[name]
    layers = keras.layers
    x = keras.Input((4, 4, 1))
    keras.utils.set_random_seed(1)
    value = layers.Conv2D(2, 3, activation="softplus")(made(keras)(x))
    network = keras.Model(x, layers.Dense(1, name="output")(layers.Flatten()(value)))
    settings: dict[str, Any] = {"layer": "output", "iterations": 2, "backprop": None}
    found = cnnvis.run("activation-max", network, **settings)
    assert any(said in note for note in found.notes)
    assert found.array.min() >= low - 1e-3 and found.array.max() <= high + 1e-3
    assert found.array.mean() == pytest.approx((low + high) / 2, rel=0.05)
    data = np.random.default_rng(0).uniform(2, 7, (3, 4, 4, 1)).astype(np.float32)
    of_data = cnnvis.run("activation-max", network, data=data, **settings)
    assert of_data.array.mean() == pytest.approx((data.min() + data.max()) / 2, rel=0.05)
    assert any("the range of the data" in note for note in of_data.notes)
    asked = cnnvis.run("activation-max", network, input_range=(1, 3), **settings)
    assert asked.array.mean() == pytest.approx(2, rel=0.05)
    assert not any("is drawn from" in note for note in asked.notes)
