"""Which outputs of a network are classes, and whose names are whose."""

from __future__ import annotations

from typing import Any

import pytest

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.network.class_evidence import ClassEvidence


def test_softmaxes_and_sigmoids_of_outputs_are_classes(three_heads: Any, resolved: Any) -> None:
    classes = resolved(three_heads).classes
    calls = classes.traced.calls
    assert classes.are_classes(calls["kind"])
    assert classes.are_classes(calls["sick"]) and classes.are_two(calls["sick"])
    assert not classes.are_classes(calls["sizes"]) and not classes.are_classes(calls["conv"])
    assert [classes.count(calls[name]) for name in ("kind", "sick", "sizes")] == [3, 2, 2]


@pytest.mark.parametrize(
    ("evidence", "loss", "are_classes"),
    [
        (ClassEvidence(("a", "b")), None, True),
        (ClassEvidence(("a", "b", "c")), None, False),  # other classes' names
        (ClassEvidence(labels_are_classes=True), None, True),
        (ClassEvidence(), "sparse_categorical_crossentropy", True),
        (ClassEvidence(("a", "b"), labels_are_classes=True), "mse", False),
        (ClassEvidence(decided=True), "mse", True),
    ],
)
def test_the_loss_decides_before_names_and_labels(
    evidence: ClassEvidence, loss: str | None, are_classes: bool, three_heads: Any, resolved: Any
) -> None:
    loaded = LoadedNetwork(three_heads, loss=None if loss is None else {"sizes": loss})
    found = resolved(three_heads, evidence, loaded, output="sizes")
    assert found.has_classes is are_classes


def test_what_was_decided_of_the_target_is_not_decided_of_the_answer(
    three_heads: Any, resolved: Any
) -> None:
    found = resolved(three_heads, ClassEvidence(decided=True), layer="conv")
    assert found.has_classes
    assert not resolved(three_heads, layer="conv").has_classes
    assert found.answer.evidence.decided is None


def test_names_belong_to_the_target_if_it_is_an_output(three_heads: Any, resolved: Any) -> None:
    classes = resolved(three_heads, ClassEvidence(("small", "large")), layer="sizes").classes
    assert classes.names(classes.traced.calls["sizes"]) == ("small", "large")
    assert classes.names(classes.traced.calls["kind"]) is None
    classes = resolved(three_heads, ClassEvidence(("a", "b", "c")), layer="conv").classes
    assert classes.names(classes.traced.calls["kind"]) == ("a", "b", "c")
    assert classes.names(classes.traced.calls["conv"]) is None


def test_a_single_sigmoid_counts_for_class_1_and_against_class_0(
    three_heads: Any, resolved: Any
) -> None:
    classes = resolved(three_heads, layer="sick").classes
    sick, kind = classes.traced.calls["sick"], classes.traced.calls["kind"]
    assert [classes.number(sick, 0, weight) for weight in (1.0, -1.0)] == [1, 0]
    assert [classes.number(kind, 2, weight) for weight in (1.0, -1.0)] == [2, 2]


def test_nothing_was_trained_to_be_an_output_if_that_was_cut_off(
    three_heads: Any, resolved: Any
) -> None:
    loaded = LoadedNetwork(three_heads, cut={"end": "lost"}, cut_learned=True)
    classes = resolved(three_heads, loaded=loaded, layer="sick").classes
    assert classes.trained_outputs == {} and classes.answer is None
    assert not classes.is_output(classes.traced.calls["sick"])
    assert not classes.are_two(classes.traced.calls["sick"])
