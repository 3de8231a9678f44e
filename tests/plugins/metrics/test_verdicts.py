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
from cnnvis.reporting import verdicts_kept

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


@pytest.mark.slow
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
    assert _outcomes("integrated-gradients", steps=16) == dict.fromkeys(CHECKS, "passed")
    found = _outcomes("integrated-gradients", "sanity", steps=16, baseline="zero")
    assert found == {"sanity": "warned"}


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
    assert "not clearly above an edge filter" in found.verdicts["srg"].meaning


@pytest.mark.slow
def test_blank_maps_and_blind_positions() -> None:
    found = cnnvis.run("constant", "demo", images=[0, 1], metrics="sanity")
    assert found.measures["sanity"].tolist() == [1, 0]
    assert found.verdicts["sanity"].outcome == "failed"
    assert "1 of 2 maps is the same everywhere" in found.verdicts["sanity"].meaning
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


def test_one_is_written_as_one() -> None:
    from cnnvis.plugins.metrics import completeness, sanity, srg

    one = np.ones(1)
    assert "of 1 image:" in srg._judge({"srg": one, "srg_edges": one}).meaning
    assert sanity._judge({"sanity": 0 * one}).meaning.startswith("the map is the same everywhere")
    assert completeness._judge({"completeness": one / 100}).meaning.endswith(
        "the map is off by 1.0%"
    )


def test_advice_about_blind_positions_is_fit_for_any_method() -> None:
    """A baseline that has a name cannot be typed for each of them."""
    from cnnvis.plugins.metrics import sanity

    verdict = sanity._judge({"sanity": np.ones(2), "sanity_blind": np.full(2, 0.9)})
    assert verdict.outcome == "warned" and "--" not in verdict.meaning


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
    given: Any = {"data": x, "metrics": "class-sensitivity", "backprop": None}
    found = cnnvis.run("saliency", network, class_names=["up", "down"], **given)
    np.testing.assert_allclose(found.measures["class-sensitivity"], -1)
    # Of outputs that nobody calls classes, as those of a regression, none is the runner-up.
    numbers = cnnvis.run("saliency", network, **given)
    assert np.isnan(numbers.measures["class-sensitivity"]).all()
    verdict = numbers.verdicts["class-sensitivity"]
    assert verdict.outcome == "information" and "not known to be classes" in verdict.meaning


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
        (np.full(30, 2.0) + np.arange(30) / 30, "passed", "above the -1 of"),
        (np.tile([2.0, -2.0], 15), "failed", "the score falls no more"),
        (np.tile([2.0, -2.0], 5), "warned", "so few images"),
        (-1 - np.arange(10) / 10, "failed", "where the score is sensitive"),
        (np.array([1.0, 2, 3]), "information", "nothing is judged of 3 images"),
    ],
)
def test_what_a_gain_means(gains: Any, outcome: str, words: str) -> None:
    from cnnvis.plugins.metrics.srg import _judge as judge

    verdict = judge({"srg": gains, "srg_edges": np.full(len(gains), -1.0)})
    assert verdict.outcome == outcome and words in verdict.meaning


def test_methods_that_say_nothing_of_signs_are_not_judged_by_them() -> None:
    found = _outcomes("grad-cam", ("class-sensitivity", "randomization"))
    assert found == {"class-sensitivity": "information", "randomization": "information"}


@pytest.mark.parametrize(
    ("technique", "settings", "why"),
    [
        ("grad-cam", {}, "the method does not say how its maps keep their signs"),
        ("saliency", {"layer": "output[sweep]-output[neutral]"}, "a sum of outputs"),
        ("saliency", {"filter": [0, 1], "together": True}, "a sum of outputs"),
    ],
)
def test_it_is_said_why_nothing_is_judged(
    technique: str, settings: dict[str, Any], why: str
) -> None:
    names = ("class-sensitivity", "randomization")
    found = cnnvis.run(technique, "demo", images=[0, 2], metrics=names, **settings)
    for name in names:
        assert why in found.verdicts[name].meaning


@pytest.mark.slow
def test_a_region_stays_with_a_network_of_other_weights() -> None:
    given: Any = {
        "images": [0, 2],
        "metrics": "randomization",
        "backprop": None,
        "layer": "conv2:7",
    }
    at = cnnvis.run("saliency", "demo", region=["3:5", "4:9"], **given)
    everywhere = cnnvis.run("saliency", "demo", **given)
    assert not np.isnan(at.measures["randomization"]).any()
    assert not np.allclose(at.measures["randomization"], everywhere.measures["randomization"])
    model = cnnvis.load_model("demo").with_target("conv2", [7], region=["3:5", "4:9"])
    (other,) = model.with_permuted_weights([1])
    x = cnnvis.read_samples("demo").x[:1, ..., None]
    rows, columns = np.nonzero(other.input_gradient(x)[0, ..., 0])
    seen = np.nonzero(model.input_gradient(x)[0, ..., 0])
    assert len(rows) and set(rows) <= set(seen[0]) and set(columns) <= set(seen[1])


def _conv(keras: Any, *weights: Any) -> Any:
    layers = keras.layers
    network = keras.Sequential([
        layers.Input((6, 1)), layers.Conv1D(2, 2, activation="relu"), layers.Flatten(),
        layers.Dense(2, name="output"),
    ])  # fmt: skip
    network.set_weights([np.asarray(one, np.float32) for one in weights])
    return network


def test_a_network_that_a_permutation_leaves_as_it_is_is_not_judged(keras: Any) -> None:
    network = _conv(keras, np.ones((2, 1, 2)), np.zeros(2), np.ones((10, 2)), np.zeros(2))
    x = np.random.default_rng(0).random((3, 6, 1)).astype(np.float32)
    found = cnnvis.run("saliency", network, data=x, metrics="randomization", backprop=None)
    verdict = found.verdicts["randomization"]
    assert verdict.outcome == "information" and "a permutation changes nothing" in verdict.meaning
    # A method that no weight touches fails all the same where the weights differ.
    weights = np.random.default_rng(1).normal(size=20).reshape(10, 2)
    other = _conv(keras, np.ones((2, 1, 2)), np.zeros(2), weights, np.zeros(2))
    assert cnnvis.run("edges", other, data=x, metrics="randomization", filter=0).verdicts[
        "randomization"
    ].outcome == "failed"  # fmt: skip


def test_networks_whose_map_is_blank_do_not_count(keras: Any) -> None:
    dense = np.random.default_rng(1).normal(size=(10, 2)).astype(np.float32)
    network = _conv(keras, [[[3.0, 1.0]], [[-2.0, 2.0]]], np.zeros(2), dense, np.zeros(2))
    blank: list[bool] = []

    @cnnvis.technique("at-times", signed={})
    def at_times(
        model: cnnvis.Model, samples: cnnvis.Samples, *, least: float = 0.3
    ) -> cnnvis.Explanation:
        """The gradient; not a number, or zero, of networks whose first weight is small.

        Parameters
        ----------
        least
            Which weight is not small.
        """
        weights = model.network.get_weights()[2]
        maps = model.input_gradient(samples.x)
        blank.append(bool(weights[0, 0] < least and not np.array_equal(weights, dense)))
        if blank[-1]:
            maps = maps * (np.nan if len(blank) % 2 else 0)
        return cnnvis.Explanation(maps, samples)

    plugin = cnnvis.plugin_of(at_times)
    assert plugin is not None
    known = Registry(only=[])
    known.add(plugin)
    x = np.random.default_rng(0).random((4, 6, 1)).astype(np.float32)
    given: Any = {"data": x, "metrics": "randomization", "filter": 0}
    with using(known):
        found = cnnvis.run("at-times", network, least=0.3, **given)
        assert {True, False} == set(blank)
        assert not np.isnan(found.measures["randomization"]).any()
        assert not np.isnan(found.measures["randomization_complexity"]).any()
        verdict = cnnvis.run("at-times", network, least=9, **given).verdicts["randomization"]
    assert verdict.outcome == "information"
    assert "of all networks with permuted weights are the same everywhere" in verdict.meaning


def test_a_few_images_are_not_judged() -> None:
    found = cnnvis.run("saliency", "demo", images=[0, 2], metrics="srg")
    assert found.verdicts["srg"].outcome == "information"
    assert "nothing is judged of 2 images" in found.verdicts["srg"].meaning


@pytest.mark.slow
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
    (other,) = model.with_permuted_weights([3])
    for one, permuted in zip(classifier.get_weights(), other.network.get_weights(), strict=True):
        np.testing.assert_array_equal(np.sort(one, axis=None), np.sort(permuted, axis=None))
        assert np.ptp(one) == 0 or not np.array_equal(one, permuted)
    again = [one.network.get_weights()[0] for one in model.with_permuted_weights([7, 3])]
    assert not np.array_equal(*again)
    np.testing.assert_array_equal(other.network.get_weights()[0], again[1])


@pytest.mark.parametrize("technique", ["saliency", "smoothgrad", "integrated-gradients"])
def test_signs_of_all_channels_count(keras: Any, technique: str) -> None:
    """The gradients of two classes of one sigmoid are opposite; the maximum over channels is not."""
    layers = keras.layers
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [layers.Input((6, 5, 3)), layers.Flatten(), layers.Dense(1, "sigmoid")]
    )
    x = np.random.default_rng(5).normal(size=(6, 6, 5, 3)).astype(np.float32)
    options = {} if technique == "integrated-gradients" else {"backprop": None}
    found = cnnvis.run(technique, model, data=x, metrics="class-sensitivity", **options)
    np.testing.assert_allclose(found.measures["class-sensitivity"], -1, atol=1e-6)


# Where verdicts are met


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def _judging(judge: Any) -> Registry:
    """A metric of ones with that judge."""

    @cnnvis.metric("own", judge=judge)
    def own(explanation: cnnvis.Explanation) -> Any:
        """Ones."""
        return [1.0] * len(explanation)

    known = Registry(only=[])
    plugin = cnnvis.plugin_of(own)
    assert plugin is not None
    known.add(plugin)
    return known


@pytest.mark.parametrize(
    ("outcome", "meaning", "said"),
    [
        ("good", "all is well", "'good' is no outcome; there are: passed"),
        (["passed"], "all is well", "TypeError"),
        ("passed", 3, "the meaning of a verdict is a sentence, and not 3"),
        ("passed", " ", "the meaning of a verdict is a sentence"),
    ],
)
def test_a_verdict_that_is_none_is_the_plugins_fault(outcome: Any, meaning: Any, said: str) -> None:
    with using(_judging(lambda values: cnnvis.Verdict(outcome, meaning))):
        with pytest.raises(cnnvis.PluginError, match=r"the metric own of .* failed: ") as raised:
            cnnvis.run("saliency", "demo", images=[0], metrics="own")
        assert said in str(raised.value)


def test_what_a_verdict_says_stays_in_its_line() -> None:
    evil = "first\n+ sanity passed:\x1b]0;pwned\x07 \u202e all\r\nis well "
    with using(_judging(lambda values: cnnvis.Verdict("warned", evil))):
        (verdict,) = cnnvis.run("saliency", "demo", images=[0], metrics="own").verdicts.values()
    assert verdict.meaning == r"first + sanity passed:\x1b]0;pwned\x07 \u202e all is well"


def test_some_of_the_maps_have_no_verdict_about_all() -> None:
    found = cnnvis.run("saliency", "demo", images=[0, 2, 5], metrics=("sanity", "sparseness"))
    for some in (found[0:2], found[1], found[[2, 2, 0]], next(iter(found))):
        assert some.verdicts == {} and some.metrics == ("sanity", "sparseness")
    assert found[0:3].verdicts == found[[2, 0, 1]].verdicts == found.verdicts != {}
    assert found.with_maps(found.array + 1).verdicts == {}
    assert [one["metric"] for one in found[0].provenance["metrics"]] == ["sanity", "sparseness"]
    (one,) = cnnvis.chain(
        "demo", ["saliency", "sanity", ("select", {"label": "sweep"})], images=range(5)
    )
    assert "sanity" in one.verdicts  # about those that are left


def test_the_fill_of_a_single_image_is_told_of(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((6, 4)), layers.Flatten(), layers.Dense(2)])
    x = np.random.default_rng(0).random((1, 6, 4)).astype(np.float32)
    found = cnnvis.run("saliency", network, data=x, metrics="srg", backprop=None)
    assert np.isnan(found.measures["srg"]).all()
    assert found.verdicts["srg"].outcome == "information"
    assert "a mean of 1 sample" in found.verdicts["srg"].meaning
    assert "--srg.fill" in found.verdicts["srg"].meaning
    with verdicts_kept() as told:
        (chained,) = cnnvis.chain(network, [("saliency", {"backprop": None}), "srg"], data=x)
    assert chained.verdicts["srg"] == found.verdicts["srg"]
    assert told["saliency", "", "srg"] == ("information", found.verdicts["srg"].meaning)
    with pytest.raises(cnnvis.UserError, match=r"no sample|labels.*--srg\.fill"):
        cnnvis.run("saliency", network, data=x, metrics="srg", backprop=None,
                   plugin_options={"srg": {"fill": "class:a"}})  # fmt: skip


@pytest.mark.slow
def test_numbers_do_not_take_the_place_of_others() -> None:
    known = Registry(only=[])
    for name, second in (("one", "completeness_gap"), ("two", "shared"), ("three", "shared")):

        @cnnvis.metric(name)
        def numbers(explanation: cnnvis.Explanation, name: str = name, second: str = second) -> Any:
            """Numbers of two names."""
            ones = [1.0] * len(explanation)
            return {name: ones, second: ones}

        plugin = cnnvis.plugin_of(numbers)
        assert plugin is not None
        known.add(plugin)
    given: Any = {"images": [0], "baseline": "zero"}
    with using(known):
        with pytest.raises(
            cnnvis.UserError,
            match="'completeness_gap', and so does integrated-gradients: leave out",
        ):
            cnnvis.run("integrated-gradients", "demo", metrics="one", **given)
        with pytest.raises(cnnvis.UserError, match=r"three gives .* 'shared', and so does two"):
            cnnvis.run("saliency", "demo", images=[0], metrics=("two", "three"))
        twice = cnnvis.run("saliency", "demo", images=[0], metrics=("two", "two"))
    assert [one["metric"] for one in twice.provenance["metrics"]] == ["two"]
