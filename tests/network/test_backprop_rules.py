"""What a backpropagation modifier changes in a network."""

from __future__ import annotations

from typing import Any

import pytest

import cnnvis
from cnnvis.network.backprop import modified_rectifiers, notes_on_modifier, swaps_up_to


@pytest.fixture(scope="module")
def rectified(keras: Any) -> Any:
    layers = keras.layers
    x = keras.Input((4,))
    first = layers.Dense(3, activation="relu", name="first")(x)
    leaky = layers.LeakyReLU(name="leaky")(layers.Dense(3, name="plain")(first))
    behind = layers.Dense(3, activation="relu", name="behind")(leaky)
    return keras.Model(x, layers.Dense(2, activation="softmax", name="end")(behind))


def test_rectifiers_up_to_the_target_are_changed(rectified: Any, resolved: Any) -> None:
    def names(layer: str, *, keras_vis: bool = False) -> list[str]:
        found = modified_rectifiers(resolved(rectified, layer=layer), keras_vis=keras_vis)
        return [call.name for call, _ in found]

    assert names("end") == ["first", "leaky", "behind"]
    assert names("leaky") == ["first", "leaky"]
    assert names("end", keras_vis=True) == ["first", "behind"]


def test_a_softmax_is_left_out_and_rectifiers_are_replaced(rectified: Any, resolved: Any) -> None:
    target = resolved(rectified)
    assert list(swaps_up_to(target, None, keras_vis=False)) == ["end"]
    found = swaps_up_to(target, "guided", keras_vis=False)
    assert sorted(found) == ["behind", "end", "first", "leaky"]


def test_notes_count_what_is_changed(rectified: Any, resolved: Any) -> None:
    assert list(notes_on_modifier(resolved(rectified), None, keras_vis=False)) == []
    (said,) = notes_on_modifier(resolved(rectified), "guided", keras_vis=False)
    assert said.startswith("guided backpropagation was used in 3 activations up to 'end'")


def test_a_modifier_that_changes_nothing_is_refused(
    rectified: Any, resolved: Any, keras: Any
) -> None:
    x = keras.Input((4,))
    linear = resolved(keras.Model(x, keras.layers.Dense(2, name="end")(x)))
    with pytest.raises(cnnvis.UserError, match="backprop guided would change nothing"):
        list(notes_on_modifier(linear, "guided", keras_vis=False))
    (said,) = notes_on_modifier(linear, "guided", keras_vis=True)
    assert "the map shows the plain gradient" in said
    with pytest.raises(cnnvis.UserError, match="no backpropagation modifier"):
        list(notes_on_modifier(linear, "giuded", keras_vis=False))  # type: ignore[arg-type]


def test_an_unknown_activation_is_named(keras: Any, resolved: Any) -> None:
    def strange(x: Any) -> Any:
        return keras.ops.maximum(x, 0)

    layers = keras.layers
    x = keras.Input((4,))
    value = layers.Dense(3, activation=strange, name="own")(x)
    value = layers.Dense(3, activation="relu", name="known")(value)
    target = resolved(keras.Model(x, layers.Dense(2, name="end")(value)))
    _, said = notes_on_modifier(target, "guided", keras_vis=False)
    assert "'strange' of 'own' is not known" in said
