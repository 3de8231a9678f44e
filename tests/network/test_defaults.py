"""What was taken by default is said."""

from __future__ import annotations

from typing import Any

import pytest

from cnnvis.data.loaded_network import LoadedNetwork
from cnnvis.network.class_evidence import ClassEvidence
from cnnvis.network.defaults import notes_on_defaults


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, ["has the outputs kind, sick, sizes; cnnvis explains 'kind'"]),
        ({"output": "kind"}, []),
        ({"layer": "conv"}, []),
        ({"output": "sizes"}, ["the 2 outputs of 'sizes' are not known to be classes"]),
        ({"output": "sizes", "filters": 1}, []),
        ({"output": "sizes", "evidence": ClassEvidence(("a", "b"))}, []),
    ],
)
def test_outputs_that_were_taken_are_named(
    asked: Any, said: list[str], three_heads: Any, resolved: Any
) -> None:
    found = list(notes_on_defaults(resolved(three_heads, **asked)))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


def test_a_score_behind_a_softmax_is_named(keras: Any, resolved: Any) -> None:
    x = keras.Input((4,))
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(x)
    network = keras.Model(x, keras.layers.Rescaling(100.0, name="percent")(kind))
    (said,) = notes_on_defaults(resolved(network, filters=0))
    assert "the score of 'percent' is taken behind the softmax or sigmoid of 'kind'" in said


def test_states_between_batches_are_named(keras: Any, resolved: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [keras.Input((5, 2), batch_size=2), layers.GRU(3, stateful=True, name="gru")]
    )
    said = list(notes_on_defaults(resolved(network, filters=0)))
    assert "'gru' keeps states" in said[0]


def test_nothing_is_said_where_the_end_was_cut_off(keras: Any, resolved: Any) -> None:
    x = keras.Input((4,))
    network = keras.Model(x, keras.layers.Dense(3, name="dense")(x))
    loaded = LoadedNetwork(network, cut={"end": "lost"}, cut_learned=True)
    assert list(notes_on_defaults(resolved(network, loaded=loaded))) == []
