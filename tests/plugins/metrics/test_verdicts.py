"""Checks say what they should of methods that are right, and of methods that are wrong in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.registry.discovery import Registry, using

CHECKS = ("sanity", "completeness", "srg", "class-sensitivity", "randomization")
SWEEPS = "label=sweep"


@pytest.fixture(scope="module", autouse=True)
def made() -> Iterator[None]:
    """Methods that need no network, or not the class, beside the built-in ones."""

    @cnnvis.technique("edges", signed={})
    def edges(samples: cnnvis.Samples, model: cnnvis.Model) -> cnnvis.Explanation:
        """An edge filter."""
        return cnnvis.Explanation(cnnvis.edge_maps(samples.x, samples.channel_axis), samples)

    @cnnvis.technique("lots", signed={})
    def lots(samples: cnnvis.Samples, model: cnnvis.Model) -> cnnvis.Explanation:
        """Random values."""
        return cnnvis.Explanation(cnnvis.random_maps(samples.space, samples.indices), samples)

    @cnnvis.technique("negative", signed={})
    def negative(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """The negative of a good map."""
        return cnnvis.Explanation(-abs(model.input_gradient(samples.x)), samples)

    @cnnvis.technique("constant")
    def constant(model: cnnvis.Model, samples: cnnvis.Samples) -> cnnvis.Explanation:
        """A map of ones but for one image."""
        maps = np.ones((len(samples), *samples.space), np.float32)
        maps[samples.indices == 0, 0] = 2
        return cnnvis.Explanation(maps, samples)

    known = Registry(only=[])
    for function in (edges, lots, negative, constant):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None
        known.add(plugin)
    with using(known):
        yield


def _outcomes(technique: str, metrics: Any = CHECKS, **options: Any) -> dict[str, str]:
    found = cnnvis.run(technique, "demo", images=SWEEPS, metrics=metrics, **options)
    return {name: verdict.outcome for name, verdict in found.verdicts.items()}


def test_the_plain_gradient_passes() -> None:
    assert _outcomes("saliency", backprop=None) == {
        "sanity": "passed", "completeness": "information", "srg": "passed",
        "class-sensitivity": "passed", "randomization": "passed",
    }  # fmt: skip


def test_guided_backpropagation_depends_on_neither_class_nor_weights() -> None:
    found = _outcomes("saliency", backprop="guided")
    assert (found["class-sensitivity"], found["randomization"]) == ("failed", "failed")
    assert found["srg"] == "passed"  # and shows where the network looks all the same


@pytest.mark.slow
def test_deconvolution_hardly_depends_on_the_weights() -> None:
    found = _outcomes("saliency", ("class-sensitivity", "randomization"), backprop="rectified")
    assert found == {"class-sensitivity": "warned", "randomization": "failed"}


@pytest.mark.slow
def test_integrated_gradients_pass_but_for_positions_that_are_zero() -> None:
    passed = dict.fromkeys(CHECKS, "passed")
    assert _outcomes("integrated-gradients") == passed
    assert _outcomes("integrated-gradients", baseline="zero") == {**passed, "sanity": "warned"}


@pytest.mark.slow
def test_a_smooth_map_is_not_taken_for_one_that_weights_do_not_touch() -> None:
    assert _outcomes("smoothgrad", ("class-sensitivity", "randomization")) == {
        "class-sensitivity": "passed", "randomization": "passed",
    }  # fmt: skip


@pytest.mark.parametrize("technique", quick_at([0], ["edges", "lots", "negative"]))
def test_what_is_not_important_to_the_network_is_found_out(technique: str) -> None:
    assert _outcomes(technique, "srg") == {"srg": "failed"}


def test_maps_that_no_network_made_are_the_same_for_another() -> None:
    found = _outcomes("edges", ("class-sensitivity", "randomization"))
    assert found == {"class-sensitivity": "failed", "randomization": "failed"}


def test_an_edge_filter_is_not_below_itself(keras: Any) -> None:
    """A network that looks at edges: the check warns that a filter does as well."""
    layers = keras.layers
    kernel = np.array([-1.0, 1.0]).reshape(2, 1, 1)
    network = keras.Sequential([
        layers.Input((64, 1)), layers.Conv1D(2, 2, use_bias=False), layers.ReLU(),
        layers.Conv1D(1, 1, use_bias=False), layers.GlobalAveragePooling1D(),
        layers.Dense(1, use_bias=False, name="output"),
    ])  # fmt: skip
    network.set_weights(
        [np.concatenate([kernel, -kernel], axis=2), np.ones((1, 2, 1)), np.full((1, 1), 10.0)]
    )
    x = np.random.default_rng(0).random((12, 64, 1)).astype(np.float32)
    x[:, 20:40] *= 5
    found = cnnvis.run("edges", network, data=x, metrics="srg", filter=0)
    assert found.verdicts["srg"].outcome == "warned"
    assert "not above an edge filter" in found.verdicts["srg"].meaning


def test_blank_maps_and_blind_positions() -> None:
    found = cnnvis.run("constant", "demo", images=[0, 1], metrics="sanity")
    assert found.measures["sanity"].tolist() == [1, 0]
    assert found.verdicts["sanity"].outcome == "failed"
    assert "1 of 2 maps are the same everywhere" in found.verdicts["sanity"].meaning
    blind = cnnvis.run("integrated-gradients", "demo", images=[0, 1], baseline="zero",
                       metrics="sanity")  # fmt: skip
    expected = (cnnvis.read_samples("demo").x[:2] == 0).reshape(2, -1).mean(axis=1)
    np.testing.assert_allclose(blind.measures["sanity_blind"], expected)


def test_positions_are_blind_and_not_values(keras: Any) -> None:
    """One letter of DNA is three zeros in four channels, and says something."""
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((20, 4)), layers.Conv1D(3, 5), layers.GlobalAveragePooling1D(),
        layers.Dense(2, name="output"),
    ])  # fmt: skip
    letters = np.eye(4, dtype=np.float32)[np.random.default_rng(1).integers(0, 4, (6, 20))]
    letters[0, :5] = 0  # unknown letters
    found = cnnvis.run("integrated-gradients", network, data=letters, baseline="zero",
                       metrics="sanity", filter=1)  # fmt: skip
    assert found.measures["sanity_blind"].tolist() == [0.25, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("gaps", "outcome"),
    [((0.01, 0.04), "passed"), ((0.07, 0.3, 0.1), "warned"), ((0.3,), "failed")],
)
def test_half_of_the_maps_decide_about_completeness(gaps: tuple[float, ...], outcome: str) -> None:
    from cnnvis.plugins.metrics.completeness import _judge

    assert _judge({"completeness": np.array(gaps)}).outcome == outcome


def test_a_linear_network_of_opposite_classes(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((6, 1)), layers.Conv1D(1, 1, use_bias=False), layers.Flatten(),
        layers.Dense(2, name="output"),
    ])  # fmt: skip
    one = np.arange(6.0)[:, None]
    network.set_weights([np.ones((1, 1, 1)), np.concatenate([one, -one], axis=1), np.zeros(2)])
    x = np.random.default_rng(2).random((3, 6, 1)).astype(np.float32)
    found = cnnvis.run("saliency", network, data=x, metrics="class-sensitivity", backprop=None)
    np.testing.assert_allclose(found.measures["class-sensitivity"], -1)


@pytest.mark.parametrize("explained", [0, 1])
def test_a_single_sigmoid_stands_for_two_classes(keras: Any, explained: int) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(2)
    network = keras.Sequential([
        layers.Input((12, 10, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(),
        layers.Dense(1, activation="sigmoid", name="output"),
    ])  # fmt: skip
    x = np.random.default_rng(2).normal(size=(8, 12, 10, 1)).astype(np.float32)
    found = cnnvis.run(
        "saliency", network, data=x, backprop=None, filter=explained,
        metrics=("class-sensitivity", "randomization"),
    )  # fmt: skip
    assert {target.filters for target in found.targets} == {(explained,)}
    np.testing.assert_allclose(found.measures["class-sensitivity"], -1, atol=1e-6)
    assert found.verdicts["randomization"].outcome == "passed"


@pytest.mark.parametrize(
    ("gains", "outcome", "words"),
    [
        (np.full(30, 2.0) + np.arange(30) / 30, "passed", "above the -1.00"),
        (np.tile([2.0, -2.0], 15), "failed", "the score falls no more"),
        (np.tile([2.0, -2.0], 5), "warned", "so few images"),
        (-1 - np.arange(10) / 10, "failed", "where the score is sensitive"),
        (np.array([1.0, 2, 3]), "information", "of 3 images nothing is judged"),
    ],
)
def test_what_a_gain_means(gains: Any, outcome: str, words: str) -> None:
    from cnnvis.plugins.metrics.srg import _judge as judge

    verdict = judge({"srg": gains, "srg_edges": np.full(len(gains), -1.0)})
    assert verdict.outcome == outcome and words in verdict.meaning


def test_methods_that_say_nothing_of_signs_are_not_judged_by_them() -> None:
    found = _outcomes("grad-cam", ("class-sensitivity", "randomization"))
    assert found == {"class-sensitivity": "information", "randomization": "information"}


def test_a_few_images_are_not_judged() -> None:
    found = cnnvis.run("saliency", "demo", images=[0, 2], metrics="srg")
    assert found.verdicts["srg"].outcome == "information"
    assert "of 2 images nothing is judged" in found.verdicts["srg"].meaning


def test_the_model_is_as_it_was() -> None:
    model = cnnvis.load_model("demo")
    before = [one.copy() for one in model.network.get_weights()]
    x = cnnvis.read_samples("demo").x[:3, ..., None]
    answers = model.predict(x)
    cnnvis.run("saliency", model, data="demo", images=[0, 1], metrics="randomization")
    for one, other in zip(before, model.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(answers, model.predict(x))


def test_permuted_weights_are_the_old_ones_in_another_order(classifier: Any) -> None:
    model = cnnvis.Model(classifier)
    other = model.with_permuted_weights(3)
    for one, permuted in zip(classifier.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(permuted, axis=None))
        assert np.ptp(one) == 0 or not np.array_equal(one, permuted)
    again = model.with_permuted_weights(3).network.get_weights()
    np.testing.assert_array_equal(other.network.get_weights()[0], again[0])


# Where verdicts are met


def test_verdicts_are_kept_with_the_maps(tmp_path: Path) -> None:
    found = cnnvis.run(
        "saliency", "demo", images=SWEEPS, backprop="guided", metrics=("sanity", "randomization")
    )
    assert found.title(0).splitlines()[-1].endswith("failed")
    found.save(tmp_path / "maps.npz")
    again = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert again.verdicts == found.verdicts and again.title(0) == found.title(0)


STRICT = (
    *("run", "saliency", "demo", "-im", "label=sweep", "--metrics", "randomization"),
    *("-o", "a.npz"),
)


def test_a_strict_command_ends_with_3(typed: Callable[..., Any], tmp_path: Path) -> None:
    done = typed(*STRICT, "-bm", "guided", "--strict")
    assert done.returncode == 3 and "x randomization failed: the correlation" in done.stderr


@pytest.mark.slow
def test_only_a_strict_command_does(typed: Callable[..., Any], tmp_path: Path) -> None:
    done = typed(*STRICT, "-bm", "guided")
    assert done.returncode == 0 and "x randomization failed: the correlation" in done.stderr
    done = typed(*STRICT, "-bm", "none", "--strict")
    assert done.returncode == 0 and "+ randomization passed: " in done.stderr
    chain = ("chain", "demo", "-im", "label=sweep", "saliency", "-bm", "guided", "randomization")
    assert typed(*chain, "numpy", "-o", "b.npz", "--strict").returncode == 3


@pytest.mark.slow
def test_a_chain_judges_all_images_together_and_only_a_techniques_own_maps() -> None:
    (chained,) = cnnvis.chain("demo", [("saliency", {"backprop": None}), "srg"], images=SWEEPS)
    alone = cnnvis.run("saliency", "demo", images=SWEEPS, backprop=None, metrics="srg")
    assert chained.verdicts == alone.verdicts
    with pytest.raises(cnnvis.UserError, match="put it right behind the technique"):
        cnnvis.chain("demo", ["saliency", "smooth", "class-sensitivity"], images=[0])


def test_a_metric_of_several_numbers_names_the_first_after_itself() -> None:
    @cnnvis.metric("two-numbers")
    def two(explanation: cnnvis.Explanation) -> Any:
        """Two numbers, the first of another name."""
        return {"other": [0.0] * len(explanation), "two-numbers": [1.0] * len(explanation)}

    @cnnvis.metric("no-verdict", judge=lambda values: "good")
    def judged(explanation: cnnvis.Explanation) -> Any:
        """A verdict of the wrong type."""
        return [1.0] * len(explanation)

    known = Registry(only=[])
    for function in (two, judged):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None
        known.add(plugin)
    with using(known):
        with pytest.raises(cnnvis.PluginError, match="first of several numbers"):
            cnnvis.run("saliency", "demo", images=[0], metrics="two-numbers")
        with pytest.raises(cnnvis.PluginError, match=r"not a cnnvis\.Verdict"):
            cnnvis.run("saliency", "demo", images=[0], metrics="no-verdict")
