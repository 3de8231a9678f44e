"""Models that are derived from another share its network and keep what was not changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.network.traced import TracedNetwork


@pytest.fixture
def model(three_heads: Any) -> cnnvis.Model:
    return cnnvis.Model(
        three_heads, path=Path("model.h5"), sha256="0123", class_names=["cat", "dog", "eel"]
    ).loaded_with({"custom": "a:B"})


def test_another_target_leaves_the_model_as_it_was(model: cnnvis.Model) -> None:
    other = model.with_target("conv", [1, 2])
    assert (model.layer, model.filters) == ("kind", None)
    assert (other.layer, other.filters, other.asked_filters) == ("conv", (1, 2), [1, 2])
    assert (other.path, other.sha256, other.loading) == (model.path, "0123", {"custom": "a:B"})
    assert other.class_names == ("cat", "dog", "eel")
    assert model.with_target(class_names=["a", "b", "c"]).class_names == ("a", "b", "c")


def test_targets_of_a_network_are_traced_once(
    model: cnnvis.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TracedNetwork, "of", None)
    assert model.with_target("conv").target_units == 4
    assert model.answer is not None and model.answer.layer == "kind"


def test_labels_say_that_outputs_are_classes(model: cnnvis.Model) -> None:
    sizes = model.with_target(output="sizes")
    assert not sizes.has_classes
    samples = cnnvis.Samples(np.zeros((3, 6, 5, 1)), [0, 1, 1])
    assert sizes.with_labels(samples, None).has_classes
    assert not sizes.with_labels(None, None).has_classes
    assert sizes.with_labels(None, ("small", "large")).class_names == ("small", "large")


def test_classes_that_were_decided_stay_so_until_there_is_another_target(
    model: cnnvis.Model,
) -> None:
    decided = model.with_target("conv").with_classes_decided(True)
    assert decided.has_classes
    assert not decided.with_target("conv").has_classes


def test_reasons_are_collected_by_derived_models(model: cnnvis.Model) -> None:
    reasons: list[str] = []
    assert model.blank_reasons is None
    assert model.with_blank_reasons(reasons).with_target("conv").blank_reasons is reasons


def test_inputs_are_held_by_derived_models(two_inputs: Any, x: Any) -> None:
    samples = cnnvis.Samples(np.ones((5, 2)), input="age", others={"image": x})
    model = cnnvis.Model(two_inputs).with_inputs_held(samples)
    assert model.input_shape == (2,) and model.with_target("end", 1).input_shape == (2,)
    assert model.input_gradient(np.ones((5, 2), np.float32)).shape == (5, 2)
