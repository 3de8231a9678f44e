"""One input is explained, and the others are held at the values of each sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import cnnvis
from cnnvis.network.feeds import Feeds
from cnnvis.network.graph import Input, Slot

IMAGE = Input("image", Slot(0), (2,), "float32", ("image",), "image")
AGE = Input("age", Slot(1), (1,), "int32", ("age",), "age")
AGES = np.array([[30], [40], [50]])
IMAGES = np.arange(6.0).reshape(3, 2)

SAMPLES = cnnvis.Samples(IMAGES, input="image", others={"age": AGES})


def test_samples_say_which_input_is_explained() -> None:
    feeds = Feeds((AGE, IMAGE)).holding(SAMPLES)
    assert (feeds.number, feeds.explained.name) == (1, "image")
    age, image = feeds.arrays(IMAGES)
    assert age.dtype == np.int32 and age[:, 0].tolist() == [30, 40, 50]
    assert image.dtype == np.float32 and image.tolist() == IMAGES.tolist()


def test_rows_may_belong_to_any_samples() -> None:
    feeds = Feeds((IMAGE, AGE)).holding(SAMPLES)
    _, age = feeds.arrays(IMAGES[[0, 0, 0, 0]], of=[2, 2, 0, 1])
    assert age[:, 0].tolist() == [50, 50, 30, 40]
    with pytest.raises(ValueError, match="say with `of` which sample each belongs to"):
        feeds.arrays(IMAGES[:2])
    with pytest.raises(ValueError, match="say with `of`"):
        feeds.arrays(IMAGES[:2], of=[0])


def test_all_rows_may_be_held_at_one_sample() -> None:
    feeds = Feeds((IMAGE, AGE)).holding(SAMPLES).held_at(1)
    assert feeds.arrays(IMAGES[:1])[1].tolist() == [[40]]


def test_an_input_without_values_is_named() -> None:
    with pytest.raises(
        cnnvis.UserError, match=r"takes 2 inputs \(image, age\), and the data hold none for"
    ):
        Feeds((IMAGE, AGE)).arrays(IMAGES)


def test_all_inputs_may_be_given_together() -> None:
    by_place = [replace(one, place=(number,)) for number, one in enumerate((IMAGE, AGE))]
    for inputs, given in (
        ((IMAGE, AGE), {"age": AGES, "image": IMAGES}),
        (tuple(by_place), [IMAGES, AGES]),
    ):
        assert [one.shape for one in Feeds(inputs).all_given(given)] == [(3, 2), (3, 1)]
    assert len(Feeds((IMAGE,)).all_given(IMAGES)) == 1


def test_double_precision_is_kept_where_the_network_asks_for_it() -> None:
    exact = Input("image", Slot(0), (2,), "float64")
    assert Feeds((exact,)).arrays(IMAGES.astype(np.float32))[0].dtype == np.float64
