"""Coordinates are typed as people write them, and mean the positions where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import registry

EVEN = cnnvis.Axis("position", "bp", start=5000, step=250)
DOWN = cnnvis.Axis(unit="kb", start=45.5, step=-0.5)
SITES = cnnvis.Axis(unit="Mb", values=(43.05, 43.1, 43.1004, 43.2, 44.0))
WORDS = cnnvis.Axis(values=("CEU", "CEU", "YRI", "CEU"))
TIMES = cnnvis.Axis(unit="s", start=0.1, step=0.1)


@pytest.mark.parametrize(
    ("axis", "size", "text", "places"),
    [
        (EVEN, 8, "5272bp", [1]),
        (EVEN, 8, "5,500 bp", [2]),
        (EVEN, 8, "5.5kb", [2]),
        (EVEN, 8, "0.0055 Mbp", [2]),
        (EVEN, 8, "5500", [2]),
        (EVEN, 8, "5250:5750", [1, 2, 3]),
        (EVEN, 8, "5.2:5.8kb", [1, 2, 3]),
        (EVEN, 8, "6.4kb:", [6, 7]),
        (EVEN, 8, ":5,300bp", [0, 1]),
        (EVEN, 8, "4,900bp", [0]),
        (DOWN, 4, "45.1kb", [1]),
        (DOWN, 4, "44,400bp:45kb", [1, 2]),
        (SITES, 5, "43.1Mb:43.2Mb", [1, 2, 3]),
        (SITES, 5, "43,100,300bp", [2]),
        (WORDS, 4, "CEU", [0, 1, 3]),
        (TIMES, 5, "300ms", [2]),
        (TIMES, 5, "3e-1 s", [2]),
        (TIMES, 5, "0.005min", [2]),
    ],
)
def test_places_of_coordinates(axis: cnnvis.Axis, size: int, text: str, places: list[int]) -> None:
    assert axis.places(text, size) == places


@pytest.mark.parametrize(
    ("axis", "text", "sentence"),
    [
        (EVEN, "9,000bp", "9,000bp is outside of the axis, which runs from 5,000 to 6,750 bp"),
        (EVEN, "9kb:10kb", "no position of the axis lies in 9kb:10kb, which runs from 5,000"),
        (EVEN, "6kb:5kb", "runs backwards"),
        (EVEN, "3s", "3 s is no coordinate of an axis in bp"),
        (EVEN, "5,27bp", "nothing along the axis is called '5,27bp'; coordinates are typed as"),
        (EVEN, "1e999999bp", "nothing along the axis"),
        (WORDS, "CUE", "is called 'CUE'; there are: CEU, YRI"),
        (WORDS, "2", "is called '2'; there are"),
    ],
)
def test_coordinates_that_are_none(axis: cnnvis.Axis, text: str, sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        axis.places(text, len(axis.values) or 8)


def test_coordinates_are_exact() -> None:
    assert [TIMES.coordinate(place) for place in range(3)] == [0.1, 0.2, 0.3]
    assert EVEN.coordinate(3) == 5750 and isinstance(EVEN.coordinate(3), int)
    assert cnnvis.Axis(start=1_303_120.25, step=0.5).coordinate(1) == 1_303_120.75
    assert WORDS.coordinate(2) == "YRI" and WORDS.coordinate(9) == ""


def _select(explanation: cnnvis.Explanation, **options: Any) -> cnnvis.Explanation:
    found: cnnvis.Explanation = registry().get("transform", "select").function(explanation, **options)  # fmt: skip
    return found


def test_coordinates_below_zero_are_no_options(typed: Any) -> None:
    done = typed("chain", "demo", "saliency", "select", "--axis", "row", "--at", "-8mm", "tsv")
    assert done.returncode == 2 and "'-8mm', and must be a position" in done.stderr


def test_select_takes_coordinates() -> None:
    maps = np.arange(2 * 4 * 8, dtype=np.float32).reshape(2, 4, 8)
    samples = cnnvis.Samples(maps[..., None])
    one = cnnvis.Explanation(maps, samples).described({"row": WORDS, "column": EVEN})
    found = _select(one, at="5.2:5.8kb")
    np.testing.assert_array_equal(found.array, maps[:, :, 1:4])
    assert found.coordinates["column"].coordinate(0) == 5250
    assert found.samples is not None and found.samples.x.shape == (2, 4, 3, 1)
    found = _select(one, at="5272bp")
    np.testing.assert_array_equal(found.array, maps[:, :, 1])
    assert found.axes == ("row",)
    found = _select(one, at="CEU")
    np.testing.assert_array_equal(found.array, maps[:, [0, 1, 3]])
    assert found.coordinates["row"].values == ("CEU", "CEU", "CEU")
    np.testing.assert_array_equal(_select(one, axis="column", at="5").array, maps[:, :, 5])
    np.testing.assert_array_equal(_select(found[:1], axis="row", at="0").array, maps[:1, 0])
    for options, sentence in (
        ({"at": "3s"}, "no axis of the maps has '3s'; known are: column in bp"),
        ({"at": "5"}, "takes --axis and --at together"),
        ({"axis": "row", "at": "5272bp"}, "is called '5272bp'; there are: CEU, YRI"),
        ({"axis": "column", "at": "9"}, "8 positions, and no position at 9"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            _select(one, **options)
    with pytest.raises(cnnvis.UserError, match=r"must be a position .* the table \[axes.row\]"):
        _select(cnnvis.Explanation(maps), axis="row", at="5kb")


def test_a_description_of_other_axes_is_left_alone(classifier: Any, images: Any) -> None:
    axes = {"row": {"unit": "kb", "step": 2}, "column": {"unit": "bp", "size": 10}}
    found = cnnvis.run("saliency", classifier, data=images, filter=0, axes=axes, backprop=None)
    assert {*found.coordinates} == {"row", "column"}
    axes["column"]["size"] = 64
    found = cnnvis.run("saliency", classifier, data=images, filter=0, axes=axes, backprop=None)
    assert {*found.coordinates} == {"row"}
    said = (
        "the axis column is described for 64 positions, and has 10 here: it is counted in positions"
    )
    assert said in found.notes
    # Kernels have rows and columns of their own.
    found = cnnvis.run("filter-weights", classifier, layer="first", axes=axes)
    assert not found.coordinates
    with pytest.raises(cnnvis.UserError, match="size of the axis row cannot be -1"):
        cnnvis.run("saliency", classifier, data=images, axes={"row": {"size": -1}})


def test_regions_of_targets_in_coordinates(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((8, 1)), layers.Conv1D(2, 3, padding="same", name="same"),
        layers.MaxPooling1D(2, name="half"),
    ])  # fmt: skip
    x = np.random.default_rng(0).normal(size=(2, 8, 1)).astype(np.float32)
    settings: Any = {"data": x, "backprop": None, "filter": 1, "layer": "same"}
    axes = {"position": {"unit": "bp", "start": 5000, "step": 250}}
    expected = cnnvis.run("saliency", network, region=["1:4"], **settings)
    found = cnnvis.run("saliency", network, region=["5.2:5.8kb"], axes=axes, **settings)
    np.testing.assert_array_equal(found.array, expected.array)
    assert found.target == expected.target == "same[1] at 1:4"
    with pytest.raises(cnnvis.UserError, match="the layer 'half' has other positions than"):
        cnnvis.run("saliency", network, region=["5kb:"], axes=axes, **{**settings, "layer": "half"})
    free = keras.Sequential([layers.Input((None, 1)), layers.Conv1D(2, 3, padding="same", name="same")])  # fmt: skip
    with pytest.raises(cnnvis.UserError, match="takes inputs of any length"):
        cnnvis.run("saliency", free, region=["5kb:"], axes=axes, **settings)
    with pytest.raises(cnnvis.UserError, match=r"the region '5kb' is not understood"):
        cnnvis.run("saliency", network, region=["5kb"], **settings)
