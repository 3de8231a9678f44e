"""A prediction is what the network answers, whatever is explained of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.execution.transfer import pack_explanation, unpack_explanation
from cnnvis.explain import task
from cnnvis.registry.discovery import Registry, using
from cnnvis.registry.plugin import plugin_of

Typed = Callable[..., Any]
ANSWERS = np.array([0, 1, 2, 1, 1, 2, 2])
X = np.repeat(np.eye(3, dtype=np.float32)[ANSWERS][:, None], 4, axis=1) + 0.1
LABELS = np.zeros(7, int)
DATA = cnnvis.Samples(X, LABELS, class_names=("ape", "bee", "cow"))
PLAIN: dict[str, Any] = {"backprop": None}


@pytest.fixture(autouse=True)
def in_threes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 3)


@pytest.fixture(scope="module")
def three(keras: Any) -> Any:
    """A network whose class is the largest of three channels."""
    layers = keras.layers
    inputs = layers.Input((4, 3))
    hidden = layers.Conv1D(3, 1, activation="relu", name="hidden")(inputs)
    mean = layers.GlobalAveragePooling1D(name="mean")(hidden)
    network = keras.Model(inputs, layers.Dense(3, "softmax", name="output")(mean))
    network.set_weights([np.eye(3)[None], np.zeros(3), 4 * np.eye(3), np.zeros(3)])
    return network


@pytest.fixture(scope="module")
def one(keras: Any) -> Any:
    """A network with one sigmoid, above 0.5 where the third channel is large."""
    layers = keras.layers
    inputs = layers.Input((4, 3))
    mean = layers.GlobalAveragePooling1D(name="mean")(inputs)
    network = keras.Model(inputs, layers.Dense(1, "sigmoid", name="output")(mean))
    network.set_weights([np.array([[0.0], [0], [1]]), np.array([-0.5])])
    return network


def _means(maps: Any, groups: Any) -> dict[int, Any]:
    return {int(k): maps[groups == k].mean(axis=0) for k in np.unique(groups)}


@pytest.mark.parametrize(
    "target",
    [{}, {"filter": "cow"}, {"filter": [0, 1], "together": True}, {"layer": "hidden", "filter": 2}, {"layer": "output:ape"},
     {"layer": "output[cow]-output[ape]"}],
    ids=str,
)  # fmt: skip
def test_groups_are_what_the_network_answers(three: Any, target: Any) -> None:
    maps = cnnvis.run("saliency", three, data=DATA, **target, **PLAIN).array
    steps: list[Any] = [("saliency", PLAIN), ("average", {"by": "prediction"})]
    (found,) = cnnvis.chain(three, steps, data=DATA, **target)
    assert found.groups == ("ape", "bee", "cow")
    assert found.titles == tuple(
        f"mean of {name} ({count} image{'s' if count > 1 else ''})" for name, count in zip(("ape", "bee", "cow"), (1, 3, 3), strict=True)
    )  # fmt: skip
    for mean, expected in zip(found.array, _means(maps, ANSWERS).values(), strict=True):
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-7)
    (counted,) = cnnvis.chain(three, [("saliency", PLAIN), ("count", {"by": "prediction"})], data=DATA, **target)  # fmt: skip
    assert counted.table == {"group": ["ape", "bee", "cow"], "images": [1, 3, 3]}


def test_one_sigmoid_has_two_groups(one: Any) -> None:
    """Above 0.5 and not above, though all images are explained by the same unit."""
    expected = (ANSWERS == 2).astype(int)
    steps: list[Any] = [("saliency", PLAIN), ("average", {"by": "prediction"})]
    for names, groups in (((("no", "yes")), ("no", "yes")), (None, ("0", "1"))):
        data = cnnvis.Samples(X, LABELS, class_names=names)
        (found,) = cnnvis.chain(one, steps, data=data)
        assert found.groups == groups
        assert [title.split("(")[1] for title in found.titles] == ["4 images)", "3 images)"]
    whole = cnnvis.run("saliency", one, data=X, **PLAIN)
    assert whole.predictions is not None and whole.predictions.tolist() == expected.tolist()
    assert whole.predictions.dtype == np.int64


def test_no_pass_is_spent_on_predictions(three: Any, passes: list[int]) -> None:
    """The target's own units tell, or nobody asked."""
    for target in ({}, {"filter": 1}):
        passes.clear()
        found = cnnvis.run("saliency", three, data=DATA, **target, **PLAIN)
        assert passes == [3, 3, 1]
        assert found.predictions is not None and found.predictions.tolist() == ANSWERS.tolist()
        passes.clear()
        cnnvis.chain(
            three, [("saliency", PLAIN), ("average", {"by": "prediction"})], data=DATA, **target
        )
        assert passes == [3, 3, 1]
    passes.clear()
    found = cnnvis.run("saliency", three, data=DATA, layer="hidden", **PLAIN)
    assert passes == [3, 3, 1] and found.predictions is None
    passes.clear()
    cnnvis.chain(three, [("saliency", PLAIN), "average"], data=DATA, layer="hidden")
    assert passes == [3, 3, 1]
    passes.clear()
    cnnvis.chain(three, [("saliency", PLAIN), ("average", {"by": "prediction"})], data=DATA, layer="hidden")  # fmt: skip
    assert passes == [3, 3, 3, 3, 1, 1]


def test_predictions_are_kept(three: Any, tmp_path: Path) -> None:
    found = cnnvis.run("saliency", three, data=DATA, **PLAIN)
    some = found[[5, 0]]
    assert some.predictions is not None and some.predictions.tolist() == [2, 0]
    joined = cnnvis.Explanation.joined([some, found[[1]]])
    assert joined.predictions is not None and joined.predictions.tolist() == [2, 0, 1]
    found.save(tmp_path / "saved.npz")
    loaded = cnnvis.Explanation.load(tmp_path / "saved.npz")
    np.testing.assert_array_equal(loaded.predictions, ANSWERS)
    pack_explanation(found, tmp_path / "parcel")
    np.testing.assert_array_equal(unpack_explanation(tmp_path / "parcel").predictions, ANSWERS)
    smooth = cnnvis.chain(three, [("saliency", PLAIN), "smooth"], data=DATA)[0]
    np.testing.assert_array_equal(smooth.predictions, ANSWERS)
    (mean,) = cnnvis.chain(three, [("saliency", PLAIN), "average"], data=DATA)
    assert mean.predictions is None
    with pytest.raises(TypeError, match="2 maps but 1 predictions"):
        cnnvis.Explanation(np.zeros((2, 3)), cnnvis.Samples(X[:2]), predictions=[1])


@pytest.mark.parametrize("layer", [None, "hidden"])
def test_run_folders_keep_them_or_find_them_out_again(
    three: Any, tmp_path: Path, layer: str | None
) -> None:
    zarr = pytest.importorskip("zarr")
    settings: dict[str, Any] = {"data": DATA, "layer": layer, "shard_size": 3}
    steps: list[Any] = [("saliency", PLAIN), ("average", {"by": "prediction"})]
    cnnvis.run("saliency", three, into=tmp_path / "kept", **settings, **PLAIN)
    held = zarr.open_group(tmp_path / "kept" / "1-saliency", mode="r")
    assert ("prediction" in held) is (layer is None)
    if layer is None:
        assert held["prediction"][:].tolist() == ANSWERS.tolist()
    # The same folder, whichever of both began it.
    cnnvis.chain(three, steps, into=tmp_path / "chained", **settings)
    bytes_of = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file() and path.name != "lock"}
        for name in ("kept", "chained")
    ]  # fmt: skip
    assert bytes_of[0] == bytes_of[1]
    (found,) = cnnvis.chain(three, steps, into=tmp_path / "kept", resume=True, **settings)
    (plain,) = cnnvis.chain(three, steps, data=DATA, layer=layer)
    assert found.titles == plain.titles == ("mean of ape (1 image)", "mean of bee (3 images)", "mean of cow (3 images)")  # fmt: skip
    np.testing.assert_allclose(found.array, plain.array, rtol=1e-5)


def test_folders_of_before_have_none(three: Any, tmp_path: Path) -> None:
    """Their shards say nothing of predictions, which are found out then."""
    import json

    from cnnvis.runs.seals import digest, plain, sealed

    settings: dict[str, Any] = {"data": DATA, "into": tmp_path / "kept", "shard_size": 3}
    cnnvis.run("saliency", three, **settings, **PLAIN)
    part = tmp_path / "kept" / "1-saliency"
    lines = [
        json.loads(line)["value"] for line in (part / "journal.jsonl").read_bytes().splitlines()
    ]
    for line in lines[:-1]:
        name = f"shards/{line['shard']}.json"
        facts = json.loads((part / name).read_text())
        del facts["prediction"]
        (part / name).write_bytes(plain(facts) + b"\n")
        line["files"][name] = digest((part / name).read_bytes())
    (part / "journal.jsonl").write_bytes(b"".join(map(sealed, lines[:-1])))
    for name in ("prediction", "index", "score", "class", "status", "label", "zarr.json"):
        path = part / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    steps: list[Any] = [("saliency", PLAIN), ("count", {"by": "prediction"})]
    (found,) = cnnvis.chain(three, steps, resume=True, **settings)
    assert found.table == {"group": ["ape", "bee", "cow"], "images": [1, 3, 3]}


def test_networks_without_classes_have_no_predictions(keras: Any, three: Any) -> None:
    layers = keras.layers
    regression = keras.Sequential(
        [layers.Input((4, 3)), layers.Flatten(), layers.Dense(1, name="answer")]
    )
    dense = keras.Sequential([layers.Input((4, 3)), layers.Conv1D(3, 1, activation="softmax")])
    steps: list[Any] = [("saliency", PLAIN), ("average", {"by": "prediction"})]
    for network in (regression, dense):
        with pytest.raises(cnnvis.UserError, match="no groups by prediction; group by label"):
            cnnvis.chain(network, steps, data=DATA)
        found = cnnvis.run("saliency", network, data=DATA, **PLAIN)
        assert found.predictions is None
    explanation = cnnvis.Explanation(np.ones((7, 2)), DATA)
    with pytest.raises(cnnvis.UserError, match="no groups by prediction"):
        from cnnvis.plugins.transforms.groups import count

        count(task.Stream(lambda: [explanation]), by="prediction")


def test_labels_that_are_several_have_no_one_prediction(keras: Any) -> None:
    """The same network: a sigmoid for each of three classes, of which one is meant, or any number."""
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((4, 3)), layers.GlobalAveragePooling1D(), layers.Dense(3, "sigmoid")]
    )
    steps: list[Any] = [("saliency", PLAIN), ("count", {"by": "prediction"})]
    (found,) = cnnvis.chain(network, steps, data=(X, ANSWERS))
    assert found.table is not None and sum(found.table["images"]) == 7
    several = np.eye(3)[ANSWERS]
    several[0] = 1
    with pytest.raises(cnnvis.UserError, match="no groups by prediction"):
        cnnvis.chain(network, steps, data=(X, several))
    assert cnnvis.run("saliency", network, data=(X, several), **PLAIN).predictions is None


def test_of_several_outputs_the_one_that_is_meant(keras: Any) -> None:
    layers = keras.layers
    inputs = layers.Input((4, 3))
    mean = layers.GlobalAveragePooling1D(name="mean")(inputs)
    first = layers.Dense(3, "softmax", name="first")(mean)
    second = layers.Dense(1, "sigmoid", name="second")(mean)
    network = keras.Model(inputs, [first, second])
    network.get_layer("first").set_weights([4 * np.eye(3), np.zeros(3)])
    network.get_layer("second").set_weights([np.array([[0.0], [0], [1]]), np.array([-0.5])])
    for settings, expected in (
        ({}, ANSWERS),
        ({"output": "second"}, ANSWERS == 2),
        ({"layer": "second"}, ANSWERS == 2),
    ):
        found = cnnvis.run("saliency", network, data=X, **settings, **PLAIN)
        np.testing.assert_array_equal(found.predictions, expected)


def test_other_packages_transforms_ask_by_the_same_option(three: Any) -> None:
    @cnnvis.transform("told", takes=["images"], gives="table")
    def told(explanation: cnnvis.Explanation, *, by: str = "prediction") -> cnnvis.Explanation:
        """Give the predictions as a table."""
        assert explanation.predictions is not None
        return cnnvis.Explanation(table={"class": explanation.predictions.tolist()})

    marked, known = plugin_of(told), Registry()
    assert marked is not None
    known.add(marked)
    with using(known):
        (found,) = cnnvis.chain(three, [("saliency", PLAIN), "told"], data=DATA[:3], layer="hidden")
    assert found.table == {"class": ANSWERS[:3].tolist()}


@pytest.mark.slow
def test_the_real_answer_is_behind_the_target(reference: Path) -> None:
    """A calibration follows the sigmoid that is explained; what it gives is the answer."""
    seed = reference / "seed"
    model = cnnvis.load_model(seed / "introgression_32x32.h5")
    samples = cnnvis.read_samples(seed / "test_data_32x32.pkl")
    answers = (model.predict(samples.x)[:, 0] > 0.5).astype(int)
    np.testing.assert_array_equal(model.predicted_classes(samples.x), answers)
    assert (answers == samples.labels).sum() == 97
    steps: list[Any] = ["saliency", ("count", {"by": "prediction"})]
    (found,) = cnnvis.chain(model, steps, data=samples)
    assert found.table == {"group": ["0", "1"], "images": np.bincount(answers).tolist()}
    wrong = cnnvis.run("saliency", model, data=samples, images="wrong")
    assert wrong.indices is not None
    assert wrong.indices.tolist() == np.flatnonzero(answers != samples.labels).tolist()
