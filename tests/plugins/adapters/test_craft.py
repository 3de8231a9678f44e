"""Concepts by Xplique's CRAFT, in a network whose concepts are known, and Xplique in another process."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest

import cnnvis
import cnnvis.testing
from cnnvis.registry.discovery import registry

pytestmark = pytest.mark.slow

if registry().get("technique", "xplique:craft").missing:
    pytest.skip("Xplique is not installed", allow_module_level=True)

FEW: dict[str, Any] = {"concepts": 2, "shown": 2, "crop": 5, "designs": 16}


@pytest.fixture(scope="module")
def network(keras: Any) -> Any:
    """Whose layer hands two channels on, of which the first decides the class."""
    layers = keras.layers
    inputs = keras.Input((12, 10, 2))
    features = layers.Conv2D(2, 1, activation="relu", name="features")(inputs)
    flow = layers.GlobalAveragePooling2D()(features)
    found = keras.Model(inputs, layers.Dense(2, activation="softmax", name="output")(flow))
    speaks = 30 * np.array([[0, 1], [0, 0]])
    found.set_weights([np.eye(2)[None, None], np.zeros(2), speaks, np.array([1.0, 0.0])])
    return found


@pytest.fixture(scope="module")
def data() -> Any:
    """Images of class 1 with a bright square in either channel, and dark ones of class 0."""
    x = np.zeros((8, 12, 10, 2), np.float32)
    for image, (row, column) in enumerate([(0, 0), (0, 5), (6, 0), (7, 5), (4, 4), (2, 3)]):
        x[image, row : row + 5, column : column + 5, 0] = 1 + image / 4
        x[image, 11 - row, 9 - column, 1] = 2.0
        x[image, (row + 6) % 8 : (row + 6) % 8 + 3, :4, 1] = 1.0
    return x


def test_the_concept_that_decides_is_the_first(network: Any, data: Any) -> None:
    found = cnnvis.run("xplique:craft", network, data=data, images=[0, 4], **FEW)
    assert found.array.shape == (4, 12, 10)
    assert found.indices is not None and found.indices.tolist() == [0, 0, 4, 4]
    assert found.measures["concept"].tolist() == [1, 2, 1, 2]
    first = "concept 1 of output[1]\nimportance 1, here 1"
    assert found.titles[0] == found.titles[2] == first
    assert found.measures["importance"][1] < 0.01
    for place, image in ((0, 0), (1, 0), (2, 4), (3, 4)):
        # The layer has a position for each of the input, and a concept for each of its channels.
        seen = data[image, ..., place % 2]
        assert np.corrcoef(found.array[place].ravel(), seen.ravel())[0, 1] > 0.999
    assert any("of 6 samples, make up 99" in note or "make up 100" in note for note in found.notes)


def test_maps_are_those_of_an_image_alone_and_of_the_seed(network: Any, data: Any) -> None:
    several, alone, again = (
        cnnvis.run("xplique:craft", network, data=data, images=images, **FEW).array
        for images in ([4, 2, 0], [2], [2])
    )
    np.testing.assert_array_equal(alone, again)
    np.testing.assert_array_equal(several[2:4], alone)


def test_importances_that_are_too_small_are_told_of(network: Any, data: Any) -> None:
    with_few, with_more = (
        cnnvis.run(
            "xplique:craft", network, data=data, images=[0], **{**FEW, "designs": designs}
        ).notes
        for designs in (2, 64)
    )
    assert any("are too few for 2 concepts" in note for note in with_few)
    assert not any("are too few" in note for note in with_more)


def test_the_best_crops_are_of_the_data(network: Any, data: Any) -> None:
    given: dict[str, Any] = {"data": data, "filter": 1, **FEW}
    found = cnnvis.run("xplique:craft", network, show="crops", crops=3, **given)
    assert found.array.shape == (6, 5, 5, 2) and found.are_inputs
    at = [found.measures[name].astype(int) for name in ("image", "row", "column")]
    for crop, image, row, column in zip(found.array, *at, strict=True):
        np.testing.assert_array_equal(crop, data[image, row : row + 5, column : column + 5])
    sums = found.array[:3, ..., 0].sum(axis=(1, 2))
    assert (np.diff(sums) <= 0).all() and sums[0] == max(
        25 * (1 + np.arange(6) / 4)[[0, 1, 2, 3, 4]]
    )
    assert found.titles[0].startswith("concept 1 of output[1], importance 1\n#")


def test_what_it_cannot_explain_ends_in_a_sentence(network: Any, data: Any, keras: Any) -> None:
    def refused(what: str, model: Any = network, x: Any = data, **options: Any) -> None:
        with pytest.raises(cnnvis.UserError, match=what):
            cnnvis.run("xplique:craft", model, data=x, **{**FEW, **options})

    layers = keras.layers
    refused("too few for 40 concepts", concepts=40, filter=1, crop=10)
    refused("crop is 11, and a crop has a side of 2 to 10", crop=11)
    refused("answers with output.1. for none of 2 samples", x=data[6:], filter=1)
    refused("activations are negative", x=data, model=keras.Sequential(
        [layers.Input((12, 10, 2)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)]
    ))  # fmt: skip
    inputs = keras.Input((12, 10, 2))
    first = layers.Conv2D(2, 3, padding="same", activation="relu", name="first")(inputs)
    flow = layers.Add()([first, layers.Conv2D(2, 3, padding="same", name="second")(first)])
    around = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Add()([flow, inputs]))))
    refused(
        "cannot split 'first': the score is not computed from it alone",
        model=around,
        penultimate="first",
    )
    line = keras.Sequential([layers.Input((20, 2)), layers.Conv1D(2, 3), layers.Flatten()])
    refused("two spatial axes with channels last", model=line, x=np.ones((3, 20, 2)))


def test_it_holds_to_what_techniques_promise() -> None:
    for check in cnnvis.testing.checks("xplique:craft", **{**FEW, "penultimate": None}):
        check()


# Xplique in the environment of another Python


@pytest.mark.parametrize(
    ("name", "options"),
    [("saliency", {}), ("rise", {"masks": 20, "seed": 3}), ("grad-cam", {}), ("craft", FEW)],
)
def test_another_process_gives_the_same(
    name: str, options: Any, network: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"data": data, "images": [0, 4], **options}
    here = cnnvis.run(f"xplique:{name}", network, **given)
    monkeypatch.setenv("CNNVIS_XPLIQUE_PYTHON", sys.executable)
    there = cnnvis.run(f"xplique:{name}", network, **given)
    np.testing.assert_array_equal(here.array, there.array)
    assert here.titles == there.titles
    assert any(f"in the environment of {sys.executable}" in note for note in there.notes)


@pytest.mark.skipif(
    "XPLIQUE_2_PYTHON" not in os.environ,
    reason="XPLIQUE_2_PYTHON names no Python of an environment with Xplique 2",
)
def test_xplique_2_gives_what_1_3_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"images": [0, 2], "concepts": 3, "designs": 16, "examples": 8}
    runs: list[tuple[str, dict[str, Any]]] = [
        ("saliency", {}), ("integrated-gradients", {}), ("sobol", {"designs": 8}), ("craft", few)
    ]  # fmt: skip
    here = [cnnvis.run(f"xplique:{name}", "demo", **options) for name, options in runs]
    monkeypatch.setenv("CNNVIS_XPLIQUE_PYTHON", os.environ["XPLIQUE_2_PYTHON"])
    for one, (name, options) in zip(here, runs, strict=True):
        other = cnnvis.run(f"xplique:{name}", "demo", **options)
        assert any(note.startswith("Xplique 2.") for note in other.notes)
        assert np.corrcoef(one.array.ravel(), other.array.ravel())[0, 1] > 0.9999, name


def test_another_process_that_is_none_is_told_of(
    typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for python, reason in (("/nowhere/python", "No such file"), ("/bin/ls", "ended without")):
        monkeypatch.setenv("CNNVIS_XPLIQUE_PYTHON", python)
        done = typed("run", "xplique:saliency", "demo", "--images", 0)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert f"Xplique in the environment of {python} does not start" in done.stderr
        assert reason in done.stderr and "pip has installed 'xplique>=2'" in done.stderr


def test_layers_of_a_person_are_not_sent(
    keras: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    layers = keras.layers
    own = keras.Sequential([layers.Input((12, 10, 2)), Own(), layers.Flatten(), layers.Dense(2)])
    monkeypatch.setenv("CNNVIS_XPLIQUE_PYTHON", sys.executable)
    with pytest.raises(cnnvis.UserError, match=r"does not read the network: .*class 'Own'"):
        cnnvis.run("xplique:saliency", own, data=data)
