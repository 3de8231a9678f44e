"""An image's map depends on no other image: recurrent states, networks of a fixed batch size."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import numpy as np
import pytest
from quick import quick_are

import cnnvis

SHAPES = {
    "lstm": (10, 3),
    "both ways": (10, 3),
    "pictures": (5, 6, 6, 1),
    "its own number": (10, 3),
}


def _network(home: Any, form: str, batch: int | None) -> Any:
    """A network that takes so many samples at a time and keeps states between batches."""
    layers = home.layers
    home.utils.set_random_seed(2)
    x = home.Input(batch_shape=(batch, *SHAPES[form]))
    stateful = batch is not None
    if form == "lstm":
        value = layers.LSTM(4, stateful=stateful)(x)
    elif form == "both ways":
        value = layers.Bidirectional(layers.GRU(3, stateful=stateful))(x)
    elif form == "pictures":
        value = layers.Flatten()(layers.ConvLSTM2D(2, 3, stateful=stateful)(x))
    else:  # a number of samples that is written into the network
        value = layers.Conv1D(4, 3, activation="relu", name="conv")(x)
        value = home.ops.reshape(value, (batch or -1, 32))
    return home.Model(x, layers.Dense(2, name="output")(value))


@pytest.mark.parametrize(
    ("home", "form", "batch"),
    quick_are(
        [("keras", "its own number", 4)],
        [
            *(("keras", form, 4) for form in SHAPES),
            ("keras", "lstm", 1),
            ("tf_keras", "both ways", 4),
        ],
    ),
)
def test_maps_do_not_depend_on_other_images(home: str, form: str, batch: int) -> None:
    home = pytest.importorskip(home)
    network, twin = _network(home, form, batch), _network(home, form, None)
    weights = [one for one in network.get_weights() if one.shape not in ((batch, 4), (batch, 3))]
    weights = [one for one in weights if one.shape != (batch, 4, 4, 2)]
    twin.set_weights(weights)
    data = np.random.default_rng(0).normal(size=(7, *SHAPES[form])).astype(np.float32)
    for technique, settings in {
        "saliency": {"backprop": None},
        "smoothgrad": {"copies": 6},
    }.items():
        expected = cnnvis.run(technique, twin, data=data, filter=1, **settings)
        for order in ([6, 2, 0, 5, 1, 4, 3], [3]):
            found = cnnvis.run(technique, network, data=data[order], filter=1, **settings)
            np.testing.assert_allclose(found.array, expected.array[order], rtol=1e-4, atol=1e-6)
            assert ("from one batch to the next" in " ".join(found.notes)) == (
                form != "its own number"
            )
    if form == "its own number":
        maps = [
            cnnvis.run(
                "grad-cam", one, data=data, filter=1, backprop=None, penultimate="conv"
            ).array
            for one in (network, twin)
        ]
        np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-6)
    model, of_twin = cnnvis.Model(network), cnnvis.Model(twin)
    np.testing.assert_allclose(model.predict(data), of_twin.predict(data), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_states_that_somebody_keeps_stay(keras: Any) -> None:
    network = _network(keras, "lstm", 4)
    data = np.random.default_rng(0).normal(size=(4, 10, 3)).astype(np.float32)
    network.predict(data, verbose=0)
    before = [np.asarray(one) for one in network.layers[1].states]
    assert any(one.any() for one in before)
    cnnvis.run("saliency", network, data=data, backprop=None)
    for one, state in zip(before, network.layers[1].states, strict=True):
        np.testing.assert_array_equal(one, np.asarray(state))
    assert network.layers[1].stateful


@pytest.mark.slow
def test_abandoned_reading_ends_wherever_the_garbage_collector_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also in the thread that reads, and in one that just starts, while locks of threads are held."""
    from cnnvis.data.batches import read_ahead

    class Ring:
        """Something that only the collector can free."""

    samples = cnnvis.Samples(np.zeros((6, 4, 4, 1), np.float32))
    pieces = [range(2), range(2, 4), range(4, 6)]
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)

    def abandon() -> None:
        for _ in range(1000):
            ring: Any = Ring()
            ring.itself, ring.reading = ring, read_ahead(samples, pieces)
            next(ring.reading)

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        thread = threading.Thread(target=abandon, daemon=True)
        thread.start()
        thread.join(60)
    finally:
        gc.set_threshold(*before)
    assert not thread.is_alive() and said == []
