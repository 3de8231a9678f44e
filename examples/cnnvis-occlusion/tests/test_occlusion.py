"""What occlusion maps must show, on networks whose answer is known."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
import cnnvis.testing

test_it_is_a_technique_like_any_other = cnnvis.testing.conformance("patch-occlusion")


@pytest.fixture(scope="module")
def corner() -> Any:
    """A network whose score is the sum of the input's upper left 4 x 4 values."""
    import keras

    inputs = keras.Input((12, 10, 1))
    flat = keras.layers.Flatten()(inputs)
    network = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(flat))
    weights = np.zeros((12, 10, 1), np.float32)
    weights[:4, :4] = 1
    network.layers[-1].set_weights([weights.reshape(-1, 1)])
    return network


def test_only_what_the_network_looks_at_counts(corner: Any) -> None:
    x = np.ones((2, 12, 10, 1), np.float32)
    found = cnnvis.run("patch-occlusion", corner, data=x, size=[2], stride=[2]).array
    assert found.shape == (2, 12, 10)
    np.testing.assert_allclose(found[:, :4, :4], 4, rtol=1e-5)  # a patch covers four ones
    np.testing.assert_allclose(found[:, 4:], 0, atol=1e-5)
    np.testing.assert_allclose(found[:, :, 4:], 0, atol=1e-5)


@pytest.mark.parametrize(("size", "stride"), [((3, 5), (1, 1)), ((5,), (9,)), ((99,), (4,))])
def test_every_place_is_covered(
    corner: Any, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    x = np.ones((1, 12, 10, 1), np.float32)
    found = cnnvis.run("patch-occlusion", corner, data=x, size=size, stride=stride).array
    assert np.isfinite(found).all() and (found[:, :4, :4] > 0).all()


def test_the_mean_covers_nothing_of_an_even_image(corner: Any) -> None:
    x = np.ones((1, 12, 10, 1), np.float32)
    with pytest.raises(cnnvis.UserError, match="zero everywhere"):
        cnnvis.run("patch-occlusion", corner, data=x, fill="mean")


def test_sizes_must_fit_the_axes(corner: Any) -> None:
    x = np.ones((1, 12, 10, 1), np.float32)
    with pytest.raises(cnnvis.UserError, match=r"size is \(1, 2, 3\).*2 spatial axes"):
        cnnvis.run("patch-occlusion", corner, data=x, size=[1, 2, 3])


def test_the_ranking_names_places_in_the_units_of_the_axes(corner: Any, tmp_path: Path) -> None:
    x = np.zeros((1, 12, 10, 1), np.float32)
    x[0, 2, 3] = 5
    path = tmp_path / "places.tsv"
    axes = {"column": {"name": "time", "unit": "s", "start": 10, "step": 0.5}}
    cnnvis.run(
        "patch-occlusion", corner, data=x, size=[1], stride=[1], axes=axes, out=path,
        plugin_options={"ranking": {"places": 2}},
    )  # fmt: skip
    with path.open() as file:
        heading, first, second = csv.reader(file, delimiter="\t")
    assert heading == ["map", "rank", "row", "column", "value"]
    assert first[1:4] == ["1", "2", "11.5"] and float(first[4]) == pytest.approx(5)
    assert float(second[4]) == 0
