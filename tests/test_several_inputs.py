"""Networks with several inputs: a map for each, the others held at their values."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

LEFT = np.random.default_rng(0).normal(size=(5, 9, 8, 1)).astype(np.float32)
RIGHT = np.random.default_rng(1).normal(size=(5, 9, 8, 1)).astype(np.float32)
FACTS = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def network(keras: Any) -> Any:
    """Two images through one tower, multiplied, and a table of facts."""
    layers = keras.layers
    keras.utils.set_random_seed(5)
    tower = keras.Sequential(
        [
            layers.Input((9, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="mean"),
        ],
        name="tower",
    )
    left, right = layers.Input((9, 8, 1), name="left"), layers.Input((9, 8, 1), name="right")
    facts = layers.Input((3,), name="facts")
    both = layers.Multiply()([tower(left), tower(right)])
    joined = layers.Concatenate()([both, layers.Dense(2, "relu")(facts)])
    return keras.Model([left, right, facts], layers.Dense(3, "softmax", name="output")(joined))


DATA = {"left": LEFT, "right": RIGHT, "facts": FACTS}


def _reference(network: Any, name: str, k: int) -> Any:
    import tensorflow as tf

    tensors = {one: tf.constant(values) for one, values in DATA.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors[name])
        score = tf.math.log(network([tensors["left"], tensors["right"], tensors["facts"]]))[:, k]
        total = tf.reduce_sum(score)
    return tape.gradient(total, tensors[name]).numpy()


def test_a_map_for_each_input(network: Any) -> None:
    found = cnnvis.run("saliency", network, data=DATA, filter=1, backprop=None)
    every = (found, *found.other_inputs)
    assert [one.input for one in every] == ["left", "right", "facts"]
    assert [one.maps.shape for one in every if one.maps is not None] == [
        (5, 9, 8),
        (5, 9, 8),
        (5, 3),
    ]
    # d log p_1 = ds_1 - sum_k p_k ds_k, for the logits s that cnnvis differentiates.
    p = network.predict([LEFT, RIGHT, FACTS], verbose=0)
    model = cnnvis.Model(network)
    shapes = {one.name: (one.shape, model.channel_axis_of(one.name)) for one in model.inputs}
    for name, samples in cnnvis.Samples.of(DATA).shaped_for_inputs(shapes).items():
        slopes = [
            cnnvis.Model(network, filters=k).on(samples).input_gradient(samples.x) for k in range(3)
        ]
        ones = (1,) * (slopes[0].ndim - 1)
        expected = slopes[1] - sum(p[:, k].reshape(-1, *ones) * slopes[k] for k in range(3))
        np.testing.assert_allclose(_reference(network, name, 1), expected, rtol=1e-3, atol=1e-5)
        one = next(one for one in every if one.input == name)
        plain = np.abs(slopes[1])
        np.testing.assert_allclose(one.maps, plain.max(-1) if name != "facts" else plain, rtol=1e-5)


def test_inputs_that_were_asked_for(network: Any) -> None:
    one = cnnvis.run("grad-cam", network, data=DATA, input="right", backprop=None, filter=0)
    assert one.input == "right" and one.other_inputs == ()
    assert "'tower@1/conv'" in " ".join(one.notes)
    two = cnnvis.run("saliency", network, data=DATA, input=["facts", "left"], filter=0)
    assert (two.input, two.other_inputs[0].input) == ("facts", "left")
    with pytest.raises(cnnvis.UserError, match=r"no input 'rihgt'\. Did you mean 'right'\?"):
        cnnvis.run("saliency", network, data=DATA, input="rihgt")


def test_an_input_without_a_map_does_not_cost_the_others(network: Any) -> None:
    found = cnnvis.run("grad-cam", network, data=DATA, filter=0)
    assert [one.input for one in (found, *found.other_inputs)] == ["left", "right"]
    assert any("'facts' gets no map: no layer before" in note for note in found.notes)
    with pytest.raises(cnnvis.UserError, match="no layer before 'output' has the spatial axes"):
        cnnvis.run("grad-cam", network, data=DATA, filter=0, input="facts")


def test_inputs_that_the_target_does_not_depend_on(network: Any) -> None:
    found = cnnvis.run("saliency", network, data=DATA, layer="tower@0/conv", filter=2)
    assert (found.input, found.other_inputs) == ("left", ())
    with pytest.raises(cnnvis.UserError, match="does not depend on the input 'right'"):
        cnnvis.run("saliency", network, data=DATA, layer="tower@0/conv", filter=2, input="right")


@pytest.mark.parametrize("form", ["dict", "list", "dict with y", "npz", "pickle", "pickled list"])
def test_forms_of_data(network: Any, form: str, tmp_path: Path) -> None:
    y = np.arange(5) % 3
    data: Any = {
        "dict": (DATA, y),
        "list": ([LEFT, RIGHT, FACTS], y),
        "dict with y": cnnvis.Samples.of({**DATA}, y),
    }.get(form)
    if form == "npz":
        np.savez(tmp_path / "data.npz", y=y, **DATA)
        data = tmp_path / "data.npz"
    if form.startswith("pickle"):
        data = tmp_path / "data.pkl"
        held = {**DATA, "y": y} if form == "pickle" else ([LEFT, RIGHT, FACTS], y)
        data.write_bytes(pickle.dumps(held))
    found = cnnvis.run("saliency", network, data=data, images=[1, 4], filter=0)
    expected = cnnvis.run("saliency", network, data=DATA, images=[1, 4], filter=0)
    assert found.labels is not None and found.labels.tolist() == [1, 1]
    for one, other in zip(
        (found, *found.other_inputs), (expected, *expected.other_inputs), strict=True
    ):
        assert one.input == other.input
        np.testing.assert_array_equal(one.maps, other.maps)
        np.testing.assert_array_equal(one.inputs, DATA[str(one.input)][[1, 4]])


def test_a_list_of_images_is_no_list_of_inputs() -> None:
    images = [LEFT[0], LEFT[1], LEFT[2]]
    assert cnnvis.Samples.of(images).source.shape == (3, 9, 8, 1)
    assert cnnvis.Samples.of(images, [0, 1, 0]).source.shape == (3, 9, 8, 1)
    assert set(cnnvis.Samples.of([LEFT, RIGHT], [0] * 5).inputs) == {"0", "1"}


def test_data_that_do_not_fit(network: Any, classifier: Any) -> None:
    with pytest.raises(cnnvis.UserError, match=r"3 inputs \(left, right, facts\).*one array"):
        cnnvis.run("saliency", network, data=LEFT)
    with pytest.raises(cnnvis.UserError, match=r"takes 3 inputs .* data hold left, facts"):
        cnnvis.run("saliency", network, data={"left": LEFT, "facts": FACTS})
    with pytest.raises(cnnvis.UserError, match=r"input 'facts': the data do not fit"):
        cnnvis.run("saliency", network, data={**DATA, "facts": FACTS[:, :2]})
    with pytest.raises(cnnvis.UserError, match=r"5 of left, 5 of right, 4 of facts"):
        cnnvis.run("saliency", network, data={**DATA, "facts": FACTS[:4]})
    with pytest.raises(cnnvis.UserError, match=r"takes one input, .*hold several: left, right"):
        cnnvis.run("saliency", classifier, data=DATA)
    with pytest.raises(cnnvis.UserError, match=r"takes 3 inputs .* none for 'right'"):
        cnnvis.Model(network, filters=0).input_gradient(LEFT)


def test_techniques_that_change_their_inputs_say_whose_they_are(network: Any) -> None:
    model = cnnvis.Model(network, filters=0)
    shapes = {one.name: (one.shape, model.channel_axis_of(one.name)) for one in model.inputs}
    samples = cnnvis.Samples.of(DATA).shaped_for_inputs(shapes)["left"]
    at = model.on(samples)
    twice = np.concatenate([samples.x, samples.x])
    with pytest.raises(ValueError, match="say with `of` which sample each belongs to"):
        at.input_gradient(twice)
    found = at.input_gradient(twice, of=[*range(5), *range(5)])
    np.testing.assert_allclose(found[:5], at.input_gradient(samples.x), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found[5:], found[:5], rtol=1e-5, atol=1e-8)


def test_activation_maximization_holds_the_other_inputs(network: Any) -> None:
    settings: dict[str, Any] = {"data": DATA, "images": [0, 1], "layer": "output", "iterations": 3}
    found = cnnvis.run("activation-max", network, start="data", filter=[0, 2], **settings)
    assert found.maps is not None and found.maps.shape == (4, 9, 8, 1)
    with pytest.raises(cnnvis.UserError, match="noise in one of them means nothing"):
        cnnvis.run("activation-max", network, **settings)


def test_typed(network: Any, typed: Callable[..., Any], tmp_path: Path) -> None:
    network.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", **DATA)
    done = typed("run", "saliency", "model.keras", "-d", "data.npz", "-im", 0, 2, "--class", 0)
    assert done.returncode == 0, done.stderr
    written = [f"results/saliency_output_guided_{name}.png" for name in DATA]
    assert done.stdout.split() == written
    assert all((tmp_path / path).stat().st_size > 5000 for path in written)
    words = ("-d", "data.npz", "-im", 0, 2, "--class", 0, "--input", "right", "-o", "maps.npz")
    done = typed("run", "saliency", "model.keras", *words)
    assert done.stdout.split() == ["maps.npz"]
    assert cnnvis.Explanation.load(tmp_path / "maps.npz").input == "right"
