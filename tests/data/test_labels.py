"""Labels stay what they are: one class each, several, numbers, or one for each position."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.data.labels import labels_of
from cnnvis.data.stream import Stream
from cnnvis.execution.transfer import pack_samples, unpack_samples
from cnnvis.registry.discovery import registry

SMOOTHED = np.eye(3)[[2, 0, 1]] * 0.9 + 0.1 / 3
MASKS = np.arange(48).reshape(3, 4, 4) % 3


@pytest.mark.parametrize(
    ("given", "kind", "values", "words"),
    [
        ([2, 0, 1], "class", [2, 0, 1], None),
        ([[2], [0], [1]], "class", [2, 0, 1], None),
        (np.eye(3)[[2, 0, 1]], "class", [2, 0, 1], None),
        (np.eye(3, dtype=bool)[[2, 0, 1]], "class", [2, 0, 1], None),
        (SMOOTHED, "class", [2, 0, 1], None),
        (SMOOTHED.astype(np.float32), "class", [2, 0, 1], None),
        ([2.0, 0.0, 1.0], "class", [2, 0, 1], None),
        ([True, False, True], "class", [1, 0, 1], None),
        (["cow", "ape", "bee"], "class", [2, 0, 1], ("ape", "bee", "cow")),
        ([b"cow", b"ape", b"b\xc3\xa9e"], "class", [2, 0, 1], ("ape", "bée", "cow")),
        (np.array([0, 2, 10], object), "class", [0, 2, 10], None),
        ([[1, 0, 1], [0, 0, 0], [0, 1, 0]], "several", [[1, 0, 1], [0, 0, 0], [0, 1, 0]], None),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), "several", [[1, 1], [0, 1]], None),
        ([["cow", "ape"], [], ["ape"]], "several", [[1, 1], [0, 0], [1, 0]], ("ape", "cow")),
        ([{"cow", "ape"}, {"ape"}, set()], "several", [[1, 1], [1, 0], [0, 0]], ("ape", "cow")),
        ([("a", "b"), ("b", "c")], "several", [[1, 1, 0], [0, 1, 1]], ("a", "b", "c")),
        ([["a", ""], ["b", "c"]], "several", [[1, 0, 0], [0, 1, 1]], ("a", "b", "c")),
        ([["ape"], None, ["cow", "ape"]], "several", [[1, 0], [0, 0], [1, 1]], ("ape", "cow")),
        ([[0, 2], [], [1]], "several", [[1, 0, 1], [0, 0, 0], [0, 1, 0]], None),
        ([0.5, 1.5, 2.0], "number", [0.5, 1.5, 2.0], None),
        (np.array([0.5, 1], object), "number", [0.5, 1.0], None),
        ([[0.5], [2.5]], "number", [0.5, 2.5], None),
        ([[3, 4], [5, 6]], "number", [[3.0, 4.0], [5.0, 6.0]], None),
        ([[0.2, 0.3], [0.5, 0.4]], "number", [[0.2, 0.3], [0.5, 0.4]], None),
        (MASKS, "positions", MASKS.tolist(), None),
        (MASKS[..., None], "positions", MASKS.tolist(), None),
    ],
)  # fmt: skip
def test_all_forms_of_labels(given: Any, kind: str, values: Any, words: Any) -> None:
    found = labels_of(given)
    assert (found.kind, found.words) == (kind, words)
    assert np.asarray(found.values).tolist() == values
    samples = cnnvis.Samples(np.zeros((len(values), 4)), given)
    assert samples.label_kind == kind and samples.class_names == words
    assert samples.in_words is (words is not None)


NAN = float("nan")


class NAType:
    """As pandas's missing value is called."""


@pytest.mark.parametrize(
    ("given", "kind", "values", "words"),
    [
        ([0, 1, None, 2], "class", [0, 1, NAN, 2], None),
        ([0.0, 1.0, NAN, 2.0], "class", [0, 1, NAN, 2], None),
        ([True, NAType(), False], "class", [1, NAN, 0], None),
        ([[0.0], [NAN], [2.0]], "class", [0, NAN, 2], None),
        ([None, "ape", "cow"], "class", [NAN, 0, 1], ("ape", "cow")),
        (["cow", NAN, NAType(), "ape"], "class", [1, NAN, NAN, 0], ("ape", "cow")),
        (["cow", np.float64(NAN), "ape"], "class", [1, NAN, 0], ("ape", "cow")),
        ([[0, 1.0, 0], [NAN, NAN, NAN], [1, 0, 0]], "class", [1, NAN, 0], None),
        ([0.5, NAN, 2.0], "number", [0.5, NAN, 2.0], None),
        ([0.5, None, 2.0], "number", [0.5, NAN, 2.0], None),
        ([None, None], "number", [NAN, NAN], None),
    ],
)
def test_missing_labels_are_no_class(given: Any, kind: str, values: Any, words: Any) -> None:
    samples = cnnvis.Samples(np.zeros((len(values), 4)), given)
    assert (samples.label_kind, samples.class_names) == (kind, words)
    np.testing.assert_array_equal(samples.labels, values)  # type: ignore[arg-type]
    for place, value in enumerate(values):
        one = samples[[place]]
        assert one.label_kind == kind
        if np.isnan(value):
            assert one.label_name(0) == "none" and one.label_groups()[0][0][1] == "none"
    np.testing.assert_array_equal(samples.labelled("none"), np.isnan(values))
    if words is not None:
        turned = samples.named(words[::-1])
        assert [turned.label_name(i) for i in range(len(values))] == [
            samples.label_name(i) for i in range(len(values))
        ]


@pytest.mark.parametrize("end", ["softmax", "sigmoid"])
@pytest.mark.slow
def test_a_network_is_asked_about_the_labels_that_there_are(
    keras: Any, end: str, tmp_path: Path
) -> None:
    units = 2 if end == "softmax" else 1
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(units, end, name="output")]
    )
    data = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    answers = network.predict(data, verbose=0)
    said = answers.argmax(axis=1) if units == 2 else (answers[:, 0] > 0.5).astype(int)
    labels: list[Any] = [*said.tolist()]
    labels[2], labels[4] = None, 1 - labels[4]
    words = [None if one is None else ("no", "yes")[one] for one in labels]
    names = {"class_names": ("no", "yes")}
    for held, settings in ((labels, {}), (words, names), (np.array(labels, float), {})):
        asked = {"data": (data, held), **settings}
        for chosen, places in (("right", [0, 1, 3, 5]), ("wrong", [4]), ("label=none", [2])):
            found = cnnvis.run("saliency", network, images=chosen, backprop=None, **asked)
            assert found.indices is not None and found.indices.tolist() == places
        steps: list[Any] = [("saliency", {"backprop": None}), ("count", {"by": "prediction"})]
        (count,) = cnnvis.chain(network, steps, **asked)
        assert count.table is not None and sum(count.table["images"]) == 6
        fit = cnnvis.doctor(network, **asked).fit
        assert fit is not None and str(fit.agreement) == "4 of 5 labels (80.0%)"
        kept = cnnvis.run(
            "saliency",
            network,
            backprop=None,
            into=tmp_path / f"{len(list(tmp_path.iterdir()))}",
            **asked,
        )
        assert kept.labels is not None and np.isnan(kept.labels).tolist() == [
            one is None for one in labels
        ]
    table = cnnvis.run("get-labels", None, data=(data, labels)).table
    assert table is not None and table["label"][2:4] == ["none", labels[3]]


def test_a_part_of_labels_is_what_the_whole_is() -> None:
    """One row of several labels is one-hot, and one number may be whole, by chance."""
    several = cnnvis.Samples(np.zeros((3, 4)), [[1, 0, 1], [0, 1, 0], [0, 0, 0]])
    assert several[[1]].label_kind == "several" and several[[1]].label_name(0) == "1"
    numbers = cnnvis.Samples(np.zeros((3, 4)), [0.5, 2.0, 3.0])
    assert numbers[[1, 2]].label_kind == "number"
    assert numbers[[1, 2]].labels is not None and numbers[[1, 2]].labels.dtype == np.float64
    joined = cnnvis.Samples.joined([several[[1]], several[[0]]])
    assert joined.label_kind == "several" and joined.label_name(1) == "0 + 2"
    picked = several.picked([2, 0])
    assert picked.label_kind == "several" and picked.label_name(0) == "none"


def test_the_kind_of_labels_can_be_said() -> None:
    ages = cnnvis.Samples(np.zeros((3, 4)), [30, 41, 25], label_kind="number")
    assert ages.label_kind == "number" and ages.label_name(1) == "41"
    tags = cnnvis.Samples.of(np.zeros((2, 4)), np.eye(2), label_kind="several")
    assert tags.label_kind == "several" and tags.label_name(1) == "1"
    with pytest.raises(cnnvis.UserError, match="no labels of the kind 'several'"):
        cnnvis.Samples(np.zeros((2, 4)), [0, 1], label_kind="several")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "the labels are the single value 5"),
        ([1 + 2j, 0], "the labels have the type complex128"),
        ([[0.5], [0.5, 1.5]], r"labels of one sample are \[0.5\], and must be words, or whole"),
        ([["a", "b"], 3.5], r"labels of one sample are 3\.5, and must be words, or whole"),
        ([["a", "b"], [0]], "words for some samples and numbers for others"),
        (np.full((2, 2, 2), "a"), r"words of shape \(2, 2\) for each sample"),
    ],
)
def test_what_is_no_label(given: Any, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.Samples(np.zeros((2, 4)), given)


@pytest.mark.parametrize(
    ("labels", "names", "titles"),
    [
        ([1, 0], ("ape", "cow"), ["label cow", "label ape"]),
        ([[1, 1, 0], [0, 0, 0]], ("ape", "bee", "cow"), ["label ape + bee", "label none"]),
        ([[1, 1, 0], [0, 0, 0]], None, ["label 0 + 1", "label none"]),
        ([0.31, 1234.5], None, ["label 0.31", "label 1234"]),
        (np.array([[0.31, 2.4], [1, 1e-7]], np.float32), None, ["label 0.31, 2.4", "label 1, 1e-07"]),
        ([[0.5] * 6, [1.5] * 6], None, ["label 0.5, 0.5, 0.5, 0.5 and 2 more", "label 1.5, 1.5, 1.5, 1.5 and 2 more"]),
        (MASKS[:2], None, ["", ""]),
        ([0.5, np.nan], None, ["label 0.5", "label none"]),
    ],
)  # fmt: skip
def test_titles(labels: Any, names: Any, titles: list[str]) -> None:
    samples = cnnvis.Samples(np.zeros((2, 4)), labels, class_names=names)
    explanation = cnnvis.Explanation(np.zeros((2, 4)), samples)
    assert [explanation.title(i) for i in (0, 1)] == [
        f"#{i} {t}".strip() for i, t in enumerate(titles)
    ]


KINDS: dict[str, Any] = {
    "class": ([1, 0, 1], ("no", "yes")),
    "words": (["b", "a", "b"], None),
    "several": ([[1, 0, 1], [0, 1, 0], [0, 0, 0]], ("ape", "bee", "cow")),
    "several in words": ([["cow", "ape"], ["ape"], []], None),
    "number": (np.array([0.25, 2, 3], np.float32), None),
    "numbers": ([[0.25, 2], [3, 4], [5, 6]], None),
    "positions": (MASKS.astype(np.uint8), ("sky", "tree", "road")),
}


def _same(one: cnnvis.Samples | None, other: cnnvis.Samples) -> None:
    assert one is not None and one.labels is not None and other.labels is not None
    np.testing.assert_array_equal(one.labels[:], other.labels[:])
    assert one.labels.dtype == other.labels.dtype
    for name in ("label_kind", "class_names", "in_words"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_every_kind_are_kept_wherever_they_go(
    kind: str, classifier: Any, tmp_path: Path
) -> None:
    labels, names = KINDS[kind]
    x = np.random.default_rng(0).normal(size=(3, 12, 10, 2)).astype(np.float32)
    samples = cnnvis.Samples(x, labels, class_names=names)
    explanation = cnnvis.Explanation(np.ones((3, 12, 10)), samples)
    explanation.save(tmp_path / "saved.npz")
    _same(cnnvis.Explanation.load(tmp_path / "saved.npz").samples, samples)
    pack_samples(samples, tmp_path / "parcel")
    _same(unpack_samples(tmp_path / "parcel"), samples)
    settings: dict[str, Any] = {"data": samples, "filter": 0, "shard_size": 2}
    first = cnnvis.run("saliency", classifier, into=tmp_path / "run", **settings)
    again = cnnvis.run("saliency", classifier, into=tmp_path / "run", resume=True, **settings)
    _same(first.samples, samples)
    _same(again.samples, samples)
    zarr = pytest.importorskip("zarr")
    held = zarr.open_group(tmp_path / "run" / "1-saliency", mode="r")["label"]
    np.testing.assert_array_equal(held[:], samples.labels)


def test_files_of_before_are_read(tmp_path: Path) -> None:
    """They say nothing of the kind of labels, which were whole numbers."""
    import json

    samples = cnnvis.Samples(np.ones((2, 3)), [1, 0], class_names=("no", "yes"))
    cnnvis.Explanation(np.ones((2, 3)), samples).save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as stored:
        arrays = dict(stored)
    facts = json.loads(str(arrays["metadata"]))
    del facts["label_kind"], facts["in_words"]
    np.savez(tmp_path / "old.npz", **{**arrays, "metadata": np.array(json.dumps(facts))})
    loaded = cnnvis.Explanation.load(tmp_path / "old.npz")
    assert loaded.title(0) == "#0 label yes" and loaded.predictions is None


class _Masks:
    """Labels for each position, in a file that is read when they are indexed."""

    shape, dtype = (100_000, 64, 64, 1), np.dtype(np.uint8)
    read = 0

    def __getitem__(self, index: Any) -> Any:
        places = np.arange(self.shape[0])[index]
        self.read += len(places)
        return np.full((len(places), 64, 64, 1), 1, np.uint8)


def test_labels_of_positions_are_not_held_at_once() -> None:
    masks = _Masks()
    samples = cnnvis.Samples(_Masks.__new__(_Images), masks)
    assert samples.label_kind == "positions" and samples.labels is not None
    assert samples.labels.shape == (100_000, 64, 64) and masks.read == 0
    some = samples[[3, 99_999]]
    assert masks.read == 2 and some.labels is not None and some.labels.shape == (2, 64, 64)
    assert samples.picked(range(50_000)).label_kind == "positions" and masks.read == 2


class _Images(_Masks):
    shape = (100_000, 8, 8, 1)

    def __getitem__(self, index: Any) -> Any:
        return np.zeros((len(np.arange(self.shape[0])[index]), *self.shape[1:]), np.uint8)


@pytest.mark.parametrize("ending", ["npz", "h5", "zarr"])
def test_masks_in_files_are_read_as_they_are_needed(tmp_path: Path, ending: str) -> None:
    x, path = np.zeros((3, 4, 4, 1), np.float32), tmp_path / f"data.{ending}"
    if ending == "npz":
        np.savez(path, X=x, y=MASKS[..., None])
    elif ending == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["X"], file["y"] = x, MASKS[..., None]
    else:
        zarr = pytest.importorskip("zarr")
        group = zarr.open_group(path, mode="w")
        group["X"], group["y"] = x, MASKS[..., None]
    samples = cnnvis.read_samples(path)
    assert samples.label_kind == "positions" and not isinstance(samples.labels, np.ndarray)
    np.testing.assert_array_equal(samples[[2, 0]].labels, MASKS[[2, 0]])


def test_words_and_lists_in_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "words.h5", "w") as file:
        file["X"] = np.zeros((3, 4))
        file["y"] = np.array([["ape", "cow"], ["cow", ""], ["", ""]], object)
    samples = cnnvis.read_samples(tmp_path / "words.h5")
    assert [samples.label_name(i) for i in range(3)] == ["ape + cow", "cow", "none"]
    with h5py.File(tmp_path / "lists.h5", "w") as file:
        file["X"] = np.zeros((3, 4))
        lists = file.create_dataset("y", (3,), h5py.vlen_dtype(np.int64))
        lists[0], lists[1] = [0, 2], [1]
    samples = cnnvis.read_samples(tmp_path / "lists.h5")
    assert [samples.label_name(i) for i in range(3)] == ["0 + 2", "1", "none"]


# What uses labels


def _transformed(name: str, explanation: cnnvis.Explanation, **options: Any) -> cnnvis.Explanation:
    plugin = registry().get("transform", name)
    halves = [explanation[[0, 1]], explanation[list(range(2, len(explanation)))]]
    halves = [half for half in halves if len(half)] if explanation.samples else [explanation]
    given = Stream(lambda: halves) if plugin.takes("stream") else explanation
    return plugin.function(given, **options)  # type: ignore[no-any-return]


def _explained(labels: Any, names: Any = None) -> cnnvis.Explanation:
    count = len(labels)
    maps = np.random.default_rng(0).normal(size=(count, 5))
    return cnnvis.Explanation(maps, cnnvis.Samples(np.zeros((count, 5)), labels, class_names=names))


def test_an_image_is_in_the_group_of_each_of_its_labels() -> None:
    one = _explained([[1, 0, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]], ("ape", "bee", "cow"))
    found = _transformed("average", one)
    assert found.groups == ("ape", "bee", "cow", "none")
    for mean, places in zip(found.array, ([0, 2], [2], [0], [1, 3]), strict=True):
        np.testing.assert_allclose(mean, one.array[places].mean(axis=0), rtol=1e-6)
    counted = _transformed("count", one).table
    assert counted == {"group": ["ape", "bee", "cow", "none"], "images": [2, 1, 1, 2]}
    spread = _transformed("deviation", one)
    np.testing.assert_allclose(spread.array[0], one.array[[0, 2]].std(axis=0), rtol=1e-5)


def test_images_without_labels_are_not_those_of_a_class_called_none() -> None:
    one = _explained([[1, 0], [0, 0], [1, 1]], ("none", "some"))
    found = _transformed("average", one)
    assert found.groups == ("none", "some", "(none)")
    apart = _transformed("difference", found, of=("none", "(none)"))
    expected = one.array[[0, 2]].mean(axis=0) - one.array[1]
    np.testing.assert_allclose(apart.array[0], expected, atol=1e-6)
    assert _transformed("select", one, label="none").indices.tolist() == [0, 2]  # type: ignore[union-attr]


def test_numbers_are_groups_while_they_are_few() -> None:
    one = _explained(np.array([0.1, 2.0, 0.1, -3, 0.5], np.float32))
    found = _transformed("average", one)
    assert found.groups == ("-3", "0.1", "0.5", "2")
    np.testing.assert_allclose(found.array[1], one.array[[0, 2]].mean(axis=0), rtol=1e-6)
    assert _transformed("select", one, label="0.1").indices.tolist() == [0, 2]  # type: ignore[union-attr]
    many = _explained(np.arange(21) / 8)
    with pytest.raises(cnnvis.UserError, match=r"more than 20 values.*a file with a group"):
        _transformed("average", many)
    with pytest.raises(cnnvis.UserError, match=r"more than 20 values"):
        _transformed("count", many)
    with pytest.raises(cnnvis.UserError, match="the labels are numbers, and 'cat' is no number"):
        _transformed("select", one, label="cat")


def test_labels_of_positions_make_no_groups() -> None:
    one = _explained(MASKS)
    with pytest.raises(cnnvis.UserError, match=r"a label for each position .* no groups by label"):
        _transformed("average", one)
    with pytest.raises(cnnvis.UserError, match="a label for each position"):
        _transformed("select", one, label="1")


@pytest.mark.parametrize(
    ("labels", "names", "label", "places"),
    [
        ([0, 1, 2, 1], ("3", "5", "8"), "5", [1, 3]),
        ([0, 1, 2, 1], ("b 2", "a=1", "zebra crossing"), "zebra crossing", [2]),
        ([0, 1, 2, 1], ("b 2", "a=1", "zebra crossing"), "a=1", [1, 3]),
        ([0, 1, 2, 1], ("ape", "bee", "cow"), "1", [1, 3]),
        ([0, 1, 2, 1], None, "2", [2]),
        (["8", "3", "5", "3"], None, "3", [1, 3]),
        ([[1, 0], [1, 1], [0, 0], [0, 1]], ("ape", "bee"), "ape", [0, 1]),
        ([[1, 0], [1, 1], [0, 0], [0, 1]], ("ape", "bee"), "none", [2]),
        ([["b"], ["a", "b"], [], ["a"]], None, "b", [0, 1]),
    ],
)
def test_labels_are_selected_by_their_names(
    labels: Any, names: Any, label: str, places: list[int]
) -> None:
    found = _transformed("select", _explained(labels, names), label=label)
    assert found.indices is not None and found.indices.tolist() == places


@pytest.mark.parametrize(
    ("labels", "names", "label", "there"),
    [
        ([0, 1, 2], ("3", "5", "8"), "1", r"no class '1'\. There are: 3, 5, 8"),
        ([0, 1, 2], ("ape", "bee", "cow"), "7", r"no class '7'.* There are: ape, bee, cow"),
        ([0, 1, 2], None, "cow", r"no class 'cow'\. The classes have no names"),
        (["a", "b", "a"], None, "0", r"no class '0'\. There are: a, b"),
        ([[1, 0], [0, 0], [1, 1]], None, "2", r"no label '2': the labels are 0 to 1"),
    ],
)
def test_labels_that_there_are_not(labels: Any, names: Any, label: str, there: str) -> None:
    with pytest.raises(cnnvis.UserError, match=there):
        _transformed("select", _explained(labels, names), label=label)


@pytest.mark.parametrize(
    ("labels", "table"),
    [
        ([1, 0], {"label": [1, 0]}),
        (["b", "a"], {"label": ["b", "a"]}),
        ([["b", "a"], []], {"label": ["a + b", "none"]}),
        ([0.25, 3.5], {"label": ["0.25", "3.5"]}),
        (MASKS[:2], {"label": ["6 x 0, 5 x 2, 5 x 1", "6 x 1, 5 x 2, 5 x 0"]}),
    ],
)
def test_the_table_of_labels(labels: Any, table: Any) -> None:
    samples = cnnvis.Samples(np.zeros((2, 4)), labels)
    found = registry().get("technique", "get-labels").function(samples).table
    assert found == {"image": [0, 1], **table}
