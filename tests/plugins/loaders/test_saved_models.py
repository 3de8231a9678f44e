"""SavedModels of Keras 2: of the layers in them, wherever TensorFlow described them, and their weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis

WRITING = """
import zipfile
import numpy as np
import tensorflow as tf
import tf_keras

L = tf_keras.layers
tf_keras.utils.set_random_seed(1)
rng = np.random.default_rng(1)


def saved(name, inputs, outputs):
    network = tf_keras.Model(inputs, outputs)
    network.set_weights([rng.random(one.shape) for one in network.get_weights()])
    network.save(f"{folder}/{name}", save_format="tf")
    x = abs(rng.normal(size=(2, *inputs.shape[1:])).astype("float32"))
    np.savez(f"{folder}/{name}.npz", x=x, y=network.predict(x, verbose=0))


def beginning(inputs):
    inner = tf_keras.Sequential([L.Input((5, 3)), L.SeparableConv1D(3, 2), L.ReLU()], name="inner")
    return inner(L.TimeDistributed(L.Dense(3), name="each")(inputs))


inputs = L.Input((5, 4))
if "layers" in asked:
    h = L.BatchNormalization(name="norm")(L.DepthwiseConv1D(2)(beginning(inputs)))
    saved("layers", inputs, L.Dense(2, name="output")(L.Flatten()(h)))
if "functions" in asked:
    h = tf.nn.relu(beginning(inputs) * 2.0)
    saved("functions", inputs, L.Dense(2, name="output")(L.Flatten()(h)))
if "cells" in asked:
    h = L.Bidirectional(L.GRU(2, return_sequences=True), name="both")(beginning(inputs))
    h = L.RNN([L.LSTMCell(3), L.SimpleRNNCell(2)], name="cells")(h)
    saved("cells", inputs, L.Dense(2, name="output")(h))
if "heads" in asked:
    h = L.MultiHeadAttention(2, 2, name="heads")(inputs, inputs)
    saved("heads", inputs, L.Dense(2, name="output")(L.Flatten()(h)))


def each(name, shape, layers):
    inputs = L.Input(shape)
    ends = [L.Flatten()(one(inputs)) for one in layers]
    saved(name, inputs, L.Dense(2, name="output")(L.Concatenate()(ends)))


if "pictures" in asked:
    each("pictures", (8, 8, 4), [
        L.Conv2D(3, 3), L.Conv2D(4, 3, groups=2), L.Conv2DTranspose(3, 3), L.DepthwiseConv2D(3),
        L.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False), L.SeparableConv2D(3, 3),
        L.SeparableConv2D(3, 3, depth_multiplier=2, use_bias=False), L.BatchNormalization(),
        L.BatchNormalization(center=False), L.BatchNormalization(scale=False),
        L.LayerNormalization(), L.GroupNormalization(2), L.UnitNormalization(),
        L.PReLU(), L.PReLU(shared_axes=[1, 2]), L.Dense(3), L.Normalization(),
        L.TimeDistributed(L.DepthwiseConv1D(2)), L.TimeDistributed(L.Conv1D(2, 2)),
        L.ThresholdedReLU(), L.LeakyReLU(), L.ELU(), L.Rescaling(0.5),
    ])
if "sequences" in asked:
    two = [L.LSTMCell(3), L.GRUCell(2)]
    each("sequences", (8, 4), [
        L.Conv1D(3, 3), L.Conv1DTranspose(3, 3), L.DepthwiseConv1D(3), L.SeparableConv1D(3, 3),
        L.LSTM(3), L.LSTM(3, implementation=1, use_bias=False), L.GRU(3), L.SimpleRNN(3),
        L.GRU(3, reset_after=False), L.LSTM(3, go_backwards=True, return_sequences=True),
        L.RNN(L.LSTMCell(3)), L.RNN(L.GRUCell(3)), L.RNN(L.SimpleRNNCell(3)), L.RNN(two),
        L.RNN(L.StackedRNNCells([L.GRUCell(3), L.SimpleRNNCell(2)])), L.Bidirectional(L.LSTM(3)),
        L.Bidirectional(L.GRU(3), merge_mode="sum"), L.Bidirectional(L.RNN(L.LSTMCell(3))),
        L.Bidirectional(L.LSTM(3), backward_layer=L.LSTM(3, go_backwards=True)),
        L.TimeDistributed(L.BatchNormalization()),
        lambda x: L.Attention(use_scale=True)([x, x]), lambda x: L.AdditiveAttention()([x, x]),
    ])
if "films" in asked:
    each("films", (6, 6, 6, 2), [
        L.Conv3D(2, 2), L.Conv3DTranspose(2, 2), L.ConvLSTM2D(2, 2), L.BatchNormalization(),
        L.Bidirectional(L.ConvLSTM2D(2, 2)), L.TimeDistributed(L.DepthwiseConv2D(2)),
        L.TimeDistributed(L.SeparableConv2D(2, 2)), L.TimeDistributed(L.ConvLSTM1D(2, 2)),
    ])
if "keras 2" in asked:
    each("keras 2", (8, 4), [
        L.LocallyConnected1D(2, 3), L.EinsumDense("abc,cd->abd", output_shape=(None, 3)),
        L.DepthwiseConv1D(3), L.SeparableConv1D(3, 3), L.Bidirectional(L.LSTM(3)),
        lambda x: L.MultiHeadAttention(2, 3, value_dim=2, use_bias=False)(x, x),
    ])
if "words" in asked:
    each("words", (5,), [L.Embedding(9, 4), L.Embedding(9, 2)])
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two SavedModels, and what they answer."""
    return _written(tmp_path_factory.mktemp("saved-models"), "layers", "functions")


def _written(folder: Path, *names: str) -> Path:
    import tf_keras

    tf_keras.backend.reset_uids()  # names of layers are those of a new process
    exec(WRITING, {"folder": str(folder), "asked": names})
    return folder


def _as_before_tensorflow_2_5(folder: Path) -> None:
    """Put the descriptions of layers to their objects, where they stood then."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.keras.protobuf.saved_metadata_pb2 import SavedMetadata

    beside, graph = folder / "keras_metadata.pb", folder / "saved_model.pb"
    model = SavedModel.FromString(graph.read_bytes())
    nodes = model.meta_graphs[0].object_graph_def.nodes
    for one in SavedMetadata.FromString(beside.read_bytes()).nodes:
        nodes[one.node_id].user_object.identifier = one.identifier
        nodes[one.node_id].user_object.metadata = one.metadata
    graph.write_bytes(model.SerializeToString())
    beside.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["layers", "functions"])
def test_layers_and_weights(keras: Any, written: Path, name: str) -> None:
    """Also of layers in layers, whose variables are called otherwise in the checkpoint."""
    _require_right(written / name, by_keras_2=name == "functions")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["films", "keras 2", "pictures", "sequences", "words"])
def test_every_layer_that_has_weights(keras: Any, tmp_path: Path, name: str) -> None:
    """Whatever its variables are called in the one Keras, in the other and in the checkpoint."""
    _require_right(_written(tmp_path, name) / name, by_keras_2=name == "keras 2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cells", "heads"])
def test_weights_deep_in_layers(keras: Any, tmp_path: Path, name: str) -> None:
    _require_right(_written(tmp_path, name) / name, by_keras_2=name == "heads")


def _require_right(folder: Path, *, by_keras_2: bool) -> None:
    answers = np.load(folder.with_name(f"{folder.name}.npz"))
    found = []
    for old in (False, True):
        if old:
            _as_before_tensorflow_2_5(folder)
        model = cnnvis.load_model(folder, filter=0)
        assert model.cut == {} and model.origin == "SavedModel, written by Keras 2"
        assert ("used tf_keras" in " ".join(model.repairs)) == by_keras_2
        np.testing.assert_allclose(model.predict(answers["x"]), answers["y"], 1e-5, 1e-6)
        # Words have no gradient; those of loops and films take minutes, and others try them.
        if folder.name not in ("words", "sequences", "films"):
            found.append(model.input_gradient(answers["x"]))
    if found:
        np.testing.assert_array_equal(*found)


@pytest.mark.slow
def test_weights_that_are_missing(keras: Any, written: Path, monkeypatch: Any) -> None:
    from cnnvis.plugins.loaders.checkpoint import Checkpoint

    names = Checkpoint.name_of

    def without_one(self: Any, path: Any) -> str:
        return "nowhere" if "layer" in (words := list(path)) else names(self, words)

    monkeypatch.setattr(Checkpoint, "name_of", without_one)
    with pytest.raises(cnnvis.UserError, match=r"weights in .* do not fit .* none for 'nowhere'"):
        cnnvis.load_model(written / "layers")


@pytest.mark.slow
def test_a_layer_of_ones_own_is_named(keras: Any, written: Path, tmp_path: Path) -> None:
    """And all other layers are there, whatever it is."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    shutil.copytree(written / "layers", tmp_path / "own")
    if (tmp_path / "own" / "keras_metadata.pb").is_file():
        _as_before_tensorflow_2_5(tmp_path / "own")
    graph = tmp_path / "own" / "saved_model.pb"
    model = SavedModel.FromString(graph.read_bytes())
    root = model.meta_graphs[0].object_graph_def.nodes[0].user_object
    root.metadata = root.metadata.replace('"BatchNormalization"', '"Mine"')
    graph.write_bytes(model.SerializeToString())
    loaded = cnnvis.load_model(tmp_path / "own")
    assert "kind 'Mine', whose code the file does not hold" in loaded.cut["norm"]
    assert set(loaded.cut) == {"norm", "flatten", "output"}
    answers = np.load(written / "layers.npz")
    whole = cnnvis.load_model(written / "layers")
    for name in ("each", "inner/separable_conv1d"):
        one, other = (at.values(answers["x"], [name])[0] for at in (loaded, whole))
        np.testing.assert_array_equal(one, other)


OWN = '''
"""The package's layers, made anew of what it wrote of them; it does not read that itself."""
import inspect

from basic_pitch import nn
from basic_pitch.layers import nnaudio, signal


def again(kind):
    class Again(kind):
        def __init__(self, **settings):
            known = inspect.signature(kind.__init__).parameters
            settings["sr"] = settings.pop("sample_rate", None)
            super().__init__(**{key: value for key, value in settings.items() if key in known})
            self._name = settings["name"]

    return Again


Audio, Cqt, Frequency = map(again, (nn.FlattenAudioCh, nnaudio.CQT2010v2, nn.FlattenFreqCh))
Log, Stacking = map(again, (signal.NormalizedLog, nn.HarmonicStacking))
'''

COMPARING = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"  # what the package's layers are made with
import numpy as np
import tensorflow as tf
import cnnvis

folder, *custom = sys.argv[1:]
model = cnnvis.load_model(folder, custom=custom, layer="onset")
assert not model.cut
x = np.random.default_rng(0).normal(0, 0.1, size=(1, 43844, 1)).astype("float32")
answers = tf.saved_model.load(folder).signatures["serving_default"](tf.constant(x))
for name in ("contour", "note", "onset"):
    np.testing.assert_allclose(model.values(x, [name])[0], answers[name], atol=1e-5)
"""

KINDS = {
    "CQT2010v2": "Cqt",
    "FlattenAudioCh": "Audio",
    "FlattenFreqCh": "Frequency",
    "HarmonicStacking": "Stacking",
    "NormalizedLog": "Log",
}


@pytest.mark.slow
def test_notes_of_music(tmp_path: Path) -> None:
    """The model of basic-pitch (Apache-2.0), by TensorFlow 2.4, with layers of its own."""
    words = ["download", "--quiet", "--no-deps", "basic-pitch==0.4.0", "--dest", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"basic-pitch cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path)
    folder = tmp_path / "basic_pitch" / "saved_models" / "icassp_2022" / "nmp"
    with pytest.raises(cnnvis.UserError, match="kind 'FlattenAudioCh', whose code") as error:
        cnnvis.load_model(folder)
    refused = " ".join(error.value.found["refused"])
    assert all(f"of kind {kind!r}" in refused for kind in KINDS)
    assert ("conv2d_1", "Conv2D") in error.value.found["layers"]
    (tmp_path / "own_layers.py").write_text(OWN)
    (tmp_path / "compare.py").write_text(COMPARING)
    given = [f"{kind}=own_layers:{name}" for kind, name in KINDS.items()]
    words = [sys.executable, "compare.py", str(folder), *given]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
