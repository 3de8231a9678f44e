"""What a request means in a network."""

from __future__ import annotations

from typing import Any

import pytest

import cnnvis
from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.network.class_evidence import ClassEvidence


@pytest.mark.parametrize(
    ("asked", "layer", "filters", "is_default"),
    [
        ({}, "kind", None, True),
        ({"layer": "kind"}, "kind", None, True),
        ({"output": "sick"}, "sick", None, True),
        ({"output": 2}, "sizes", None, True),
        ({"layer": "conv"}, "conv", None, False),
        ({"layer": "conv:2"}, "conv", (2,), False),
        ({"layer": "kind[1]"}, "kind", (1,), True),
        ({"layer": "conv", "filters": [1, 2]}, "conv", (1, 2), False),
        ({"layer": -1}, "sizes", None, False),
    ],
)
def test_a_target_is_found(
    asked: Any, layer: str, filters: Any, is_default: bool, three_heads: Any, resolved: Any
) -> None:
    found = resolved(three_heads, **asked)
    assert found.layer == found.target.name == layer
    chosen = found.chosen
    assert (None if chosen is None else tuple(unit.number for unit in chosen)) == filters
    assert found.is_default is is_default and not found.is_compound


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"output": "sik"}, "the network has no output 'sik'.*sick"),
        ({"layer": "conv", "output": "sik"}, "the network has no output 'sik'"),
        ({"layer": "con"}, "there is no layer 'con'"),
        ({"layer": "kind:1", "filters": 2}, "names its outputs, so leave out filter"),
    ],
)
def test_a_target_that_is_not_there_is_refused(
    asked: Any, said: str, three_heads: Any, resolved: Any
) -> None:
    with pytest.raises(cnnvis.UserError, match=said):
        resolved(three_heads, **asked)


def test_a_sum_keeps_the_text_that_was_written(three_heads: Any, resolved: Any) -> None:
    found = resolved(three_heads, layer="kind[0] - sizes[1] + kind[2]")
    assert found.is_compound and found.layer == "kind[0] - sizes[1] + kind[2]"
    assert [call.name for call in found.targets] == ["kind", "sizes"]
    assert found.units == 5 and found.chosen is None and not found.has_classes


def test_predicted_classes_are_explained_by_default(three_heads: Any, resolved: Any) -> None:
    assert resolved(three_heads).explains_predicted
    assert not resolved(three_heads, filters=0).explains_predicted
    assert not resolved(three_heads, layer="conv").explains_predicted
    assert not resolved(three_heads, output="sick").explains_predicted  # it is a single output


def test_the_answer_is_the_output_that_is_the_target_else_the_first(
    three_heads: Any, resolved: Any
) -> None:
    for asked, answer, is_answer in (
        ({}, "kind", True),
        ({"layer": "sizes"}, "sizes", True),
        ({"layer": "conv"}, "kind", False),
        ({"layer": "conv", "output": "sick"}, "sick", False),
        ({"layer": "kind[0]-kind[1]"}, "kind", False),
    ):
        found = resolved(three_heads, **asked)
        assert (found.answer.layer, found.is_answer) == (answer, is_answer)


def test_several_labels_of_a_sample_are_no_class(three_heads: Any, resolved: Any) -> None:
    several = ClassEvidence(labels_are_several=True)
    assert resolved(three_heads, output="sick").answers_with_one_class
    assert not resolved(three_heads, several, output="sick").answers_with_one_class
    assert resolved(three_heads, several).answers_with_one_class  # a softmax says so by itself
    assert not resolved(three_heads, output="sizes").answers_with_one_class


def test_a_network_without_its_end_needs_a_layer(three_heads: Any, resolved: Any) -> None:
    loaded = LoadedNetwork(three_heads, cut={"end": "its class is unknown"}, cut_learned=True)
    found = resolved(three_heads, loaded=loaded)
    assert found.answer is None and found.terms == ()
    with pytest.raises(cnnvis.UserError, match="was cut off, since its class is unknown"):
        found.targets  # noqa: B018
    assert resolved(three_heads, loaded=loaded, layer="conv").layer == "conv"
    with pytest.raises(cnnvis.UserError, match="'end' cannot be explained: its class is unknown"):
        resolved(three_heads, loaded=loaded, layer="end")


def test_targets_depend_on_some_inputs(two_inputs: Any, resolved: Any) -> None:
    image, age = resolved(two_inputs).traced.graph.inputs
    whole, seen = resolved(two_inputs), resolved(two_inputs, layer="seen")
    assert whole.explainable_inputs == ("image", "age") and whole.depends_on(age.slot)
    assert seen.explainable_inputs == ("image",) and not seen.depends_on(age.slot)
    assert [layer.name for layer in whole.layers_behind(image.slot)] == ["flat", "seen", "both"]
    assert [layer.name for layer in whole.layers_behind(age.slot)] == ["both"]


def test_targets_with_other_regions_have_other_keys(three_heads: Any, resolved: Any) -> None:
    keys = [
        resolved(three_heads, layer="conv", region=region).key for region in (None, (0, 0), (0, 1))
    ]
    assert len(set(keys)) == 3
