"""Images are chosen by places, masks and conditions, and nobody gets others than were asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.data.image_selection import selection_of, typed
from cnnvis.settings.chain_files import Recipe, read_recipe, save_recipe

Typed = Callable[..., Any]
COUNT = 30
Y = np.arange(COUNT) % 3


def _places(images: Any, count: int = COUNT) -> list[int]:
    return selection_of(images).places_in(count).tolist()


@pytest.mark.parametrize(
    ("images", "places"),
    [
        (3, [3]),
        (-1, [29]),
        (np.int64(3), [3]),
        (np.array(3), [3]),
        (3.0, [3]),
        ([3, 0, 3], [3, 0, 3]),
        ((1,), [1]),
        (np.array([1, -30]), [1, 0]),
        ([1.0, 2.0], [1, 2]),
        (np.array([1.0, 2.0]), [1, 2]),
        (np.array([5], np.uint8), [5]),
        (range(2, 6, 2), [2, 4]),
        (range(-2, 0), [28, 29]),
        (slice(2, 6, 2), [2, 4]),
        (slice(-2, None), [28, 29]),
        (slice(28, 99), [28, 29]),
        (Y == 1, list(range(1, 30, 3))),
        ((Y == 1).tolist(), list(range(1, 30, 3))),
        (np.zeros(COUNT, bool), []),
        ([], []),
        ("4", [4]),
        ("-1", [29]),
        ("0-3", [0, 1, 2, 3]),
        ("3-3", [3]),
        ("20:26:2", [20, 22, 24]),
        ("27:", [27, 28, 29]),
        ("-2:", [28, 29]),
        (":3", [0, 1, 2]),
        ("2::-1", [2, 1, 0]),
        ("all", list(range(COUNT))),
        (["2", "0-1", 5, "28:", slice(0, 2), range(3)], [2, 0, 1, 5, 28, 29, 0, 1, 0, 1, 2]),
        (None, list(range(COUNT))),
    ],
    ids=str,
)
def test_places(images: Any, places: list[int]) -> None:
    assert _places(images) == places


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([True, False], "the mask of images holds 2 values, and the data 30 images"),
        (np.ones(31, bool), "the mask of images holds 31 values, and the data 30 images"),
        ([True, 3], "by places or by a mask"),
        (True, "not by True"),
        (np.array(True), "not by"),
        (30, "no image 30: the data hold 30 images, 0 to 29"),
        ([0, 30, 99], "no image 30, 99: the data"),
        (-31, "no image -31: the data hold 30"),
        ("25-30", "no image 30: the data hold 30"),
        (range(25, 31), "no image 30"),
        ("30:40", "no image in 30:40: the data hold 30 images, 0 to 29"),
        (slice(30, None, 2), "no image in 30::2"),
        ("5-3", "'5-3' runs backwards; 3-5"),
        ("5:9:0", "'5:9:0' has the step 0"),
        ("1.5", "'1.5' chooses no images. Images are chosen by places"),
        (1.5, r"images are chosen by places .* not by 1.5"),
        ([1.5], "not by 1.5"),
        (float("nan"), "not by nan"),
        ([None], "not by None"),
        (np.zeros((2, 2)), r"not by an array of shape \(2, 2\)"),
        (["x"], "'x' chooses no images"),
        ("lable=a", "'lable=a' chooses no images. Did you mean 'label'?"),
        ("wrnog", "Did you mean 'wrong'?"),
        ("label=", "'label=' chooses no images"),
        ("wrong=1", "'wrong=1' chooses no images"),
    ],
    ids=str,
)
def test_what_chooses_no_images(images: Any, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence.replace("?", r"\?")):
        _places(images)


def test_an_empty_data_set_has_no_places() -> None:
    assert _places("all", 0) == [] and _places(slice(0, 3), 0) == []
    with pytest.raises(cnnvis.UserError, match="the data hold no images"):
        _places(0, 0)


# Conditions


SAMPLES = cnnvis.Samples(np.zeros((COUNT, 4)), Y, class_names=("ape", "bee 2", "c=w"))


@pytest.mark.parametrize(
    ("images", "places"),
    [
        ("label=bee 2", range(1, 30, 3)),
        ("label=1", range(1, 30, 3)),
        ("label=c=w", range(2, 30, 3)),
        (["label=ape", "label=c=w"], [i for i in range(COUNT) if i % 3 != 1]),
        (["label=ape", "0-7"], [0, 3, 6]),
        (["6", "0-7", "label=ape", "6"], [6, 0, 3, 6, 6]),
    ],
    ids=str,
)
def test_labels_narrow_places_down(images: Any, places: Any) -> None:
    assert SAMPLES.chosen(images).indices.tolist() == list(places)


def test_nothing_that_is_left_is_an_error() -> None:
    with pytest.raises(
        cnnvis.UserError, match="none of the 2 images examined is left by label=ape"
    ):
        SAMPLES.chosen(["1-2", "label=ape"])
    with pytest.raises(cnnvis.UserError, match=r"no class 'cat'\..* There are: ape, bee 2, c=w"):
        SAMPLES.chosen("label=cat")
    with pytest.raises(cnnvis.UserError, match="no network is given"):
        SAMPLES.chosen("wrong")
    with pytest.raises(cnnvis.UserError, match="hold no labels"):
        cnnvis.Samples(np.zeros((3, 4))).chosen("label=1")


@pytest.fixture(scope="module")
def sorter(keras: Any) -> Any:
    """A network that answers with the first of its three inputs' largest: classes ape, bee, cow."""
    layers = keras.layers
    inputs = layers.Input((3,))
    hidden = layers.Dense(3, "relu", name="hidden")(inputs)
    network = keras.Model(inputs, layers.Dense(3, "softmax", name="output")(hidden))
    network.set_weights([np.eye(3), np.zeros(3), 4 * np.eye(3), np.zeros(3)])
    return network


LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
ANSWERS = np.array([0, 1, 2, 1, 1, 2, 2, 0, 2, 0])
WRONG = [3, 6, 7]
RIGHT = [0, 1, 2, 4, 5, 8, 9]
X = np.eye(3, dtype=np.float32)[ANSWERS] + 0.1
NAMES = ("ape", "bee", "cow")


@pytest.mark.parametrize(
    ("images", "places"),
    [
        ("wrong", WRONG),
        ("right", RIGHT),
        ("predicted=cow", [2, 5, 6, 8]),
        ("predicted=2", [2, 5, 6, 8]),
        (["predicted=ape", "predicted=bee"], [0, 1, 3, 4, 7, 9]),
        (["wrong", "label=ape"], [3, 6]),
        (["wrong", "predicted=cow"], [6]),
        (["7", "0-4", "wrong"], [7, 3]),
        (["3", "3", "wrong"], [3, 3]),
    ],
    ids=str,
)
@pytest.mark.parametrize("layer", quick_at([0], [None, "hidden"]))
def test_the_networks_own_answer_chooses(sorter: Any, images: Any, places: Any, layer: Any) -> None:
    """Whatever layer or class is explained."""
    data = cnnvis.Samples(X, LABELS, class_names=NAMES)
    settings: dict[str, Any] = {"data": data, "images": images, "layer": layer, "backprop": None}
    found = cnnvis.run("saliency", sorter, **settings)
    assert found.indices is not None and found.indices.tolist() == places
    (chained,) = cnnvis.chain(sorter, [("saliency", {"backprop": None})], data=data, images=images)
    assert chained.indices is not None and chained.indices.tolist() == places
    both = cnnvis.compare(
        "saliency", "integrated-gradients", sorter, data=data, images=images, class_names=NAMES
    )
    assert both.first.indices is not None and both.first.indices.tolist() == places
    other = cnnvis.run("saliency", sorter, **{**settings, "filter": 1})
    assert other.indices is not None and other.indices.tolist() == places


def test_one_sigmoid_is_two_classes(keras: Any) -> None:
    network = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1, "sigmoid")])
    network.set_weights([np.ones((1, 1)), np.zeros(1)])
    x = np.array([[-2.0], [-1], [1], [2]])
    data = cnnvis.Samples(x, [0, 1, 0, 1], class_names=("no", "yes"))
    for images, places in (("wrong", [1, 2]), ("predicted=yes", [2, 3]), ("predicted=no", [0, 1])):
        found = cnnvis.run("saliency", network, data=data, images=images, backprop=None)
        assert found.indices is not None and found.indices.tolist() == places


def test_of_several_labels_all_must_be_right(keras: Any) -> None:
    network = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(3, "sigmoid")])
    network.set_weights([10 * np.eye(3), np.full(3, -5.0)])
    labels = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 0]])
    x = labels.astype(np.float32)
    x[2, 0] = x[3, 0] = 0.4  # at which the network answers no
    x[2, 1] = 0.3
    data = cnnvis.Samples(x, labels, class_names=NAMES)
    for images, places in (
        ("wrong", [2, 3]),
        ("right", [0, 1]),
        (["wrong", "label=ape"], [3]),
        ("predicted=bee", [3]),
        (["predicted=ape", "label=ape"], [0]),
        ("predicted=cow", [0, 2]),
    ):
        found = cnnvis.run("saliency", network, data=data, images=images, backprop=None)
        assert found.indices is not None and found.indices.tolist() == places


@pytest.mark.parametrize(
    ("data", "images", "sentence"),
    [
        (X, "wrong", "right and wrong choose images .*: the data hold no labels"),
        ((X, LABELS / 7), "wrong", "the labels are numbers, and the network answers with classes"),
        (
            (X, LABELS + 1),
            "right",
            "labels run from 1 to 3, and the network's classes are numbered 0",
        ),
        ((X, list("abcdefghij")), "right", "it is not known which of the network's classes"),
        ((X, LABELS), "predicted=dog", "no class 'dog'. The classes have no names"),
        ((X, LABELS), "predicted=3", "no class '3': the network has 3"),
        ((X, ANSWERS), "wrong", "none of the 10 images examined is left by wrong"),
        ((X, LABELS), ["wrong", "right"], "is left by wrong right"),
    ],
    ids=str,
)
def test_what_the_network_cannot_choose(sorter: Any, data: Any, images: Any, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.run("saliency", sorter, data=data, images=images, backprop=None)


def test_a_network_without_classes_is_asked_for_none(keras: Any) -> None:
    network = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    for images in ("wrong", "predicted=1"):
        with pytest.raises(cnnvis.UserError, match=r"not known to be a class|one class for each"):
            cnnvis.run("saliency", network, data=(X, LABELS), images=images, backprop=None)


class _Source:
    """Images that are read when they are indexed, some of them damaged."""

    shape, dtype = X.shape, X.dtype

    def __init__(self, damaged: list[int]) -> None:
        self.damaged, self.read = damaged, list[int]()

    def __getitem__(self, index: Any) -> Any:
        places = np.arange(len(X))[index].tolist()
        self.read += places
        if set(places) & set(self.damaged):
            raise cnnvis.UserError(f"image {places[0]} is damaged")
        return X[places]


def test_only_what_other_conditions_leave_is_asked_about(sorter: Any) -> None:
    source = _Source([])
    data = cnnvis.Samples(source, LABELS, class_names=NAMES)
    found = cnnvis.run(
        "saliency", sorter, data=data, images=["label=ape", "0-6", "wrong"], backprop=None
    )
    assert found.indices is not None and found.indices.tolist() == [3, 6]
    assert sorted(set(source.read)) == [0, 3, 6]


def test_a_damaged_image_costs_no_other(sorter: Any) -> None:
    data = cnnvis.Samples(_Source([1, 6]), LABELS, class_names=NAMES)
    found = cnnvis.run("saliency", sorter, data=data, images="wrong", backprop=None)
    assert found.indices is not None and found.indices.tolist() == [3, 7]
    assert "image 6 was not chosen: image 6 is damaged" in found.notes
    found = cnnvis.run("saliency", sorter, data=data, images=[0, 1, 3], backprop=None)
    assert found.indices is not None and found.indices.tolist() == [0, 3]
    assert "image 1 was left out: image 1 is damaged" in found.notes


def test_a_technique_without_a_model_can_ask_one(sorter: Any) -> None:
    data = cnnvis.Samples(X, LABELS, class_names=NAMES)
    table = cnnvis.run("get-labels", sorter, data=data, images="wrong").table
    assert table is not None and table["image"] == WRONG
    table = cnnvis.run("get-labels", None, data=data, images="label=cow").table
    assert table is not None and table["image"] == [2, 5, 8]
    with pytest.raises(cnnvis.UserError, match="need the answer of a network: name its file"):
        cnnvis.run("get-labels", None, data=data, images="wrong")


def test_images_are_looked_at_before_a_network_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(cnnvis.UserError, match="'x' chooses no images"):
        cnnvis.run("saliency", "no-such.h5", data="no-such.npz", images="x")
    with pytest.raises(cnnvis.UserError, match="'x' chooses no images"):
        cnnvis.chain("no-such.h5", ["saliency"], data="no-such.npz", images="x")
    (tmp_path / "broken.keras").write_text("")
    np.save(tmp_path / "data.npy", X)
    with pytest.raises(cnnvis.UserError, match="no image 10"):
        cnnvis.run("saliency", tmp_path / "broken.keras", data=tmp_path / "data.npy", images=10)


# What is typed, and kept


@pytest.fixture
def here(sorter: Any, tmp_path: Path) -> Path:
    sorter.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", X=X, y=LABELS, class_names=["ape", "bee 2", "cow"])
    return tmp_path


BASE = ("model.keras", "-d", "data.npz")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "places"),
    [
        (["0-2", "8:10", "-1", "3"], [0, 1, 2, 8, 9, 9, 3]),
        pytest.param(["-2:"], [8, 9], marks=pytest.mark.slow),
        pytest.param(["wrong"], WRONG, marks=pytest.mark.slow),
        (["label=bee 2", "wrong"], [7]),
        (["predicted=bee 2"], [1, 3, 4]),
        (["all"], list(range(10))),
    ],
    ids=str,
)
def test_typed(typed: Typed, tmp_path: Path, words: list[str], places: list[int]) -> None:
    done = typed("run", "saliency", *BASE, "-im", *words, "-bm", "none", "-o", "out.npz")
    assert done.returncode == 0, done.stderr
    found = cnnvis.Explanation.load(tmp_path / "out.npz").indices
    assert found is not None and found.tolist() == places
    typed(
        "run", "saliency", *BASE, "-im", *words, "-bm", "none", "--into", "kept", "-o", "again.npz"
    )
    images = json.loads((tmp_path / "kept" / "manifest.json").read_text())["value"]["images"]
    assert [place for start, stop in images for place in range(start, stop)] == places


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "words",
    [["0-2", "8:", "-1"], ["wrong"], ["label=bee 2", "wrong"], ["0", "3"], ["-3:"]],
    ids=["several places", "wrong", "label and wrong", "two places", "from the end"],
)
@pytest.mark.slow
def test_every_form_of_a_chain_chooses_the_same(
    typed: Typed, tmp_path: Path, words: list[str]
) -> None:
    import shlex

    chain = ("chain", *BASE, "-im", *words, "saliency", "-bm", "none", "numpy")
    assert typed(*chain, "-o", "typed.npz", "--save-chain", "study.toml").returncode == 0
    typed("chain", "--file", "study.toml", "-o", "toml.npz")
    shell = typed(*chain, "--as", "shell").stdout
    typed(*shlex.split(shell.replace("\\\n", " "))[1:], "-o", "shell.npz")
    typed("run", "saliency", *BASE, "-im", *words, "-bm", "none", "-r", "numpy", "-o", "run.npz",
          "--save-chain", "run.toml")  # fmt: skip
    typed("chain", "--file", "run.toml", "-o", "run-again.npz")
    names: dict[str, Any] = {}
    exec(
        typed(*chain[:-1], "--as", "python").stdout.replace("cnnvis.chain(", "f = cnnvis.chain("),
        names,
    )
    expected = names["f"][0].indices.tolist()
    assert expected
    for name in ("typed", "toml", "shell", "run", "run-again"):
        found = cnnvis.Explanation.load(tmp_path / f"{name}.npz").indices
        assert found is not None and found.tolist() == expected, name


def test_recipes_keep_numbers_as_numbers(tmp_path: Path) -> None:
    images = [typed(word) for word in ("3", "-1", "0-5", "label=a b")]
    assert images == [3, -1, "0-5", "label=a b"]
    recipe = Recipe("mine", {"model": "demo", "images": images}, [("saliency", {})])
    save_recipe(recipe, tmp_path / "study.toml")
    assert read_recipe(tmp_path / "study.toml") == recipe
    for text in ("'wrong'", "3", "['0-3', 'right']"):
        (tmp_path / "one.toml").write_text(
            f"[chains.a]\nimages = {text}\n[[chains.a.steps]]\nstep = 'png'\n"
        )
        assert read_recipe(tmp_path / "one.toml").subject["images"] in (
            "wrong",
            3,
            ["0-3", "right"],
        )


@pytest.mark.slow
def test_the_demo_shows_what_is_chosen(typed: Typed, tmp_path: Path) -> None:
    found = cnnvis.run("saliency", "demo")
    assert found.indices is not None and found.indices.tolist() == [0, 1, 2, 3]
    found = cnnvis.run("saliency", "demo", images="wrong")
    assert found.indices is not None and found.indices.tolist() == [19]
    found = cnnvis.run("saliency", "demo", images="all")
    assert len(found) == 40
    done = typed("run", "saliency", "demo", "-im", "label=sweep", "0-5", "-o", "out.npz")
    assert done.returncode == 0, done.stderr
    found = cnnvis.Explanation.load(tmp_path / "out.npz")
    assert found.indices is not None and found.indices.tolist() == [0, 2, 4]


@pytest.mark.usefixtures("here")
def test_mistakes_are_one_sentence(typed: Typed) -> None:
    for words, part in (
        (["x"], "'x' chooses no images"),
        (["0", "6-3"], "runs backwards"),
        (["label=dog"], "no class 'dog'. There are: ape, bee 2, cow."),
        (["0-10"], "no image 10"),
        (["label=ape", "predicted=bee 2", "right"], "none of the 10 images examined is left"),
    ):
        done = typed("run", "saliency", *BASE, "-bm", "none", "-im", *words)
        assert done.returncode == 2 and part in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_help_says_what_is_in_a_range(typed: Typed) -> None:
    text = " ".join(typed("run", "saliency", "--help").stdout.split())
    assert "ranges, 0-5 with 5" in text and "slices as in Python, 20:40:2 without 40" in text


def test_several_words_in_one_text() -> None:
    def places(images: Any) -> list[int]:
        return selection_of(images).places_in(20).tolist()  # type: ignore[no-any-return]

    assert places("0-2 8") == places(["0-2", 8]) == [0, 1, 2, 8]
    assert places(["0-2 8", 3]) == [0, 1, 2, 8, 3]
    found = selection_of("right 0-3")
    assert [str(one) for one in found.conditions] == ["right"]
    # A name may hold blanks.
    assert [one.name for one in selection_of("label=wide 3").conditions] == ["wide 3"]
    with pytest.raises(cnnvis.UserError, match="'0-2 foo' chooses no images"):
        selection_of("0-2 foo")
