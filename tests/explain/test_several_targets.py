"""Several targets of an image: each has its own map, which is that of a run with this target alone."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from quick import quick_at

import cnnvis
from cnnvis.drawing.console import Screen
from cnnvis.registry.discovery import Registry, registry, using
from cnnvis.registry.plugin import BUILT_IN, plugin_of
from cnnvis.renderers._page import Page, Sizes
from cnnvis.testing.networks import data_of, shape_of, small_network

Typed = Callable[..., "subprocess.CompletedProcess[str]"]

X = np.random.default_rng(0).normal(size=(7, 12, 10, 2)).astype(np.float32)
Y = np.arange(7) % 3
NAMES = ("ape", "bee", "cow")
PLAIN: Any = {"backprop": None}


@pytest.fixture(scope="module")
def data() -> cnnvis.Samples:
    return cnnvis.Samples(X, Y, class_names=NAMES)


def _facts(found: cnnvis.Explanation) -> list[tuple[int, str, float]]:
    assert found.indices is not None
    return [
        (int(index), str(target), target.score or 0.0)
        for index, target in zip(found.indices, found.targets, strict=True)
    ]


# Each map is that of its target alone


@pytest.mark.parametrize(
    ("technique", "axes", "first"),
    quick_at(
        [0, 4],
        [
            ("saliency", 2, False),
            ("saliency", 1, False),
            ("saliency", 3, False),
            ("saliency", 2, True),
            ("grad-cam", 1, False),
            ("grad-cam", 2, False),
            ("integrated-gradients", 2, False),
            ("smoothgrad", 2, False),
            ("gradient-times-input", 3, False),
        ],
    ),
)
def test_the_map_of_a_class_is_that_of_a_run_with_this_class_alone(
    technique: str, axes: int, first: bool
) -> None:
    """To the byte, in the order that was asked for, also if some class is meant twice."""
    network, x = small_network(axes, first=first, seed=3), data_of(shape_of(axes, first=first), 5)
    with cnnvis.computing(compile="graph", batch_size=4):
        found = cnnvis.run(technique, network, data=x, filter=[2, 0, 1, "2"])
        largest = cnnvis.run(technique, network, data=x, top=2)
        alone = [cnnvis.run(technique, network, data=x, filter=number) for number in range(3)]
    assert found.indices is not None and found.indices.tolist() == np.repeat(range(5), 3).tolist()
    scores = np.array([[target.score for target in one.targets] for one in alone])
    for place, number in enumerate((2, 0, 1)):
        rows = slice(place, None, 3)
        assert found.array[rows].tobytes() == alone[number].array.tobytes()
        assert found.targets[rows] == alone[number].targets
        np.testing.assert_array_equal(found.inputs[rows], x)  # type: ignore[index]
    # The largest first, whatever the class is of each image.
    order = np.argsort(-scores, axis=0)[:2].T
    assert len({tuple(one) for one in order.tolist()}) > (axes < 3)
    assert [target.filters[0] for target in largest.targets] == order.ravel().tolist()
    for row, number in enumerate(order.ravel()):
        assert largest.array[row].tobytes() == alone[number].array[row // 2].tobytes()
        assert largest.targets[row] == alone[number].targets[row // 2]


def test_in_batches_each_image_is_read_once(
    classifier: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class Source:
        shape, dtype = X.shape, X.dtype

        def __getitem__(self, index: Any) -> Any:
            rows = np.arange(7)[index]
            read.extend(rows.tolist())
            return X[rows]

    whole = cnnvis.run("saliency", classifier, data=X, filter=[2, 1])
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 2)
    parts = cnnvis.run("saliency", classifier, data=cnnvis.Samples(Source()), filter=[2, 1])
    assert read == list(range(7))
    np.testing.assert_allclose(parts.array, whole.array, rtol=1e-4, atol=1e-7)
    assert [one[:2] for one in _facts(parts)] == [one[:2] for one in _facts(whole)]
    assert parts.provenance["data"]["images"] == list(range(7))
    assert parts.provenance["model"]["each"] and parts.provenance["model"]["filters"] == [2, 1]


def test_together_adds_scores_up(classifier: Any) -> None:
    """As a model with several filters does, and as a sum of outputs does, which is one target."""
    given: Any = {"data": X, "backprop": None}
    both = cnnvis.run("saliency", classifier, filter=[0, 2], together=True, **given)
    model = cnnvis.run("saliency", cnnvis.Model(classifier, filters=[0, 2]), **given)
    total = cnnvis.run("saliency", classifier, layer="classes[0]+classes[2]", **given)
    for one in (model, total):
        assert len(one) == len(both) == 7
        np.testing.assert_array_equal(one.array, both.array)
    assert str(both.targets[0]) == "classes[0]+classes[2]"
    apart = cnnvis.run("saliency", classifier, filter=[0, 2], **given)
    said = "there is a map for each of 2 classes; --together (together=True) adds their scores up"
    assert [said in note for note in apart.notes].count(True) == 1
    assert not any(said in note for note in both.notes)


@pytest.mark.slow
def test_pictures_of_outputs_know_the_same_word(classifier: Any) -> None:
    given: Any = {"layer": "second", "filter": [0, 1], "iterations": 2, "input_range": (0.0, 1.0)}
    apart = cnnvis.run("activation-max", classifier, **given)
    both = cnnvis.run("activation-max", classifier, together=True, **given)
    (step,) = cnnvis.chain(
        classifier,
        [("activation-max", {"iterations": 2, "input_range": (0.0, 1.0), "together": True})],
        layer="second", filter=[0, 1],
    )  # fmt: skip
    assert len(apart) == 2 and len(both) == len(step) == 1
    np.testing.assert_array_equal(both.array, step.array)
    with pytest.raises(cnnvis.UserError, match="gives a result for each output, and does not add"):
        cnnvis.run("filter-weights", classifier, layer="first", filter=[0, 1], together=True)
    with pytest.raises(cnnvis.UserError, match="this technique gives no map for each image"):
        cnnvis.run("activation-max", classifier, top=2)


# Which classes have the largest scores


def _ending(keras: Any, units: int, activation: str | None, loss: str | None = None) -> Any:
    x = keras.Input((6, 1))
    h = keras.layers.Conv1D(2, 3, padding="same", activation="relu")(x)
    h = keras.layers.Flatten()(h)
    network = keras.Model(x, keras.layers.Dense(units, activation, name="output")(h))
    if loss is not None:
        network.compile(loss=loss)
    return network


LINES = np.random.default_rng(3).normal(size=(6, 6, 1)).astype(np.float32)


@pytest.mark.slow
def test_one_sigmoid_has_two_classes(keras: Any) -> None:
    keras.utils.set_random_seed(5)
    network = _ending(keras, 1, "sigmoid")
    *others, bias = network.get_weights()
    middle = np.median(cnnvis.Model(network).outputs(LINES))
    network.set_weights([*others, bias - middle])  # so that the images have either class
    found = cnnvis.run("saliency", network, data=LINES, top=2, gradient=None, **PLAIN)
    answers = (network.predict(LINES, verbose=0)[:, 0] > 0.5).astype(int)
    assert 0 < answers.sum() < 6
    assert [one.filters[0] for one in found.targets[::2]] == answers.tolist()
    assert [one.filters[0] for one in found.targets[1::2]] == (1 - answers).tolist()
    np.testing.assert_array_equal(found.array[::2], -found.array[1::2])
    apart = cnnvis.run("saliency", network, data=LINES, filter=[0, 1], gradient=None, **PLAIN)
    np.testing.assert_array_equal(apart.array[::2], -apart.array[1::2])
    assert [one.filters[0] for one in apart.targets] == [0, 1] * 6
    with pytest.raises(cnnvis.UserError, match="top asks for 3 classes, and 'output' has 2"):
        cnnvis.run("saliency", network, data=LINES, top=3)


def test_of_equal_scores_the_first_class_is_larger(keras: Any) -> None:
    network = _ending(keras, 3, "softmax")
    kernel, bias = network.get_weights()[2:]
    kernel[:, 1] = kernel[:, 2]
    network.set_weights([*network.get_weights()[:2], kernel, bias])
    found = cnnvis.run("saliency", network, data=LINES, top=3, **PLAIN)
    for image in range(6):
        order = [one.filters[0] for one in found.targets[3 * image : 3 * image + 3]]
        assert order.index(1) == order.index(2) - 1
    first = cnnvis.run("saliency", network, data=LINES, **PLAIN)
    assert [one.filters for one in found.targets[::3]] == [one.filters for one in first.targets]


def test_classes_of_positions_are_ranked_by_their_mean(keras: Any) -> None:
    """Over the region that is explained, if there is one."""
    keras.utils.set_random_seed(1)
    x = keras.Input((12, 1))
    h = keras.layers.Conv1D(4, 3, padding="same", activation="relu")(x)
    network = keras.Model(x, keras.layers.Conv1D(3, 1, activation="softmax", name="output")(h))
    lines = np.random.default_rng(2).normal(size=(4, 12, 1)).astype(np.float32)
    for region in (None, ["2:5"]):
        found = cnnvis.run("saliency", network, data=lines, top=3, region=region, **PLAIN)
        units = cnnvis.Model(network).outputs(lines)[:, slice(2, 5) if region else slice(None)]
        order = np.argsort(-units.mean(axis=1), axis=1)
        assert [one.filters[0] for one in found.targets] == order.ravel().tolist()
        for row, number in enumerate(order.ravel()):
            alone = cnnvis.run(
                "saliency", network, data=lines, filter=int(number), region=region, **PLAIN
            )
            np.testing.assert_allclose(found.array[row], alone.array[row // 3], rtol=1e-5)


@pytest.mark.slow
def test_several_labels_and_several_outputs_have_their_own_classes(keras: Any) -> None:
    keras.utils.set_random_seed(4)
    several = _ending(keras, 4, "sigmoid")
    labels = np.random.default_rng(1).integers(0, 2, (6, 4))
    found = cnnvis.run("saliency", several, data=(LINES, labels), top=2, **PLAIN)
    order = np.argsort(-several.predict(LINES, verbose=0), axis=1)[:, :2]
    assert [one.filters[0] for one in found.targets] == order.ravel().tolist()
    x = keras.Input((6, 1))
    h = keras.layers.Flatten()(keras.layers.Conv1D(2, 3, activation="relu")(x))
    ends = [keras.layers.Dense(n, "softmax", name=name)(h) for n, name in ((2, "a"), (5, "b"))]
    both = keras.Model(x, ends)
    found = cnnvis.run("saliency", both, data=LINES, output="b", top=4, **PLAIN)
    assert len(found) == 24 and {one.layer for one in found.targets} == {"b"}
    order = np.argsort(-both.predict(LINES, verbose=0)[1], axis=1)[:, :4]
    assert [one.filters[0] for one in found.targets] == order.ravel().tolist()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"top": 2}, "the outputs of 'output' are not known to be classes"),
        ({"top": 2, "class_names": NAMES, "filter": 1}, "names its outputs: leave out one"),
        ({"top": 2, "class_names": NAMES, "layer": "output:1"}, "names its outputs: leave out one"),
        ({"top": 2, "class_names": NAMES, "layer": "output[ape]-output[bee]"}, "names its outputs"),
        ({"top": 2, "class_names": NAMES, "together": True}, "adds scores up: leave out one"),
        ({"top": 4, "class_names": NAMES}, "top asks for 4 classes, and 'output' has 3"),
        ({"top": 0, "class_names": NAMES}, "top is 0"),
        ({"filter": ["ape", "emu"], "class_names": NAMES}, "there is no class 'emu'"),
        ({"filter": [0, 7]}, "has no output 7"),
    ],
)
def test_what_cannot_be_is_refused(keras: Any, asked: Any, said: str) -> None:
    with pytest.raises(cnnvis.UserError, match=said):
        cnnvis.run("saliency", _ending(keras, 3, None), data=LINES, **asked)


def test_a_regression_has_no_largest_classes(keras: Any) -> None:
    network = _ending(keras, 3, None, loss="mse")
    with pytest.raises(cnnvis.UserError, match="not known to be classes, so none of them is"):
        cnnvis.run("saliency", network, data=LINES, top=1)
    found = cnnvis.run("saliency", network, data=LINES, filter=[0, 2])
    assert len(found) == 12 and any("for each of 2 outputs" in note for note in found.notes)


# Images that fail, other inputs, other processes


def test_an_image_has_all_its_maps_or_none(classifier: Any) -> None:
    broken = X.copy()
    broken[[1, 4], 0, 0, 0] = np.nan

    @cnnvis.technique("some")
    def some(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Fail at image 3 for class 1, and give no number for image 5 for class 2."""
        (number,) = model.filters or ()
        maps = np.array(model.input_gradient(samples.x))
        if number == 1 and 3 in samples.indices:
            raise cnnvis.UserError("three has no class 1")
        maps[(samples.indices == 5) & (number == 2)] = np.nan
        return cnnvis.Explanation(maps, samples)

    marked, known = plugin_of(some), Registry()
    assert marked is not None
    known.add(replace(marked, distribution=BUILT_IN))  # of others, NaN is a mistake
    with using(known):
        found = cnnvis.run("some", classifier, data=broken, filter=[2, 1])
    assert [one[:2] for one in _facts(found)] == [
        (image, f"classes[{number}]") for image in (0, 2, 6) for number in (2, 1)
    ]
    assert any("image 1, 4 was left out: NaN" in note for note in found.notes)
    assert any("image 3 was left out: three has no class 1" in note for note in found.notes)
    assert any(note.startswith("image 5 was left out:") for note in found.notes)


def test_a_blank_map_is_named_with_its_target(classifier: Any) -> None:
    @cnnvis.technique("blank")
    def blank(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Show nothing of class 1."""
        maps = np.array(model.input_gradient(samples.x))
        return cnnvis.Explanation(maps * (model.filters != (1,)), samples)

    marked, known = plugin_of(blank), Registry()
    assert marked is not None
    known.add(marked)
    with using(known):
        found = cnnvis.run("blank", classifier, data=X[:2], filter=[1, 2])
    assert any(
        "zero everywhere in 2 of 4 maps (0 for classes[1], 1 for classes[1])" in note
        for note in found.notes
    )


def test_each_input_of_a_network_has_maps_of_each_class() -> None:
    network = small_network(2, inputs=2, seed=3)
    both = {"input_0": data_of(shape_of(2), seed=5), "input_1": data_of(shape_of(2), seed=6)}
    found = cnnvis.run("saliency", network, data=both, filter=[2, 0])
    alone = cnnvis.run("saliency", network, data=both, filter=0)
    for one, other in ((found, alone), (found.other_inputs[0], alone.other_inputs[0])):
        assert _facts(one)[1::2] == _facts(other)
        np.testing.assert_allclose(one.array[1::2], other.array, rtol=1e-5, atol=1e-8)


@pytest.mark.slow
@pytest.mark.usefixtures("wrong_plugins")
def test_an_isolated_technique_gives_the_same(classifier: Any, data: cnnvis.Samples) -> None:
    for asked in ({"filter": ["cow", "ape"]}, {"top": 2}):
        here = cnnvis.run("acts", classifier, data=data, **asked)
        there = cnnvis.run("acts", classifier, data=data, isolate=True, **asked)
        np.testing.assert_allclose(there.array, here.array, rtol=1e-4, atol=1e-6)
        assert [one[:2] for one in _facts(there)] == [one[:2] for one in _facts(here)]


# Checks and metrics


@pytest.mark.slow
def test_metrics_are_those_of_each_target_alone(classifier: Any, data: cnnvis.Samples) -> None:
    """Whether they ask the network, the technique, or only look; several maps of an image are no
    independent witnesses, so the images of each target are judged by themselves."""
    names = ("srg", "class-sensitivity", "max-sensitivity", "sparseness", "deletion")
    given: Any = {"data": data, "metrics": names, "backprop": None}
    found = cnnvis.run("saliency", classifier, filter=[2, 0], **given)
    largest = cnnvis.run("saliency", classifier, top=2, **given)
    alone = [cnnvis.run("saliency", classifier, filter=number, **given) for number in range(3)]
    for name in (*names, "srg_edges", "class-sensitivity_reason"):
        for place, number in enumerate((2, 0)):
            np.testing.assert_allclose(
                found.measures[name][place::2], alone[number].measures[name], rtol=1e-4
            )
        for row, target in enumerate(largest.targets):
            np.testing.assert_allclose(
                largest.measures[name][row], alone[target.filters[0]].measures[name][row // 2],
                rtol=1e-4,
            )  # fmt: skip
    of, _, meaning = found.verdicts["srg"].meaning.partition(": ")
    assert of in ("1 of 2 targets, such as classes[cow]", "2 of 2 targets, such as classes[cow]",
                  "1 of 2 targets, such as classes[ape]")  # fmt: skip
    assert "7 images" in meaning
    assert meaning in {alone[number].verdicts["srg"].meaning for number in (0, 2)}
    assert "such as class number" in largest.verdicts["srg"].meaning


@pytest.mark.slow
def test_checks_look_at_one_map_of_each_image(classifier: Any, data: cnnvis.Samples) -> None:
    few = cnnvis.run("saliency", classifier, data=data[:4], filter=[2, 0, 1], checks="full")
    assert "of 4 images: at least five are needed" in few.verdicts["srg"].meaning
    assert "(one map of each of 4 of 4 images was checked" in few.verdicts["srg"].meaning
    assert [one["images"] for one in few.provenance["checks"] if one.get("means")] == [4] * 5
    (chained,) = cnnvis.chain(classifier, [("saliency", {}), "absolute"], data=data[:4],
                              filter=[2, 0, 1], checks="full")  # fmt: skip
    assert chained.verdicts == few.verdicts


def test_the_largest_class_alone_is_a_target_too(keras: Any) -> None:
    """Of one sigmoid it is the class that the network answers, and not class 1 for every image."""

    @cnnvis.metric("again")
    def again(
        explanation: cnnvis.Explanation, model: cnnvis.Model, explainer: cnnvis.Explainer
    ) -> Any:
        """How far the technique's map, the model's score and the explanation are apart."""
        assert explanation.samples is not None
        maps = explainer.maps(explanation.samples)
        same = explainer.model.scores(explanation.samples.x)
        scores = model.scores(explanation.samples.x)
        told = [target.score for target in explanation.targets]
        return abs(maps - explanation.array).max(axis=1) + abs(scores - told) + abs(same - told)

    keras.utils.set_random_seed(5)
    network = _ending(keras, 1, "sigmoid")
    marked, known = plugin_of(again), Registry()
    assert marked is not None
    known.add(marked)
    with using(known):
        for asked in ({"top": 1}, {"top": 2}, {"filter": [0, 1]}):
            found = cnnvis.run("saliency", network, data=-LINES, metrics="again",
                               gradient=None, **asked, **PLAIN)  # fmt: skip
            np.testing.assert_allclose(found.measures["again"], 0, atol=1e-6)


# What is done with the maps


def test_the_maps_of_one_target_are_found(classifier: Any, data: cnnvis.Samples) -> None:
    found = cnnvis.run("saliency", classifier, data=data, filter=["cow", "ape"])
    for name in (2, "2", "cow", "classes[cow]"):
        one = found.for_target(name)
        assert {str(target) for target in one.targets} == {"classes[cow]"}
        np.testing.assert_array_equal(one.array, found.array[::2])
    said = r"no map of the target 'bee'; there are maps of: classes\[cow\], classes\[ape\]"
    with pytest.raises(cnnvis.UserError, match=said):
        found.for_target("bee")
    swapped = cnnvis.run("saliency", classifier, data=X, filter=[0, 1], class_names=["1", "0", "2"])
    assert {one.filters for one in swapped.for_target("1").targets} == {(0,)}  # a name
    assert {one.filters for one in swapped.for_target(1).targets} == {(1,)}  # a number
    both = cnnvis.run("saliency", classifier, data=data, filter=[2, 0], together=True)
    with pytest.raises(cnnvis.UserError, match="no map of the target 'cow'"):
        both.for_target("cow")
    (chosen,) = cnnvis.chain(
        classifier, ["saliency", ("select", {"target": "ape"})], data=data, filter=[2, 0]
    )
    np.testing.assert_array_equal(chosen.array, found.array[1::2])


def test_a_file_keeps_them(classifier: Any, data: cnnvis.Samples, tmp_path: Path) -> None:
    found = cnnvis.run("saliency", classifier, data=data, filter=[2, 0])
    found.save(tmp_path / "maps.npz")
    again = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert _facts(again) == _facts(found) and again.has_several_targets
    np.testing.assert_array_equal(again.for_target("ape").array, found.array[1::2])
    comparison = cnnvis.compare(found.for_target("ape"), tmp_path / "maps.npz")
    assert len(comparison.first) == 7 and comparison.in_all["largest"] == 0
    with pytest.raises(cnnvis.UserError, match="no image and target in common"):
        cnnvis.compare(found.for_target("ape"), again.for_target("cow"))


def test_groups_hold_maps_of_one_target(classifier: Any, data: cnnvis.Samples) -> None:
    given: Any = {"data": data, "filter": [2, 0]}
    maps = cnnvis.run("saliency", classifier, **given)
    (found,) = cnnvis.chain(classifier, ["saliency", "average"], **given)
    assert found.groups == tuple(
        f"{name}, classes[{of}]" for name in NAMES for of in ("ape", "cow")
    )
    assert [str(target) for target in found.targets] == ["classes[ape]", "classes[cow]"] * 3
    assert found.titles[0] == "mean of ape, classes[ape] (3 images)"
    rows = np.arange(14)
    for row, (label, place) in enumerate((label, place) for label in range(3) for place in (1, 0)):
        own = (rows % 2 == place) & (np.repeat(Y, 2) == label)
        np.testing.assert_allclose(found.array[row], maps.array[own].mean(axis=0), rtol=1e-5)
    assert not any("maps of several targets" in note for note in found.notes)
    (table,) = cnnvis.chain(classifier, ["saliency", ("count", {"by": "all"})], **given)
    assert table.table == {"group": ["all, classes[ape]", "all, classes[cow]"], "images": [7, 7]}
    steps: list[Any] = ["saliency", ("average", {"by": "all"}), "difference"]
    (apart,) = cnnvis.chain(classifier, steps, **given)
    assert apart.groups == ("all, classes[cow] - all, classes[ape]",)
    assert apart.targets[0].filters == ()


def test_groups_of_others_are_not_given_maps_of_several_targets(
    classifier: Any, data: cnnvis.Samples
) -> None:
    @cnnvis.transform("mine", takes=["images"], gives="groups")
    def mine(explanation: cnnvis.Explanation) -> cnnvis.Explanation:
        """Take the mean of all."""
        maps = explanation.array.mean(axis=0, keepdims=True)
        return cnnvis.Explanation(maps, groups=("all",), targets=explanation.targets[:1])

    marked, known = plugin_of(mine), Registry()
    assert marked is not None
    known.add(marked)
    given: Any = {"data": data, "filter": [2, 0]}
    with using(known):
        with pytest.raises(cnnvis.UserError, match="which it would mix: put select --target"):
            cnnvis.chain(classifier, ["saliency", "mine"], **given)
        steps: list[Any] = ["saliency", ("select", {"target": "ape"}), "mine"]
        (found,) = cnnvis.chain(classifier, steps, **given)
    assert found.target == "classes[ape]"


def test_two_results_are_joined_by_image_and_target(classifier: Any, data: cnnvis.Samples) -> None:
    given: Any = {"data": data, "filter": [2, 0]}
    parts = [cnnvis.run(name, classifier, **given) for name in ("saliency", "grad-cam")]
    (found,) = cnnvis.chain(classifier, ["saliency", "grad-cam", "multiply"], **given)
    np.testing.assert_allclose(found.array, parts[0].array * parts[1].array, rtol=1e-5)
    cow, ape = (("select", {"target": name}) for name in ("cow", "ape"))
    with pytest.raises(cnnvis.UserError, match="of different images and targets"):
        cnnvis.chain(classifier, ["saliency", cow, "grad-cam", ape, "multiply"], **given)


def test_a_table_has_a_row_for_each_map(classifier: Any, data: cnnvis.Samples) -> None:
    (found,) = cnnvis.chain(
        classifier, ["saliency", "sparseness", "table"], data=data, images=[3, 1], top=2
    )
    assert found.table is not None
    maps = cnnvis.run("saliency", classifier, data=data, images=[3, 1], top=2)
    assert found.table["image"] == [3, 3, 1, 1]
    assert found.table["target"] == [str(target) for target in maps.targets]
    assert found.table["label"] == ["ape", "ape", "bee", "bee"]


# Run folders


def test_a_run_folder_keeps_them(classifier: Any, data: cnnvis.Samples, tmp_path: Path) -> None:
    broken = X.copy()
    broken[2, 0, 0, 0] = np.inf
    given: Any = {"data": cnnvis.Samples(broken, Y, class_names=NAMES), "top": 2, "shard_size": 3}
    whole = cnnvis.run("saliency", classifier, into=tmp_path / "whole", **given)
    plain = cnnvis.run("saliency", classifier, **{**given, "shard_size": None})
    assert [one[:2] for one in _facts(whole)] == [one[:2] for one in _facts(plain)]
    np.testing.assert_allclose(whole.array, plain.array, rtol=1e-4, atol=1e-6)
    held = zarr.open_group(tmp_path / "whole" / "1-saliency", mode="r")
    assert held["index"][:].tolist() == np.repeat(range(7), 2).tolist()
    good = held["status"][:] == 0
    assert held["class"][:][good].tolist() == [one.filters[0] for one in whole.targets]
    table = None
    for share in ("1/2", "2/2"):
        table = cnnvis.run("saliency", classifier, into=tmp_path / share[0], shard=share, **given)
    assert table is not None and table.table is not None
    assert (table.table["images"], table.table["failed"]) == ([3], [0])
    cnnvis.merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    maps = {
        where: [one.read_bytes() for one in sorted((tmp_path / where).rglob("maps/c.*"))]
        for where in ("whole", "merged")
    }
    assert maps["whole"] == maps["merged"] and len(maps["whole"]) == 3
    again = cnnvis.run("saliency", classifier, into=tmp_path / "merged", resume=True, **given)
    np.testing.assert_array_equal(again.array, whole.array)
    assert _facts(again) == _facts(whole) and again.notes == whole.notes
    for asked in ({"top": 3}, {"top": None}, {"top": None, "filter": [0, 1]}):
        with pytest.raises(cnnvis.UserError, match="holds another run"):
            cnnvis.run("saliency", classifier, into=tmp_path / "whole", resume=True,
                       **{**given, **asked})  # fmt: skip


# What is typed and what is drawn


@pytest.mark.slow
def test_what_is_typed(typed: Typed, tmp_path: Path) -> None:
    run = ("run", "saliency", "demo", "--images", 0, 2, "--checks", "none")
    shown = typed(*run, "--class", "sweep", "neutral", "-r", "terminal").stdout
    rows = [line.split()[:3] for line in shown.splitlines() if line.startswith(("0 ", "2 "))]
    assert [row for row in rows if len(row) > 2 and row[1] == "sweep"] == [
        [image, "sweep", f"output[{name}]"] for image in "02" for name in ("sweep", "neutral")
    ]
    done = typed(*run, "--top", 2, "-o", "two.npz", "--save-chain", "chain.toml")
    assert done.returncode == 0
    assert len(cnnvis.Explanation.load(tmp_path / "two.npz")) == 4
    assert "top = 2" in (tmp_path / "chain.toml").read_text()
    assert "--top 2" in typed("chain", "--file", "chain.toml", "--as", "shell").stdout
    both = ("chain", "demo", "--class", 0, 1, "--together", "saliency")
    assert "together = true" in typed(*both, "--as", "toml").stdout
    assert "--together" in typed(*both, "--as", "shell").stdout
    refused = typed("evaluate", "saliency", "demo", "--class", 0, 1)
    assert refused.returncode == 2 and "one map of each image, and 2 outputs" in refused.stderr
    said = typed("compare", "saliency", "--backprop", "none", "saliency", "demo", "--images", 0,
                 "--class", 0, 1).stdout  # fmt: skip
    assert "output[neutral]" in said and "output[sweep]" in said
    ascent = ("run", "activation-max", "demo", "-l", "conv2", "--filter", 0, 1, "--iterations", 1)
    assert "conv2_0+1" in typed(*ascent, "--together", "--input-range", 0, 20).stdout


def test_an_input_is_drawn_once(classifier: Any, data: cnnvis.Samples) -> None:

    found = cnnvis.run("saliency", classifier, data=data[:3], top=3)
    pairs = cnnvis.panels(found)
    assert [pair.is_first for pair in pairs] == [True, False, False] * 3
    titles = [pair.map.title for pair in pairs]
    sizes = Sizes(columns=8, width=1.9, dpi=100, widest=60, windows=3, stretch=1)
    page = Page(found, pairs, titles, sizes, inputs_above=True, own_scales=False)
    assert [page.has_input(number) for number in range(9)] == [True, False, False] * 3
    assert [page._cells[number, "map"] for number in range(9)] == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert [page._cells[number, "input"] for number in (0, 3, 6)] == [0, 4, 8]
    assert page._titles[0] == ["#0 label ape"]
    assert page._titles[2] == [str(found.targets[1]), found.targets[1].score_text]
    three = replace(sizes, columns=3)
    narrow = Page(found, pairs, titles, three, inputs_above=True, own_scales=False)
    starts = [narrow._cells[number, "input"] for number in (0, 3, 6)]
    assert starts == [0, 6, 12]  # a line of its own for each image that must be broken
    screen = Screen(file=io.StringIO(), width=100, color_system=None)
    registry().get("renderer", "terminal").function(found[:3], screen, columns=4)
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].count("#0") == 3
    width = (100 - 2 * 2) // 3 + 2
    assert lines[4][:width].strip() and not lines[4][width:].strip()
