"""Samples keep inputs, labels and names together, and fit them to a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.execution.read_only import read_only
from cnnvis.reporting import notes_kept


def _samples(shape: tuple[int, ...] = (5, 4, 3)) -> cnnvis.Samples:
    x = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    return cnnvis.Samples(
        x, np.array([0, 1, 1, 0, 2]), tuple("abcde"), class_names=("ape", "bee", "cow")
    )


def test_a_choice_keeps_what_belongs_together() -> None:
    chosen = _samples()[[3, 1]]
    np.testing.assert_array_equal(chosen.x, _samples().x[[3, 1]])
    assert chosen.indices.tolist() == [3, 1]
    assert chosen.labels is not None and chosen.labels.tolist() == [0, 1]
    assert chosen.names == ("d", "b")
    assert [chosen.label_name(i) for i in (0, 1)] == ["ape", "bee"]
    again = chosen[[1]]
    assert again.indices.tolist() == [1]
    assert _samples()[-1].names == ("e",)
    assert _samples()[1:3].names == ("b", "c")
    assert [one.names for one in _samples()] == [("a",), ("b",), ("c",), ("d",), ("e",)]


def test_only_what_is_chosen_is_read() -> None:
    read: list[Any] = []

    class Lazy:
        shape = (1_000_000, 4, 4)
        dtype = np.dtype(np.uint8)

        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return np.zeros((len(np.arange(self.shape[0])[index]), 4, 4), np.uint8)

    samples = cnnvis.Samples(Lazy())
    chosen = samples.chosen([7, 999_999])
    assert len(chosen) == 2 and chosen.x.shape == (2, 4, 4)
    assert [list(index) for index in read] == [[7, 999_999]]


def test_arrays_in_memory_are_read_where_they_lie(tmp_path: Path) -> None:
    """And may not be written to then; those of files are read, while others are computed."""
    data = np.arange(24.0).reshape(6, 4)
    np.save(tmp_path / "data.npy", data)
    part = cnnvis.Samples(data).read(2, 5)
    assert np.shares_memory(part.x, data) and not part.x.flags.writeable
    np.testing.assert_array_equal(part.x, data[2:5])
    np.testing.assert_array_equal(part.indices, [2, 3, 4])
    mapped = np.asarray(np.load(tmp_path / "data.npy", mmap_mode="r"))
    read = cnnvis.Samples(mapped).read(2, 5)
    assert not np.shares_memory(read.x, mapped) and read.x.flags.writeable
    np.testing.assert_array_equal(read.x, data[2:5])


def test_the_range_is_read_once_whoever_asks() -> None:
    read: list[Any] = []

    class Lazy:
        shape = (3, 2)
        dtype = np.dtype(np.float32)

        def __getitem__(self, index: Any) -> Any:
            read.append(index)
            return np.array([[0, 4], [np.nan, -2], [1, 1]], np.float32)[index]

    samples = cnnvis.Samples(Lazy()).picked([0, 1, 2])
    for one in (read_only(samples), read_only(samples), samples):
        assert one.value_range == (-2.0, 4.0)
    assert len(read) == 1


@pytest.mark.parametrize("index", [5, -6, 100])
def test_images_that_are_not_there(index: int) -> None:
    with pytest.raises(
        cnnvis.UserError, match=rf"no image {index}: the data hold 5 images, 0 to 4"
    ):
        _samples().chosen([0, index])


@pytest.mark.parametrize(
    ("found", "wanted", "channel_axis", "result"),
    [
        ((5, 4, 3), (4, 3), None, (5, 4, 3)),
        ((5, 4, 3), (4, 3, 1), -1, (5, 4, 3, 1)),
        ((5, 4, 3), (1, 4, 3), 1, (5, 1, 4, 3)),
        ((5, 4, 3), (None, None, 1), -1, (5, 4, 3, 1)),
        ((5, 4, 3, 2), (None, 3, 2), -1, (5, 4, 3, 2)),
        ((5, 7), (7, 1), -1, (5, 7, 1)),
    ],
)
def test_a_missing_channel_axis_is_added(
    found: Any, wanted: Any, channel_axis: int | None, result: Any
) -> None:
    samples = _samples(found)
    shaped = samples.shaped_for(wanted, channel_axis)
    assert shaped.x.shape == result
    np.testing.assert_array_equal(shaped.x.ravel(), samples.x.ravel())
    assert shaped.labels is samples.labels
    assert shaped.channel_axis == channel_axis


def test_a_single_image_gets_its_sample_axis() -> None:
    image = np.ones((4, 3, 2))
    assert cnnvis.Samples(image).shaped_for((4, 3, 2)).x.shape == (1, 4, 3, 2)


def test_data_that_do_not_fit_name_both_shapes() -> None:
    sentence = r"shape \(8, any, 3\) for one image, and the data are 5 images of shape \(4, 3\)"
    with pytest.raises(cnnvis.UserError, match=sentence):
        _samples().shaped_for((8, None, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    x = np.zeros((4, 3, 3))
    x[1, 0, 0] = x[3, 2, 2] = x[3, 1, 1] = value
    with pytest.raises(
        cnnvis.UserError, match="image 1, 3 holds 3 values that are NaN or infinite"
    ):
        cnnvis.Samples(x).require_finite()
    with pytest.raises(cnnvis.UserError, match="image 3 holds 2"):
        cnnvis.Samples(x)[[0, 3]].require_finite()
    cnnvis.Samples(x)[[0, 2]].require_finite()


def test_numbers_that_do_not_agree() -> None:
    with pytest.raises(cnnvis.UserError, match="5 inputs but 3 labels"):
        cnnvis.Samples(np.zeros((5, 2)), np.zeros(3, int))
    with pytest.raises(cnnvis.UserError, match="type <U1, and a network needs numbers"):
        cnnvis.Samples(np.array(["a", "b"]))
    assert _samples().chosen(3).names == ("d",)
    with pytest.raises(cnnvis.UserError, match="single number"):
        cnnvis.Samples(np.float64(3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "expected", "names"),
    [
        ([2, 0, 1], [2, 0, 1], None),
        ([[2], [0], [1]], [2, 0, 1], None),
        (np.eye(3)[[2, 0, 1]], [2, 0, 1], None),
        ([2.0, 0.0, 1.0], [2, 0, 1], None),
        (["cow", "ape", "bee"], [2, 0, 1], ("ape", "bee", "cow")),
        ([True, False, True], [1, 0, 1], None),
    ],
)
def test_labels_in_all_their_forms(labels: Any, expected: Any, names: Any) -> None:
    samples = cnnvis.Samples(np.zeros((3, 4)), labels)
    assert (None if samples.labels is None else samples.labels.tolist()) == expected
    assert samples.class_names == names
    chosen = samples[[2, 0]]
    assert chosen.class_names == names
    if expected is not None:
        assert chosen.label_name(0) == (names or "012")[expected[2]]


def test_an_empty_choice_is_refused(classifier: Any, images: Any) -> None:
    with pytest.raises(cnnvis.UserError, match="no images to explain"):
        cnnvis.run("saliency", classifier, data=images, images=[])
    with pytest.raises(cnnvis.UserError, match="hold no images"):
        cnnvis.run("saliency", classifier, data=images[:0])


def test_numbers_kept_as_objects_are_numbers() -> None:
    samples = cnnvis.Samples(np.zeros((4, 2)), np.array([0, 1, 2, 10], dtype=object))
    assert samples.labels is not None and samples.labels.tolist() == [0, 1, 2, 10]
    assert samples.class_names is None


def test_where_samples_are_from_is_kept(classifier: Any, images: Any, tmp_path: Any) -> None:
    np.save(tmp_path / "data.npy", images)
    samples = cnnvis.read_samples(tmp_path / "data.npy")
    facts = cnnvis.run("saliency", classifier, data=samples, images=[1]).provenance["data"]
    assert facts["file"] == "data.npy" and len(facts["sha256"]) == 64 and facts["images"] == [1]


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((7, 9, 1), (None, None, 1)), ((30, 1), (None, 1))],
)
def test_one_image_for_a_network_of_open_size(shape: Any, wanted: Any) -> None:
    x = np.zeros(shape)
    with notes_kept() as notes:
        assert cnnvis.Samples(x).shaped_for(wanted).x.shape == (1, *shape)
    assert len(notes) == 1 and notes[0].startswith(
        f"cnnvis takes the data of shape {shape} for one"
    )
    # What the note tells is many, and so are those that have labels or names.
    many = (*shape, 1)
    assert cnnvis.Samples(x[..., None]).shaped_for(wanted).x.shape == many
    assert cnnvis.Samples(x, np.arange(shape[0])).shaped_for(wanted).x.shape == many
    named = cnnvis.Samples(x, names=tuple(map(str, range(shape[0]))))
    assert named.shaped_for(wanted).x.shape == many
    # Without a channel, an array is many as ever.
    assert cnnvis.Samples(np.zeros((7, 9))).shaped_for((None, 1)).x.shape == (7, 9, 1)


def test_the_one_image_that_an_array_is_can_be_chosen(keras: Any) -> None:
    layers = keras.layers
    for size in ((None, None, 1), (7, 9, 1)):
        network = keras.Sequential(
            [layers.Input(size), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()]
        )
        x = np.random.default_rng(0).normal(size=(7, 9, 1))
        every = cnnvis.run("saliency", network, data=x, filter=0, backprop=None)
        one = cnnvis.run("saliency", network, data=x, filter=0, images=[0], backprop=None)
        np.testing.assert_array_equal(one.array, every.array)
        assert one.array.shape == (1, 7, 9)
        with pytest.raises(cnnvis.UserError, match="there is no image 1: the data hold 1 image"):
            cnnvis.run("saliency", network, data=x, filter=0, images=[1], backprop=None)
