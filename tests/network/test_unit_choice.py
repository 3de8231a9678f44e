"""Units are chosen by number and by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.class_evidence import ClassEvidence
from cnnvis.network.unit_choice import WeightedUnit, asked_units, compound_weights

NAMES = ClassEvidence(("cat", "dog", "eel"))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, None),
        (2, [2]),
        ("1", [1]),
        (np.int64(1), [1]),
        ("eel", [2]),
        ([0, "cat", "dog"], [0, 1]),  # each of them once
    ],
)
def test_units_are_asked_for_by_number_or_name(
    asked: Any, found: Any, three_heads: Any, resolved: Any
) -> None:
    resolution = resolved(three_heads, NAMES, layer="kind")
    units = asked_units(asked, resolution.target, resolution.classes)
    assert units == (None if found is None else tuple(WeightedUnit(k, 1.0) for k in found))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (3, "no output 3: its 3 outputs are numbered 0 to 2"),
        (-1, "no output -1"),
        ("cta", "there is no class 'cta'.*cat.*There are: cat, dog, eel"),
        ([], "filter names no output"),
        (1.5, "there is no class 1.5"),
    ],
)
def test_units_that_there_are_not_are_refused(
    asked: Any, said: str, three_heads: Any, resolved: Any
) -> None:
    resolution = resolved(three_heads, NAMES, layer="kind")
    with pytest.raises(cnnvis.UserError, match=said):
        asked_units(asked, resolution.target, resolution.classes)


def test_names_of_another_output_are_said_to_be_that_outputs(
    three_heads: Any, resolved: Any
) -> None:
    resolution = resolved(three_heads, NAMES, layer="conv")
    with pytest.raises(cnnvis.UserError, match="belong to the network's output 'kind'"):
        asked_units("cat", resolution.target, resolution.classes)


def test_a_single_sigmoid_is_asked_for_as_two_classes(three_heads: Any, resolved: Any) -> None:
    resolution = resolved(three_heads, ClassEvidence(("no", "yes")), layer="sick")
    for asked, weight in ((0, -1.0), ("no", -1.0), (1, 1.0), ("yes", 1.0)):
        units = asked_units(asked, resolution.target, resolution.classes)
        assert units == (WeightedUnit(0, weight),)
    with pytest.raises(cnnvis.UserError, match="one sigmoid, which stands for the classes 0 and 1"):
        asked_units(2, resolution.target, resolution.classes)


def test_terms_of_a_sum_add_up(three_heads: Any, resolved: Any) -> None:
    text = "2*kind[1]-sizes[0]+kind[1]+sick"
    found = resolved(three_heads, layer=text)
    weights = compound_weights(found.terms, found.calls, found.classes, text)
    assert weights.tolist() == [0, 3, 0, -1, 0, 1]


def test_a_term_must_say_which_of_several_units_it_means(three_heads: Any, resolved: Any) -> None:
    found = resolved(three_heads, layer="kind-sizes[0]")
    with pytest.raises(cnnvis.UserError, match=r"one of the 3 outputs of 'kind'.*kind\[0\]"):
        compound_weights(found.terms, found.calls, found.classes, "kind-sizes[0]")
