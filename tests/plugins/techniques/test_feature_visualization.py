"""Inputs made of frequencies: their spectrum is the data's, and their scores rise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from quick import quick_at
from scipy import ndimage

import cnnvis
from cnnvis.plugins.techniques._climbing import climbed, transformed
from cnnvis.plugins.techniques._film import Film
from cnnvis.plugins.techniques._spectra import Statistics

SHAPES = {1: (25, 3), 2: (12, 10, 2), 3: (6, 5, 8, 2)}


@pytest.fixture(params=quick_at([1], [1, 2, 3]), ids="{}-D".format)
def data(request: pytest.FixtureRequest) -> np.ndarray[Any, Any]:
    """Smooth data whose channels go together."""
    noise = np.random.default_rng(0).normal(size=(20, *SHAPES[request.param]))
    smooth = ndimage.gaussian_filter(noise, [0, *[1.0] * request.param, 0])
    smooth[..., 1] += 2 * smooth[..., 0] + 1
    return smooth.astype(np.float32)


def test_the_spectrum_and_the_channels_are_those_of_the_data(data: Any) -> None:
    for axis in (-1, 1):
        samples = cnnvis.Samples(np.moveaxis(data, -1, axis), channel_axis=axis)
        found = Statistics.of_data(samples, None)
        phases = np.random.default_rng(1).uniform(-np.pi, np.pi, (200, *found.magnitude.shape))
        spectrum = found.magnitude * np.exp(1j * phases)
        x = found.unbent(tf.constant(spectrum, tf.complex64)).numpy() - found.mean.reshape(
            -1, *[1] * len(found.space)
        )
        parts = np.einsum("nc...,ck->nk...", x, np.linalg.inv(found.mixing))
        sizes = abs(np.fft.rfftn(parts, axes=range(2, parts.ndim)))
        inner = (..., *[slice(1, size // 2) for size in found.space[:-1]], slice(1, -1))
        expected = np.broadcast_to(found.magnitude, sizes.shape)
        np.testing.assert_allclose(sizes[inner], expected[inner], rtol=1e-3)
        # The channels of the data go together, and so do those of what is made.
        channels = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
        flat = data.reshape(-1, data.shape[-1])
        np.testing.assert_allclose(np.corrcoef(channels.T), np.corrcoef(flat.T), atol=0.1)
        wide = tf.constant(10 * spectrum / found.magnitude, tf.complex64)
        parts = tf.math.real(wide), tf.math.imag(wide)
        with tf.GradientTape() as tape:
            tape.watch(parts)
            made = found.inputs(*parts)
        assert all(np.asarray(one).any() for one in tape.gradient(made, parts))
        bent = made.numpy()
        assert bent.shape[1:] == samples.source.shape[1:]
        assert bent.min() >= data.min() - 1e-5 and bent.max() <= data.max() + 1e-5


def test_without_data_sizes_fall_with_the_frequency() -> None:
    found = Statistics.guessed((32, 48, 3), -1, (0.0, 255.0))
    assert found.magnitude.shape == (3, 32, 25)
    np.testing.assert_allclose(found.magnitude[0, 0, 4] / found.magnitude[0, 0, 12], 3)
    rng = np.random.default_rng(0)
    noise = [tf.constant(rng.normal(size=(50, 3, 32, 25)) / 2**0.5, tf.float32) for _ in range(2)]
    spectrum = tf.complex(*noise) * tf.constant(found.magnitude, tf.complex64)
    made = found.unbent(spectrum).numpy()
    assert made.mean() == pytest.approx(127.5, abs=5) and made.std() == pytest.approx(64, rel=0.1)


def test_enlarged_and_shifted_ramps_are_ramps() -> None:
    ramp = tf.constant(
        np.arange(33, dtype=np.float32)[None, None, :, None] + np.zeros((1, 4, 1, 2))
    )
    found = np.asarray(transformed(tf.cast(ramp, tf.float32), [1, 2], 3, 5, (0.5, 0.5)))
    steps = np.diff(found[0, 0, :, 0])
    np.testing.assert_allclose(steps, 0.5, atol=1e-4)
    again = np.asarray(transformed(tf.cast(ramp, tf.float32), [1, 2], 3, 5, (0.5, 0.5)))
    np.testing.assert_array_equal(found, again)


def test_adam_finds_the_smallest_loss() -> None:
    goal = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)

    def loss(now: Any, _: Any) -> Any:
        each = tf.reduce_sum((now[0] - goal) ** 2, axis=1)
        return tf.reduce_sum(each), -each

    film = Film((0, 7, 400), lambda now: now[0])
    (found,), curves = climbed(loss, [0 * goal], 400, 0.05, "a test", film)
    frames = film.frames
    assert frames is not None and frames.steps.tolist() == [0, 7, 400]
    np.testing.assert_array_equal(frames.maps[:, 0], 0 * goal)
    np.testing.assert_array_equal(frames.maps[:, 2], found)
    # After some steps it is where it would be, had there been no more.
    (early,), _ = climbed(loss, [0 * goal], 7, 0.05, "a test", Film((), lambda now: now[0]))
    np.testing.assert_array_equal(frames.maps[:, 1], early)
    np.testing.assert_allclose(found, goal, atol=1e-3)
    assert curves.shape == (2, 400)
    np.testing.assert_allclose(curves[:, 0], -(goal**2).sum(axis=1))
    np.testing.assert_allclose(curves[:, -1], 0, atol=1e-4)


@pytest.mark.slow
def test_scores_rise_above_those_of_the_data(classifier: Any) -> None:
    data = np.random.default_rng(3).normal(size=(12, 12, 10, 2)).astype(np.float32)
    settings: dict[str, Any] = {"data": data, "layer": "first", "steps": 60}
    usual = cnnvis.Model(classifier, layer="first").outputs(data).mean(axis=(1, 2)).max(axis=0)
    for technique in ("feature-visualization", "maco"):
        found = cnnvis.run(technique, classifier, filter=[0, 2], **settings)
        assert found.array.shape == (2, 12, 10, 2) and found.samples is None
        assert found.array.min() >= data.min() and found.array.max() <= data.max()
        scores = np.array([one.score for one in found.targets])
        np.testing.assert_allclose(scores, found.measures["score_reached"], rtol=1e-5)
        assert (scores > found.measures["score_at_start"]).all()
        if technique == "feature-visualization":
            assert (scores > usual[[0, 2]]).all()
        again = cnnvis.run(technique, classifier, filter=[0, 2], **settings)
        np.testing.assert_array_equal(again.array, found.array)
        # Whatever else is found beside it.
        alone = cnnvis.run(technique, classifier, filter=2, **settings)
        np.testing.assert_allclose(alone.array[0], found.array[1], atol=1e-3)
        other = cnnvis.run(technique, classifier, filter=2, seed=1, **settings)
        assert abs(other.array - alone.array).max() > 0.1


@pytest.mark.slow
def test_copies_are_kept_different(classifier: Any) -> None:
    data = np.random.default_rng(3).normal(size=(12, 12, 10, 2)).astype(np.float32)
    model = cnnvis.Model(classifier, layer="first")
    alike = []
    for diversity in (0.0, 3.0):
        found = cnnvis.run(
            "feature-visualization", classifier, data=data, layer="first", filter=1, copies=3,
            diversity=diversity, steps=80,
        )  # fmt: skip
        assert len(found) == 3
        flat = model.outputs(found.array).reshape(3, -1, 4)
        gram = np.einsum("npc,npd->ncd", flat, flat).reshape(3, -1)
        gram /= np.linalg.norm(gram, axis=1, keepdims=True)
        alike.append(((gram @ gram.T).sum() - 3) / 6)
    assert alike[1] < alike[0] - 0.05


@pytest.mark.slow
def test_images_are_changed_by_themselves(classifier: Any) -> None:
    data = np.random.default_rng(3).normal(size=(12, 12, 10, 2)).astype(np.float32)
    for technique, steps in (("deep-dream", 12), ("caricature", 60)):
        settings: dict[str, Any] = {"data": data, "layer": "second", "steps": steps}
        found = cnnvis.run(technique, classifier, images=[4, 7], **settings)
        reached, begun = (found.measures[f"answer_{when}"] for when in ("reached", "at_start"))
        assert (reached > begun).all()
        assert found.array.min() >= data.min() and found.array.max() <= data.max()
        assert found.titles[1].startswith("#7, second: ")
        alone = cnnvis.run(technique, classifier, images=[7], **settings)
        np.testing.assert_allclose(alone.array[0], found.array[1], atol=1e-3)
    assert (reached > 0.5).all()  # the cosine with the image's own activations


def test_a_layer_that_ends_in_a_softmax_answers_with_what_is_before_it(classifier: Any) -> None:
    data = np.random.default_rng(3).normal(size=(6, 12, 10, 2)).astype(np.float32)
    found = cnnvis.run("deep-dream", classifier, data=data, images=[2, 4], steps=1)
    logits = cnnvis.Model(classifier).outputs(data[[2, 4]])
    assert (logits.sum(axis=1) != 1).all()
    expected = (logits**2).mean(axis=1)
    np.testing.assert_allclose(found.measures["answer_at_start"], expected, rtol=1e-4)


def test_what_is_refused(classifier: Any, keras: Any) -> None:
    with pytest.raises(cnnvis.UserError, match="all values of the data are equal"):
        cnnvis.run("maco", classifier, data=np.ones((3, 12, 10, 2), np.float32))
    with pytest.raises(cnnvis.UserError, match="smallest value first"):
        cnnvis.run("feature-visualization", classifier, input_range=[2, 1])
    free = keras.Sequential(
        [keras.layers.Input((None, None, 1)), keras.layers.Conv2D(2, 3, name="output")]
    )
    with pytest.raises(cnnvis.UserError, match="any size"):
        cnnvis.run("feature-visualization", free)
    inputs = [keras.Input((4,), name=name) for name in "ab"]
    two = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Add()(inputs)))
    with pytest.raises(cnnvis.UserError, match="takes 2 inputs"):
        cnnvis.run("feature-visualization", two)
