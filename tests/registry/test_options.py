"""A plugin's signature is all there is to know of its options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked, options_of
from cnnvis.registry.plugin import plugin_of


@cnnvis.technique("example")
def example(
    model: cnnvis.Model,
    *,
    mode: Literal["fast", "good"] | None = "fast",
    steps: int = 3,
    size: tuple[int, int] | None = None,
    shares: tuple[float, ...] = (0.5, 1.0),
    strict: bool = False,
    name: str | None = None,
) -> None:
    """Do something.

    Parameters
    ----------
    mode
        How to do
        it.
    steps
        How often.
    """


PLUGIN = cnnvis.plugin_of(example)
assert PLUGIN is not None


def test_options_are_the_keyword_only_parameters() -> None:
    options = {option.name: option for option in options_of(PLUGIN)}
    assert list(options) == ["mode", "steps", "size", "shares", "strict", "name"]
    assert options["mode"].choices == ("fast", "good", None)
    assert options["mode"].help == "How to do it."
    assert options["mode"].type == "fast | good | none"
    assert options["shares"].type == "float ..."
    assert options["size"].type == "int int | none"
    assert [option.words for option in options.values()] == [None, None, 2, "+", None, None]
    assert options["shares"].default_text == "0.5 1.0"
    assert options["name"].help == ""


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("mode", "good", "good"),
        ("mode", None, None),
        ("mode", "None", None),
        ("mode", "none", None),
        ("steps", "12", 12),
        ("steps", np.int64(12), 12),
        ("size", ["3", "4"], (3, 4)),
        ("size", np.array([3, 4]), (3, 4)),
        ("shares", [1], (1.0,)),
        ("shares", ("0.25", "inf"), (0.25, float("inf"))),
        ("strict", True, True),
        ("strict", "true", True),
        ("name", "none", None),
        ("name", "3", "3"),
    ],
)
def test_values_are_converted(name: str, value: Any, expected: Any) -> None:
    found = checked(PLUGIN, {name: value})
    assert found[name] == expected
    assert type(found[name]) is type(expected)
    assert found == {
        "mode": "fast",
        "steps": 3,
        "size": None,
        "shares": (0.5, 1.0),
        "strict": False,
        "name": None,
        name: expected,
    }


def test_a_single_number_is_taken_as_a_word_that_is_typed() -> None:
    @cnnvis.transform("of-each-axis")
    def of_each_axis(
        explanation: cnnvis.Explanation,
        *,
        lengths: tuple[cnnvis.Count, ...] | None = None,
        weight: float | None = None,
        budget: cnnvis.Budget | None = None,
    ) -> cnnvis.Explanation:
        """Nothing."""
        return explanation

    found = checked(plugin_of(of_each_axis), {"lengths": 3, "weight": 2, "budget": 50})
    assert found == {"lengths": (3,), "weight": 2.0, "budget": "50"}
    with pytest.raises(cnnvis.UserError, match="lengths of of-each-axis cannot be 0"):
        checked(plugin_of(of_each_axis), {"lengths": 0})
    for typed, number in {".25": 0.25, "-.5": -0.5, "2.": 2.0, "+3": 3.0, "1E-2": 0.01}.items():
        assert checked(plugin_of(of_each_axis), {"weight": typed})["weight"] == number
    for typed in ("", ".", "1_0", "0x1", "1,5", "e3"):
        with pytest.raises(cnnvis.UserError, match="weight of of-each-axis cannot be"):
            checked(plugin_of(of_each_axis), {"weight": typed})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"stepps": 3}, r"example has no option 'stepps'\. Did you mean 'steps'\? It has: mode, s"),
        ({"mode": "god"}, r"mode of example cannot be 'god': it takes fast \| good \| none\. Did"),
        ({"steps": 1.5}, "steps of example cannot be 1.5: it takes int"),
        ({"steps": "many"}, "steps of example cannot be 'many': it takes int"),
        ({"steps": None}, "steps of example cannot be None"),
        ({"size": [1]}, r"size of example cannot be \[1\]: it takes int int"),
        ({"strict": "perhaps"}, "strict of example cannot be 'perhaps': it takes bool"),
    ],
)
def test_wrong_values_are_said(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        checked(PLUGIN, values)


def test_an_option_without_type_or_default_is_its_authors_mistake() -> None:
    @cnnvis.technique("untyped")
    def untyped(*, size=3) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    @cnnvis.technique("required")
    def required(*, size: int) -> None:
        """Do."""

    for function, name in ((untyped, "untyped"), (required, "required")):
        plugin = cnnvis.plugin_of(function)
        assert plugin is not None and plugin.name == name
        with pytest.raises(TypeError, match=r"'size'.*needs a type and a default"):
            options_of(plugin)


def test_a_plugins_own_check_sees_all_options() -> None:
    seen: list[dict[str, Any]] = []

    def check(**options: Any) -> None:
        seen.append(options)
        if options["low"] > options["high"]:
            raise cnnvis.UserError("low is above high")

    @cnnvis.technique("range", check=check)
    def ranged(*, low: int = 0, high: int = 1) -> None:
        """Do."""

    plugin = cnnvis.plugin_of(ranged)
    assert plugin is not None
    assert checked(plugin, {"high": 5}) == {"low": 0, "high": 5}
    assert seen == [{"low": 0, "high": 5}]
    with pytest.raises(cnnvis.UserError, match="low is above high"):
        checked(plugin, {"low": 3})


def test_the_help_of_a_type_is_that_of_its_options() -> None:
    window = Annotated[cnnvis.Count, cnnvis.Help("The window.", "In positions.")]

    def helped(
        model: Any,
        *,
        bare: window = 3,  # type: ignore[valid-type]
        told: window | None = None,  # type: ignore[valid-type]
        seed: cnnvis.Seed = 0,
        backprop: cnnvis.Backprop | None = None,
        plain: int = 1,
    ) -> None:
        """Do something.

        Parameters
        ----------
        told
            The width
        """

    helped.__annotations__ |= {"bare": window, "told": window | None}
    plugin = plugin_of(cnnvis.technique("helped")(helped))
    assert plugin is not None
    options = {option.name: option for option in options_of(plugin)}
    assert options["bare"].help == "The window. In positions."
    assert options["told"].help == "The width. In positions."
    assert options["seed"].help.startswith("The seed of the random numbers; the same seed")
    assert options["backprop"].help.startswith("The backpropagation modifier of ReLUs")
    assert options["plain"].help == ""
    # All else is as without help.
    assert (options["bare"].type, options["told"].type) == ("int >= 1", "int >= 1 | none")
    assert options["backprop"].choices == ("guided", "rectified", "deconv", "relu", None)
    assert checked(plugin, {"told": "none", "bare": "4"})["bare"] == 4
    with pytest.raises(cnnvis.UserError, match="it takes int >= 1"):
        checked(plugin, {"told": 0})


@pytest.mark.parametrize("plugin", list(registry()), ids=lambda p: f"{p.kind}-{p.name}")
def test_every_built_in_option_is_documented(plugin: Any) -> None:
    assert plugin.summary.endswith(".")
    for option in options_of(plugin):
        assert option.help.endswith("."), f"{option.name} of {plugin.name} is not explained"
        assert checked(plugin, {option.name: option.default})[option.name] == option.default
