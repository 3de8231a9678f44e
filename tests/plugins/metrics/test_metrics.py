"""Metrics: what they measure, and where their numbers are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
import cnnvis.testing
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import Registry, registry, using


def _sparseness(maps: Any, **settings: Any) -> Any:
    explanation = cnnvis.Explanation(np.asarray(maps, np.float32), **settings)
    return call_plugin(registry().get("metric", "sparseness"), explanation)["sparseness"]


def test_the_gini_index_of_maps_that_are_known() -> None:
    one_place = np.zeros((1, 10, 10))
    one_place[0, 3, 4] = -2
    assert _sparseness(one_place) == pytest.approx(1 - 1 / 100)
    assert _sparseness(np.full((1, 6), -3.0)) == pytest.approx(0)
    # Half of the places hold everything, in equal shares.
    assert _sparseness([[0, 0, 5, 5]]) == pytest.approx(0.5)
    assert np.isnan(_sparseness(np.zeros((1, 4)))).all()


def test_the_gini_index_is_that_of_all_pairs() -> None:
    """The mean difference of two values, by twice their mean."""
    values = np.abs(np.random.default_rng(0).normal(size=(3, 40)))
    pairs = np.abs(values[:, :, None] - values[:, None]).mean(axis=(1, 2))
    np.testing.assert_allclose(_sparseness(values), pairs / (2 * values.mean(axis=1)), rtol=1e-5)


def test_channels_of_a_place_count_as_one_whatever_their_order() -> None:
    maps = np.random.default_rng(1).normal(size=(2, 5, 4, 3)).astype(np.float32)
    last = _sparseness(maps, axes=("row", "column", "channel"))
    first = _sparseness(np.moveaxis(maps, -1, 1), axes=("channel", "row", "column"))
    np.testing.assert_allclose(last, first)
    np.testing.assert_allclose(last, _sparseness(np.abs(maps).sum(axis=-1)), rtol=1e-6)
    np.testing.assert_allclose(
        last, _sparseness(-7 * maps, axes=("row", "column", "channel")), rtol=1e-6
    )


@pytest.mark.slow
def test_its_numbers_stand_beside_the_maps_of_a_run(tmp_path: Path) -> None:
    found = cnnvis.run("saliency", "demo", metrics="sparseness", images=[0, 1, 2])
    measured = found.measures["sparseness"]
    np.testing.assert_allclose(measured, _sparseness(found.array))
    assert found.metrics == ("sparseness",)
    assert found.title(1).splitlines()[-1] == f"sparseness {measured[1]:.3g}"
    assert found.provenance["metrics"][0]["metric"] == "sparseness"
    found.save(tmp_path / "maps.npz")
    again = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert again.title(1) == found.title(1) and again.metrics == found.metrics
    assert found[[2]].title(0).endswith(f"sparseness {measured[2]:.3g}")
    # What is made of the maps is another thing, of which nothing was measured.
    assert found.with_maps(found.array * 2).metrics == ()


@pytest.mark.slow
def test_a_chain_measures_what_is_on_the_stack() -> None:
    smooth, table = (
        cnnvis.chain("demo", ["saliency", ("smooth", {"sigma": 2}), "sparseness", *more], images=[0, 1])
        for more in ([], ["table"])
    )  # fmt: skip
    (one,) = smooth
    np.testing.assert_allclose(one.measures["sparseness"], _sparseness(one.array))
    (two,) = table
    assert two.table is not None
    np.testing.assert_allclose(two.table["sparseness"], one.measures["sparseness"])
    assert two.table["image"] == [0, 1]
    groups = cnnvis.chain("demo", ["saliency", ("average", {"by": "label"}), "sparseness"])
    assert groups[0].title(0).splitlines()[-1].startswith("sparseness 0.")


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(cnnvis.UserError, match=r"sparseness, takes .* and would get a table"):
        cnnvis.chain("demo", ["model-summary", "sparseness"])
    with pytest.raises(
        cnnvis.UserError, match="sparseness, takes a result, and no step gives a result yet"
    ):
        cnnvis.chain("demo", ["sparseness"])
    with pytest.raises(cnnvis.UserError, match="measures maps, and the result is a table"):
        cnnvis.run("model-summary", "demo", metrics="sparseness")
    with pytest.raises(cnnvis.UserError, match=r"no metric named 'sparsness'.*'sparseness'"):
        cnnvis.run("saliency", "demo", metrics=["sparsness"])
    for asked in ([1], [("srg", {"fractions": 2})]):
        with pytest.raises(
            cnnvis.UserError, match=r"chosen by its name, and not by .*plugin_options"
        ):
            cnnvis.run("saliency", "demo", metrics=asked)
    with pytest.raises(cnnvis.UserError, match="a technique is chosen by its name, and not by 1"):
        cnnvis.run(1, "demo")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_command_shows_them(typed: Callable[..., Any], tmp_path: Path) -> None:
    done = typed(
        "run", "saliency", "demo", "-im", 0, 1, "--metrics", "sparseness", "-r", "terminal"
    )
    assert done.returncode == 0, done.stderr
    (head,) = [line for line in done.stdout.splitlines() if line.startswith("image")]
    assert "sparseness" in head.split()
    done = typed("run", "saliency", "demo", "--metrics", "sparseness", "--save-chain", "c.toml")
    assert done.returncode == 0 and 'step = "sparseness"' in Path("c.toml").read_text()


def _own(answer: Callable[[cnnvis.Explanation], Any], better: Any = None) -> Registry:
    @cnnvis.metric("mine", better=better)
    def mine(explanation: cnnvis.Explanation) -> Any:
        """Mine."""
        return answer(explanation)

    marked = cnnvis.plugin_of(mine)
    assert marked is not None
    known = Registry()
    known.add(marked)
    return known


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda one: np.ones(len(one) + 1), "the shape .* for 3 maps"),
        (lambda one: 3.0, "the shape"),
        (lambda one: "much", "it gave str, not a number for each map"),
        (lambda one: np.full(len(one), np.inf), "infinite"),
        (lambda one: one.array.fill(0), "must not change its arguments"),
    ],
)
def test_a_metric_that_is_wrong_is_said_to_be(answer: Any, said: str) -> None:
    with using(_own(answer)), pytest.raises(cnnvis.PluginError, match=said) as raised:
        cnnvis.run("saliency", "demo", metrics=["mine", "sparseness"], images=[0, 1, 2])
    # What was computed without it is not lost.
    assert raised.value.found.metrics == ("sparseness",)


def test_a_metric_may_ask_the_model() -> None:
    @cnnvis.metric("asks")
    def asks(explanation: cnnvis.Explanation, model: cnnvis.Model, *, factor: float = 1.0) -> Any:
        """Ask."""
        assert explanation.inputs is not None
        return factor * model.scores(explanation.inputs)

    marked = cnnvis.plugin_of(asks)
    assert marked is not None
    known = Registry()
    known.add(marked)
    with using(known):
        found = cnnvis.run(
            "saliency",
            "demo",
            metrics="asks",
            plugin_options={"asks": {"factor": 2}},
            images=[0, 1],
        )
        scores = [target.score for target in found.targets]
        np.testing.assert_allclose(found.measures["asks"], 2 * np.array(scores), rtol=1e-5)


test_it_is_a_metric_like_any_other = cnnvis.testing.conformance("sparseness")


def _balance(one: cnnvis.Explanation, blank: float = np.nan) -> Any:
    """The sum of a map by that of its sizes: 1 for one without negative values, of whatever scale."""
    flat = one.array.reshape(len(one), -1)
    sizes = abs(flat).sum(axis=1)
    return np.where(sizes > 0, flat.sum(axis=1) / np.maximum(sizes, 1e-9), blank)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "better", "check"),
    [
        (
            lambda one: one.array.reshape(len(one), -1).max(axis=1)[::-1],
            None,
            "in whatever order",
        ),
        (
            lambda one: one.array.reshape(len(one), -1).max(axis=1) / one.array.max(),
            None,
            "among others",
        ),
        (lambda one: np.random.default_rng().normal(size=len(one)), None, "twice the same"),
        (lambda one: one.inputs[..., 0].sum(axis=(1, 2)), None, "channels first"),
        (_balance, "lower", "a right map is better than a random one and a negative one, 3-D"),
        (
            lambda one: 2 - abs(_balance(one)),
            "higher",
            "a right map is better than a random one and a negative one, 1-D",
        ),
        (
            lambda one: one.array.reshape(len(one), -1).sum(axis=1),
            "higher",
            "the scale of a map does not matter",
        ),
        (lambda one: _balance(one, 2.0), "higher", "no better than a right one"),
        (_balance, "higher", ""),
    ],
)
def test_the_kit_finds_a_metric_that_is_wrong(wrong: Any, better: Any, check: str) -> None:
    known = _own(wrong, better)
    with using(known):
        failed = []
        for one in cnnvis.testing.checks("mine"):
            try:
                one()
            except cnnvis.testing.Violation:
                failed.append(one.name)
            except cnnvis.testing.NotApplicable:
                pass
    assert any(check in name for name in failed) if check else not failed, failed


def test_it_is_said_which_numbers_are_better(typed: Callable[..., Any]) -> None:
    for name, said in {
        "deletion": "Lower numbers are better.",
        "srg": "Higher numbers are better.",
        "randomization": "Lower numbers are better.",
    }.items():
        assert said in typed("show", name).stdout.splitlines()
    assert "are better." not in typed("show", "sanity").stdout
    assert "are better." not in typed("show", "sparseness").stdout


@pytest.mark.slow
def test_options_of_metrics_are_typed_behind_their_names(
    typed: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from typing import Any\nimport cnnvis\n"
        "@cnnvis.metric('fixed')\n"
        "def fixed(explanation: cnnvis.Explanation, *, value: float = 1.0) -> Any:\n"
        '    """Fixed.\n\n    Parameters\n    ----------\n    value\n        It.\n    """\n'
        "    return [value] * len(explanation)\n"
    )
    done = typed(
        "--plugin", "mine.py", "run", "saliency", "demo", "-im", 0, "--metrics", "fixed",
        "--fixed.value", 7, "-r", "terminal",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (head,) = [line.split() for line in done.stdout.splitlines() if line.startswith("image")]
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("0 ")][-1:]
    assert row[head.index("fixed")] == "7"
    done = typed(
        "--plugin",
        "mine.py",
        "chain",
        "demo",
        "-im",
        0,
        "saliency",
        "fixed",
        "--value",
        5,
        "terminal",
    )
    assert done.returncode == 0 and " 5 " in done.stdout.splitlines()[-1], done.stdout
