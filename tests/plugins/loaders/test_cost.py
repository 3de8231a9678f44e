"""What a pass takes, estimated before anything runs: against TensorFlow's counts, and as a bound."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import absurd
from hostile.peaks import held_anew
from quick import quick_are

import cnnvis
from cnnvis import host
from cnnvis.plugins.loaders import cost as costs
from cnnvis.plugins.loaders import growth, trial, windows

ROOT = Path(__file__).parents[3]


def _module(place: str) -> Any:
    path = ROOT / place
    specification = importlib.util.spec_from_file_location(path.stem, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


measuring = _module("benchmarks/cost.py")
ARCHITECTURES = _module("docs/architectures.py").ARCHITECTURES
LOOPS = {"recurrent"}
"""Networks whose operations TensorFlow does not count."""


@pytest.mark.parametrize(
    "name",
    quick_are(["nested", "recurrent", "tf_keras"], list(ARCHITECTURES)),
)
def test_operations_are_those_that_tensorflow_counts(name: str) -> None:
    network = ARCHITECTURES[name].network()
    cost = growth.require_growth(network)
    growth.require_cost(cost, network)
    assert cost.unsure == []
    counted = measuring.operations_of(measuring.forward_graph(network))
    if name not in LOOPS:
        assert counted / 2 < cost.operations < 2 * counted
    assert 0 < cost.kept < cost.memory


def test_how_much_data_decide_is_not_sure(tmp_path: Path) -> None:
    """As many values as a number says that only the running network knows."""
    import tensorflow as tf
    import tf_keras

    given = tf_keras.layers.Input((6,))
    count = tf.cast(tf.reduce_sum(given) * 0 + 4.0, tf.int32)
    made = tf.ones(tf.reshape(count, (1,)))
    cost = growth.require_growth(tf_keras.Model(given, given + tf.reduce_sum(made)))
    assert cost.unsure
    fixed = tf.ones((4,)) * tf.reduce_sum(given)
    assert not growth.require_growth(tf_keras.Model(given, given + tf.reduce_sum(fixed))).unsure


@pytest.mark.parametrize("option", [{}, {"num_segments": 4, "sorted": True}])
def test_segments_are_as_many_as_somebody_said(option: dict[str, Any]) -> None:
    import keras

    rows = keras.ops.reshape(inputs := keras.layers.Input((64,)), (64, -1))
    for places in (np.arange(64) // 16, keras.ops.cast(rows[:, 0], "int32")):
        made = keras.ops.segment_sum(rows, places, **option)
        network = keras.Model(inputs, inputs + keras.ops.sum(made))
        with pytest.raises(cnnvis.UserError, match="lets its data set the number of its values"):
            growth.require_growth(network)


@pytest.mark.exhaustive
@pytest.mark.slow
def test_estimates_of_applications_are_within_a_factor_of_two(tmp_path: Path) -> None:
    every = ["MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0"]
    names = [*(f"keras {name}" for name in every), "tf_keras MobileNetV2"]
    names += ["architectures sequential", "architectures attention", "architectures recurrent"]
    words = [sys.executable, str(ROOT / "benchmarks" / "cost.py"), "--out", str(tmp_path)]
    subprocess.run([*words, "--only", *names], check=True, capture_output=True)
    lines = (tmp_path / "cost.md").read_text().splitlines()[-len(names) :]
    for name, line in zip(names, lines, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == name and 0.5 < float(cells[3]) < 2, line
        assert "recurrent" in name or 0.5 < float(cells[6]) < 2, line


# Bounds


@pytest.mark.slow
def test_what_slides_is_no_longer_than_twice_what_it_slides_over(keras: Any) -> None:
    """Whatever number a description holds, what Keras makes of it is refused or as small as that."""
    refused = 0
    for what, _, config in absurd.absurd(keras, (2**15,), absurd.SLIDING):
        # Kernels are weights, and held against those of the file.
        if not any(word in what for word in ("strides", "pool_size", "dilation")):
            continue
        try:
            changed = keras.Model.from_config(config["config"])
        except Exception:  # Keras's own checks
            continue
        with pytest.raises(cnnvis.UserError, match=r"has the|makes"):
            growth.require_growth(changed)
        refused += 1
    assert refused > 40


@pytest.mark.slow
def test_windows_of_ordinary_networks_are_not_refused(keras: Any) -> None:
    for _, network in absurd.networks(keras, absurd.SLIDING):
        growth.require_growth(network)
    layers = keras.layers
    for made in (
        layers.MaxPooling2D(20, padding="same"),  # longer than its input, which Keras allows
        layers.AveragePooling2D(2, 100, padding="same"),
        layers.Conv2D(2, 3, dilation_rate=50, padding="same"),
    ):
        growth.require_growth(keras.Sequential([layers.Input((8, 8, 1)), made]))
    long = keras.Sequential([layers.Input((None, 1)), layers.MaxPooling1D(windows.LONGEST)])
    growth.require_growth(long)


@pytest.mark.slow
def test_what_adds_up_is_refused(keras: Any) -> None:
    """No call of these is large by itself."""
    for what, network in absurd.chains(keras):
        before = held_anew()
        with pytest.raises(cnnvis.UserError) as error:
            growth.require_cost(growth.require_growth(network), network)
        assert "--trust-model" in str(error.value), what
        assert host.peak_memory() - before < 2**28, what


def test_long_loops_and_windows_of_ordinary_networks_are_not_refused(keras: Any) -> None:
    layers = keras.layers
    for shape, made in (
        ((10_000, 4), layers.Bidirectional(layers.LSTM(8))),
        ((10_000, 4), layers.GRU(64)),
        ((4_000, 4), layers.TimeDistributed(layers.Dense(1))),
        ((1_000_000, 4), layers.MaxPooling1D(1_000_000)),
        ((512, 512, 3), layers.AveragePooling2D(31, 1, padding="same")),
        ((1024, 1024, 3), layers.DepthwiseConv2D(31, padding="same")),
        ((128, 128, 128, 4), layers.MaxPooling3D(5, 1, padding="same")),
    ):
        network = keras.Sequential([layers.Input(shape), made])
        growth.require_cost(growth.require_growth(network), network)


def test_a_network_that_is_merely_large(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = keras.layers
    x = inputs = layers.Input((64, 64, 64, 1))
    skipped = []
    for filters in (16, 32, 64):
        x = layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
        skipped.append(x)
        x = layers.MaxPooling3D()(x)
    for filters, other in zip((64, 32, 16), reversed(skipped), strict=True):
        x = layers.Conv3DTranspose(filters, 2, strides=2)(x)
        x = layers.Concatenate()([x, other])
        x = layers.Conv3D(filters, 3, padding="same", activation="relu")(x)
    network = keras.Model(inputs, layers.Conv3D(2, 1, activation="softmax")(x))
    cost = growth.require_growth(network)
    growth.require_cost(cost, network)
    assert 2**26 < cost.memory < 2**29
    monkeypatch.setattr("cnnvis.available_memory", lambda: 2**26)
    with pytest.raises(cnnvis.UserError, match=r"takes about 0\.\d GB .* machine with more memory"):
        growth.require_cost(cost, network)


def test_a_batch_that_does_not_fit_is_refused(
    keras: Any, monkeypatch: pytest.MonkeyPatch, classifier: Any, images: Any
) -> None:
    model = cnnvis.Model(classifier, filters=0)
    monkeypatch.setattr(host, "available_memory", lambda: 2**14)
    with (
        cnnvis.computing(batch_size=7),
        pytest.raises(cnnvis.UserError, match=r"a batch of 7 takes .*use --batch-size 1,"),
    ):
        model.input_gradient(images)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_numbers_that_are_repeated_for_each_place(keras: Any, tmp_path: Path, suffix: str) -> None:
    """A mean that a file holds once is as large as the axes that it is kept for."""
    layers = keras.layers
    kept = layers.Normalization(axis=(1, 2, 3), mean=0.5, variance=2.0)
    network = keras.Sequential([layers.Input((16, 16, 1)), kept, layers.GlobalMaxPooling2D()])
    path = tmp_path / f"model.{suffix}"
    network.save(path)
    assert cnnvis.load_model(path).predict(np.ones((1, 16, 16, 1)))[0, 0] == pytest.approx(
        0.3536, abs=1e-4
    )
    config = network.to_json().replace("16, 16, 1", "16384, 16384, 1")
    before = held_anew()
    with pytest.raises(cnnvis.UserError, match="the network needs more than 268,435,456 numbers"):
        cnnvis.load_model(_changed(path, config, suffix))
    assert host.peak_memory() - before < 2**28


def _changed(path: Path, config: str, suffix: str) -> Path:
    from hostile.models import write_h5, write_keras

    return (write_h5 if suffix == "h5" else write_keras)(path, config, [])


@pytest.mark.slow
def test_copies_of_values_are_not_made_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tf_keras makes them, while it builds a network, before anybody can look at it."""
    import tensorflow as tf
    import tf_keras

    layers = tf_keras.layers
    rng = np.random.default_rng(0)
    for shape, made in (
        ((None, 3), layers.UpSampling1D(3)),
        ((4, 2, 3, 1), layers.UpSampling3D((1, 3, 2))),
        ((2, 4, 3), layers.TimeDistributed(layers.UpSampling1D(3))),
        ((2, 4, 2, 3), layers.UpSampling3D((1, 3, 2), data_format="channels_first")),
        ((16, 1), layers.UpSampling1D(2)),
    ):
        given = layers.Input(shape)
        network = tf_keras.Model(given, tf.math.add(made(given), 1.0))
        network.save(tmp_path / "model.h5")
        x = rng.normal(size=(2, *(size or 5 for size in shape))).astype(np.float32)
        expected = network.predict(x, verbose=0)
        monkeypatch.delattr("tf_keras.src.backend.repeat_elements")  # which copies one by one
        model = cnnvis.load_model(tmp_path / "model.h5")
        np.testing.assert_array_equal(model.predict(x), expected)
        assert type(made).__name__ in model.layers[0].kind
        monkeypatch.undo()
    config = network.to_json().replace('"size": 2', '"size": 16384')
    assert config != network.to_json()
    before = held_anew()
    cnnvis.load_model(_changed(tmp_path / "model.h5", config, "h5"))
    assert host.peak_memory() - before < 2**27


def test_a_layer_that_gives_less_than_it_says(keras: Any) -> None:
    ones = np.ones(2, np.float32)
    inputs = keras.layers.Input((8, 8, 4))
    made = keras.ops.image.scale_and_translate(inputs, (1, 4, 4, 5), ones, ones, (1, 2), "linear")
    model = cnnvis.Model(keras.Model(inputs, made), filters=0)
    with pytest.raises(cnnvis.UserError, match="gives 4 values, and its description says 5"):
        model.input_gradient(np.ones((1, 8, 8, 4), np.float32))


# What shapes do not say


def _unknown(keras: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a network with a layer of which nothing is known."""
    monkeypatch.setattr(costs, "_UNKNOWN", {"Softmax"})
    inputs = keras.layers.Input((6, 4))
    value = keras.layers.Attention(name="looks")([inputs, inputs])
    keras.Model(inputs, keras.layers.Dense(2)(value)).save(path)


def test_a_file_of_unknown_cost_is_tried_first(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _unknown(keras, tmp_path / "model.keras", monkeypatch)
    asked: list[Any] = []

    def became(*given: Any) -> str:
        asked.append(given)
        return "ends it with code -9"

    monkeypatch.setattr(trial, "_became", became)
    with pytest.raises(
        cnnvis.UserError, match=r"the cost of its layer 'looks' is not known .* code -9"
    ):
        cnnvis.load_model(tmp_path / "model.keras")
    assert asked[0][2] <= trial.MEMORY and asked[0][3] == trial.PROCESSOR_SECONDS
    cnnvis.load_model(tmp_path / "model.keras", trust_model=True)
    assert len(asked) == 1


@pytest.mark.slow
def test_what_is_tried_may_take_so_much(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _unknown(keras, tmp_path / "model.keras", monkeypatch)
    cnnvis.load_model(tmp_path / "model.keras")
    monkeypatch.setattr(trial, "MEMORY", 2**20)
    with pytest.raises(cnnvis.UserError, match=r"the cost of its layer '.*' is not known"):
        cnnvis.load_model(tmp_path / "model.keras")
