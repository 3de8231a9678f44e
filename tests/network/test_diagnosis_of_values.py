"""Diagnosis is made of layers and of their values alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnnvis.network import diagnosis
from cnnvis.network.layers import Layer


def _layer(activation: str = "", rectifiers: tuple[str, ...] = ()) -> Layer:
    return Layer("here", ("Dense",), (3,), 0, 1, activation, rectifiers)


@pytest.mark.parametrize(
    ("layer", "values", "said"),
    [
        (_layer("relu", ("ReLU",)), [0, 0, 0], "every unit of 'here' (ReLU) is off there"),
        (_layer("relu", ("ReLU",)), [0, 0, 1], None),
        (_layer("sigmoid"), [0, 1, 1], "the sigmoid of 'here' is saturated there"),
        (_layer("sigmoid"), [0, 0.5, 1], None),
        (_layer("tanh"), [-1, 1, 1], "all its values are -1 or 1"),
        (_layer("elu"), [-1, -1, -1], None),
    ],
)
def test_a_layer_that_lets_nothing_pass_is_named(
    layer: Layer, values: Any, said: str | None
) -> None:
    found = diagnosis.blocking_layer([layer], [np.array([values], np.float32)])
    assert found is None if said is None else found is not None and said in found


def test_the_first_layer_that_lets_nothing_pass_counts() -> None:
    off = np.zeros((1, 3))
    layers = [_layer("relu", ("ReLU",)), _layer("relu", ("PReLU",))]
    assert "(PReLU)" in (diagnosis.blocking_layer(layers, [off + 1, off]) or "")
    assert "(ReLU)" in (diagnosis.blocking_layer(layers, [off, off]) or "")


def test_rectifiers_are_suspected_only_where_there_are_some() -> None:
    assert "ReLUs" in diagnosis.no_small_change(has_activations=True)
    assert "ReLUs" not in diagnosis.no_small_change(has_activations=False)
    assert "the modifier deconv lets only" in diagnosis.stopped_by_modifier("deconv")


def test_the_first_values_that_are_not_finite_are_named() -> None:
    good, bad = np.ones((1, 2)), np.array([[1, np.inf]])
    sound: Any = SimpleNamespace(name="sound", layer=SimpleNamespace(weights=[good]))
    broken: Any = SimpleNamespace(name="broken", layer=SimpleNamespace(weights=[bad]))
    said = diagnosis.why_not_finite
    assert (
        said([sound, broken], [good, bad]) == "the weights of 'broken' hold NaN or infinite values"
    )
    assert said([sound, broken], [bad, bad]).startswith("'sound' is the first layer whose output")
    assert said([sound, broken], [good, good]).startswith("every layer's output is finite")
