"""Networks with several inputs: a map for each, the others held at their values."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis.reporting import inputs_together

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


@pytest.mark.slow
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
    for name, samples in model.shaped(cnnvis.Samples.of(DATA)).items():
        slopes = [
            cnnvis.Model(network, filters=k).with_inputs_held(samples).input_gradient(samples.x)
            for k in range(3)
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


def test_notes_say_of_which_input_they_are(network: Any) -> None:
    """Also in a chain, where the notes on all inputs are together; what holds of all is said once."""
    notes = "input {!r}: grad-cam used 'tower@{}/conv' (7 x 6), "
    expected = {notes.format("left", 0), notes.format("right", 1)}
    found = cnnvis.run("grad-cam", network, data=DATA, filter=0)
    (last, *_) = cnnvis.chain(network, ["grad-cam"], data=DATA, filter=0)
    of_each = [*found.notes, *found.other_inputs[0].notes]
    for said in (of_each, last.notes):
        assert expected <= {one.partition("as keras-vis")[0] for one in said}
    alike = [one for one in of_each if "guided backpropagation was used" in one]
    assert len(alike) == 2 and alike[0].startswith("input 'left': ")
    (single,) = (
        one for one in inputs_together(of_each) if "guided backpropagation was used" in one
    )
    assert single.startswith("inputs 'left' and 'right': guided backpropagation was used")
    # Notes that name their input themselves, and those on no input, stay as they are.
    assert inputs_together(["of 'left': a", "of 'left': a", "b"]) == ["of 'left': a", "b"]
    assert not any("input 'facts': " in one for one in of_each)


def test_an_input_without_a_map_does_not_cost_the_others(network: Any) -> None:
    found = cnnvis.run("grad-cam", network, data=DATA, filter=0)
    assert [one.input for one in (found, *found.other_inputs)] == ["left", "right"]
    assert any("'facts' gets no map: no layer before" in note for note in found.notes)
    with pytest.raises(cnnvis.UserError, match="no layer before 'output' has positions"):
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
    with pytest.raises(cnnvis.UserError, match=r"3 inputs, 'left', 'right', 'facts', .* one array"):
        cnnvis.run("saliency", network, data=LEFT)
    with pytest.raises(cnnvis.UserError, match=r"takes 3 inputs, .* data hold 'left', 'facts'"):
        cnnvis.run("saliency", network, data={"left": LEFT, "facts": FACTS})
    with pytest.raises(cnnvis.UserError, match=r"input 'facts': the data do not fit"):
        cnnvis.run("saliency", network, data={**DATA, "facts": FACTS[:, :2]})
    with pytest.raises(cnnvis.UserError, match=r"5 of left, 5 of right, 4 of facts"):
        cnnvis.run("saliency", network, data={**DATA, "facts": FACTS[:4]})
    with pytest.raises(cnnvis.UserError, match=r"takes one input, .*data hold 'left', 'right'"):
        cnnvis.run("saliency", classifier, data=DATA)
    with pytest.raises(cnnvis.UserError, match=r"takes 3 inputs .* none for 'right'"):
        cnnvis.Model(network, filters=0).input_gradient(LEFT)


def test_techniques_that_change_their_inputs_say_whose_they_are(network: Any) -> None:
    model = cnnvis.Model(network, filters=0)
    samples = model.shaped(cnnvis.Samples.of(DATA))["left"]
    at = model.with_inputs_held(samples)
    twice = np.concatenate([samples.x, samples.x])
    with pytest.raises(ValueError, match="say with `of` which sample each belongs to"):
        at.input_gradient(twice)
    found = at.input_gradient(twice, of=[*range(5), *range(5)])
    np.testing.assert_allclose(found[:5], at.input_gradient(samples.x), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found[5:], found[:5], rtol=1e-5, atol=1e-8)


def test_the_doctor_looks_at_all_inputs(network: Any, typed: Any, tmp_path: Path) -> None:
    fit = cnnvis.doctor(network, DATA).fit
    assert fit is not None and fit.shape == DATA["left"].shape[1:]
    found = {name: (shape, low, high) for name, shape, low, high in fit.others}
    assert found == {
        name: (one.shape[1:], pytest.approx(one.min()), pytest.approx(one.max()))
        for name, one in DATA.items()
        if name != "left"
    }
    network.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", **DATA)
    shown = typed("doctor", tmp_path / "model.keras", "-d", tmp_path / "data.npz").stdout
    assert "input right: of shape" in shown


def test_what_is_done_with_a_result_is_done_for_all_inputs(network: Any, tmp_path: Path) -> None:
    found = cnnvis.run("saliency", network, data=DATA, filter=0)
    some = found[[3, 1]]
    for one, whole in zip(some.other_inputs, found.other_inputs, strict=True):
        np.testing.assert_array_equal(one.array, whole.array[[3, 1]])
    found.save(tmp_path / "maps.npz")
    for one in found.other_inputs:
        kept = cnnvis.Explanation.load(tmp_path / f"maps_{one.input}.npz")
        np.testing.assert_array_equal(kept.array, one.array)
    assert f"{found!r}" == "<Explanation: saliency of output[0], 5 maps of 9 x 8>"


@pytest.mark.parametrize("written", ["save", "out", "folder"])
def test_maps_of_other_inputs_are_found_beside(network: Any, tmp_path: Path, written: str) -> None:
    out = {"out": tmp_path / "maps.npz", "folder": f"{tmp_path}/", "save": None}[written]
    asked: Any = {"render": ["numpy"], "out": out} if out else {}
    found = cnnvis.run("saliency", network, data=DATA, filter=0, **asked)
    if written == "save":
        found.save(tmp_path / "maps.npz")
    names = [found.input, *(one.input for one in found.other_inputs)]
    paths = {cnnvis.Explanation.load(path).input: path for path in sorted(tmp_path.glob("*.npz"))}
    assert sorted(map(str, names)) == sorted(map(str, paths))
    path, other = paths[names[0]], paths[names[1]]
    again = cnnvis.Explanation.load(path)
    assert [again.input, *(one.input for one in again.other_inputs)] == names
    for one, whole in zip(again.other_inputs, found.other_inputs, strict=True):
        np.testing.assert_array_equal(one.array, whole.array)
    assert again.notes == found.notes
    both = cnnvis.compare(path, found)
    assert [one.first.input for one in (both, *both.other_inputs)] == names
    # Each of the others is a file of its own.
    assert cnnvis.Explanation.load(other).other_inputs == ()
    # One that is not there any more, or of something else, is missed.
    for is_replaced in (False, True):
        other.write_bytes(path.read_bytes()) if is_replaced else other.unlink()
        rest = cnnvis.Explanation.load(path)
        assert [one.input for one in rest.other_inputs] == names[2:]
        assert f"{other.name!r} is no longer beside this file" in rest.notes[-1]


@pytest.mark.slow
def test_activation_maximization_holds_the_other_inputs(network: Any) -> None:
    settings: dict[str, Any] = {"data": DATA, "images": [0, 1], "layer": "output", "iterations": 3}
    found = cnnvis.run("activation-max", network, start="data", filter=[0, 2], **settings)
    assert found.maps is not None and found.maps.shape == (4, 9, 8, 1)
    with pytest.raises(cnnvis.UserError, match="noise in one input means nothing"):
        cnnvis.run("activation-max", network, **settings)


def test_typed(network: Any, typed: Callable[..., Any], tmp_path: Path) -> None:
    network.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", **DATA)
    done = typed("run", "saliency", "model.keras", "-d", "data.npz", "-im", 0, 2, "--class", 0)
    assert done.returncode == 0, done.stderr
    written = [f"results/saliency_output_0_guided_{name}.png" for name in DATA]
    assert done.stdout.split() == written
    assert all((tmp_path / path).stat().st_size > 5000 for path in written)
    words = ("-d", "data.npz", "-im", 0, 2, "--class", 0, "--input", "right", "-o", "maps.npz")
    done = typed("run", "saliency", "model.keras", *words)
    assert done.stdout.split() == ["maps.npz"]
    assert cnnvis.Explanation.load(tmp_path / "maps.npz").input == "right"


# Which array goes to which input


def _two_inputs(home: Any, form: str) -> tuple[Any, Any]:
    """A network with the score 1 a + 10 b, and data for it; a is 1 everywhere, and b is 2."""
    layers = home.layers
    # Names that Keras makes say nothing; where both are given, they are each other's.
    crossed = form in ("crossed", "nested model")
    a = home.Input((4,), name="b" if crossed else None)
    b = home.Input((4,), name="a" if crossed else None)
    ones = {"kernel_initializer": "ones", "use_bias": False}
    tens = home.layers.Dense(1, kernel_initializer=home.initializers.Constant(10), use_bias=False)
    total = layers.Add()([layers.Dense(1, **ones)(a), tens(b)])
    structures = {
        "dict": {"b": b, "a": a},
        "dict the other way": {"a": a, "b": b},
        "crossed": {"b": b, "a": a},
        "nested": {"z": {"q": b}, "y": [a]},
        "list": [b, a],
        "nested model": {"b": b, "a": a},
    }
    network = home.Model(structures[form], total)
    one, two = np.full((3, 4), 1, np.float32), np.full((3, 4), 2, np.float32)
    data: Any = {"b": two, "a": one}
    if form == "list":
        data = [two, one], np.arange(3)
    if form == "nested":
        data = {"z/q": two, "y/0": one}
    if form == "nested model":
        outer_a, outer_b = home.Input((4,), name="one"), home.Input((4,), name="two")
        network = home.Model([outer_a, outer_b], network({"a": outer_a, "b": outer_b}))
        data = {"two": two, "one": one}
    return network, data


FORMS = ["dict", "dict the other way", "crossed", "nested", "list", "nested model"]


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
@pytest.mark.parametrize(
    ("form", "saved"),
    quick_are(
        [("dict", "keras"), ("crossed", "live")],
        itertools.product(FORMS, ["live", "keras", "h5"]),
    ),
)
def test_arrays_go_to_the_inputs_that_carry_their_names(
    keras: Any, form: str, saved: str, tmp_path: Path
) -> None:
    network, data = _two_inputs(keras, form)
    if saved != "live":
        path = tmp_path / f"model.{saved}"
        network.save(path)
        network = path
    found = cnnvis.run("integrated-gradients", network, data=data)
    assert [target.score for target in found.targets] == [1 * 4 + 10 * 8] * 3  # and not 2 * 4 + 40
    means = sorted(float(one.array.mean()) for one in (found, *found.other_inputs))
    np.testing.assert_allclose(means, [1, 20], rtol=1e-5)


@pytest.mark.parametrize("form", quick_at([0, 3], FORMS))
def test_so_they_do_in_keras_2(form: str) -> None:
    network, data = _two_inputs(pytest.importorskip("tf_keras"), form)
    found = cnnvis.run("integrated-gradients", network, data=data)
    assert found.targets[0].score == 84


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_names_that_match_nothing_are_an_error(keras: Any) -> None:
    network, data = _two_inputs(keras, "dict")
    for other in ({"x": data["a"], "y": data["b"]}, {"a": data["a"], "y": data["b"]}):
        with pytest.raises(cnnvis.UserError, match=r"inputs, 'a', 'b', .* hold '[ax]', 'y'; give"):
            cnnvis.run("saliency", network, data=other)
    # A list has no names, and the keys of a dict have no order.
    with pytest.raises(cnnvis.UserError, match=r"'a', 'b', and the data are a list of 2 arrays"):
        cnnvis.run("saliency", network, data=([data["a"], data["b"]], np.arange(3)))
    found = cnnvis.run("saliency", network, data={**data, "id": np.arange(3)}, backprop=None)
    assert "the data hold the input 'id', which the network does not take" in found.notes
