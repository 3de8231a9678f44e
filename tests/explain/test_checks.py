"""Checks beside maps: which are computed, on which images, and where their verdicts stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import Registry, registry, using

SEEN: list[list[int]] = []
"""The images that the check `watched` was given."""


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    return cnnvis.Verdict("failed", "it always does")


@cnnvis.metric("watched", judge=_judge, cost=cnnvis.Cost())
def watched(explanation: cnnvis.Explanation) -> Any:
    """A check that fails, and costs nothing."""
    assert explanation.indices is not None
    SEEN.append(explanation.indices.tolist())
    return np.ones(len(explanation))


@cnnvis.metric("dear", judge=_judge, cost=cnnvis.Cost(passes=1e9))
def dear(explanation: cnnvis.Explanation) -> Any:
    """A check that no time is enough for."""
    return np.ones(len(explanation))


@cnnvis.metric("dear-maps", judge=_judge, cost=cnnvis.Cost(signed_maps=1e9))
def dear_maps(explanation: cnnvis.Explanation) -> Any:
    """A check that asks for more maps than there is time for, of techniques with signs."""
    return np.ones(len(explanation))


@cnnvis.metric("unknown-cost", judge=_judge)
def unknown_cost(explanation: cnnvis.Explanation) -> Any:
    """A check that nobody knows the cost of."""
    return np.ones(len(explanation))


@cnnvis.metric("broken-check", judge=_judge, cost=cnnvis.Cost())
def broken(explanation: cnnvis.Explanation) -> Any:
    """A check with a fault."""
    raise ZeroDivisionError


@cnnvis.metric("unwilling", judge=_judge, cost=cnnvis.Cost())
def unwilling(explanation: cnnvis.Explanation) -> Any:
    """A check that does not take these maps."""
    raise cnnvis.UserError("only maps of birds")


@pytest.fixture
def own_checks() -> Iterator[None]:
    known = Registry(only=[])
    for function in (watched, dear, dear_maps, unknown_cost, broken, unwilling):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None
        known.add(plugin)
    SEEN.clear()
    with using(known):
        yield


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks as they are for a person, and not for most tests."""
    monkeypatch.delenv("CNNVIS_CHECKS")


def _verdicts(found: cnnvis.Explanation) -> dict[str, str]:
    return {name: one.outcome for name, one in found.verdicts.items()}


@pytest.mark.slow
def test_quick_checks_are_the_default(checked: None, classifier: Any, images: Any) -> None:
    found = cnnvis.run("saliency", classifier, data=images)
    assert list(found.verdicts)[:2] == ["sanity", "completeness"]
    assert _verdicts(found)["sanity"] == "passed"
    assert found.measures == {} and found.metrics == ()
    (chained,) = cnnvis.chain(classifier, ["saliency"], data=images)
    assert list(chained.verdicts) == list(found.verdicts)


FEW: dict[str, dict[str, Any]] = {
    "deep-shap": {"baselines": 2},
    "expected-gradients": {"baselines": 2, "steps": 4},
    "guided-integrated-gradients": {"steps": 10},
    "kernel-shap": {"sets": 140},
    "lime": {"sets": 70},
    "occlusion": {"patch": 16},
    "rise": {"masks": 60},
    "shapley-sampling": {"orders": 2},
    "smoothgrad": {"copies": 8},
}
"""Options with which techniques take little time."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "technique",
    [
        plugin.name
        for plugin in registry().of("technique")
        if plugin.distribution == "cnnvis"
        and ":" not in plugin.name
        and plugin.gives_maps_of_images
    ],
)
def test_checks_judge_every_technique_or_say_why_not(technique: str) -> None:
    options = {"images": range(5), "checks": "full", **FEW.get(technique, {})}
    found = cnnvis.run(technique, "demo", **options)
    verdicts = found.verdicts
    assert [*verdicts] == ["sanity", "completeness", "srg", "class-sensitivity", "randomization"]
    judged = {name for name, one in verdicts.items() if one.outcome != "information"}
    claims, has_signs = "completeness_gap" in found.measures, _says_its_signs(technique)
    expected = {"sanity", "srg", *(["completeness"] if claims else [])}
    assert judged == expected | ({"class-sensitivity", "randomization"} if has_signs else set())
    for name in {*verdicts} - judged:
        assert "does not claim" in verdicts[name].meaning or "signs" in verdicts[name].meaning


def _says_its_signs(technique: str) -> bool:
    """Tell whether a technique says by which options its maps have signs."""
    return registry().get("technique", technique).signed is not None


def test_the_variable_is_the_default_of_the_argument(
    monkeypatch: pytest.MonkeyPatch, own_checks: None, classifier: Any, images: Any
) -> None:
    monkeypatch.setenv("CNNVIS_CHECKS", "none")
    assert cnnvis.run("saliency", classifier, data=images).verdicts == {}
    assert cnnvis.run("saliency", classifier, data=images, checks="quick").verdicts
    monkeypatch.setenv("CNNVIS_CHECKS", "some")
    with pytest.raises(
        cnnvis.UserError, match=r"CNNVIS_CHECKS\) are none, quick or full, not 'some'"
    ):
        cnnvis.run("saliency", classifier, data=images)


@pytest.mark.slow
def test_settings_say_which_checks(
    monkeypatch: pytest.MonkeyPatch, typed: Callable[..., Any], own_checks: None, tmp_path: Path
) -> None:
    words = ("run", "saliency", "demo", "-im", "0", "-o", "a.npz")
    assert "watched" not in typed(*words).stderr  # by the variable of these tests
    monkeypatch.setenv("CNNVIS_CHECKS", "quick")
    assert "watched" in typed(*words).stderr
    monkeypatch.setenv("CNNVIS_CHECKS", "some")
    done = typed(*words)
    assert done.returncode == 2
    assert (
        "the variable CNNVIS_CHECKS: checks can be none, quick, full, and is 'some'" in done.stderr
    )
    monkeypatch.delenv("CNNVIS_CHECKS")
    assert typed("config", "set", "checks", "none").returncode == 0
    assert (tmp_path / "cnnvis.toml").read_text() == 'checks = "none"\n'
    assert "watched" not in typed(*words).stderr
    assert "watched" in typed(*words, "--checks", "quick").stderr
    assert typed("config", "set", "checks", "some").returncode == 2


@pytest.mark.slow
def test_checks_that_do_not_fit_are_left_out_and_named(
    own_checks: None, classifier: Any, images: Any
) -> None:
    found = cnnvis.run("saliency", classifier, data=images, checks="quick")
    assert _verdicts(found)["watched"] == "failed"
    assert "unknown-cost" not in found.verdicts
    for name in ("dear", "dear-maps"):
        assert found.verdicts[name].outcome == "information"
        assert "left out for lack of time; --checks full" in found.verdicts[name].meaning
    full = cnnvis.run("saliency", classifier, data=images, checks="full")
    names = ("watched", "dear", "dear-maps", "unknown-cost")
    assert all(full.verdicts[name].outcome == "failed" for name in names)
    # A technique without signs makes no signed maps, which then cost nothing.
    others = cnnvis.run("grad-cam", classifier, data=images, checks="quick")
    assert _verdicts(others)["dear-maps"] == "failed"


def test_a_check_that_fails_costs_nothing_but_its_verdict(
    own_checks: None, classifier: Any, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnvis.explain import checks

    monkeypatch.setattr(checks, "LEAST", 60.0)  # seconds, however busy the machine is
    found = cnnvis.run("saliency", classifier, data=images, checks="quick")
    alone = cnnvis.run("saliency", classifier, data=images, checks="none")
    np.testing.assert_array_equal(found.array, alone.array)
    assert found.verdicts["unwilling"].meaning == "not computed: only maps of birds"
    assert "the metric broken-check of" in found.verdicts["broken-check"].meaning
    assert found.verdicts["broken-check"].outcome == "information"


@pytest.mark.slow
def test_at_most_32_images_are_checked_evenly_spread_over_all(
    own_checks: None, classifier: Any, tmp_path: Path
) -> None:
    x = np.random.default_rng(1).normal(size=(100, 12, 10, 2)).astype(np.float32)
    every = {}
    every["run"] = cnnvis.run("saliency", classifier, data=x, checks="quick")
    (every["chain"],) = cnnvis.chain(classifier, ["saliency"], data=x, checks="quick")
    into = cnnvis.run("saliency", classifier, data=x, checks="quick", into=tmp_path / "kept")
    resumed = cnnvis.run(
        "saliency", classifier, data=x, checks="quick", into=tmp_path / "kept", resume=True
    )
    for found in (*every.values(), into, resumed):
        assert found.verdicts["watched"].meaning == "it always does (32 of 100 images were checked)"
        assert len(found) == 100
    assert len(SEEN) == 4 and all(seen == SEEN[0] for seen in SEEN)
    assert SEEN[0][0] == 0 and SEEN[0][-1] == 99 and set(np.diff(SEEN[0])) == {3, 4}


def test_large_images_are_checked_by_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnvis.explain import checks

    samples = cnnvis.Samples(np.zeros((40, 8, 8, 1), np.float32))
    assert checks.number_to_check(samples) == 32
    monkeypatch.setattr(checks, "BYTES", 4 * 8 * 8 * 3)
    assert checks.number_to_check(samples) == 3
    monkeypatch.setattr(checks, "BYTES", 1)
    assert checks.number_to_check(samples) == 1


def test_verdicts_stay_through_transforms_and_in_files(
    own_checks: None, classifier: Any, images: Any, tmp_path: Path
) -> None:
    steps = ["saliency", "smooth", ("average", {"by": "all"})]
    (found,) = cnnvis.chain(classifier, steps, data=images, checks="full")
    assert _verdicts(found)["watched"] == "failed"
    found.save(tmp_path / "maps.npz")
    assert cnnvis.Explanation.load(tmp_path / "maps.npz").verdicts == found.verdicts


@pytest.mark.slow
def test_a_picture_names_the_checks_that_failed(
    own_checks: None, classifier: Any, images: Any, tmp_path: Path
) -> None:
    found = cnnvis.run("saliency", classifier, data=images, checks="full")
    found.save(tmp_path / "maps.svg")
    assert "x failed: " in (tmp_path / "maps.svg").read_text()
    cnnvis.run("saliency", classifier, data=images, checks="none").save(tmp_path / "none.svg")
    assert "failed" not in (tmp_path / "none.svg").read_text()


def test_techniques_without_maps_of_images_have_no_checks(checked: None, classifier: Any) -> None:
    assert cnnvis.run("model-summary", classifier).verdicts == {}
    assert cnnvis.run("filter-weights", classifier, layer="first").verdicts == {}


def test_a_metric_that_another_metric_is_asked_for_is_no_check_as_well(
    own_checks: None, classifier: Any, images: Any
) -> None:
    found = cnnvis.run("saliency", classifier, data=images, checks="quick", metrics="watched")
    assert len(SEEN) == 1 and found.metrics == ("watched",)
    assert "watched" not in [one["metric"] for one in found.provenance["checks"]]


@pytest.mark.slow
def test_maps_of_several_inputs_are_checked_each(keras: Any, own_checks: None) -> None:
    layers = keras.layers
    left, right = layers.Input((8, 8, 1), name="left"), layers.Input((8, 8, 1), name="right")
    both = layers.Concatenate()([layers.Conv2D(2, 3)(left), layers.Conv2D(2, 3)(right)])
    answer = layers.Dense(2)(layers.Flatten()(layers.ReLU()(both)))
    model = keras.Model([left, right], answer)
    rng = np.random.default_rng(2)
    data = cnnvis.Samples.of({name: rng.normal(size=(5, 8, 8, 1)) for name in ("left", "right")})
    found = cnnvis.run("saliency", model, data=data, checks="quick")
    for one in (found, *found.other_inputs):
        assert _verdicts(one)["watched"] == "failed"
    ended = cnnvis.chain(model, ["saliency"], data=data, checks="quick")
    assert [_verdicts(one)["watched"] for one in ended] == ["failed", "failed"]


# On the command line


@pytest.mark.slow
def test_lines_of_verdicts(checked: None, typed: Callable[..., Any], own_checks: None) -> None:
    words = ("run", "saliency", "demo", "-im", "0-3", "-o", "a.npz")
    done = typed(*words)
    assert "x watched failed: it always does\n" in done.stderr
    late = r"- left out for lack of time: .*dear, dear-maps \(--checks full computes all\)"
    assert re.search(late, done.stderr)  # on a busy machine others as well
    assert "- unwilling information: not computed: only maps of birds" in done.stderr
    assert "the metric broken-check of" in done.stderr
    assert done.returncode == 0
    assert typed(*words, "--strict").returncode == 3
    assert "watched" not in typed(*words, "--checks", "none").stderr
    assert "watched" not in typed(*words, "-q").stderr


@pytest.mark.slow
def test_a_strict_chain_sees_checks_and_metrics_behind_which_maps_were_changed(
    checked: None, typed: Callable[..., Any], own_checks: None
) -> None:
    done = typed(
        "chain", "demo", "-im", "0-3", "--strict", "saliency", "smooth", "average", "numpy"
    )
    assert done.returncode == 3 and "x watched failed: it always does\n" in done.stderr
    words = ("chain", "demo", "-im", "0-3", "--strict", "--checks", "none", "saliency")
    done = typed(*words, "watched", "smooth", "average", "numpy")
    assert done.returncode == 3 and "x watched failed: it always does\n" in done.stderr
    done = typed(*words, "grad-cam", "watched", "multiply", "numpy")
    assert done.returncode == 3 and "x watched failed: it always does\n" in done.stderr


@pytest.mark.slow
def test_verdicts_of_several_techniques_name_them(
    checked: None, typed: Callable[..., Any], own_checks: None
) -> None:
    done = typed("chain", "demo", "-im", "0-3", "saliency", "grad-cam", "multiply", "numpy")
    assert "x watched of saliency failed: it always does\n" in done.stderr
    assert "x watched of grad-cam failed: it always does\n" in done.stderr


def test_a_metric_that_cannot_be_computed_costs_no_maps(
    typed: Callable[..., Any], own_checks: None, tmp_path: Path
) -> None:
    done = typed(
        "run", "saliency", "demo", "-im", "0", "-o", "a.npz", "--metrics", "unwilling", "watched"
    )
    assert done.returncode == 2 and "error: only maps of birds" in done.stderr
    assert "x watched failed" in done.stderr
    assert cnnvis.Explanation.load(tmp_path / "a.npz").verdicts["watched"].outcome == "failed"


@pytest.mark.slow
def test_a_saved_chain_keeps_its_level(typed: Callable[..., Any], own_checks: None) -> None:
    words = ("chain", "demo", "-im", "0", "--checks", "quick", "--save-chain", "own.toml")
    assert "watched" in typed(*words, "saliency", "numpy").stderr
    assert "watched" in typed("chain", "--file", "own.toml").stderr
    assert "watched" not in typed("chain", "--file", "own.toml", "--checks", "none").stderr
    written = typed("chain", "--file", "own.toml", "--as", "shell").stdout
    assert "--checks quick" in written


@cnnvis.metric("wrong-judge", judge=lambda values: 1 / 0)
def wrong_judge(explanation: cnnvis.Explanation) -> Any:
    """A metric whose judge fails."""
    return np.ones(len(explanation))


@pytest.fixture
def wrong_judges(own_checks: None) -> None:
    from cnnvis.registry.discovery import registry

    plugin = cnnvis.plugin_of(wrong_judge)
    assert plugin is not None
    registry().add(plugin)


@pytest.mark.parametrize(
    "name, code, said",
    [("unwilling", 2, "only maps of birds"), ("wrong-judge", 1, "wrong-judge of")],
)
@pytest.mark.parametrize("metrics", ["run", "chain"])
def test_a_failing_metric_costs_no_maps_and_no_verdicts_of_others(
    typed: Callable[..., Any], wrong_judges: None, tmp_path: Path,
    name: str, code: int, said: str, metrics: str,
) -> None:  # fmt: skip
    words = {
        "run": (
            "run",
            "saliency",
            "demo",
            "-im",
            "0-1",
            "--metrics",
            name,
            "watched",
            "-r",
            "numpy",
        ),
        "chain": ("chain", "demo", "-im", "0-1", "saliency", name, "watched", "numpy"),
    }
    done = typed(*words[metrics], "-o", "a.npz")
    assert done.returncode == code and said in done.stderr, done.stderr
    assert "x watched failed: it always does" in done.stderr
    assert cnnvis.Explanation.load(tmp_path / "a.npz").verdicts["watched"].outcome == "failed"


@pytest.mark.slow
def test_metrics_that_do_not_judge_say_their_numbers(typed: Callable[..., Any]) -> None:
    words = ("run", "saliency", "demo", "-im", "0-3", "-o", "a.npz", "--metrics", "sparseness")
    assert "- sparseness: 0." in typed(*words).stderr
    chain = ("chain", "demo", "-im", "0-3", "saliency", "sparseness", "average", "numpy")
    assert " on average, " in typed(*chain).stderr


def test_a_metric_in_a_chain_with_a_run_folder_judges_all_images(
    own_checks: None, classifier: Any, tmp_path: Path
) -> None:
    from cnnvis.reporting import verdicts_kept

    x = np.random.default_rng(1).normal(size=(40, 12, 10, 2)).astype(np.float32)
    steps = ["saliency", "watched", "smooth"]
    with verdicts_kept() as verdicts:
        cnnvis.chain(classifier, steps, data=x, into=tmp_path / "kept", shard_size=8)
    assert verdicts == {("saliency", "", "watched"): ("failed", "it always does")}
    assert sorted({index for seen in SEEN for index in seen}) == list(range(40))


@pytest.mark.slow
def test_settings_of_metrics_hold_for_checks(typed: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "cnnvis.toml").write_text("[srg]\nfractions = 2\n")
    for command in ("run saliency demo", "chain demo saliency numpy"):
        words = (*command.split()[:2], *command.split()[2:], "-im", "0-4", "--checks", "full")
        words = (*words, "-o", "a.npz")
        assert typed(*words).returncode == 0
        facts = cnnvis.Explanation.load(tmp_path / "a.npz").provenance["checks"]
        (own,) = [one["options"] for one in facts if one["metric"] == "srg"]
        assert own["fractions"] == 2
