"""What `cnnvis doctor` says of models and of data beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

Typed = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(keras: Any) -> tuple[Any, Any, Any]:
    """A network with a normalization that has learned to tell dark images from bright ones."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.integers(0, 100, size=(60, 8, 8, 1)) + 150 * y[:, None, None, None]
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, "softmax", name="output"),
        ]
    )
    network.get_layer("norm").set_weights(
        [np.ones(1), np.zeros(1), np.array([x.mean()]), np.array([x.var()])]
    )
    network.layers[1].set_weights(
        [np.concatenate([np.ones((3, 3, 1, 1)), -np.ones((3, 3, 1, 1))], axis=-1), np.zeros(2)]
    )
    network.get_layer("output").set_weights([np.array([[-1.0, 1.0], [1.0, -1.0]]), np.zeros(2)])
    return network, x.astype(np.uint8), y


def test_a_model_that_fits_its_data(trained: Any) -> None:
    network, x, y = trained
    report = cnnvis.doctor(network, data=(x, y))
    assert report.fit is not None and report.fit.problem is None
    assert (report.fit.right, report.fit.examined, report.fit.samples) == (60, 60, 60)
    assert report.warnings == ()
    assert report.parameters == network.count_params()
    assert report.inputs[0][1] == (8, 8, 1)
    assert report.outputs == (("output", (2,)),)
    assert [layer.rectifiers for layer in report.layers] == [(), ("ReLU",), (), ()]
    json.dumps(report.as_dict(), default=str)


def test_data_of_another_scale(trained: Any) -> None:
    network, x, y = trained
    warning = cnnvis.doctor(network, data=(x / 255, y)).warnings[-1]
    assert "scaled in another way" in warning and "60 times 255" in warning
    # Without labels, the normalization knows what it was trained on.
    warning = cnnvis.doctor(network, data=x / 255).warnings[-1]
    assert "'norm' varies 0.0039 times as much" in warning
    assert cnnvis.doctor(network, data=x).warnings == ()


@pytest.mark.parametrize("labels", [[0, 1, 2], [2, 0, 1]])
def test_a_scale_that_explains_more_than_an_order(keras: Any, labels: list[int]) -> None:
    """Of data from -1 to 1, another order makes two thirds of the labels right, their scale all."""
    layers, centres = keras.layers, np.array([0.5, 0.75, 0.875])
    network = keras.Sequential(
        [layers.Input((8, 8, 1)), layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")]
    )
    network.layers[-1].set_weights([200 * centres[None], -100 * centres**2])
    y = np.arange(60) % 3
    x = np.broadcast_to(centres[y][:, None, None, None], (60, 8, 8, 1)).copy()
    x[:, 0, 0], x[:, 7, 7] = 0, 1
    other = np.array(labels)[y]
    warning = cnnvis.doctor(network, data=(2 * x - 1, other)).warnings[-1]
    assert "60" in warning and "scaled to 0 ... 1" in warning, warning
    assert ("in another order" in warning) == (labels != [0, 1, 2])
    # Where only the order is another, it alone is told.
    warnings = cnnvis.doctor(network, data=(x, other)).warnings
    scaled = [one for one in warnings if "scaled" in one]
    assert not scaled and any("60 of 60" in one for one in warnings) == (labels != [0, 1, 2])


def test_data_that_were_scaled_already(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [layers.Input((4, 4, 1)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3, activation="relu")]
    )
    x = np.random.default_rng(0).random((5, 4, 4, 1))
    assert any("scaled down already" in w for w in cnnvis.doctor(network, data=x).warnings)
    assert not cnnvis.doctor(network, data=x * 255).warnings


def test_data_that_do_not_fit(trained: Any) -> None:
    network, x, _ = trained
    report = cnnvis.doctor(network, data=x[:, :5])
    assert report.fit is not None and report.fit.problem is not None
    assert "(8, 8, 1)" in report.fit.problem and "(5, 8, 1)" in report.fit.problem
    broken = x.astype(float)
    broken[3, 0, 0] = np.nan
    report = cnnvis.doctor(network, data=broken)
    assert report.fit is not None and "image 3 holds 1 values" in (report.fit.problem or "")


def test_one_image_without_an_axis_of_images(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnvis.api import doctor

    monkeypatch.setattr(doctor, "ENOUGH", 5)  # and it has more rows than that
    layers = keras.layers
    network = keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3, activation="relu")])
    fit = cnnvis.doctor(network, data=np.ones((8, 8, 1))).fit
    assert fit is not None and fit.problem is None and fit.samples == fit.examined == 1


def test_networks_that_answer_nothing(keras: Any) -> None:
    layers = keras.layers
    network = keras.Sequential([layers.Input((4,)), layers.Dense(2, "tanh", name="output")])
    x = np.random.default_rng(0).normal(size=(5, 4))
    network.set_weights([np.zeros((4, 2)), np.ones(2)])
    warnings = cnnvis.doctor(network, data=x).warnings
    assert any("gives the same answer for all 5 samples" in warning for warning in warnings)
    assert any("no ReLU or other rectifier" in warning for warning in warnings)
    network.set_weights([np.full((4, 2), np.nan), np.ones(2)])
    warnings = cnnvis.doctor(network, data=x).warnings
    assert "the weights of 'output' hold NaN or infinite values" in warnings
    assert "the network answers NaN or infinite values" in warnings


def test_layers_that_cannot_be_targets(keras: Any) -> None:
    inputs = keras.layers.Input((None, 4))
    lengths = keras.ops.sum(inputs, axis=-1)
    network = keras.Model(inputs, keras.ops.argmax(lengths, axis=-1))
    obstacles = [layer.obstacle or "" for layer in cnnvis.doctor(network).layers]
    assert "as many outputs as its input" in obstacles[0]
    assert "whole numbers (int32)" in obstacles[1]


def test_more_samples_than_are_needed(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnnvis.api import doctor

    network, x, y = trained
    monkeypatch.setattr(doctor, "ENOUGH", 11)
    fit = cnnvis.doctor(network, data=(x, y)).fit
    assert fit is not None and (fit.samples, fit.examined, fit.right) == (60, 11, 11)


def test_typed(trained: Any, typed: Typed, tmp_path: Path) -> None:
    network, x, y = trained
    network.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", X=x / 255, y=y)
    done = typed("doctor", "model.keras", "-d", "data.npz")
    assert done.returncode == 0, done.stderr
    for words in (
        "norm",
        "BatchNormalization",
        "8x8x1",
        "change 1 ReLU",
        "30 of 60 labels (50.0%)",
    ):
        assert words in done.stdout
    assert "warning: the data seem to be scaled" in done.stdout
    facts = json.loads(typed("doctor", "model.keras", "-d", "data.npz", "--json").stdout)
    assert facts["fit"]["right"] == 30 and facts["layers"][0]["name"] == "norm"
    done = typed("doctor", "mdel.keras")
    assert done.returncode == 2 and "Did you mean 'model.keras'?" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.npz", "model.keras"]


@pytest.mark.slow
def test_a_large_reference_model(reference: Path) -> None:
    folder = reference / "genomatnn"
    report = cnnvis.doctor(folder / "nea_to_ceu.hdf5", data=folder / "validation_256x418.npz")
    assert report.fit is not None and report.fit.right is not None
    assert report.fit.right >= 0.93 * report.fit.examined == 0.93 * 300
    assert report.warnings == ()
    assert sum(len(layer.rectifiers) for layer in report.layers) == 7


def test_the_reference_model(reference: Path) -> None:
    seed = reference / "seed"
    report = cnnvis.doctor(seed / "introgression_32x32.h5", data=seed / "test_data_32x32.pkl")
    assert report.fit is not None and report.fit.right == 97
    assert "BetaCalibration" in report.repairs[-1] and not report.cut
    samples = cnnvis.read_samples(seed / "test_data_32x32.pkl")
    scaled = (samples.x / 255, samples.labels)
    report = cnnvis.doctor(seed / "introgression_32x32.h5", data=scaled)
    assert report.fit is not None and report.fit.right == 66
    assert "97 times 255" in report.warnings[0]


def test_what_does_not_fit_is_said_once(typed: Any, classifier: Any, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", X=np.ones((1, 3, 3, 7)))
    done = typed("doctor", "model.keras", "-d", "data.npz")
    assert done.stdout.count("do not fit") == 1 and "1 sample of shape" in done.stdout, done.stdout
