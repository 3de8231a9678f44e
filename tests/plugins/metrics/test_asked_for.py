"""Metrics that are asked for: removal of parts, agreement, localization and robustness."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
import cnnvis.testing
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import Registry, registry, using


@pytest.fixture(scope="module", autouse=True)
def made() -> Iterator[None]:
    """Methods with known maps, beside the built-in ones."""

    @cnnvis.technique("times-input")
    def times_input(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """The gradient times the input."""
        return cnnvis.Explanation(model.input_gradient(samples.x) * samples.x, samples)

    @cnnvis.technique("the-input")
    def the_input(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """Twice the input."""
        return cnnvis.Explanation(2 * samples.x, samples)

    @cnnvis.technique("edges")
    def edges(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """An edge filter."""
        return cnnvis.Explanation(cnnvis.edge_maps(samples.x, samples.channel_axis), samples)

    known = Registry(only=[])
    for function in (times_input, the_input, edges):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None
        known.add(plugin)
    with using(known):
        yield


@pytest.fixture(scope="module")
def linear(keras: Any) -> Any:
    """The score w x of 24 positions with two channels, and inputs."""
    rng = np.random.default_rng(6)
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((24, 2)), layers.AveragePooling1D(1), layers.Flatten(),
        layers.Dense(1, use_bias=False, name="output"),
    ])  # fmt: skip
    network.set_weights([rng.normal(size=(48, 1))])
    return network, rng.normal(size=(4, 24, 2)).astype(np.float32)


def _contributions(linear: Any, fill: float) -> tuple[Any, Any]:
    """What each position adds to the score beyond the fill, and the score of the fill."""
    network, x = linear
    weights = network.get_weights()[0].reshape(24, 2)
    return (weights * (x - fill)).sum(axis=-1), fill * weights.sum()


def _numbers(name: str, linear: Any, maps: Any, **options: Any) -> Any:
    network, x = linear
    model, metric = cnnvis.Model(network, filters=0), registry().get("metric", name)
    maps = cnnvis.Explanation(maps, cnnvis.Samples.of(x), targets=model.targets(x))
    return call_plugin(metric, maps, model=model, **options)[name]


def test_the_areas_of_a_linear_score_are_those_of_sorted_contributions(linear: Any) -> None:
    rng = np.random.default_rng(6)
    adds, base = _contributions(linear, 0.5)
    scores = np.concatenate([np.zeros((4, 1)), -np.cumsum(-np.sort(-adds, axis=1), axis=1)], axis=1)
    falling = (
        base + adds.sum(axis=1, keepdims=True) + scores
    )  # the most important are removed first
    rising = base - scores
    for name, curve in (("deletion", falling), ("insertion", rising)):
        expected = np.trapezoid(curve, dx=1 / 24, axis=1)
        found = _numbers(name, linear, adds, fill=0.5, steps=24)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        others = [_numbers(name, linear, rng.normal(size=adds.shape), fill=0.5, steps=4)
                  for _ in range(5)]  # fmt: skip
        best = _numbers(name, linear, adds, fill=0.5, steps=4)
        sign = 1 if name == "insertion" else -1
        assert (sign * best > sign * np.array(others)).all()
    drops = falling[:, :1] - falling[:, :13:3]
    found = _numbers("pixel-flipping", linear, adds, fill=0.5, steps=4, share=0.5)
    np.testing.assert_allclose(found, drops.mean(axis=1), rtol=1e-4)


def test_insertion_is_deletion_turned_round(linear: Any) -> None:
    rng = np.random.default_rng(6)
    maps = rng.normal(size=(4, 24))
    one = _numbers("insertion", linear, maps, fill=0.0, steps=6)
    np.testing.assert_allclose(
        _numbers("deletion", linear, -maps, fill=0.0, steps=6), one, rtol=1e-5
    )


@pytest.mark.parametrize("name", ["deletion", "insertion", "pixel-flipping", "road"])
def test_a_map_without_an_order_has_no_number(name: str, linear: Any) -> None:
    rng = np.random.default_rng(6)
    maps = rng.normal(size=(4, 24))
    maps[1:3] = [[0], [3]]
    options = {} if name == "road" else {"fill": 0.0}
    assert np.isnan(_numbers(name, linear, maps, **options)).tolist() == [False, True, True, False]


@pytest.mark.slow
def test_agreement_with_the_drops_of_a_linear_score(linear: Any) -> None:
    rng = np.random.default_rng(6)
    adds, _ = _contributions(linear, 0.5)
    lots = rng.normal(size=(20, *adds.shape))
    for name, right, wrong in (("infidelity", 0, 1), ("sensitivity-n", 1, -1)):
        measure = functools.partial(_numbers, name, linear, fill=0.5)
        for factor in (1, 100):
            np.testing.assert_allclose(measure(factor * adds), right, atol=1e-5)
        np.testing.assert_allclose(measure(-adds), wrong, atol=1e-5)
        random = np.array([measure(one, draws=8) for one in lots]).mean()
        assert random > 0.8 if name == "infidelity" else abs(random) < 0.15
        assert np.isnan(measure(0 * adds)).all()
        assert (measure(lots[0], seed=1) != measure(lots[0])).any()


def test_what_lies_in_between_its_neighbours_is_not_missed(linear: Any) -> None:
    """So that the removal of a ramp's parts leaves it as it was, whatever the score is."""
    network, _ = linear
    ramp = np.linspace(0, 1, 24, dtype=np.float32)[:, None] * np.array([1, -2], np.float32)
    x, maps = ramp[None], np.zeros((1, 24))
    maps[0, 4:20], maps[0, 8:16] = 1, 2  # in the middle, with known neighbours on both sides
    model = cnnvis.Model(network, filters=0)
    explained = cnnvis.Explanation(maps, cnnvis.Samples.of(x), targets=model.targets(x))
    metric = registry().get("metric", "road")
    found = call_plugin(metric, explained, model=model, noise=0.0, fractions=2)
    assert found["road_most"] == pytest.approx(model.scores(x), abs=1e-3)
    assert abs(found["road_least"] - model.scores(x)) > 0.1  # at the ends, half of a ramp is missed
    np.testing.assert_allclose(found["road"], found["road_least"] - found["road_most"], rtol=1e-5)
    noisy = [
        call_plugin(metric, explained, model=model, noise=0.1, seed=seed) for seed in (0, 0, 1)
    ]
    assert noisy[0]["road"] == noisy[1]["road"] != noisy[2]["road"]


def test_baselines_fill_in_whatever_gives_them(classifier: Any, images: Any) -> None:
    found = {
        fill: cnnvis.run(
            "saliency", classifier, data=images, backprop=None, metrics=("deletion", "infidelity"),
            plugin_options={"deletion": {"fill": fill}, "infidelity": {"fill": fill, "draws": 4}},
        ).measures
        for fill in ("mean", "blur", 0.0, "sample:1")
    }  # fmt: skip
    for name in ("deletion", "infidelity"):
        assert len({tuple(one[name]) for one in found.values()}) == 4


@pytest.mark.slow
def test_units_of_a_chain_are_along_the_axis_that_is_named() -> None:
    axes = {"column": {"name": "site", "unit": "bp", "start": 1000, "step": 500}}
    numbers = {}
    for units in ("auto", "column", "site:4000", "column:4000"):
        (found,) = cnnvis.chain(
            "demo", [("saliency", {"backprop": None}), ("srg", {"units": units, "fractions": 2})],
            images=[0, 2], axes=axes,
        )  # fmt: skip
        numbers[units] = tuple(found.measures["srg"])
    assert numbers["site:4000"] == numbers["column:4000"]
    assert len(set(numbers.values())) == 3
    with pytest.raises(
        cnnvis.UserError, match=r"the axis 'position', .* They have: row, column, site"
    ):
        cnnvis.chain(
            "demo", ["saliency", ("deletion", {"units": "position"})], images=[0], axes=axes
        )


@pytest.mark.parametrize(
    ("metric", "options", "said"),
    [
        ("infidelity", {"draws": 2}, "of fewer than 3 nothing can be said"),
        ("sensitivity-n", {"seed": -1}, "it takes int >= 0"),
        ("max-sensitivity", {"seed": -1}, "it takes int >= 0"),
        ("road", {"seed": -1}, "it takes int >= 0"),
        ("grid-localization", {"seed": -1}, "it takes int >= 0"),
        (
            "iou",
            {"masks": "masks.txt"},
            r"a file that ends in \.npy, \.npz, \.csv, \.json or \.bed",
        ),
        ("pointing-game", {"masks": "none-of-these.npy"}, "cannot be read: No such file"),
        ("pointing-game", {}, "give a file of masks or boxes as the option masks"),
    ],
)
def test_what_cannot_be_is_refused(metric: str, options: Any, said: str) -> None:
    with pytest.raises(cnnvis.UserError, match=said):
        cnnvis.run("saliency", "demo", images=[0], metrics=metric, plugin_options={metric: options})


# Robustness


def test_a_gradient_that_is_the_same_everywhere_does_not_change(linear: Any) -> None:
    network, x = linear
    settings = {"data": x, "filter": 0, "metrics": "max-sensitivity"}
    found = cnnvis.run("saliency", network, backprop=None, **settings).measures["max-sensitivity"]
    np.testing.assert_allclose(found, 0, atol=1e-6)
    found = cnnvis.run("the-input", network, **settings).measures["max-sensitivity"]
    spread = 0.02 * np.ptp(x.reshape(4, -1), axis=1) / np.linalg.norm(x.reshape(4, -1), axis=1)
    largest = spread * np.sqrt(48)  # noise at its border in each value
    assert (found < largest).all() and (found > 0.5 * largest).all()
    alone = cnnvis.run("the-input", network, **settings, images=[2]).measures["max-sensitivity"]
    np.testing.assert_allclose(alone, found[[2]], rtol=1e-5)
    twice = cnnvis.run(
        "the-input", network, **settings, plugin_options={"max-sensitivity": {"radius": 0.04}}
    ).measures["max-sensitivity"]
    np.testing.assert_allclose(twice, 2 * found, rtol=1e-4)


def test_the_class_of_a_noisy_copy_stays_that_of_the_image(classifier: Any, images: Any) -> None:
    found = cnnvis.run(
        "saliency", classifier, data=images, backprop=None, metrics="max-sensitivity",
        plugin_options={"max-sensitivity": {"radius": 0.5, "draws": 2}},
    )  # fmt: skip
    kinds = [target.filters[0] for target in found.targets]
    expected = np.zeros(len(images))
    for kind in set(kinds):
        fixed = cnnvis.run(
            "saliency", classifier, data=images, backprop=None, metrics="max-sensitivity", filter=kind,
            plugin_options={"max-sensitivity": {"radius": 0.5, "draws": 2}},
        ).measures["max-sensitivity"]  # fmt: skip
        expected = np.where(np.array(kinds) == kind, fixed, expected)
    np.testing.assert_allclose(found.measures["max-sensitivity"], expected, rtol=1e-4)


@pytest.mark.slow
def test_other_inputs_are_held_while_parts_of_one_are_removed(keras: Any) -> None:
    """The score is a sum over two inputs, of which the other one stays as it is."""
    rng = np.random.default_rng(6)
    layers = keras.layers
    inputs = [layers.Input((12, 1), name=name) for name in ("left", "right")]
    joined = layers.Concatenate()([layers.Flatten()(one) for one in inputs])
    network = keras.Model(inputs, layers.Dense(1, use_bias=False, name="output")(joined))
    network.set_weights([rng.normal(size=(24, 1))])
    data = {name: rng.normal(size=(3, 12, 1)).astype(np.float32) for name in ("left", "right")}
    names = ("sensitivity-n", "infidelity", "deletion", "max-sensitivity", "road")
    found = cnnvis.run(
        "times-input", network, data=data, filter=0, metrics=names,
        plugin_options={name: {"fill": 0.0} for name in names[:3]},
    )  # fmt: skip
    whole = [target.score for target in found.targets]
    for one in (found, *found.other_inputs):
        np.testing.assert_allclose(one.measures["sensitivity-n"], 1, rtol=1e-4)
        np.testing.assert_allclose(one.measures["infidelity"], 0, atol=1e-5)
        rest = whole - one.array.reshape(3, -1).sum(axis=1)
        adds = -np.sort(-one.array.reshape(3, -1), axis=1)
        left = rest[:, None] + adds.sum(axis=1, keepdims=True) - np.cumsum(adds, axis=1)
        curve = np.concatenate([np.reshape(whole, (3, 1)), left], axis=1)
        np.testing.assert_allclose(
            one.measures["deletion"], np.trapezoid(curve, dx=1 / 12, axis=1), rtol=1e-3, atol=1e-4
        )
        assert (one.measures["max-sensitivity"] < 0.2).all()


# Localization


def test_the_selected_sites_of_the_demo_are_found(
    typed: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "sites.csv").write_text("image,column_start,column_stop\n0,38,45\n2,43,50\n")
    names = ("pointing-game", "energy-pointing-game", "iou", "average-precision")
    asked = [word for name in names for word in (f"--{name}.masks", "sites.csv")]
    done = typed("run", "saliency", "demo", "-im", "0-3", "-bm", "none", "--metrics", *names, *asked,
                 "-o", "maps.npz")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = cnnvis.Explanation.load("maps.npz").measures
    for name in names:
        assert np.isnan(found[name]).tolist() == [False, True, False, True]
        assert (found[name][[0, 2]] > 7 / 64).all()
    np.testing.assert_allclose(found["pointing-game_chance"], [7 / 64, np.nan, 7 / 64, np.nan])
    assert found["pointing-game"][[0, 2]].tolist() == [1, 1]


def test_labels_of_positions_are_the_truth_of_a_segmentation(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((8, 6, 1)), layers.Conv2D(2, 1, activation="softmax", name="output"),
    ])  # fmt: skip
    network.set_weights([np.array([1.0, -1]).reshape(1, 1, 1, 2), np.zeros(2)])
    x = np.zeros((3, 8, 6, 1), np.float32)
    x[:, 2:4, 1:5] = 1
    labels = x[..., 0].astype(int) * 2
    labels[2] = 0
    found = cnnvis.run(
        "times-input", network, data=(x, labels), filter=0, plugin_options={"iou": {"label": 2}},
        metrics=("iou", "pointing-game", "energy-pointing-game", "average-precision"),
    ).measures  # fmt: skip
    for name in ("iou", "pointing-game", "energy-pointing-game", "average-precision"):
        np.testing.assert_allclose(found[name], [1, 1, np.nan])
    none = cnnvis.run("times-input", network, data=(x, labels), filter=0, metrics="iou",
                      plugin_options={"iou": {"label": 1}}).measures  # fmt: skip
    assert np.isnan(none["iou"]).all()


# Grids


def _by_channel(keras: Any, axes: int, *, first: bool = False, size: int | None = None) -> Any:
    """A network of inputs of any size whose class k adds up channel k, and lights in channel k."""
    rng = np.random.default_rng(6)
    layers = keras.layers
    space = (6, 5, 4)[:axes]
    shape = (size and space) or (None,) * axes
    form = {"data_format": "channels_first" if first else "channels_last"}
    pooled = getattr(layers, f"GlobalAveragePooling{axes}D")(**form)
    entry = layers.Input((3, *shape) if first else (*shape, 3))
    output = layers.Dense(3, "softmax", use_bias=False, name="output")(pooled(entry))
    network = keras.Model(entry, output)
    network.set_weights([50 * np.eye(3)])
    data = np.zeros((9, *space, 3), np.float32)
    for image, place in enumerate(rng.integers(1, 3, (9, axes))):
        data[(image, *place, image % 3)] = 1
    return network, np.moveaxis(data, -1, 1) if first else data


@pytest.mark.parametrize(("axes", "first"), [(1, False), (2, True), (3, False)])
def test_evidence_lies_in_the_cell_of_the_image_of_the_class(
    keras: Any, axes: int, first: bool
) -> None:
    network, data = _by_channel(keras, axes, first=first)
    measures = {
        technique: cnnvis.run(
            technique, network, data=data, metrics="grid-localization", images=[0, 1, 2, 3, 4, 5],
            plugin_options={"grid-localization": {"grids": 6}},
        ).measures["grid-localization"]
        for technique in ("times-input", "edges")
    }  # fmt: skip
    np.testing.assert_allclose(measures["times-input"], 1)
    assert abs(measures["edges"].mean() - 1 / 2**axes) < 0.25 and (measures["edges"] < 1).all()


def test_baselines_of_grids_are_grids(keras: Any) -> None:
    network, data = _by_channel(keras, 2)
    found = [
        cnnvis.run(
            "integrated-gradients", network, data=data, metrics="grid-localization",
            baseline=baseline, images=images,
        ).measures["grid-localization"]
        for baseline, images in (("mean", [0, 1, 2]), ("mean", [1]), ("zero", [1]))
    ]  # fmt: skip
    assert (found[0] > 0.6).all() and found[1] == pytest.approx(found[0][[1]])
    assert found[2] == pytest.approx(1)  # as no other image has a light in this channel


def test_a_network_of_one_size_is_refused_unless_images_may_shrink(keras: Any) -> None:
    network, data = _by_channel(keras, 2, size=1)
    with pytest.raises(
        cnnvis.UserError,
        match=r"an input of 12 x 10, and this network takes 6 x 5: .* option shrink",
    ):
        cnnvis.run("times-input", network, data=data, metrics="grid-localization")
    data[:] = 0
    for image in range(9):
        data[image, 2:4, 2:4, image % 3] = 1  # so large that shrinking leaves some of it
    found = cnnvis.run("times-input", network, data=data, metrics="grid-localization",
                       plugin_options={"grid-localization": {"shrink": True}})  # fmt: skip
    known = found.measures["grid-localization"]
    np.testing.assert_allclose(known, 1)


def test_grids_need_images_of_several_classes(keras: Any) -> None:
    network, data = _by_channel(keras, 1)
    with pytest.raises(cnnvis.UserError, match="answers with class 0 for all 3 that were tried"):
        cnnvis.run("times-input", network, data=data[::3], metrics="grid-localization")


test_grids_are_measured_like_anything_else = cnnvis.testing.conformance(
    "grid-localization", shrink=True
)
