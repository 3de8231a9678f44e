"""Techniques that take parts of the input away, against closed forms and brute force."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.plugins.techniques._masks import Sums, masks_of

SPACES = {1: (13,), 2: (7, 6), 3: (4, 5, 3)}
FILL = 0.25


def _additive(keras: Any, shape: tuple[int, ...]) -> Any:
    """A network with the score w x + 3, and w."""
    layers = keras.layers
    # A convolution that changes nothing tells where channels are.
    same = [layers.Conv1D(shape[-1], 1, use_bias=False)] if len(shape) == 2 else []
    network = keras.Sequential(
        [layers.Input(shape), *same, layers.Flatten(), layers.Dense(1, name="end")]
    )
    weights = np.random.default_rng(1).normal(size=(math.prod(shape), 1)).astype(np.float32)
    network.set_weights([*[np.eye(shape[-1])[None]] * len(same), weights, np.float32([3])])
    return network, weights.reshape(shape)


def _product(keras: Any, count: int = 8) -> Any:
    """A network with the score a b c + a, for three sums a, b and c of the input: no sum of parts."""
    layers = keras.layers
    x = keras.Input((count, 1))
    sums = layers.Dense(3, use_bias=False, name="sums")(layers.Flatten()(x))
    a, b, c = (keras.ops.take(sums, [place], axis=-1) for place in range(3))
    network = keras.Model(x, layers.Activation("linear", name="end")(a * b * c + a))
    weights = np.random.default_rng(2).normal(size=(count, 3)).astype(np.float32)
    network.set_weights([weights])
    return network, weights


def _worth(x: Any, weights: Any, units: Any, kept: Any) -> float:
    """The score of `_product` with these units of x alone."""
    a, b, c = np.where(np.isin(units, kept), x[:, 0], FILL) @ weights
    return float(a * b * c + a)


def _shapley(x: Any, weights: Any, units: Any) -> Any:
    """Shapley values by all orders."""
    count = units.max() + 1
    found = np.zeros(count)
    for order in itertools.permutations(range(count)):
        scores = [_worth(x, weights, units, order[:place]) for place in range(count + 1)]
        found[list(order)] += np.diff(scores) / math.factorial(count)
    return found


def _data(shape: tuple[int, ...], count: int = 3) -> Any:
    return np.random.default_rng(3).normal(size=(count, *shape)).astype(np.float32)


# Covering patches


@pytest.mark.parametrize(
    ("axes", "patch", "stride"),
    quick_at([1, 3], [(1, (4,), (3,)), (2, (3, 2), (2,)), (2, (99,), (4,)), (3, (2,), (1, 2, 2))]),
)
def test_occlusion_of_an_additive_score_is_the_mean_over_covering_patches(
    keras: Any, axes: int, patch: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    space = SPACES[axes]
    network, weights = _additive(keras, (*space, 2))
    x = _data((*space, 2))
    found = cnnvis.run("occlusion", network, data=x, patch=patch, stride=stride, baseline=FILL)
    falls = (weights * (x - FILL)).sum(axis=-1)
    sizes = [min(one, size) for one, size in zip(patch * axes, space, strict=False)]
    begins = [
        sorted({*range(0, size - wide, step), size - wide})
        for size, wide, step in zip(space, sizes, stride * axes, strict=False)
    ]
    total, times = np.zeros(falls.shape), np.zeros(space)
    for place in itertools.product(*begins):
        inside = tuple(slice(at, at + wide) for at, wide in zip(place, sizes, strict=True))
        within = (slice(None), *inside)
        total[within] += falls[within].sum(axis=tuple(range(1, axes + 1)), keepdims=True)
        times[inside] += 1
    assert times.min() > 0
    np.testing.assert_allclose(found.array, total / times, rtol=1e-4, atol=1e-4)


def test_the_usual_patches_cover_everything_and_fill_with_the_mean(keras: Any) -> None:
    network, weights = _additive(keras, (17, 9, 1))
    x = _data((17, 9, 1))
    found = cnnvis.run("occlusion", network, data=x, images=[1], patch=[1], stride=[1])
    expected = (weights * (x[1] - x.mean(axis=0)))[..., 0]
    np.testing.assert_allclose(found.array[0], expected, rtol=1e-3, atol=1e-4)
    assert cnnvis.run("occlusion", network, data=x).array.any(axis=0).all()


# Random masks


@pytest.mark.parametrize("space", [(29,), (20, 15), (9, 8, 10)])
def test_masks_are_those_of_the_paper(space: tuple[int, ...]) -> None:
    from skimage.transform import resize

    cells = (4,) * len(space)
    for number in range(5):
        rng = np.random.default_rng((7, number))
        grid = (rng.random(cells) < 0.4).astype(np.float32)
        lengths = [-(-size // 4) for size in space]
        large = resize(
            grid, [5 * one for one in lengths], order=1, mode="edge", anti_aliasing=False
        )
        shifts = [int(rng.integers(one)) for one in lengths]
        inside = [slice(at, at + size) for at, size in zip(shifts, space, strict=True)]
        np.testing.assert_allclose(
            masks_of(7, [number], space, cells, 0.4)[0], large[tuple(inside)], atol=1e-5
        )
    some = masks_of(1, range(2000), (6,) * len(space), cells, 0.3)
    assert abs(some.mean(axis=0) - 0.3).max() < 0.05


def test_sums_over_masks_are_means_whose_errors_are_right() -> None:
    """The errors are those that are seen when masks are drawn again and again."""
    rng = np.random.default_rng(5)
    slopes = rng.normal(size=(2, 6))
    seen: dict[bool, list[Any]] = {True: [], False: []}
    said: dict[bool, list[Any]] = {True: [], False: []}
    for _ in range(300):
        masks = rng.random((150, 6)) ** 2
        scores = slopes @ masks.T + rng.normal(size=(2, 150)) ** 2
        sums = Sums(2, 6)
        for start in (0, 64, 128):
            sums.add(scores[:, start : start + 64], masks[start : start + 64])
        for centre in (True, False):
            seen[centre].append(sums.means(centre=centre))
            said[centre].append(sums.errors(centre=centre))
    plain = (scores @ masks) / masks.sum(axis=0)
    np.testing.assert_allclose(seen[False][-1], plain)
    np.testing.assert_allclose(seen[True][-1], plain - scores.mean(axis=1, keepdims=True))
    for centre in (True, False):
        spread = np.std(seen[centre], axis=0)
        np.testing.assert_allclose(np.mean(said[centre], axis=0), spread, rtol=0.15)


def test_rise_is_the_mean_score_of_what_masks_leave(keras: Any) -> None:
    network, weights = _additive(keras, (7, 6, 2))
    x = _data((7, 6, 2))
    settings = {"data": x, "masks": 75, "cells": [3], "share": 0.4, "baseline": FILL, "seed": 4}
    masks = masks_of(4, range(75), (7, 6), (3, 3), 0.4)
    falls = (weights * (x - FILL)).sum(axis=-1)
    scores = 3 + FILL * weights.sum() + np.einsum("nij,kij->nk", falls, masks)
    expected = np.einsum("nk,kij->nij", scores, masks) / masks.sum(axis=0)
    found = cnnvis.run("rise", network, centre=False, **settings)
    np.testing.assert_allclose(found.array, expected, rtol=1e-4, atol=1e-4)
    centred = cnnvis.run("rise", network, **settings)
    expected -= scores.mean(axis=1)[:, None, None]
    np.testing.assert_allclose(centred.array, expected, rtol=1e-3, atol=1e-4)
    errors = cnnvis.run("rise", network, show="error", **settings)
    assert errors.array.shape == x.shape[:-1] and errors.array.min() > 0
    largest = errors.array.max(axis=(1, 2))
    np.testing.assert_allclose(centred.measures["half_width"], 1.96 * largest, rtol=1e-4)
    assert any("rise is uncertain for 3 of 3 maps: with 75 masks" in one for one in found.notes)


def test_positions_in_no_mask_are_refused(keras: Any) -> None:
    network, _ = _additive(keras, (7, 6, 2))
    with pytest.raises(cnnvis.UserError, match="none of 2 masks leaves"):
        cnnvis.run("rise", network, data=_data((7, 6, 2)), masks=2, share=0.01)


# Sets of units


@pytest.mark.parametrize(
    ("technique", "options"),
    [
        ("kernel-shap", {"sets": 14}),
        ("kernel-shap", {"budget": "2000"}),
        ("shapley-sampling", {"orders": 6}),
    ],
)
def test_few_units_have_their_exact_shapley_values(
    keras: Any, technique: str, options: dict[str, Any]
) -> None:
    network, weights = _product(keras)
    x, units = _data((8, 1)), np.repeat(np.arange(4), 2)
    found = cnnvis.run(technique, network, data=x, units="position:2", baseline=FILL, **options)
    for one, map_ in zip(x, found.array, strict=True):
        expected = _shapley(one, weights, units)
        np.testing.assert_allclose(map_, expected[units] / 2, rtol=1e-4, atol=1e-5)
    assert found.measures["passes"].tolist() == [16, 16, 16]
    assert found.measures["completeness_gap"].max() < 1e-5
    assert technique == "kernel-shap" or any("exact" in note for note in found.notes)


@pytest.mark.slow
def test_samples_of_sets_and_orders_come_near_the_exact_values(keras: Any) -> None:
    network, weights = _product(keras, 7)
    x, units = _data((7, 1), 2), np.arange(7)
    exact = np.stack([_shapley(one, weights, units) for one in x])
    settings = {"data": x, "units": "position", "baseline": FILL}
    few = cnnvis.run("shapley-sampling", network, orders=8, **settings)
    width = few.measures["half_width"]
    assert (abs(few.array - exact).max(axis=1) < 1.5 * width).all()
    assert abs(few.array - exact).max() > 1e-3  # for 8 orders are not all
    assert few.measures["passes"].tolist() == [8 * 6 + 2] * 2
    some = cnnvis.run("kernel-shap", network, sets=70, **settings)
    scale = abs(exact).max()
    assert 1e-6 < abs(some.array - exact).max() / scale < 0.1
    for found in (few, some):
        change = [_worth(one, weights, units, units) - _worth(one, weights, units, []) for one in x]
        np.testing.assert_allclose(found.array.sum(axis=1), change, rtol=1e-4)
    every = cnnvis.run(
        "shapley-sampling", network, orders=22, **settings
    )  # 132 passes; all are 126
    np.testing.assert_allclose(every.array, exact, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.parametrize("axes", quick_at([0], [2, 1, 3]))
def test_contributions_to_an_additive_score_are_exact(keras: Any, axes: int) -> None:
    space = SPACES[axes]
    network, weights = _additive(keras, (*space, 2))
    x = _data((*space, 2))
    units = cnnvis.units_of(cnnvis.Samples.of(x), "grid:2")
    falls = (weights * (x - FILL)).sum(axis=-1)
    of_units = np.stack([np.bincount(units.ravel(), one.ravel()) for one in falls])[:, units]
    settings = {"data": x, "units": "grid:2", "baseline": FILL}
    for technique, options in {
        "feature-ablation": {},
        "lime": {"ridge": 0.0, "sets": 80},
        "kernel-shap": {"sets": 2 * 2**axes},
        "shapley-sampling": {"orders": 2},
    }.items():
        found = cnnvis.run(technique, network, **settings, **options)
        sizes = np.bincount(units.ravel())[units] if "shap" in technique else 1
        np.testing.assert_allclose(
            found.array, of_units / sizes, rtol=1e-3, atol=1e-3, err_msg=technique
        )
        if technique == "lime":
            np.testing.assert_allclose(found.measures["explained_variance"], 1, atol=1e-5)
    penalized = cnnvis.run("lime", network, sets=80, ridge=100.0, **settings)
    assert (abs(penalized.array).sum() < 0.5 * abs(of_units).sum()).all()


@pytest.mark.slow
def test_each_of_many_positions_can_be_a_unit(keras: Any) -> None:
    network, weights = _additive(keras, (40, 28, 1))  # of more sets than a float can count
    x = _data((40, 28, 1), 2)
    expected = (weights * (x - FILL))[..., 0]
    for technique, options in {
        "shapley-sampling": {"orders": 2},
        "kernel-shap": {"sets": 2240},
    }.items():
        found = cnnvis.run(technique, network, data=x, units="row,column", baseline=FILL, **options)
        np.testing.assert_allclose(found.array, expected, rtol=1e-2, atol=1e-3)


def test_groups_that_a_person_named_have_their_fall_as_a_measure(
    keras: Any, tmp_path: Path
) -> None:
    network, weights = _additive(keras, (13, 2))
    x = _data((13, 2))
    file = tmp_path / "genes.tsv"
    file.write_text(
        "unit\tposition_start\tposition_stop\nfirst\t0\t3\nsecond\t5\t9\nfirst\t11\t13\n"
    )
    found = cnnvis.run("feature-ablation", network, data=x, units=str(file), baseline=FILL)
    falls = (weights * (x - FILL)).sum(axis=-1)
    places = {"first": [0, 1, 2, 11, 12], "second": [5, 6, 7, 8], "the rest": [3, 4, 9, 10]}
    for name, inside in places.items():
        expected = falls[:, inside].sum(axis=1)
        np.testing.assert_allclose(
            found.measures[f"fall without {name}"], expected, rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            found.array[:, inside],
            np.repeat(expected[:, None], len(inside), 1),
            rtol=1e-4,
            atol=1e-4,
        )


def test_windows_are_as_long_as_coordinates_say(keras: Any) -> None:
    network, _ = _additive(keras, (13, 2))
    axes = {"position": {"name": "site", "unit": "bp", "start": 100, "step": 10}}
    found = cnnvis.run("feature-ablation", network, data=_data((13, 2)), units="site:50", axes=axes)
    for one in found.array:
        assert [len(list(run)) for _, run in itertools.groupby(one.tolist())] == [5, 5, 3]


@pytest.mark.parametrize("technique", ["kernel-shap", "shapley-sampling", "lime"])
def test_each_image_has_superpixels_of_its_own(keras: Any, technique: str) -> None:
    network, _ = _additive(keras, (7, 6, 2))
    x = _data((7, 6, 2))
    x[:, :3] += 4
    settings = {"data": x, "units": "slic:5", "baseline": "mean"}
    found = cnnvis.run(technique, network, **settings)
    assert len(np.unique(found.array[0])) == 5
    for place in range(3):
        alone = cnnvis.run(technique, network, images=[place], **settings)
        np.testing.assert_allclose(alone.array[0], found.array[place], rtol=1e-5)


# Seeds, budgets and refusals

SAMPLING = ["rise", "lime", "kernel-shap", "shapley-sampling"]


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Numbers of perturbations that were scored."""
    made: list[int] = []
    real = cnnvis.Model.perturbed_scores

    def counted(self: Any, *args: Any, **settings: Any) -> Any:
        for some, scores in real(self, *args, **settings):
            made.append(len(some))
            yield some, scores

    monkeypatch.setattr(cnnvis.Model, "perturbed_scores", counted)
    yield made


@pytest.mark.parametrize("technique", SAMPLING)
def test_a_budget_bounds_the_passes_and_a_seed_gives_the_same_bytes(
    keras: Any, technique: str, passes: list[int]
) -> None:
    network, _ = _product(keras, 12)
    settings: dict[str, Any] = {"data": _data((12, 1)), "baseline": FILL}
    if technique != "rise":
        settings["units"] = "position"
    found = cnnvis.run(technique, network, budget="150", **settings)
    assert 100 < sum(passes) <= 150 and (found.measures["passes"] <= 150).all()
    again = cnnvis.run(technique, network, budget="150", **settings)
    assert again.array.tobytes() == found.array.tobytes()
    other = cnnvis.run(technique, network, budget="150", seed=1, **settings)
    assert abs(other.array - found.array).max() > 1e-4
    with pytest.raises(cnnvis.UserError, match=r"it takes PASSES \| 30s"):
        cnnvis.run(technique, network, budget="3 hours", **settings)


@pytest.mark.parametrize("technique", quick_at([0, 3], SAMPLING))
def test_seconds_are_measured_and_the_same_number_of_passes_gives_the_same_map(
    keras: Any, technique: str
) -> None:
    network, _ = _product(keras, 14)
    settings: dict[str, Any] = {"data": _data((14, 1)), "baseline": FILL}
    if technique != "rise":
        settings["units"] = "position"
    found = cnnvis.run(technique, network, budget="0.1s", **settings)
    (said,) = (note for note in found.notes if "for each image were enough for" in note)
    number = said.rpartition("--budget ")[2].split()[0]
    counted = cnnvis.run(technique, network, budget=number, **settings)
    assert counted.array.tobytes() == found.array.tobytes()
    alone = cnnvis.run(technique, network, budget="0.1s", images=[2], **settings)
    assert alone.measures["passes"] == found.measures["passes"][2]  # as many for each image
    np.testing.assert_allclose(alone.array[0], found.array[2], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("technique", "options", "said"),
    [
        (
            "occlusion",
            {"patch": [2], "stride": [3]},
            "positions between two patches would be in none",
        ),
        ("occlusion", {"patch": [1, 2, 3]}, "a number for each of the 2 spatial axes"),
        ("rise", {"share": 1.0}, "must be between 0 and 1"),
        ("rise", {"cells": [2, 2, 2]}, "a number for each of the 2 spatial axes"),
        ("rise", {"budget": "2"}, "three passes, at least"),
        ("lime", {"ridge": 0.0, "sets": 20}, "too few sets for 42 units"),
        ("kernel-shap", {"sets": 1}, "0 different sets are too few"),
        ("kernel-shap", {"sets": 40}, "40 different sets are too few for 42 units: 84 are enough"),
        ("kernel-shap", {"seed": -1}, r"it takes int >= 0"),
        ("shapley-sampling", {"orders": 3}, "must be even"),
        ("shapley-sampling", {"budget": "80"}, "two orders of 42 units take 84 passes"),
    ],
)
def test_what_cannot_work_is_refused(
    keras: Any, technique: str, options: dict[str, Any], said: str
) -> None:
    network, _ = _additive(keras, (7, 6, 2))
    with pytest.raises(cnnvis.UserError, match=said):
        cnnvis.run(technique, network, data=_data((7, 6, 2)), **options)


@pytest.mark.parametrize("dtype", ["int32", "float32"])  # the latter is what Keras takes by itself
def test_whole_numbers_are_filled_by_whole_numbers(keras: Any, dtype: str) -> None:
    layers = keras.layers
    words = keras.Input((6,), dtype=dtype, name="words")
    meaning = layers.Embedding(5, 1, name="meaning")(words)
    network = keras.Model(words, layers.Dense(1, name="end")(layers.Flatten()(meaning)))
    values = np.random.default_rng(0).normal(size=(5, 1))
    network.set_weights([values, np.ones((6, 1)), np.zeros(1)])
    x = np.random.default_rng(1).integers(5, size=(3, 6))
    found = cnnvis.run("occlusion", network, data=x, baseline=2, patch=[1], stride=[1])
    np.testing.assert_allclose(found.array, values[x, 0] - values[2], rtol=1e-4, atol=1e-5)
    with pytest.raises(cnnvis.UserError, match="the baseline mean has fractions, and the network"):
        cnnvis.run("kernel-shap", network, data=x, units="position")
    with pytest.raises(cnnvis.UserError, match="rise mixes values with those of a baseline"):
        cnnvis.run("rise", network, data=x, baseline=2)
