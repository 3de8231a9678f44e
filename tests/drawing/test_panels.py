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


def test_four_channels_are_colours_only_in_the_bytes_of_a_picture() -> None:
    bytes_, numbers = np.full((1, 5, 6, 4), 51, np.uint8), np.zeros((1, 5, 6, 4))
    for x, coloured in ((bytes_, True), (numbers, False)):
        shown = cnnvis.panels(cnnvis.Explanation(np.zeros((1, 5, 6)), cnnvis.Samples(x)))[0].input
        assert shown is not None and shown.is_coloured is coloured
    np.testing.assert_allclose(bytes_[0] / 255, 0.2)


def test_colours_are_on_one_scale_for_all_inputs() -> None:
    x = np.stack([np.full((5, 6, 3), -2.0), np.full((5, 6, 3), 2.0), np.full((5, 6, 3), 0.0)])
    pairs = cnnvis.panels(cnnvis.Explanation(np.zeros((3, 5, 6)), cnnvis.Samples(x)))
    assert [float(np.unique(pair.input.values)[0]) for pair in pairs if pair.input] == [0, 1, 0.5]


def test_axes_of_length_one_are_none() -> None:
    for shape, name in (
        ((1, 7), "column"),
        ((7, 1), "row"),
        ((1, 7, 1), "row"),
        ((7,), "position"),
    ):
        panel = _panel(np.arange(7.0).reshape(1, *shape))
        assert panel.is_profile and panel.axes == (name,)
        np.testing.assert_array_equal(panel.values, np.arange(7))
    kernel = np.arange(6.0).reshape(1, 1, 1, 6)  # a convolution of one pixel: a weight a channel
    panel = _panel(kernel, axes=("row", "column", "channel"))
    assert panel.is_profile and panel.axes == ("channel",)
    assert _panel(np.ones((1, 1, 1))).values.shape == (1,)


def test_planes_of_channels_have_a_line_for_each_channel() -> None:
    kernel = np.random.default_rng(0).random((1, 3, 2, 4, 16))
    panel = _panel(kernel, axes=("plane", "row", "column", "channel"))
    assert panel.title == "5 of 16 channels down, 3 planes across"
    assert panel.grid == (5, 3) and panel.tile == (2, 4)
    for line, channel in enumerate([0, 4, 8, 11, 15]):
        for plane in range(3):
            tile = panel.values[line * 3 : line * 3 + 2, plane * 5 : plane * 5 + 4]
            np.testing.assert_array_equal(tile, kernel[0, plane, ..., channel].astype(np.float32))


def test_a_volume_in_colour_is_a_mosaic_in_colour() -> None:
    x = np.random.default_rng(0).random((1, 4, 5, 5, 3))
    shown = cnnvis.panels(cnnvis.Explanation(np.zeros((1, 4, 5, 5)), cnnvis.Samples(x)))[0].input
    assert shown is not None and shown.is_coloured and shown.values.shape == (11, 11, 3)
    np.testing.assert_allclose(shown.values[6:, :5], x[0, 2], atol=1e-6)


@pytest.mark.parametrize(("count", "grid"), [(2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (16, (4, 4))])
def test_mosaics_are_almost_square_and_hardly_have_gaps(count: int, grid: tuple[int, int]) -> None:
    assert _panel(np.zeros((1, count, 7, 7))).grid == grid


def test_the_tiles_of_a_mosaic_are_resized_each_by_itself() -> None:
    panel = _panel(np.arange(4 * 2 * 2.0).reshape(1, 4, 2, 2))
    larger = panel.resized(lambda tile: tile.repeat(3, axis=0).repeat(3, axis=1))
    assert larger.shape == (13, 13)
    assert np.isnan(larger[6]).all() and np.isnan(larger[:, 6]).all()
    np.testing.assert_array_equal(larger[7:, :6], np.kron([[8, 9], [10, 11]], np.ones((3, 3))))
    picture = _panel(np.arange(6.0).reshape(1, 2, 3))
    np.testing.assert_array_equal(picture.resized(lambda whole: whole[::-1]), picture.values[::-1])


def test_inputs_in_the_form_of_their_maps() -> None:
    x = np.random.default_rng(0).random((1, 5, 6, 3))
    samples = cnnvis.Samples(x)
    with_channels = cnnvis.Explanation(np.zeros((1, 5, 6, 3)), samples)
    apart, alike = (cnnvis.panels(with_channels, alike=alike)[0] for alike in (False, True))
    assert apart.input is not None and apart.input.is_coloured
    assert alike.input is not None and alike.input.grid == alike.map.grid == (3, 1)
    two = cnnvis.Samples(x[..., :2])
    alike = cnnvis.panels(cnnvis.Explanation(np.zeros((1, 5, 6)), two), alike=True)[0]
    assert alike.input is not None
    np.testing.assert_allclose(alike.input.values, x[0, ..., :2].mean(axis=-1))


def test_the_limit() -> None:
    assert len(cnnvis.panels(cnnvis.Explanation(np.zeros((9, 3))), limit=4)) == 4


def test_views_of_a_volume_go_through_its_strongest_value() -> None:
    volume = np.random.default_rng(0).random((4, 6, 5))
    volume[1, 4, 2], volume[3, 0, 0] = -9, 8
    axes = {
        name: cnnvis.Axis(unit="mm", step=step)
        for name, step in {"plane": 3.0, "row": 1.0, "column": 1.0}.items()
    }
    explanation = cnnvis.Explanation(volume[None], cnnvis.Samples(volume[None, ..., None] + 20))
    pair = cnnvis.panels(explanation.described(axes), volumes="peak")[0]
    panel = pair.map
    # Planes are three times as far apart as rows and columns.
    assert [box[2:] for box in panel.boxes] == [(6, 5), (6, 5), (12, 5), (12, 6)]
    shown = [panel.values[y : y + high, x : x + wide] for y, x, high, wide in panel.boxes]
    np.testing.assert_array_equal(shown[0], volume[1].astype(np.float32))
    largest = np.take_along_axis(volume, np.abs(volume).argmax(axis=0)[None], axis=0)[0]
    np.testing.assert_array_equal(shown[1], largest.astype(np.float32))
    np.testing.assert_array_equal(shown[2], volume[:, 4].repeat(3, axis=0).astype(np.float32))
    np.testing.assert_array_equal(shown[3], volume[:, :, 2].repeat(3, axis=0).astype(np.float32))
    for number, (top, left, _, _) in enumerate(panel.boxes):
        (_, y, _, _), _, (x, _, _, _), _ = panel.lines[4 * number : 4 * number + 4]
        assert shown[number][round(y - top), round(x - left)] == -9
    assert (
        panel.title
        == "#0\nplane 3 mm, row 4 mm, column 2 mm; upper right, the strongest along plane"
    )
    assert pair.input is not None
    top, left, high, wide = pair.input.boxes[0]
    np.testing.assert_allclose(
        pair.input.values[top : top + high, left : left + wide], volume[1] + 20
    )
    assert panel.everything is not None and panel.everything.shape == (4, 6, 5)
    assert not panel.letters and not panel.directions


def test_views_say_where_left_and_right_are() -> None:
    volume = np.random.default_rng(0).random((1, 4, 6, 5))
    grid = cnnvis.VoxelGrid((4, 6, 5), np.diag([-2.0, 2, 3, 1]).tolist())  # type: ignore[arg-type]
    explanation = cnnvis.Explanation(volume).described(grid.axes())
    panel = cnnvis.panels(explanation, volumes="peak")[0].map
    assert panel.title.endswith("upper right, the strongest along x")
    assert panel.ends == (("I", "S", "P", "A"),) * 2 + (("I", "S", "R", "L"), ("P", "A", "R", "L"))
    assert panel.directions.startswith("above I to S across, P to A down; lower left I to S")
    (x, y, word), (right, _, other) = panel.letters[8:10]
    top, left, high, _ = panel.boxes[2]
    rows, columns = panel.values.shape
    assert (word, other) == ("I", "S")
    assert x == left / columns and y == (top + high / 2) / rows and right > x


def test_what_is_no_volume_has_no_views() -> None:
    for shape, axes in (((1, 5, 6), ()), ((1, 4, 5, 6, 2), ("plane", "row", "column", "channel"))):
        explanation = cnnvis.Explanation(np.random.default_rng(0).random(shape), axes=axes)
        assert not cnnvis.panels(explanation, volumes="peak")[0].map.boxes
