"""Whatever the number of axes, the right value is drawn at the right place."""

from __future__ import annotations

import numpy as np
import pytest

import cnnvis


def _panel(maps: np.ndarray, **facts: object) -> cnnvis.Panel:  # type: ignore[type-arg]
    return cnnvis.panels(cnnvis.Explanation(maps, **facts))[0].map  # type: ignore[arg-type]


def test_profiles_and_pictures_are_themselves() -> None:
    profile, picture = np.arange(7.0)[None], np.arange(12.0).reshape(1, 3, 4)
    assert _panel(profile).is_profile
    np.testing.assert_array_equal(_panel(profile).values, profile[0])
    np.testing.assert_array_equal(_panel(picture).values, picture[0])
    assert _panel(picture).axes == ("row", "column")


def test_a_single_channel_is_no_channel() -> None:
    maps = np.arange(12.0).reshape(1, 3, 4, 1)
    panel = _panel(maps, axes=("row", "column", "channel"))
    np.testing.assert_array_equal(panel.values, maps[0, ..., 0])
    first = _panel(maps.reshape(1, 1, 3, 4), axes=("channel", "row", "column"))
    np.testing.assert_array_equal(first.values, panel.values)


def test_channels_of_a_profile_are_strips() -> None:
    dna = np.eye(4)[[0, 3, 1, 1, 2]][None]
    panel = _panel(dna, axes=("position", "channel"))
    np.testing.assert_array_equal(panel.values, dna[0].T)
    assert panel.axes == ("channel", "position") and not panel.is_profile


def test_a_volume_is_a_mosaic_of_its_planes() -> None:
    volume = np.arange(4 * 3 * 3.0).reshape(1, 4, 3, 3)
    panel = _panel(volume)
    assert panel.values.shape == (7, 7) and panel.axes == ()
    assert panel.title == "4 planes"
    for number, (top, left) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        tile = panel.values[top : top + 3, left : left + 3]
        np.testing.assert_array_equal(tile, volume[0, number])
    assert np.isnan(panel.values[3]).all() and np.isnan(panel.values[:, 3]).all()


def test_channels_of_a_picture_are_a_mosaic_too() -> None:
    kernel = np.arange(3 * 3 * 2.0).reshape(1, 3, 3, 2)
    panel = _panel(kernel, axes=("row", "column", "channel"))
    np.testing.assert_array_equal(panel.values[:, :3], kernel[0, ..., 0])
    np.testing.assert_array_equal(panel.values[:, 4:], kernel[0, ..., 1])
    assert panel.title == "2 channels"


def test_what_is_left_out_of_a_mosaic_is_said() -> None:
    explanation = cnnvis.Explanation(np.zeros((1, 40, 3, 3)))
    panel = cnnvis.panels(explanation, tiles=9)[0].map
    assert panel.title == "9 of 40 planes"
    assert panel.values.shape == (11, 11)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_inputs_of_three_channels_are_in_colour(dtype: type) -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(dtype)
    x[0, 0, 0], x[0, 0, 1] = 0, 255
    pair = cnnvis.panels(cnnvis.Explanation(np.zeros((2, 5, 6)), cnnvis.Samples(x)))[0]
    assert pair.input is not None and pair.input.is_coloured
    np.testing.assert_allclose(pair.input.values, x[0] / 255, atol=1e-6)
    assert not pair.map.is_coloured


def test_maps_are_in_colour_only_if_they_are_inputs() -> None:
    maps = np.random.default_rng(0).random((1, 5, 6, 3))
    axes = ("row", "column", "channel")
    assert _panel(maps, axes=axes, are_inputs=True).is_coloured
    assert not _panel(maps, axes=axes).is_coloured


def test_channels_first_inputs_look_like_channels_last_ones() -> None:
    x = np.random.default_rng(0).random((1, 5, 6, 3))
    maps = np.zeros((1, 5, 6))
    last = cnnvis.panels(cnnvis.Explanation(maps, cnnvis.Samples(x)))[0].input
    first = cnnvis.panels(
        cnnvis.Explanation(maps, cnnvis.Samples(np.moveaxis(x, -1, 1), channel_axis=1))
    )[0].input
    assert last is not None and first is not None
    np.testing.assert_array_equal(first.values, last.values)


def test_the_limit() -> None:
    assert len(cnnvis.panels(cnnvis.Explanation(np.zeros((9, 3))), limit=4)) == 4
