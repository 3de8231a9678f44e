"""Methods by checks: the same images for all, an order that says no more than the images decide."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.api.evaluate import _common, _ordered
from cnnvis.explain.metric_numbers import STEPS
from cnnvis.registry.discovery import Registry, using

SEEN: list[list[int]] = []


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    mean = values["brightness"].mean()
    return cnnvis.Verdict("failed" if mean > 1 else "passed", f"the mean is {mean:.1f}")


@cnnvis.metric("brightness", judge=_judge, better="higher")
def brightness(explanation: cnnvis.Explanation) -> Any:
    """The number that the technique `flat` was given."""
    assert explanation.indices is not None
    SEEN.append(explanation.indices.tolist())
    return explanation.array.reshape(len(explanation), -1).mean(axis=1)


@cnnvis.technique("flat")
def flat(
    model: cnnvis.Model, samples: cnnvis.Samples, *, value: float = 1.0, spread: float = 0.0
) -> Any:
    """A map of a number and a little more, the same amount for an image whatever the number is."""
    found = np.random.default_rng(0).normal(0, 1, samples.x.shape[:3]) * 1e-3
    each = np.resize([1.0, -1.0], (len(samples), 1, 1))
    return cnnvis.Explanation(found + value + spread * each, samples)


@cnnvis.technique("unwilling-technique")
def unwilling(model: cnnvis.Model, samples: cnnvis.Samples) -> Any:
    """A technique that explains no network."""
    raise cnnvis.UserError("only networks of birds")


@pytest.fixture
def own_methods() -> Iterator[None]:
    known = Registry(only=[])
    for function in (brightness, flat, unwilling):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None
        known.add(plugin)
    SEEN.clear()
    with using(known):
        yield


def test_the_best_stand_first_and_what_images_do_not_decide_has_the_same_place(
    own_methods: None, classifier: Any
) -> None:
    x = np.random.default_rng(4).normal(size=(20, 12, 10, 2)).astype(np.float32)
    methods = [
        ("flat", {"value": -1.0}), ("flat", {"value": 0.5}), ("flat", {"value": 3.0}),
        ("flat", {"value": 0.4999, "spread": 1.0}),
    ]  # fmt: skip
    found = cnnvis.evaluate(methods, classifier, data=x, metrics="brightness")
    names = [method.name for method in found.methods]
    assert names == [
        "flat value=0.5", "flat value=0.4999 spread=1.0", "flat value=-1.0", "flat value=3.0",
    ]  # fmt: skip
    assert found.places == (1, 1, 3, 4) and found.decides == "brightness"
    last = found.methods[-1]  # which has the highest numbers, and failed
    assert last.verdicts["brightness"].outcome == "failed" and last.mean("brightness") > 2.9  # type: ignore[operator]
    low, high = found.methods[0].interval("brightness") or (0, 0)
    assert low <= found.methods[0].mean("brightness") <= high  # type: ignore[operator]
    assert len(SEEN) == 4 and all(seen == SEEN[0] for seen in SEEN)


@pytest.mark.parametrize("better, wanted", [("lower", ["a", "b"]), ("higher", ["b", "a"])])
def test_better_numbers_are_lower_or_higher_as_the_metric_says(
    better: str, wanted: list[str]
) -> None:
    methods = [
        cnnvis.Method("b", {"m": np.linspace(2, 3, 10)}),
        cnnvis.Method("a", {"m": np.linspace(0, 1, 10)}),
    ]
    order, places = _ordered(methods, (), "m", better)
    assert [one.name for one in order] == wanted and places == [1, 2]
    # With too few images for an interval, nothing is decided.
    few = [cnnvis.Method(one.name, {"m": one.values["m"][:3]}) for one in methods]
    assert _ordered(few, (), "m", better)[1] == [1, 1]


def test_checks_that_judge_one_method_alone_put_it_behind_no_other() -> None:
    failed, passed = cnnvis.Verdict("failed", "it fails"), cnnvis.Verdict("passed", "it passes")
    nothing = cnnvis.Verdict("information", "nothing is judged")
    judged = cnnvis.Method("a", {"m": np.arange(9.0)}, {"one": passed, "other": failed})
    unjudged = cnnvis.Method("b", {"m": np.arange(9.0) - 5}, {"one": failed, "other": nothing})
    assert _common([judged, unjudged]) == ("one",)
    order, places = _ordered([unjudged, judged], ("one",), "m", "higher")
    assert [one.name for one in order] == ["a", "b"] and places == [1, 2]


def test_differences_are_taken_image_by_image() -> None:
    """The means' intervals overlap, and still each image says the same."""
    spread = np.random.default_rng(0).normal(0, 10, 30)
    methods = [cnnvis.Method("a", {"m": spread + 1}), cnnvis.Method("b", {"m": spread})]
    assert _ordered(methods, (), "m", "higher")[1] == [1, 2]
    one, other = (method.interval("m") for method in methods)
    assert one is not None and other is not None and one[0] < other[1]


@pytest.mark.slow
def test_checks_are_the_default_and_curves_begin_and_end_alike(
    classifier: Any, images: Any
) -> None:
    methods = [("saliency", {"backprop": None}), ("integrated-gradients", {"steps": 8})]
    found = cnnvis.evaluate(methods, classifier, data=images, curves=True)
    first = ("sanity", "completeness", "srg", "class-sensitivity", "randomization")
    assert found.metrics[:5] == first and found.decides == "srg"
    model = cnnvis.Model(classifier)
    score = model.scores(images, weights=model.target_weights(images)).mean()
    for method in found.methods:
        assert len(method.curves) == STEPS + 1 and list(method.curves)[-1] == 1
        np.testing.assert_allclose(method.curves[0], score, rtol=1e-5)
        np.testing.assert_allclose(*method.curves[1], rtol=1e-5)
        alone = cnnvis.run(
            method.name.split()[0], classifier, data=images, metrics="srg",
            **dict(methods)[method.name.split()[0]],
        )  # fmt: skip
        np.testing.assert_array_equal(method.values["srg"], alone.measures["srg"])
        assert method.verdicts["srg"] == alone.verdicts["srg"]


def test_a_method_that_fails_is_named_and_costs_no_other(
    own_methods: None, classifier: Any, images: Any
) -> None:
    methods = ["unwilling-technique", "flat"]
    found = cnnvis.evaluate(methods, classifier, data=images, metrics="brightness")
    assert [method.name for method in found.methods] == ["flat", "unwilling-technique"]
    assert found.methods[1].failure == "only networks of birds" and found.places == (1, 0)
    with pytest.raises(cnnvis.UserError, match="only networks of birds"):
        cnnvis.evaluate(methods[:1], classifier, data=images, metrics="brightness")


def test_at_most_32_images_are_taken_unless_some_are_chosen(
    own_methods: None, classifier: Any
) -> None:
    x = np.random.default_rng(4).normal(size=(50, 12, 10, 2)).astype(np.float32)
    found = cnnvis.evaluate(["flat"], classifier, data=x, metrics="brightness")
    assert len(found.indices) == 32 and found.indices[[0, -1]].tolist() == [0, 49]
    assert "only 32 of 50 images are used; --images all uses all" in found.notes
    found = cnnvis.evaluate(["flat"], classifier, data=x, metrics="brightness", images="all")
    assert len(found.indices) == 50
    found = cnnvis.evaluate(["flat"], classifier, data=x, metrics="brightness", images=[3, 4])
    assert found.indices.tolist() == [3, 4]


def test_a_judge_that_fails_costs_no_other_metric(
    own_methods: None, classifier: Any, images: Any
) -> None:
    from cnnvis.registry.discovery import registry

    @cnnvis.metric("broken-judge", judge=lambda values: 1 / 0)
    def broken(explanation: cnnvis.Explanation) -> Any:
        """A metric whose judge fails."""
        return np.ones(len(explanation))

    plugin = cnnvis.plugin_of(broken)
    assert plugin is not None
    registry().add(plugin)
    metrics = ("brightness", "broken-judge")
    (method,) = cnnvis.evaluate(["flat"], classifier, data=images, metrics=metrics).methods
    assert (
        "the metric broken-judge" in method.reasons["broken-judge"]
        and "brightness" in method.values
    )
    with pytest.raises(cnnvis.UserError, match="the metric broken-judge"):
        cnnvis.evaluate(["flat"], classifier, data=images, metrics="broken-judge")


def test_the_origin_stands_in_the_facts(own_methods: None, tmp_path: Path) -> None:
    found = cnnvis.evaluate(["flat"], "demo", metrics="brightness", images=[0, 1])
    assert len(found.facts["model"]["sha256"]) == len(found.facts["data"]["sha256"]) == 64
    assert found.facts["techniques"] == {"flat": {"value": 1.0, "spread": 0.0}}
    assert found.facts["versions"]["cnnvis"] == cnnvis.__version__


@pytest.mark.parametrize(
    "methods, asked, match",
    [
        (["flat", "flat"], {}, "named twice"),
        (["smooth"], {}, "smooth is a transform, and only techniques can be evaluated"),
        (["filter-weights"], {}, "gives no map for each image"),
        (["flat"], {"metrics": "salience"}, "no metric named 'salience'"),
        (["flat"], {"metrics": []}, "needs metrics"),
        (["flat"], {"depth": 3}, "no argument 'depth'"),
        ([], {}, "needs steps"),
    ],
)  # fmt: skip
def test_mistakes_are_sentences(
    own_methods: None, classifier: Any, images: Any, methods: Any, asked: Any, match: str
) -> None:
    with pytest.raises(cnnvis.UserError, match=match):
        cnnvis.evaluate(methods, classifier, data=images, **asked)


def test_several_inputs_are_evaluated_one_by_one(own_methods: None, keras: Any) -> None:
    layers = keras.layers
    left, right = layers.Input((8, 8, 1), name="left"), layers.Input((8, 8, 1), name="right")
    both = layers.Concatenate()([layers.Conv2D(2, 3)(left), layers.Conv2D(2, 3)(right)])
    model = keras.Model([left, right], layers.Dense(2)(layers.Flatten()(layers.ReLU()(both))))
    rng = np.random.default_rng(2)
    data = cnnvis.Samples.of({name: rng.normal(size=(5, 8, 8, 1)) for name in ("left", "right")})
    with pytest.raises(cnnvis.UserError, match="name it with --input left"):
        cnnvis.evaluate(["flat"], model, data=data, metrics="brightness")
    found = cnnvis.evaluate(["flat"], model, data=data, metrics="brightness", input="right")
    assert len(found.indices) == 5


# On the command line


@pytest.mark.slow
def test_a_table_and_files(typed: Callable[..., Any], own_methods: None, tmp_path: Path) -> None:
    words = ("evaluate", "flat", "--value", "0.5", "flat", "--value", "3", "demo")
    done = typed(*words, "--metrics", "brightness", "-o", "results/")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["place", "method", "brightness"]
    assert lines[2].split()[:4] == ["1", "flat", "value=0.5", "+"]
    assert lines[3].split()[:4] == ["2", "flat", "value=3", "x"]
    assert "note: brightness of flat value=3 failed: the mean is 3.0" in done.stderr
    rows = list(csv.DictReader((tmp_path / "results" / "evaluation.csv").open()))
    assert [row["method"] for row in rows] == ["flat value=0.5", "flat value=3"]
    assert float(rows[0]["low"]) <= float(rows[0]["mean"]) <= float(rows[0]["high"])
    held = json.loads((tmp_path / "results" / "evaluation.json").read_text())
    assert held["methods"][0]["name"] == "flat value=0.5"
    assert len(held["methods"][0]["metrics"]["brightness"]["values"]) == 32
    assert (tmp_path / "results" / "evaluation.png").read_bytes()[:4] == b"\x89PNG"
    page = (tmp_path / "results" / "evaluation.html").read_text()
    assert page.count('class="line stroke0" points=') == 2, "a drawing for each order of removal"
    assert "flat value=0.5" in page and 'class="mark failed"' in page
    printed = typed(*words, "--metrics", "brightness", "--json").stdout
    for one, other in zip(json.loads(printed)["methods"], held["methods"], strict=True):
        assert one["metrics"] == other["metrics"]
        assert one["curves"] == {} and len(other["curves"]) == STEPS + 1


def test_the_model_may_stand_before_the_methods(
    typed: Callable[..., Any], own_methods: None
) -> None:
    last = typed("evaluate", "flat", "demo", "-im", "0-4", "--metrics", "brightness")
    first = typed("evaluate", "demo", "flat", "-im", "0-4", "--metrics", "brightness")
    assert last.returncode == first.returncode == 0 and last.stdout == first.stdout


@pytest.mark.parametrize(
    "words, match",
    [
        ("evaluate demo", "needs techniques"),
        ("evaluate flat", "needs a model, behind the techniques"),
        ("evaluate flat demo -o a.doc", "an evaluation is written as .csv, .json"),
        ("evaluate flat --walue 3 demo", "no option '--walue'"),
        (
            "evaluate flat demo more",
            "only one model can be named, and there are 2: 'demo', 'more'",
        ),
        ("evaluate flat smooth demo", "smooth is a transform"),
        (
            "evaluate flat demo flat --value 3",
            "'demo' stands between techniques: the model comes last",
        ),
        ("evaluate flat demo --srg.fill purple --metrics srg", "purple"),
    ],
)
def test_mistakes_on_the_command_line(
    typed: Callable[..., Any], own_methods: None, words: str, match: str
) -> None:
    done = typed(*words.split())
    assert done.returncode == 2 and match in done.stderr, done.stderr
