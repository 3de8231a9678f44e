"""Layers of Keras 2 in files: with Keras 3 they answer what they answered, in every form."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from older_layers import Made, forms

import cnnvis

GROUPS = 48
"""Every so-many forms are one test, and one of them is among the quick tests."""


def _networks(keras: Any, made: list[Made]) -> Iterator[tuple[str, Any, Any]]:
    random = np.random.default_rng(0)
    for what, shape, make in made:
        keras.backend.clear_session()
        start = keras.layers.Input(shape)
        network = keras.Model(start, make(start))
        for variable in network.weights:
            values = random.normal(0, 0.4, variable.shape)
            if variable.dtype.is_floating:
                variable.assign(np.abs(values) + 0.5 if "variance" in variable.name else values)
        for layer in network.layers:
            if hasattr(layer, "finalize_state"):
                layer.finalize_state()
        x = random.normal(0, 2, (3, *shape)).astype(np.float32)
        if "Masking" in what:
            x[0, 5:], x[1, 7:] = 0, 0
        yield what, network, x


def _flat(values: Any) -> list[Any]:
    return [np.asarray(one) for one in (values if isinstance(values, list | tuple) else [values])]


@pytest.mark.parametrize("group", range(GROUPS))
@pytest.mark.slow
def test_every_layer_of_keras_2_answers_as_it_did(tmp_path: Path, group: int) -> None:
    keras: Any = importlib.import_module("tf_keras")
    made = list(forms(keras))
    assert len(made) > 300
    for what, network, x in _networks(keras, made[group::GROUPS]):
        network.save(tmp_path / "model.h5")
        loaded = cnnvis.load_model(tmp_path / "model.h5").network
        wanted, found = _flat(network(x, training=False)), _flat(loaded(x, training=False))
        assert [one.shape for one in wanted] == [one.shape for one in found], what
        for one, other in zip(wanted, found, strict=True):
            assert np.isfinite(one).all(), what
            np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-5, err_msg=what)


def test_hard_sigmoid_is_that_of_the_keras_that_wrote_the_file(tmp_path: Path) -> None:
    """min(max(x/5 + 1/2, 0), 1) in Keras 2 and before, min(max(x/6 + 1/2, 0), 1) in Keras 3."""
    x = np.linspace(-4, 4, 9, dtype=np.float32)[:, None]
    for home, suffix, slope in (
        ("tf_keras", "h5", 0.2),
        ("tf_keras", "keras", 0.2),
        ("keras", "h5", 1 / 6),
        ("keras", "keras", 1 / 6),
    ):
        keras: Any = importlib.import_module(home)
        network = keras.Sequential(
            [keras.layers.Input((1,)), keras.layers.Activation("hard_sigmoid")]
        )
        network.save(tmp_path / f"m.{suffix}")
        model = cnnvis.load_model(tmp_path / f"m.{suffix}")
        wanted = np.clip(x * slope + 0.5, 0, 1)
        np.testing.assert_allclose(model.predict(x), wanted, atol=1e-6)
        assert any("slope" in one for one in model.repairs) == (
            home == "tf_keras" and suffix == "h5"
        )


def test_a_copy_of_a_network_keeps_what_it_computes(tmp_path: Path, keras: Any) -> None:
    """Other libraries copy a network by its configuration."""
    keras_2: Any = importlib.import_module("tf_keras")
    layers = keras_2.layers
    made = keras_2.Sequential(
        [layers.Input((9, 4)), layers.LSTM(3, recurrent_activation="hard_sigmoid")]
    )
    made.save(tmp_path / "m.h5")
    network = cnnvis.load_model(tmp_path / "m.h5").network
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    x = np.random.default_rng(0).normal(0, 2, (2, 9, 4)).astype(np.float32)
    np.testing.assert_allclose(copy(x), network(x), atol=1e-6)
    np.testing.assert_allclose(copy(x), made(x), atol=1e-5)


def test_architectures_beside_weights_say_which_keras_wrote_them(
    tmp_path: Path, keras: Any
) -> None:
    keras_2: Any = importlib.import_module("tf_keras")
    x = np.linspace(-4, 4, 9, dtype=np.float32)[:, None]
    for package in (keras, keras_2):
        layers = package.layers
        network = package.Sequential([layers.Input((1,)), layers.Dense(3, "hard_sigmoid")])
        network.save_weights(tmp_path / "m.weights.h5")
        (tmp_path / "m.json").write_text(network.to_json())
        model = cnnvis.load_model(
            tmp_path / "m.weights.h5", architecture=str(tmp_path / "m.json"), class_names=None
        )
        np.testing.assert_allclose(model.predict(x), network(x), atol=1e-6)


@pytest.mark.parametrize("biased", [False, True])
def test_a_gru_of_before_2_1_2_resets_before_it_multiplies(
    tmp_path: Path, keras: Any, biased: bool
) -> None:
    """Its file does not say so, and Keras 3 takes the other way if nothing is said."""
    import json

    import h5py

    keras_2: Any = importlib.import_module("tf_keras")
    layers = keras_2.layers
    network = keras_2.Sequential(
        [layers.Input((9, 4)), layers.GRU(3, reset_after=False, use_bias=biased)]
    )
    network.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        del config["config"]["layers"][-1]["config"]["reset_after"]
        file.attrs["model_config"] = json.dumps(config)
    x = np.random.default_rng(0).normal(0, 2, (2, 9, 4)).astype(np.float32)
    model = cnnvis.load_model(tmp_path / "m.h5")
    np.testing.assert_allclose(model.predict(x), network(x), atol=1e-5)


@pytest.mark.parametrize(
    ("home", "suffix", "kind"),
    itertools.product(["keras", "tf_keras"], ["h5", "keras"], ["LSTM", "Bidirectional"]),
)
@pytest.mark.slow
def test_a_stateful_network_begins_anew(tmp_path: Path, home: str, suffix: str, kind: str) -> None:
    package: Any = importlib.import_module(home)
    layers = package.layers
    inner = layers.LSTM(3, stateful=True)
    made = layers.Bidirectional(inner) if kind == "Bidirectional" else inner
    start = layers.Input((9, 4), batch_size=4)
    network = package.Model(start, layers.Dense(2)(made(start)))
    x = np.random.default_rng(0).normal(0, 2, (4, 9, 4)).astype(np.float32)
    wanted = network.predict(x, verbose=0)  # before there is a state
    network.save(tmp_path / f"m.{suffix}")
    model = cnnvis.load_model(tmp_path / f"m.{suffix}")
    for _ in range(2):
        np.testing.assert_allclose(model.predict(x), wanted, atol=1e-5)
    np.testing.assert_allclose(model.predict(x[:1]), wanted[:1], atol=1e-5)
