"""What the doctor counts: classes, several labels, numbers, positions; and nothing that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnvis
from cnnvis.explain.agreement import agreement_of, classes_of
from cnnvis.explain.scaling import SCALES

Typed = Callable[..., Any]


def _dense(keras: Any, weights: Any, biases: Any, activation: str | None) -> Any:
    layers = keras.layers
    weights = np.asarray(weights, np.float32)
    network = keras.Sequential(
        [layers.Input((len(weights),)), layers.Dense(weights.shape[1], activation, name="output")]
    )
    network.set_weights([weights, np.asarray(biases, np.float32)])
    return network


def _agreement(network: Any, x: Any, labels: Any, **settings: Any) -> Any:
    fit = cnnvis.doctor(network, data=cnnvis.Samples(np.asarray(x), labels, **settings)).fit
    assert fit is not None
    return fit.agreement


def test_classes() -> None:
    assert classes_of(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])).tolist() == [1, 0]
    assert classes_of(np.array([[0.2], [0.5], [0.51]])).tolist() == [0, 0, 1]


def test_one_class_each(keras: Any) -> None:
    found = _agreement(
        _dense(keras, np.eye(3), [0] * 3, "softmax"), np.eye(3)[[0, 1, 2, 2]], [0, 1, 2, 0]
    )
    assert (found.right, found.images) == (3, 4) and str(found) == "3 of 4 labels (75.0%)"


def test_several_labels(keras: Any) -> None:
    network = _dense(keras, 10 * np.eye(2), [-5, -5], "sigmoid")
    labels = [[1, 0], [0, 0], [1, 1], [0, 1]]
    x = np.array(labels, np.float32)
    x[2, 1] = 0.4
    found = _agreement(network, x, labels)
    assert str(found) == "7 of 8 labels, and all of them right for 3 of 4 images"
    # Where each image has one of them, they are classes, and the largest output counts.
    assert str(_agreement(network, x[[0, 3]], np.eye(2))) == "2 of 2 labels (100.0%)"


def test_answers_before_a_softmax_or_sigmoid(keras: Any) -> None:
    """Labels of as many classes as there are outputs say that these are classes."""
    x = np.array([[2.0, -1, 0], [0.2, 0.3, -1], [-1, -2, -3]])
    linear = _dense(keras, np.eye(3), [0] * 3, None)
    assert str(_agreement(linear, x, [0, 1, 2])) == "2 of 3 labels (66.7%)"
    found = _agreement(linear, x, [[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    assert str(found) == "8 of 9 labels, and all of them right for 2 of 3 images"
    one = _dense(keras, [[1.0], [0], [0]], [0], None)
    one.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    assert str(_agreement(one, x, [1, 1, 0])) == "3 of 3 labels (100.0%)"
    assert cnnvis.Model(one).predicted_classes(x).tolist() == [1, 1, 0]  # type: ignore[union-attr]


def test_numbers(keras: Any) -> None:
    network = _dense(keras, [[1.0], [0]], [0.5], None)
    x, y = np.array([[1.0, 9], [2, 9], [4, 9]]), np.array([1.0, 2.25, 5.5])
    found = _agreement(network, x, y)
    np.testing.assert_allclose(found.errors, [np.abs(x[:, 0] + 0.5 - y).mean()], rtol=1e-6)
    np.testing.assert_allclose(found.correlations, [np.corrcoef(x[:, 0], y)[0, 1]], rtol=1e-6)
    assert str(found) == "mean absolute error 0.583, correlation 0.998" and found.right is None
    # Whole numbers are numbers, too, where the network gives one and has no classes.
    assert _agreement(network, x, [1, 2, 5]).kind == "number"
    two = _agreement(_dense(keras, np.eye(2), [0, 0], None), x, [[1.0, 8], [2, 8.5], [4.5, 9.5]])
    assert str(two).startswith("number 1: mean absolute error 0.167, correlation 0.999; number 2: ")
    assert two.correlations[1] is None  # since the network always answers the same
    missing = _agreement(network, x, [1.0, np.nan, 5.5])
    assert missing.images == 2 and missing.errors[0] == pytest.approx(0.75)


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("last_axis", [False, True])
def test_labels_of_positions(keras: Any, units: int, last_axis: bool) -> None:
    layers = keras.layers
    end = "sigmoid" if units == 1 else "softmax"
    network = keras.Sequential(
        [layers.Input((4, 5, units)), layers.Conv2D(units, 1, activation=end)]
    )
    network.set_weights([10 * np.eye(units)[None, None], np.full(units, -5.0)])
    masks = np.random.default_rng(0).integers(0, max(units, 2), size=(3, 4, 5))
    x = (np.eye(3)[masks] if units > 1 else masks[..., None]).astype(np.float32)
    wrong = masks.copy()
    wrong[0, 0, :2] = (wrong[0, 0, :2] + 1) % max(units, 2)
    found = _agreement(network, x, wrong[..., None] if last_axis else wrong)
    assert str(found) == "58 of 60 positions (96.7%)" and found.right == 2
    if units > 1:  # and a column for each class at each position
        assert str(_agreement(network, x, np.eye(3)[wrong])) == "58 of 60 positions (96.7%)"


def _refusal(network: Any, x: Any, labels: Any) -> str:
    model = cnnvis.Model(network)
    samples = cnnvis.Samples(np.asarray(x, np.float32), labels)
    with pytest.raises(cnnvis.UserError) as error:
        agreement_of(model, model.predict(samples.x), samples)
    report = cnnvis.doctor(network, data=samples)
    assert report.fit is not None and report.fit.right is report.fit.agreement is None
    told = f"no label is counted as right: {error.value}"
    said = [
        told in report.notes,
        "so it is not known which label is which class" in str(report.notes),
    ]
    assert samples.labels is None or samples.in_words or any(said)
    return str(error.value)


def test_what_cannot_be_counted_is_not(keras: Any) -> None:
    softmax = _dense(keras, np.eye(3), [0] * 3, "softmax")
    linear = _dense(keras, np.eye(3), [0] * 3, None)
    x = np.eye(3)
    assert "the data hold no labels" in _refusal(softmax, x, None)
    assert "ends in a softmax" in _refusal(softmax, x, [[1, 1, 0], [0, 0, 0], [0, 1, 0]])
    assert "labels run from 1 to 3" in _refusal(softmax, x, [1, 2, 3])
    assert "labels run from -1 to 1" in _refusal(softmax, x, [-1, 1, 1])
    assert "2 labels, and the network has 3" in _refusal(
        _dense(keras, np.eye(3), [0] * 3, "sigmoid"), x, [[1, 1], [0, 0], [0, 1]]
    )
    assert "labels are numbers, and the network answers with classes" in _refusal(
        softmax, x, [0.5, 1, 2]
    )
    assert "2 numbers for each image and the network answers with 3 numbers" in _refusal(linear, x, [[0.5, 1], [2, 3], [4, 5]])  # fmt: skip
    compiled = _dense(keras, np.eye(3), [0] * 3, None)
    compiled.compile(loss="mse")  # which says that its outputs are numbers, whatever labels are
    assert "not known to be a class" in _refusal(compiled, x, [[1, 1, 0], [0, 0, 0], [0, 1, 0]])
    assert "not known to be a class" in _refusal(compiled, x, [0, 1, 2])
    assert "it is not known" in _refusal(softmax, x, ["a", "b", "a"])
    layers = keras.layers
    dense = keras.Sequential([layers.Input((4, 5, 3)), layers.Conv2D(3, 1, activation="softmax")])
    images = np.zeros((2, 4, 5, 3))
    assert "one label for each image, and the network answers for positions" in _refusal(dense, images, [0, 1])  # fmt: skip
    assert "labels for 4 x 4 positions, and the network answers for 4 x 5" in _refusal(dense, images, np.zeros((2, 4, 4), int))  # fmt: skip
    assert "labels run from 255 to 255" in _refusal(dense, images, np.full((2, 4, 5), 255))


@pytest.mark.parametrize("is_column", [False, True])
def test_answers_that_are_numbers_of_classes(keras: Any, is_column: bool) -> None:
    """Behind an argmax, a network answers with one whole number for each image."""
    layers, ops = keras.layers, keras.ops
    inputs = layers.Input((4, 4, 1))
    shares = layers.Dense(3, "softmax", name="output")(layers.Flatten()(inputs))
    ends = {
        "class": ops.argmax(shares, -1, keepdims=is_column),
        "share": ops.max(shares, -1, keepdims=is_column),
    }
    network = keras.Model(inputs, ends["class"])
    x = np.random.default_rng(0).normal(size=(12, 4, 4, 1)).astype("float32")
    classes = network.predict(x, verbose=0).ravel()
    labels = np.where(np.arange(12) < 4, (classes + 1) % 3, classes)
    assert len(set(classes.tolist())) > 1
    assert str(_agreement(network, x, labels)) == "8 of 12 labels (66.7%)"
    chosen = {"wrong": range(4), "right": range(4, 12), "predicted=1": np.flatnonzero(classes == 1)}
    for images, places in chosen.items():
        found = cnnvis.run("saliency", network, data=(x, labels), images=images, backprop=None)
        assert found.indices is not None and found.indices.tolist() == list(places)
    assert "labels run from 1 to 3" in _refusal(network, x, np.arange(12) % 3 + 1)
    other = keras.Model(inputs, ends["share"])
    assert "with one number, which is the number of no class" in _refusal(other, x, labels)


def test_printed(keras: Any, typed: Typed, tmp_path: Path) -> None:
    labels = np.array([[1, 0], [0, 0], [1, 1], [0, 1]])
    _dense(keras, 10 * np.eye(2), [-5, -5], "sigmoid").save(tmp_path / "several.keras")
    np.savez(tmp_path / "several.npz", X=labels.astype(np.float32), y=labels)
    done = typed("doctor", "several.keras", "-d", "several.npz")
    assert "right: 8 of 8 labels, and all of them right for 4 of 4 images" in done.stdout
    _dense(keras, [[1.0]], [0.5], None).save(tmp_path / "number.keras")
    np.savez(tmp_path / "number.npz", X=[[1.0], [2.0]], y=[1.5, 2.75])
    done = typed("doctor", "number.keras", "-d", "number.npz")
    assert "the answers: mean absolute error 0.125, correlation 1.000" in done.stdout
    facts = json.loads(typed("doctor", "number.keras", "-d", "number.npz", "--json").stdout)
    assert facts["fit"]["agreement"]["errors"] == [0.125] and facts["fit"]["right"] is None


# How data are prepared


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Two folders of pictures that differ in their mean by less than noise does in caffe's order."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 100), ("light", 160)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            values = level + rng.integers(-20, 20, size=(6, 6, 3))
            Image.fromarray(values.astype(np.uint8)).save(
                tmp_path / "data" / name / f"{number}.png"
            )
    return tmp_path / "data"


def _threshold(keras: Any, level: float, per: float, *before: Any, mode: str = "sigmoid") -> Any:
    """A network that says light where the mean is above a level, `per` times as sharply."""
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((6, 6, 3)), *before, layers.Conv2D(1, 1, name="grey"), layers.GlobalAveragePooling2D(), layers.Dense(1, mode, name="output")]
    )  # fmt: skip
    network.get_layer("grey").set_weights([np.full((1, 1, 3, 1), 1 / 3), np.zeros(1)])
    network.get_layer("output").set_weights([np.array([[per]]), np.array([-per * level])])
    return network


@pytest.mark.parametrize(
    ("level", "per", "option"),
    [
        (130 / 255, 255, "--pictures.scale 0.00392157"),
        (130 / 127.5 - 1, 127.5, "--pictures.preprocess tf"),
        ((130 / 255 - 0.449) / 0.226, 57, "--pictures.preprocess torch"),
        (130 - 114.8, 1, "--pictures.preprocess caffe"),
    ],
)
@pytest.mark.slow
def test_the_option_that_fits_is_named(
    keras: Any, typed: Typed, tmp_path: Path, colours: Path, level: float, per: float, option: str
) -> None:
    _threshold(keras, level, per).save(tmp_path / "model.keras")
    done = typed("doctor", "model.keras", "-d", colours)
    assert "12 of 24 labels are right with the present scale, and 24 with" in done.stdout, (
        done.stdout
    )
    assert option in done.stdout
    again = typed("doctor", "model.keras", "-d", colours, *option.split())
    assert "right: 24 of 24 labels" in again.stdout and "warning: the data" not in again.stdout
    # A picture of a network that is as sure of all as it can be is told of, too.
    run = typed("run", "saliency", "model.keras", "-d", colours, "-bm", "none", "-im", 0, 12)
    if per > 1:
        assert "every score is saturated, and the data seem to be scaled" in run.stderr, run.stderr
        assert option in run.stderr
    run = typed(
        "run",
        "saliency",
        "model.keras",
        "-d",
        colours,
        "-bm",
        "none",
        "-im",
        0,
        12,
        *option.split(),
    )
    assert "saturated" not in run.stderr


def test_a_network_that_scales_by_itself_is_told(keras: Any, colours: Path) -> None:
    layers = keras.layers
    network = _threshold(keras, 130 / 255, 255, layers.Rescaling(1 / 255, name="scaling"))
    report = cnnvis.doctor(network, data=colours)
    assert report.fit is not None and report.fit.right == 24
    assert any("'scaling' (times 0.00392, plus 0)" in note for note in report.notes)
    scaled = cnnvis.doctor(network, data=colours, plugin_options={"pictures": {"scale": 1 / 255}})
    assert any("24 with --pictures.scale 1" in warning for warning in scaled.warnings)


def test_sure_answers_of_data_that_fit_are_no_finding(keras: Any, colours: Path) -> None:
    network = _threshold(keras, 130, 30)
    found = cnnvis.run("saliency", network, data=colours, backprop=None)
    assert all(target.probability in (0, 1) or min(target.probability, 1 - target.probability) < 1e-3 for target in found.targets if target.probability is not None)  # fmt: skip
    assert not any("saturated" in note for note in found.notes)


def test_one_image_without_an_axis_of_images_is_looked_at_as_one(keras: Any) -> None:
    """Of which some rows must not be taken for images."""
    image = np.full((6, 6, 3), 250, np.float32)
    found = cnnvis.run("saliency", _threshold(keras, 130, 30), data=image, backprop=None)
    assert len(found) == 1 and found.targets[0].probability == pytest.approx(1)


def test_little_is_computed_for_that(
    keras: Any, colours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen images, and only where all scores are saturated."""
    from cnnvis.explain import task

    asked: list[int] = []
    was = task.about_scale
    monkeypatch.setattr(
        task, "about_scale", lambda model, samples: asked.append(len(samples)) or was(model, samples)  # type: ignore[func-returns-value]
    )  # fmt: skip
    cnnvis.run("saliency", _threshold(keras, 130, 0.01), data=colours, backprop=None)
    assert asked == []
    cnnvis.run("saliency", _threshold(keras, 130 / 255, 255), data=colours, backprop=None)
    assert asked == [16]


@pytest.mark.parametrize(
    ("labels", "passes_made"),
    [
        (None, 1),  # of the gradient
        (np.arange(20) % 2, 2),  # all right: no other scale can make more of them right
        (1 - np.arange(20) % 2, 2 + len(SCALES)),
    ],
    ids=["without labels", "right", "wrong"],
)
def test_other_scales_are_tried_where_they_can_say_something(
    keras: Any, passes: list[int], labels: Any, passes_made: int
) -> None:
    x = np.where(np.arange(20) % 2, 250, 5).astype(np.float32)
    images = np.broadcast_to(x[:, None, None, None], (20, 6, 6, 3))
    network = _threshold(keras, 130, 30)
    data = images if labels is None else (images, labels)
    found = cnnvis.run("saliency", network, data=data, backprop=None, checks="none")
    assert all(one.probability in (0, 1) for one in found.targets)
    assert len(passes) == passes_made
