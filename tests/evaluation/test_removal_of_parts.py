"""Removal of parts: units along named axes, curves, imputation and agreement, against closed forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.evaluation.faithfulness import pearson, relative_change, scaled_infidelity
from cnnvis.evaluation.imputation import imputed
from cnnvis.evaluation.noise import image_noise
from cnnvis.evaluation.removal import curve_area, orders_of, part_means, parts_of, step_counts
from cnnvis.evaluation.remover import Removal, map_values, without_order
from cnnvis.evaluation.units import unit_names, units_of


def _maps(*space: int, **axes: cnnvis.Axis) -> cnnvis.Explanation:
    return cnnvis.Explanation(np.zeros((1, *space))).described(axes)


# Units


def test_units_are_patches_unless_axes_are_named() -> None:
    np.testing.assert_array_equal(units_of(_maps(64, 64)), parts_of((64, 64)))
    columns = units_of(_maps(5, 4), "column")
    np.testing.assert_array_equal(columns, np.tile(np.arange(4), (5, 1)))
    np.testing.assert_array_equal(units_of(_maps(5, 4), "columns"), columns)
    np.testing.assert_array_equal(units_of(_maps(5, 4), "row, column"), np.arange(20).reshape(5, 4))
    np.testing.assert_array_equal(
        units_of(_maps(5, 4), "column,row"), np.arange(20).reshape(4, 5).T
    )
    np.testing.assert_array_equal(units_of(_maps(7), "position:3"), [0, 0, 0, 1, 1, 1, 2])
    halves = units_of(_maps(3, 4, 6), "plane,column:3")
    assert halves.max() == 5 and (halves == halves[:, :1]).all()
    with_channels = cnnvis.Explanation(np.zeros((1, 2, 5, 4)), axes=("channel", "row", "column"))
    np.testing.assert_array_equal(units_of(with_channels, "column"), columns)


@pytest.mark.parametrize(
    ("axis", "length", "expected"),
    [
        (cnnvis.Axis(unit="bp", start=5000, step=500), 1000, [0, 0, 1, 1, 2, 2]),
        (cnnvis.Axis(unit="s", start=3, step=-0.1), 0.3, [1, 1, 1, 0, 0, 0]),
        (cnnvis.Axis(unit="bp", values=(10.0, 12.0, 15.0, 105.0, 900.0, 901.0)), 100, [0, 0, 0, 0, 1, 1]),
        (cnnvis.Axis(name="site", unit="bp", step=2), 4, [0, 0, 1, 1, 2, 2]),
    ],
)  # fmt: skip
def test_windows_are_as_long_as_coordinates_say(
    axis: Any, length: float, expected: list[int]
) -> None:
    maps = _maps(6, position=axis)
    assert units_of(maps, f"position:{length}").tolist() == expected
    if axis.name:
        assert units_of(maps, f"{axis.name}:{length}").tolist() == expected


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ("colum", r"axis 'colum', .*mean 'column'\? They have: row, column, site"),
        ("column,depth", "the axis 'depth'"),
        ("channel", "the axis 'channel'"),
        ("row:100", "a single unit of all 20 positions"),
        ("row:0", "it must be above 0"),
        ("column:2", "whose positions are words: name column alone"),
    ],
)
def test_units_that_do_not_fit_the_maps(units: str, said: str) -> None:
    maps = _maps(5, 4, column=cnnvis.Axis(name="site", values=("a", "a", "b", "c")))
    assert units_of(maps, "site").max() == 3
    with pytest.raises(cnnvis.UserError, match=said):
        units_of(maps, units)


@pytest.mark.parametrize("units", ["", "row:", ":3", "row:x", "row,,column", "row:-3", "row:1:2"])
def test_units_of_a_form_that_nothing_has_are_refused_at_once(units: str) -> None:
    with pytest.raises(cnnvis.UserError, match=r"it takes auto \| AXIS \| AXIS:LENGTH"):
        cnnvis.run(
            "saliency", "demo", images=[0], metrics="srg", plugin_options={"srg": {"units": units}}
        )


def test_grids_are_as_large_as_asked_for() -> None:
    np.testing.assert_array_equal(units_of(_maps(64, 64), "grid:8"), parts_of((64, 64)))
    found = units_of(_maps(6, 4), "grid:3x2")
    np.testing.assert_array_equal(found, np.arange(6).reshape(3, 2).repeat(2, 0).repeat(2, 1))
    assert units_of(_maps(3, 4, 5), "grid:9").max() == 59  # no cell is smaller than a position
    with pytest.raises(cnnvis.UserError, match="for each of the 2 axes: grid:8x8"):
        units_of(_maps(6, 4), "grid:3x2x1")


def test_units_of_samples_are_those_of_their_maps() -> None:
    axis = cnnvis.Axis(name="site", unit="bp", step=10)
    samples = cnnvis.Samples.of(np.ones((2, 3, 5, 4)), channel_axis=1, coordinates={"column": axis})
    maps = cnnvis.Explanation(np.zeros((2, 5, 4)), samples).described({"column": axis})
    for units in ("auto", "row", "site:20", "grid:2"):
        np.testing.assert_array_equal(units_of(samples, units), units_of(maps, units))
    short = replace(samples, coordinates={"column": cnnvis.Axis(values=("a", "b"))})
    with pytest.raises(cnnvis.UserError, match="described by 2 values, and has 4 positions"):
        units_of(short, "column")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("units.json", '{"left": {"column_stop": 2}, "b": [{"row_start": 3, "column_start": 2}]}'),
        ("units.tsv", "unit\trow_start\tcolumn_start\tcolumn_stop\nleft\t\t\t2\nb\t3\t2\t\n"),
        ("units.csv", "unit,row_start,column_start,column_stop\nleft,,0,2\nb,3,2,\n"),
    ],
)
def test_units_that_a_file_names(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    expected = np.full((5, 4), 2)
    expected[:, :2], expected[3:, 2:] = 0, 1
    np.testing.assert_array_equal(units_of(_maps(5, 4), str(file)), expected)
    assert unit_names(_maps(5, 4), str(file)) == ("left", "b", "the rest")
    file.write_text(text.replace("3", "9"))
    with pytest.raises(cnnvis.UserError, match="from 9 to 5 along row"):
        units_of(_maps(5, 4), str(file))
    file.write_text(text.replace("2}]", "1}]").replace("3\t2", "3\t1").replace("3,2", "3,1"))
    with pytest.raises(cnnvis.UserError, match="2 positions of 'b' are in 'left' already"):
        units_of(_maps(5, 4), str(file))


def test_units_that_an_array_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "it.npy", np.array([[7, 7, -1], [7, 3, 3]]))
    assert units_of(_maps(2, 3), f"{tmp_path}/it.npy").tolist() == [[2, 2, 0], [2, 1, 1]]
    assert unit_names(_maps(2, 3), f"{tmp_path}/it.npy") == ("-1", "3", "7")
    with pytest.raises(cnnvis.UserError, match=r"shape \(2, 3\), and the images have \(3, 2\)"):
        units_of(_maps(3, 2), f"{tmp_path}/it.npy")
    np.save(tmp_path / "it.npy", np.zeros((2, 3)))
    with pytest.raises(cnnvis.UserError, match="units are whole numbers"):
        units_of(_maps(2, 3), f"{tmp_path}/it.npy")


@pytest.mark.parametrize("space", [(40,), (12, 10), (6, 5, 7)])
def test_superpixels_follow_the_values_and_are_as_many_in_each_image(
    space: tuple[int, ...],
) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, *space, 2))
    x[0] = 0
    x[0, : space[0] // 3, ..., 1] = 5  # two regions, whose border no superpixel crosses
    samples = cnnvis.Samples.of(x)
    found = units_of(samples, "slic:7")
    for one in found:
        assert np.array_equal(np.unique(one), np.arange(7))
    inside = set(found[0][: space[0] // 3].ravel().tolist())
    assert inside.isdisjoint(found[0][space[0] // 3 :].ravel().tolist())
    np.testing.assert_array_equal(units_of(samples[[2]], "slic:7")[0], found[2])
    first = cnnvis.Samples.of(np.moveaxis(x, -1, 1) * 8 + 3, channel_axis=1)
    np.testing.assert_array_equal(units_of(first, "slic:7"), found)
    with pytest.raises(cnnvis.UserError, match="there can be 2 to"):
        units_of(samples, "slic:1")
    with pytest.raises(cnnvis.UserError, match="superpixels are of images"):
        units_of(_maps(*space), "slic:7")


# Orders, curves and numbers


def test_orders_go_both_ways_among_equals() -> None:
    assert [one.tolist() for one in orders_of(np.array([[3.0, 1, 2]]))] == [[[1, 2, 0]]]
    once, again = orders_of(np.array([[1.0, 0, 1], [3, 1, 2]]))
    assert (once.tolist(), again.tolist()) == ([[1, 0, 2], [1, 2, 0]], [[1, 2, 0], [1, 2, 0]])


def test_steps_are_nearly_equal_and_areas_are_means() -> None:
    assert step_counts(64, 4) == [0, 16, 32, 48, 64]
    assert step_counts(3, 16) == [0, 1, 2, 3]
    assert step_counts(64, 4, 0.25) == [0, 4, 8, 12, 16]
    assert step_counts(64, 4, 0.0) == [0, 1]
    counts = [0, 1, 4]
    line = np.array([[2.0, 5], [3, 5], [6, 5]])  # 2 + t of 4 removed parts, and a constant
    np.testing.assert_allclose(curve_area(line, counts), [4, 5])


class _Linear:
    """The score w x, with the weights of its target far from 1."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights
        self.asked: list[int] = []

    def target_weights(self, x: Any, *, of: Any = None) -> Any:
        return np.full((len(x), 1), 2.0)

    def scores(self, x: Any, *, weights: Any = None, of: Any = None) -> Any:
        self.asked.append(len(x))
        assert weights.shape == (len(x), 1)
        return weights[:, 0] / 2 * (x * self.weights).reshape(len(x), -1).sum(axis=1)


def _removal(monkeypatch: Any = None, count: int = 5, **settings: Any) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(6)
    x, weights = rng.normal(size=(count, 12, 3)), rng.normal(size=(12, 3))
    samples = cnnvis.Samples.of(x)
    maps = cnnvis.Explanation(x * weights, samples)
    model = _Linear(weights)
    return Removal.of(maps, model, 0.5, **settings), maps, model


def test_scores_of_what_is_left_are_those_of_the_filled_input() -> None:
    rng = np.random.default_rng(6)
    removal, maps, model = _removal(units="position:4")
    assert removal.count == 3
    x = np.array(maps.samples.x)
    np.testing.assert_allclose(removal.left(), (x * model.weights).sum(axis=(1, 2)), rtol=1e-5)
    is_out = rng.random((5, 3)) > 0.5
    x[np.repeat(is_out, 4, axis=1)] = 0.5
    np.testing.assert_allclose(
        removal.left(is_out), (x * model.weights).sum(axis=(1, 2)), rtol=1e-5
    )
    np.testing.assert_allclose(
        removal.sums(map_values(maps, "it")),
        maps.array.sum(axis=-1).reshape(5, 3, 4).sum(axis=-1), rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_each_image_can_have_parts_of_its_own() -> None:
    removal, maps, _ = _removal()
    own = np.random.default_rng(2).integers(0, 4, (5, 12))
    own[:, :4] = np.arange(4)
    several = replace(removal, parts=own)
    is_out = np.random.default_rng(3).random((5, 4)) > 0.5
    values = map_values(maps, "it")
    sums, means = several.sums(values), part_means(values, own)
    for number in range(5):
        alone = replace(removal, parts=own[number])
        np.testing.assert_allclose(sums[number], alone.sums(values)[number])
        np.testing.assert_allclose(means[number], part_means(values, own[number])[number])
        np.testing.assert_allclose(
            several.left(is_out)[number], alone.left(is_out)[number], rtol=1e-6
        )


def test_a_few_inputs_are_changed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    removal, maps, model = _removal(count=7)
    values = map_values(maps, "it")
    whole = removal.curve(values, [0, 3, 12])
    monkeypatch.setattr("cnnvis.data.samples.AT_ONCE", 3)
    model.asked.clear()
    np.testing.assert_allclose(removal.curve(values, [0, 3, 12]), whole)
    assert model.asked == [3, 3, 1] * 3
    np.testing.assert_allclose(whole[2], 0.5 * model.weights.sum(), rtol=1e-5)


def test_random_parts_belong_to_their_image() -> None:
    removal, maps, _ = _removal()
    found = removal.random_parts(4, 7, 1)
    assert (found.sum(axis=1) == 4).all() and len(np.unique(found, axis=0)) > 1
    other = Removal.of(maps[[3, 1]], _Linear(0), 0.5)
    np.testing.assert_array_equal(other.random_parts(4, 7, 1), found[[3, 1]])
    assert (removal.random_parts(4, 7, 2) != found).any()


def test_maps_that_are_not_over_the_input_are_refused() -> None:
    samples = cnnvis.Samples.of(np.ones((2, 6, 5, 1)))
    with pytest.raises(
        cnnvis.UserError, match=r"deletion needs maps as large as the input, 6 x 5, .* 3 x 5"
    ):
        map_values(cnnvis.Explanation(np.ones((2, 3, 5)), samples), "deletion")
    with pytest.raises(cnnvis.UserError, match="these maps are of none"):
        map_values(cnnvis.Explanation(np.ones((2, 3, 5))), "deletion")
    first = cnnvis.Samples.of(np.ones((2, 3, 6, 5)), channel_axis=1)
    found = map_values(cnnvis.Explanation(np.ones((2, 3, 6, 5)), first), "deletion")
    assert found.shape == (2, 6, 5) and (found == 3).all()


def test_the_best_factor_is_taken_but_no_negative_one() -> None:
    rng = np.random.default_rng(6)
    drops = rng.normal(size=(50, 4))
    sums = np.stack([3 * drops[:, 0], -drops[:, 1], rng.normal(size=50), np.zeros(50)], axis=1)
    found = scaled_infidelity(sums, drops)
    np.testing.assert_allclose(found[:2], [0, 1], atol=1e-12)
    factor, offset = np.polyfit(sums[:, 2], drops[:, 2], 1)
    best = np.square(max(factor, 0) * sums[:, 2] + offset - drops[:, 2]).mean()
    assert found[2] == pytest.approx(best / drops[:, 2].var(), rel=1e-6) and factor > 0
    assert np.isnan(found[3])
    np.testing.assert_allclose(
        scaled_infidelity(2 * sums + 5, drops + 7)[:3], found[:3], atol=1e-12
    )


def test_correlations_are_numpys() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, 20, 3))
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(pearson(a, b), expected)
    a[:, 1] = 0.1 * 3  # up to the last digit, as sums in another order are
    a[::2, 1] = 0.1 + 0.1 + 0.1
    assert np.isnan(pearson(a, b)).tolist() == [False, True, False]


def test_changes_are_shares_of_the_map() -> None:
    maps = np.array([[3.0, 4], [0, 0], [1, 0]])
    found = relative_change(maps, np.array([[3.0, 4], [1, 0], [0, 1]]))
    np.testing.assert_allclose(found, [0, np.nan, np.sqrt(2)])
    np.testing.assert_array_equal(without_order(maps, np.ones(3)), [1, np.nan, 1])


# Imputation


@pytest.mark.parametrize("space", [(9,), (7, 8), (5, 6, 7)])
def test_what_is_linear_is_imputed_as_it_was(space: tuple[int, ...]) -> None:
    """Each position of a linear function is the mean of what lies around it on either side."""
    steps = np.meshgrid(*[np.arange(length) for length in space], indexing="ij")
    plane = sum((axis + 1) * step for axis, step in enumerate(steps)) + 2.0
    is_out = np.zeros((1, *space), bool)
    is_out[(0, *[slice(2, -2)] * len(space))] = True
    x = np.stack([plane, 5 - plane], axis=-1)[None].astype(np.float32)
    holed = np.where(is_out[..., None], 99, x)
    np.testing.assert_allclose(imputed(holed, is_out, -1), x, rtol=1e-4)
    first = imputed(np.moveaxis(holed, -1, 1), is_out, 1)
    np.testing.assert_allclose(first, np.moveaxis(x, -1, 1), rtol=1e-4)
    np.testing.assert_allclose(imputed(holed[..., 0], is_out, None), x[..., 0], rtol=1e-4)


def test_neighbours_along_an_axis_weigh_twice_as_much_as_those_across() -> None:
    rng = np.random.default_rng(6)
    x = rng.random((1, 3, 3)).astype(np.float32)
    is_out = np.zeros(x.shape, bool)
    is_out[0, 1, 1] = True
    direct = x[0, [0, 1, 1, 2], [1, 0, 2, 1]].sum() / 6
    across = x[0, [0, 0, 2, 2], [0, 2, 0, 2]].sum() / 12
    assert imputed(x, is_out, None)[0, 1, 1] == pytest.approx(direct + across, rel=1e-5)
    is_out[:] = True
    is_out[0, 0, 0] = False  # all others are as the only one that is known
    np.testing.assert_allclose(imputed(x, is_out, None), x[0, 0, 0], rtol=1e-5)


def test_noise_is_that_of_the_image_wherever_channels_are() -> None:
    x = np.zeros((2, 4, 5, 3))
    one = image_noise(x, -1, [[1, 4], [1, 9]], "normal")
    np.testing.assert_array_equal(image_noise(x[:1], -1, [[1, 9]], "normal"), one[1:])
    first = image_noise(np.moveaxis(x, -1, 1), 1, [[1, 4], [1, 9]], "normal")
    np.testing.assert_array_equal(np.moveaxis(first, 1, -1), one)
    even = image_noise(np.zeros((1, 1000)), None, [0], "uniform")
    assert -1 <= even.min() < -0.98 and 0.98 < even.max() <= 1
