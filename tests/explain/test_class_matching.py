"""Labels in words are matched to a network's classes by their names, or not at all."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import quick_at

import cnnvis
from cnnvis.explain.class_matching import matched
from cnnvis.explain.class_orders import Hits

Typed = Callable[..., Any]
RED, GREEN, BLUE = (250, 20, 20), (20, 250, 20), (20, 20, 250)
COLOURS = (RED, GREEN, BLUE)
RNG = np.random.default_rng(0)


def _sorter(keras: Any, order: Sequence[int] = (0, 1, 2), units: int = 3) -> Any:
    """A network whose class k is the colour `order[k]`, red, green or blue; with one unit, blue."""
    layers = keras.layers
    inputs = layers.Input((8, 8, 3))
    hidden = layers.Conv2D(3, 3, activation="relu", name="hidden")(inputs)
    mean = layers.GlobalAveragePooling2D(name="mean")(hidden)
    end = "softmax" if units > 1 else "sigmoid"
    network = keras.Model(inputs, layers.Dense(units, end, name="output")(mean))
    same = np.zeros((3, 3, 3, 3))
    same[1, 1] = np.eye(3)
    weights = np.eye(3)[:, list(order)] if units == 3 else np.array([[-1.0], [-1.0], [1.0]])
    network.set_weights([same, np.zeros(3), weights / 20, np.zeros(units)])
    return network


@pytest.fixture(scope="module")
def sorter(keras: Any) -> Any:
    return _sorter(keras)


def _folder(
    path: Path, names: Sequence[str], count: int = 6, colours: Sequence[Any] = COLOURS
) -> Path:
    """A folder for each name, of red, green and blue pictures in this order."""
    for name, colour in zip(names, colours, strict=False):
        (path / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            values = np.array(colour) + RNG.integers(-40, 40, size=(8, 8, 3))
            picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
            picture.save(path / name / f"{number}.png")
    return path


def _right(report: Any) -> int | None:
    return report.fit.right  # type: ignore[no-any-return]


@pytest.mark.slow
def test_as_many_words_as_classes_are_these_in_alphabetical_order(
    sorter: Any, tmp_path: Path
) -> None:
    folder = _folder(tmp_path / "data", ["a red", "b green", "c blue"])
    report = cnnvis.doctor(sorter, data=folder)
    assert _right(report) == 18 and report.warnings == ()
    assert "0 'a red', 1 'b green', 2 'c blue'" in report.notes[0]
    assert "image_dataset_from_directory" in report.notes[0]
    found = cnnvis.run("saliency", sorter, data=folder, images=[0, 6, 12], backprop=None)
    assert any("alphabetical order" in note for note in found.notes)
    titles = [found.title(i).splitlines()[:2] for i in range(3)]
    assert titles[1] == ["#6 0.png label b green", "output[b green]"]
    assert found.samples is not None and not found.samples.in_words
    (mean,) = cnnvis.chain(sorter, [("saliency", {"backprop": None}), "average"], data=folder)
    assert mean.groups == ("a red", "b green", "c blue")
    both = cnnvis.compare("saliency", "grad-cam", sorter, data=folder, images=[0], scaled=True)
    assert both.titles[0].startswith("#0 0.png label a red output[a red]")


def test_keras_numbers_folders_so(keras: Any, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data", ["10", "9", "B", "a"])
    loaded = keras.utils.image_dataset_from_directory(folder, verbose=False)
    samples = cnnvis.read_samples(folder)
    assert samples.in_words and list(samples.class_names or ()) == loaded.class_names


def test_given_names_are_the_networks_order_and_folders_find_theirs(
    keras: Any, tmp_path: Path
) -> None:
    """The network's classes are blue, red, green; the folders' alphabetical order is another."""
    network, folder = _sorter(keras, (2, 0, 1)), _folder(tmp_path / "data", ["cross", "dot", "arc"])
    names = ("arc", "cross", "dot")
    found = cnnvis.run(
        "saliency", network, data=folder, images=[0, 6, 12], class_names=names, backprop=None
    )
    for place in range(3):
        image, target = found.title(place).splitlines()[:2]
        assert image.split("label ")[1] == target[len("output[") : -1]
    assert _right(cnnvis.doctor(network, data=folder, class_names=names)) == 18
    # Names that a model has in Python count in the same way.
    model = cnnvis.Model(network, class_names=names)
    assert _right(cnnvis.doctor(model, data=folder)) == 18
    table = cnnvis.run("get-labels", model, data=folder, images="label=arc").table
    assert table is not None and table["label"] == ["arc"] * 6
    with pytest.raises(cnnvis.UserError, match="is left by wrong"):
        cnnvis.run("saliency", model, data=folder, images="wrong")
    # In the order of the alphabet, all labels are wrong, and the doctor says which order fits.
    report = cnnvis.doctor(_sorter(keras, (1, 2, 0)), data=folder)
    assert _right(report) == 0
    assert "18 of 18 labels are right if" in report.warnings[0]
    assert report.warnings[0].endswith("--class-names dot arc cross")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["red", "green", "blue"], "words 'arc', 'cross', 'dot', and the classes are called 'red', 'green', 'blue': 'arc', 'cross', 'dot' are not among the class names"),
        (["cross", "dott", "arc"], r"'dot' is not among the class names\. Did you mean 'dott'\?"),
        (["cross", "dot", "dot"], "two classes have the name 'dot'"),
        (["cross", "dot"], "there are 2 class names, and 'output' has 3 outputs"),
    ],
)  # fmt: skip
def test_names_that_do_not_agree_are_refused(
    sorter: Any, tmp_path: Path, names: Any, sentence: str
) -> None:
    folder = _folder(tmp_path / "data", ["cross", "dot", "arc"], 1)
    calls: list[Callable[[], Any]] = [
        lambda: cnnvis.run("saliency", sorter, data=folder, class_names=names),
        lambda: cnnvis.chain(sorter, ["saliency"], data=folder, class_names=names),
        lambda: cnnvis.doctor(sorter, data=folder, class_names=names),
        lambda: cnnvis.compare("saliency", "grad-cam", sorter, data=folder, class_names=names),
    ]
    for call in calls:
        with pytest.raises(cnnvis.UserError, match=sentence):
            call()


def test_one_sigmoid_is_called_by_two_names(keras: Any, tmp_path: Path) -> None:
    network = _sorter(keras, units=1)
    folder = _folder(tmp_path / "data", ["other", "blue"], colours=[GREEN, BLUE])
    with pytest.raises(cnnvis.UserError, match="3 class names, and 'output' is one sigmoid, which"):
        cnnvis.run("saliency", network, data=folder, class_names=["a", "b", "c"])
    # Alphabetically, blue comes first; the network's second class is what the sigmoid says yes to.
    report = cnnvis.doctor(network, data=folder)
    assert _right(report) == 0 and report.warnings[0].endswith("--class-names other blue")
    report = cnnvis.doctor(network, data=folder, class_names=["other", "blue"])
    assert _right(report) == 12 and report.warnings == ()
    found = cnnvis.run(
        "saliency",
        network,
        data=folder,
        class_names=["other", "blue"],
        images=[0, 6],
        backprop=None,
    )
    assert found.predictions is not None and found.predictions.tolist() == [1, 0]
    assert [found.title(i).splitlines()[0] for i in (0, 1)] == [
        "#0 0.png label blue",
        "#6 0.png label other",
    ]


def test_more_or_fewer_words_than_classes_stand_for_none(keras: Any, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data", ["arc", "cross"])
    network = _sorter(keras, (2, 0, 1))
    found = cnnvis.run("saliency", network, data=folder, images=[0, 6], backprop=None)
    note = next(note for note in found.notes if "2 words" in note)
    assert "the network has 3 classes" in note and "--class-names NAME NAME ..." in note
    assert found.title(0).splitlines()[:2] == ["#0 0.png label arc", "output[1]"]
    report = cnnvis.doctor(network, data=folder)
    assert _right(report) is None and report.notes[0] == note
    with pytest.raises(cnnvis.UserError, match="not known which of the network's classes"):
        cnnvis.run("saliency", network, data=folder, images="right")
    with pytest.raises(
        cnnvis.UserError, match=r"no class 'arc'\..*Give the names of all 3 classes"
    ):
        cnnvis.run("saliency", network, data=folder, filter="arc")
    # Names for all classes, as the note says, do.
    names = ["blue", "arc", "cross"]
    assert _right(cnnvis.doctor(network, data=folder, class_names=names)) == 12
    found = cnnvis.run("saliency", network, data=folder, filter="arc", class_names=names)
    assert found.target == "output[arc]"
    (means,) = cnnvis.chain(network, ["saliency", ("average", {"by": "prediction"})], data=folder)
    assert means.groups == ("1", "2")


def test_words_that_are_numbers_are_not_guessed(keras: Any, tmp_path: Path) -> None:
    """Ten comes before two in the alphabet; who trained the network knows what it was given."""
    folder = _folder(tmp_path / "data", ["2", "5", "10"])
    by_size, by_alphabet = _sorter(keras), _sorter(keras, (2, 0, 1))
    for network, typed in (
        (by_size, "--class-names 2 5 10"),
        (by_alphabet, "--class-names 10 2 5"),
    ):
        report = cnnvis.doctor(network, data=folder)
        assert _right(report) is None and "no label counts as right" in report.notes[0]
        assert report.warnings[0].endswith(typed), report.warnings
        names = typed.split()[1:]
        assert _right(cnnvis.doctor(network, data=folder, class_names=names)) == 18
    assert "--class-names 10 2 5" in report.notes[0] and "--class-names 2 5 10" in report.notes[0]
    found = cnnvis.run("saliency", by_size, data=folder, images=[0, 12], backprop=None)
    assert [found.title(i).splitlines()[:2] for i in (0, 1)] == [
        ["#0 0.png label 10", "output[2]"],
        ["#12 0.png label 5", "output[1]"],
    ]
    # Where both orders are one, there is nothing to guess.
    same = _folder(tmp_path / "same", ["3", "5", "8"])
    assert _right(cnnvis.doctor(by_size, data=same)) == 18


COLOURED = np.stack([np.full((8, 8, 3), COLOURS[place % 3], "float32") for place in range(6)])


@pytest.mark.parametrize("numbers", [(1, 2, 3), (7, 9, 10), (10, 0, 5), (-1, 4, 2.0)])
def test_labels_that_are_names_of_classes_are_these(sorter: Any, numbers: Sequence[Any]) -> None:
    """Where they are no places among them: labels 7, 9, 10 of the classes 7, 9, 10."""
    labels = np.array([*numbers, *numbers])
    subject: dict[str, Any] = {"data": (COLOURED, labels), "class_names": numbers}
    for place, number in enumerate(numbers):
        found = cnnvis.run("saliency", sorter, images=f"label={number}", backprop=None, **subject)
        assert found.indices is not None and found.indices.tolist() == [place, place + 3]
        assert f"label {number}" in found.title(0) and f"output[{number}]" in found.title(0)
        assert "cnnvis takes the labels for class names" in found.notes[0]
        # What was matched once is not matched again.
        again = cnnvis.run("saliency", sorter, data=found.samples, backprop=None)
        assert again.title(0) == found.title(0)
    (mean,) = cnnvis.chain(sorter, [("saliency", {"backprop": None}), "average"], **subject)
    assert mean.groups == tuple(map(str, numbers))
    report = cnnvis.doctor(sorter, **subject)
    assert _right(report) == 6 and report.warnings == ()
    with pytest.raises(cnnvis.UserError, match="is left by wrong"):
        cnnvis.run("saliency", sorter, images="wrong", **subject)
    samples = cnnvis.Samples(COLOURED, labels, class_names=numbers)  # type: ignore[arg-type]
    assert _right(cnnvis.doctor(sorter, samples)) == 6


def test_some_of_the_labels_from_1_on_are_names(sorter: Any) -> None:
    """Labels 1 and 2 of the classes 1, 2, 3; of 0, 1 and 2 they are places anyway."""
    some = (COLOURED[[0, 1, 3]], np.array([1, 2, 1]))
    assert _right(cnnvis.doctor(sorter, some, class_names=[1, 2, 3])) == 3
    places = (COLOURED[[0, 1, 2]], np.array([0, 1, 2]))
    for names in ([1, 2, 3], [2, 1, 0], ["a", "b", "c"]):
        report = cnnvis.doctor(sorter, places, class_names=names)
        assert _right(report) == 3 and report.notes == ()


@pytest.mark.parametrize("names", [None, ["ant", "bee", "cat"], [1, 2, 5]])
@pytest.mark.parametrize("labels", [[1, 2, 3], [-1, 0, 1], [0, 2, 255]])
def test_labels_that_are_no_numbers_of_classes_get_no_names(
    sorter: Any, labels: list[int], names: Any
) -> None:
    subject: dict[str, Any] = {"data": (COLOURED[:3], labels), "class_names": names}
    found = cnnvis.run("saliency", sorter, backprop=None, **subject)
    assert [found.title(k).splitlines()[0] for k in range(3)] == [
        f"#{place} label {label}" for place, label in enumerate(labels)
    ]
    called = names or [0, 1, 2]
    assert [str(one) for one in found.targets] == [f"output[{name}]" for name in called]
    (note,) = found.notes
    assert f"run from {min(labels)} to {max(labels)} and the classes from 0 to 2" in note
    report = cnnvis.doctor(sorter, **subject)
    assert report.notes == (note,) and _right(report) is None
    # What the note tells to type works.
    typed = note.split("--class-names ")[1].split()
    assert typed == [str(label) for label in labels]
    assert _right(cnnvis.doctor(sorter, data=(COLOURED[:3], labels), class_names=typed)) == 3
    one = cnnvis.run("saliency", sorter, images=f"label={labels[-1]}", backprop=None, **subject)
    assert one.indices is not None and one.indices.tolist() == [2]


def test_more_labels_than_classes_are_said_to_be_that(sorter: Any) -> None:
    found = cnnvis.run("saliency", sorter, data=(COLOURED[:4], [0, 1, 2, 3]), backprop=None)
    assert "There are 4 different labels, more than classes" in found.notes[0]


def test_numbers_with_names_are_matched_by_these(keras: Any) -> None:
    """A file whose numbers have other names than the network's order is read by the names."""
    y = np.repeat([0, 1, 2], 6)
    x = np.array(COLOURS)[y][:, None, None] * np.ones((18, 8, 8, 3))
    data = cnnvis.Samples(x, y, class_names=("red", "green", "blue"))
    network = _sorter(keras, (2, 0, 1))
    report = cnnvis.doctor(network, data=data)
    assert _right(report) == 0 and report.warnings[0].endswith("--class-names blue red green")
    assert _right(cnnvis.doctor(network, data=data, class_names=["blue", "red", "green"])) == 18
    # Other words for all are other names for the same numbers.
    renamed = cnnvis.doctor(_sorter(keras), data=data, class_names=["rot", "grün", "blau"])
    assert _right(renamed) == 18
    with pytest.raises(
        cnnvis.UserError, match="'red', 'green', 'blue', and the classes are called"
    ):
        cnnvis.doctor(network, data=data, class_names=["blue", "red", "grün"])
    with pytest.raises(
        cnnvis.UserError, match=r"the data call the classes .* the model calls them"
    ):
        cnnvis.doctor(cnnvis.Model(network, class_names=("a", "b", "c")), data=data)


def test_labels_without_names_in_another_order(keras: Any) -> None:
    y = np.repeat([0, 1, 2], 6)
    x = np.array(COLOURS)[y][:, None, None] * np.ones((18, 8, 8, 3))
    report = cnnvis.doctor(_sorter(keras, (2, 0, 1)), data=(x, y))
    sentence = (
        "18 of 18 labels are right if label 0 means class 1, label 1 means class 2 and label 2 means "
        "class 0, and 0 are right with the present numbers: the labels and the network's classes seem "
        "to have different numbers; number the labels in this way"
    )
    assert report.warnings == (sentence,)
    # Other names number no label anew, so none are advised.
    named = cnnvis.doctor(_sorter(keras, (2, 0, 1)), data=(x, y), class_names=["b", "r", "g"])
    assert "label 2 means class 0 ('b')" in named.warnings[0]
    assert "--class-names" not in named.warnings[0]
    right = cnnvis.doctor(_sorter(keras, (2, 0, 1)), data=(x, np.array([1, 2, 0])[y]))
    assert right.warnings == () and _right(right) == 18


def test_columns_in_another_order(keras: Any) -> None:
    y = np.repeat([0, 1, 2], 6)
    x = np.array(COLOURS)[y][:, None, None] * np.ones((18, 8, 8, 3))
    network, hot = _sorter(keras, (2, 0, 1)), np.eye(3)[y]
    (warning,) = cnnvis.doctor(network, data=(x, hot)).warnings
    assert "if label 0 means class 1, label 1" in warning and "--class-names" not in warning
    frame = pytest.importorskip("pandas").DataFrame(hot, columns=["red", "green", "blue"])
    (warning,) = cnnvis.doctor(network, data=(x, frame)).warnings
    assert warning.endswith("--class-names blue red green")
    mended = cnnvis.doctor(network, data=(x, frame), class_names=["blue", "red", "green"])
    assert mended.warnings == () and _right(mended) == 18


@pytest.mark.slow
def test_another_order_and_another_scale_at_once(keras: Any, typed: Typed, tmp_path: Path) -> None:
    """Each hides the other: what the scale is shows only in the right order."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(3, 1, activation="relu", name="hidden"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax", name="output"),
        ]
    )
    # What is dark counts if it is below 0; of values from 0 to 255, or to 1, none is.
    dark = [-np.eye(3)[None, None], np.full(3, -0.1)]
    network.set_weights([*dark, -9 * np.eye(3)[:, [2, 0, 1]], np.array([0.0, 0, 0.1])])
    network.save(tmp_path / "model.keras")
    colours = [(200, 60, 60), (60, 200, 60), (60, 60, 200)]
    _folder(tmp_path / "data", ["a red", "b green", "c blue"], 10, colours)
    words = ["doctor", "model.keras", "-d", "data"]
    done = typed(*words)
    said = " ".join(done.stdout.split())
    assert (
        "10 of 30 labels are right with the present scale, and 30 of 30 with --pictures.preprocess tf"
        in said
    )
    words += ["--pictures.preprocess", "tf"]
    done = typed(*words)
    offered = re.search(r"30 of 30 labels are right .*(--class-names .*)", done.stdout)
    assert offered is not None, done.stdout
    done = typed(*words, *shlex.split(offered[1]))
    assert "right: 30 of 30 labels (100.0%)" in done.stdout and "warning" not in done.stdout


def test_labels_of_more_columns_than_the_network_has_outputs(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((3,)), layers.Dense(4, "relu"), layers.Dense(3, "sigmoid", name="tags")]
    )
    x = np.eye(3, dtype=np.float32)
    for columns in (4, 2):
        y = np.triu(np.ones((3, columns), int))
        found = cnnvis.run("saliency", network, data=(x, y), backprop=None)
        sentence = f"there are {columns} labels for each image, and 'tags' has 3 outputs"
        assert any(sentence in note for note in found.notes)
    found = cnnvis.run("saliency", network, data=(x, np.triu(np.ones((3, 3), int))), backprop=None)
    assert not any("labels for each image" in note for note in found.notes)


def test_several_labels_in_words(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((3,)), layers.Dense(3, "sigmoid", name="output")])
    network.set_weights([10 * np.eye(3), np.full(3, -5.0)])  # of red, green, blue
    x = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]], np.float32)
    words = [["red", "blue"], [], ["green"], ["green", "blue"]]
    report = cnnvis.doctor(network, data=(x, words), class_names=["red", "green", "blue"])
    agreement = report.fit and report.fit.agreement
    assert str(agreement) == "11 of 12 labels, and all of them right for 3 of 4 images"
    samples = matched(
        cnnvis.Samples(x, words), ["red", "green", "blue"], cnnvis.Model(network)
    ).samples
    assert samples is not None and samples.labels is not None
    assert samples.labels.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [0, 1, 1]]
    alone = matched(cnnvis.Samples(x, words), None, cnnvis.Model(network))
    assert alone.names == ("blue", "green", "red") and "alphabetical order" in alone.note
    with pytest.raises(cnnvis.UserError, match="2 class names, and 3 labels for each image"):
        matched(cnnvis.Samples(x, x.astype(int), class_names=("a", "b")), None, None)


def test_names_of_a_layer_in_between_are_not_counted(sorter: Any, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "data", ["arc", "cross", "dot"], 1)
    found = cnnvis.run(
        "saliency", sorter, data=folder, layer="hidden", class_names=["arc", "cross", "dot", "x"]
    )
    assert found.title(1).splitlines()[:2] == ["#1 0.png label cross", "hidden[0]"]


# What chance gives


def _hits(table: Any) -> Hits:
    """As many images of each label and answer as the table says."""
    rows = np.asarray(table)
    labels, answers = (
        np.repeat(axis, rows.ravel()) for axis in map(np.ravel, np.indices(rows.shape))
    )
    return Hits.of_classes(labels, answers, len(rows))


def test_what_guessing_gives() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        hits = Hits.of_classes(rng.integers(0, 3, 90), rng.integers(0, 3, 90), 3)
        assert hits.better_order() is None  # no order of the classes makes sense of noise
        assert 0 <= hits.by_chance() <= 1
        several = Hits.of_several(rng.integers(0, 2, (40, 5)), rng.integers(0, 2, (40, 5)))
        assert several.better_order() is None
    assert _hits([[60, 0], [30, 0]]).is_guess() and _hits([[25, 25], [25, 25]]).is_guess()
    assert not _hits([[45, 5], [5, 45]]).is_guess() and not _hits([[97, 1], [1, 3]]).is_guess()
    assert not _hits([[90, 2], [0, 0]]).is_guess()  # images of one class say nothing
    assert not _hits([[2, 1], [1, 2]]).is_guess()  # nor do so few
    assert _hits([[1, 20, 0], [0, 1, 20], [20, 0, 1]]).better_order() == [1, 2, 0]
    assert _hits([[20, 1], [2, 20]]).better_order() is None
    assert _hits([[0, 1], [1, 0]]).better_order() is None  # two images prove nothing
    # Of two classes nothing is known, so which is which cannot be said.
    assert _hits(np.diag([0, 0, 30, 30])[[2, 3, 0, 1]]).better_order() is None
    labels = rng.integers(0, 2, (40, 4))
    assert Hits.of_several(labels, labels[:, [2, 0, 3, 1]]).better_order() == [1, 3, 0, 2]
    # The probability is that of the binomial distribution: 3 of 4 right at a half each.
    assert _hits([[2, 0], [1, 1]]).by_chance() == pytest.approx(5 / 16)


def test_the_doctor_tells_a_guess(keras: Any) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 8, 8, 3)) * 20 + 100, np.arange(90) % 3
    warning = cnnvis.doctor(_sorter(keras), data=(x, y)).warnings[0]
    assert "no more than by guessing" in warning
    assert "always answering the most frequent class makes 30 right" in warning


# What is typed


AWKWARD = ["3", "zebra crossing", "a=b 10"]


@pytest.fixture
def awkward(sorter: Any, tmp_path: Path) -> Path:
    sorter.save(tmp_path / "model.keras")
    _folder(tmp_path / "data", AWKWARD, 2)
    return tmp_path


BASE = ("model.keras", "-d", "data", "--class-names", *AWKWARD)


@pytest.mark.usefixtures("awkward")
@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.slow
def test_awkward_names_work_wherever_they_are_typed(
    typed: Typed, tmp_path: Path, name: str
) -> None:
    done = typed("run", "saliency", *BASE, "-bm", "none", "--class", name, "-im", f"label={name}", "-o", "a.npz")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = cnnvis.Explanation.load(tmp_path / "a.npz")
    assert found.target == f"output[{name}]" and len(found) == 2
    assert found.samples is not None and found.samples.label_name(0) == name
    other = next(one for one in AWKWARD if one != name)
    done = typed("chain", *BASE, "saliency", "-bm", "none", "average", "difference", "--of", name, other, "numpy", "-o", "b.npz")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert cnnvis.Explanation.load(tmp_path / "b.npz").groups == (f"{name} - {other}",)
    done = typed("chain", *BASE, "saliency", "-bm", "none", "select", "--label", name, "numpy", "-o", "c.npz")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(cnnvis.Explanation.load(tmp_path / "c.npz")) == 2
    done = typed("run", "get-labels", *BASE, "-im", f"predicted={name}", "right")
    assert done.returncode == 0 and done.stdout.count(name) >= 2, done.stderr


@pytest.mark.usefixtures("awkward")
@pytest.mark.parametrize(
    ("words", "advice"),
    quick_at(
        [1, 3],
        [
            (["run", "saliency", *BASE, "--class", "zebra"], "zebra crossing"),
            (["run", "saliency", *BASE, "-im", "label=zebra"], "zebra crossing"),
            (["run", "saliency", *BASE, "-im", "predicted=zebra"], "zebra crossing"),
            (["chain", *BASE, "saliency", "select", "--label", "zebra", "numpy"], "zebra crossing"),
        ],
    ),
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_the_name_that_an_error_offers_works(typed: Typed, words: list[str], advice: str) -> None:
    done = typed(*words)
    assert done.returncode == 2 and f"Did you mean {advice!r}?" in done.stderr, done.stderr
    again = typed(
        *(word.replace("zebra", advice) if word not in AWKWARD else word for word in words)
    )
    assert again.returncode == 0, again.stderr


@pytest.mark.usefixtures("awkward")
def test_the_groups_that_an_error_lists_can_be_typed(typed: Typed, tmp_path: Path) -> None:
    chain = ("chain", *BASE, "saliency", "-bm", "none", "average", "difference")
    done = typed(*chain, "numpy")
    found = re.search(r"there are 3 groups, (.*); choose two groups with --of A B", done.stderr)
    assert done.returncode == 2 and found is not None, done.stderr
    first, _, last = found[1].split(", ")
    done = typed(*chain, "--of", first, last, "numpy", "-o", "a.npz")
    assert done.returncode == 0, done.stderr
    assert cnnvis.Explanation.load(tmp_path / "a.npz").groups == (f"{first} - {last}",)


@pytest.mark.usefixtures("awkward")
@pytest.mark.slow
def test_the_option_that_the_doctor_offers_works(typed: Typed, keras: Any, tmp_path: Path) -> None:
    """With blanks and signs in names, and as it is typed in a shell."""
    _folder(tmp_path / "data", AWKWARD)
    _sorter(keras, (1, 2, 0)).save(tmp_path / "model.keras")
    (tmp_path / "data" / "3").rename(tmp_path / "data" / "it's 3")
    done = typed("doctor", "model.keras", "-d", "data")
    assert done.returncode == 0, done.stderr
    offered = re.search(r"18 of 18 labels are right .*(--class-names .*)", done.stdout)
    assert offered is not None, done.stdout
    again = typed("doctor", "model.keras", "-d", "data", *shlex.split(offered[1]))
    assert "right: 18 of 18 labels (100.0%)" in again.stdout and "warning" not in again.stdout
    done = typed("run", "saliency", "model.keras", "-d", "data", *shlex.split(offered[1]), "-im", "right")  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("awkward")
def test_both_orders_that_are_offered_can_be_typed(typed: Typed, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "numbers", ["2", "5", "10"])
    done = typed("run", "saliency", "model.keras", "-d", folder, "--class", "10")
    assert done.returncode == 2 and "no output 10" in done.stderr
    for offered in re.findall(r"--class-names ((?:\d+ ?)+)", done.stderr):
        again = typed("run", "saliency", "model.keras", "-d", folder, "--class", "10", "--class-names", *offered.split())  # fmt: skip
        assert again.returncode == 0, again.stderr
    assert len(re.findall(r"--class-names ((?:\d+ ?)+)", done.stderr)) == 2


@pytest.mark.usefixtures("awkward")
def test_names_of_settings_are_the_networks(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "cnnvis.toml").write_text(f"class_names = {AWKWARD!r}\n")
    done = typed("doctor", "model.keras", "-d", "data")
    assert "right: 6 of 6 labels (100.0%)" in done.stdout, done.stdout
    done = typed("doctor", "model.keras", "-d", "data", "--class-names", "x", "y", "z")
    assert done.returncode == 2 and "'3', 'a=b 10', 'zebra crossing'" in done.stderr
