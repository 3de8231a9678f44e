"""Networks from files: repaired where they must be, cut where they hold code, never run."""

from __future__ import annotations

import base64
import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from quick import quick_at

import cnnvis
from cnnvis.plugins.loaders.config import cut_unreadable
from cnnvis.plugins.loaders.legacy import repaired


def _saved(network: Any, path: Path) -> Path:
    network.save(path)
    return path


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".keras"])
def test_what_keras_saves_answers_as_before(
    classifier: Any, images: Any, tmp_path: Path, suffix: str
) -> None:
    model = cnnvis.load_model(_saved(classifier, tmp_path / f"model{suffix}"))
    np.testing.assert_allclose(model.predict(images), classifier.predict(images, verbose=0), 1e-6)
    assert model.repairs == () and model.cut == {}
    assert len(model.sha256 or "") == 64


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.slow
def test_functional_networks_with_branches(keras: Any, tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    inputs = layers.Input((6, 6, 1))
    left = layers.Conv2D(2, 3, activation="relu", padding="same")(inputs)
    right = layers.Conv2D(2, 1, padding="same")(inputs)
    joined = layers.Concatenate()([left, right])
    flat = layers.Flatten()(layers.BatchNormalization()(joined))
    network = keras.Model(inputs, layers.Dense(2, "softmax", name="output")(flat))
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 1))
    model = cnnvis.load_model(_saved(network, tmp_path / f"model{suffix}"))
    np.testing.assert_allclose(model.predict(x), network.predict(x, verbose=0), 1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_layers_over_several_axes(keras: Any, tmp_path: Path, suffix: str) -> None:
    """Keras's own way with HDF5 leaves these at their last axis."""
    layers = keras.layers
    inputs = layers.Input((4, 6, 3))
    network = keras.Model(
        inputs,
        [
            layers.Softmax(axis=(1, 2))(inputs),
            layers.UnitNormalization(axis=(1, 2))(inputs),
            layers.LayerNormalization(axis=(1, 2))(inputs),
            layers.TimeDistributed(layers.Softmax(axis=(1, 2)))(inputs[..., None]),
        ],
    )
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)
    model = cnnvis.load_model(_saved(network, tmp_path / f"model{suffix}"))
    for one, other in zip(network(x), model.network(x), strict=True):
        np.testing.assert_allclose(one, other, 1e-6)


def _with_lambda(keras: Any, ran: list[Any], place: str) -> Any:
    """A network with a Lambda behind the output, after a layer in the middle, or right at first."""
    layers = keras.layers

    def code(x: Any) -> Any:
        ran.append(x)
        return x * 2

    inputs = x = layers.Input((4,))
    if place == "first":
        x = layers.Lambda(code, output_shape=(4,), name="code")(x)
    x = layers.Dense(3, "relu", name="hidden")(x)
    if place == "middle":
        x = layers.Lambda(code, output_shape=(3,), name="code")(x)
    x = layers.Dense(2, "softmax", name="probabilities")(x)
    if place == "last":
        x = layers.Lambda(code, output_shape=(2,), name="code")(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_that_names_a_function_of_keras(keras: Any, tmp_path: Path, suffix: str) -> None:
    """It is no code; and a modifier finds the rectifier in it."""
    layers = keras.layers
    first = [layers.Dense(5, name="first"), layers.Lambda(keras.activations.relu, name="named")]
    network = keras.Sequential([layers.Input((4,)), *first, layers.Dense(2, name="output")])
    model = cnnvis.load_model(_saved(network, tmp_path / f"model{suffix}"))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert model.cut == {} and "took the function 'relu'" in model.repairs[0]
    np.testing.assert_allclose(model.predict(x), network.predict(x, verbose=0), 1e-6)
    assert [one.rectifiers for one in model.layers] == [(), ("ReLU",), ()]


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_behind_everything_is_cut_off(keras: Any, tmp_path: Path, suffix: str) -> None:
    ran: list[Any] = []
    network = _with_lambda(keras, ran, "last")
    path = _saved(network, tmp_path / f"model{suffix}")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    expected = network.predict(x, verbose=0) / 2
    ran.clear()
    model = cnnvis.load_model(path)
    assert list(model.cut) == ["code"]
    assert model.layer == "probabilities"
    np.testing.assert_allclose(model.predict(x), expected, 1e-6)
    assert ran == []
    with pytest.raises(cnnvis.UserError, match=r"layer 'code' cannot be explained: the Lambda"):
        model.with_target("code")


@pytest.mark.parametrize("suffix", quick_at([1], [".h5", ".keras"]))
def test_a_lambda_in_the_middle_leaves_what_is_before_it(
    keras: Any, tmp_path: Path, suffix: str
) -> None:
    network = _with_lambda(keras, [], "middle")
    path = _saved(network, tmp_path / f"model{suffix}")
    with pytest.raises(cnnvis.UserError, match=r"end was cut off.*'code'.*--layer.*hidden"):
        cnnvis.run("saliency", path, data=np.ones((1, 4)))
    summary = cnnvis.run("model-summary", path)
    assert summary.table is not None and "hidden" in summary.table["layer"]
    assert any("there is no default target" in note for note in summary.notes)
    assert any("'code', 'probabilities' was cut off" in note for note in summary.notes)
    model = cnnvis.load_model(path, layer="hidden")
    assert set(model.cut) == {"code", "probabilities"}
    x = np.ones((1, 4), np.float32)
    expected = network.get_layer("hidden")(x).numpy()
    np.testing.assert_allclose(model.outputs(x), expected, 1e-6)
    many = np.random.default_rng(0).normal(size=(20, 4))  # some of them are sure to be on
    for names in (["a", "b"], ["a", "b", "c"]):  # of as many classes as the layer has filters, too
        found = cnnvis.run("saliency", path, data=many, layer="hidden", class_names=names)
        assert found.target == "hidden[0]"


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_before_everything_is_named(keras: Any, tmp_path: Path, suffix: str) -> None:
    path = _saved(_with_lambda(keras, [], "first"), tmp_path / f"model{suffix}")
    with pytest.raises(cnnvis.UserError, match=r"all its layers come after the Lambda.*'code'"):
        cnnvis.load_model(path)


def test_layers_that_are_not_keras_own_are_not_looked_for(tmp_path: Path, keras: Any) -> None:
    path = _saved(
        keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]), tmp_path / "m.keras"
    )
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    config["config"]["layers"][1]["module"] = "cnnvis_canary"
    config["config"]["layers"][1]["class_name"] = "Touch"
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(
        cnnvis.UserError, match=r"kind 'Touch' \(cnnvis_canary\), whose code .*--custom"
    ):
        cnnvis.load_model(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.h5", b"layers: 3\nunits: 5\n", "text file that begins with 'layers: 3"),
        ("model.h5", b"", "the file is empty"),
        ("model.h5", b"\x00\x01\x02\x03", "begins with the bytes 00 01 02 03"),
        ("model.keras", b"not a zip", "is not a model that Keras saved"),
        ("model.keras", b"", "is not a model that Keras saved"),
        ("model.txt", b"text", r"no loader takes the ending '.txt'.*h5 \(.h5 .hdf5\)"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.load_model(tmp_path / name)


def test_a_damaged_archive(classifier: Any, tmp_path: Path) -> None:
    path = _saved(classifier, tmp_path / "model.keras")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(cnnvis.UserError, match="is not a model that Keras saved"):
        cnnvis.load_model(path)


def test_weights_without_a_network(classifier: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    classifier.save_weights(path)
    with pytest.raises(cnnvis.UserError, match="weights without a network"):
        cnnvis.load_model(path)


def test_weights_that_do_not_fit(classifier: Any, tmp_path: Path) -> None:
    path = _saved(classifier, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["units"] = 4
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(cnnvis.UserError, match=r"weights in .* do not fit"):
        cnnvis.load_model(path)


def test_repairs_are_made_in_nested_and_wrapped_layers() -> None:
    norm = {"class_name": "BatchNormalization", "config": {"name": "n", "axis": [3]}}
    conv = {
        "class_name": "Conv2D",
        "config": {
            "name": "c",
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"dtype": "float32"}},
        },
    }
    wrapped = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": conv}}
    inner = {"class_name": "Sequential", "config": {"name": "i", "layers": [norm, wrapped]}}
    done = repaired({"class_name": "Functional", "config": {"name": "f", "layers": [inner]}})
    assert [what.split(",")[0] for what in done] == [
        "wrote the axis of a normalization as a number",
        "left the dtype out of an initializer",
    ]
    assert norm["config"]["axis"] == 3
    assert conv["config"]["kernel_initializer"]["config"] == {}


def test_the_original_programs_model(reference: Path) -> None:
    model = cnnvis.load_model(reference / "seed" / "introgression_32x32.h5")
    assert model.layer == "output"
    assert model.cut == {}
    assert any(
        "dtype out of an initializer" in one and "(24 times)" in one for one in model.repairs
    )
    assert model.origin == "HDF5, written by Keras 2.2.4-tf"
    assert "replaced the known code of the Lambda 'BetaCalibration'" in model.repairs[-1]


def test_a_lambda_that_is_known_is_computed_and_not_run(reference: Path, tmp_path: Path) -> None:
    """The original program's model answers calibrated: u = c p^a, v = (1-p)^b, u / (u + v)."""
    folder = reference / "seed"
    model = cnnvis.load_model(folder / "introgression_32x32.h5")
    x = cnnvis.read_samples(folder / "test_data_32x32.pkl").x.astype(np.float32)
    p = model.values(x, ["output"])[0].astype(np.float64)
    a, b, c = 2.134884169045028, 0.7617753765804508, 3.3651953184096306
    u, v = c * p**a, (1 - p) ** b
    np.testing.assert_allclose(model.predict(x), u / (u + v), rtol=1e-4)
    # Other code, if only by its last byte, is not known and cut off.
    other = tmp_path / "other.h5"
    other.write_bytes((folder / "introgression_32x32.h5").read_bytes())
    with h5py.File(other, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        function = config["config"]["layers"][-1]["config"]["function"]
        code = bytearray(base64.b64decode(function[0]))
        code[-1] ^= 1
        function[0] = base64.b64encode(code).decode()
        file.attrs["model_config"] = json.dumps(config)
    reason = cnnvis.load_model(other).cut["BetaCalibration"]
    assert "Python code that cnnvis does not run" in reason and "its constants are" in reason


def test_cutting_goes_on_to_all_that_depends_on_it() -> None:
    def layer(name: str, *parents: str, kind: str = "Dense") -> dict[str, Any]:
        nodes = [[[parent, 0, 0, {}] for parent in parents]] if parents else []
        return {"class_name": kind, "config": {"name": name}, "name": name, "inbound_nodes": nodes}

    config = {
        "class_name": "Functional",
        "config": {
            "layers": [
                layer("last", "behind", "left"),
                layer("input", kind="InputLayer"),
                layer("left", "input"),
                layer("code", "left", kind="Lambda"),
                layer("behind", "code"),
                layer("right", "input"),
            ],
            "input_layers": [["input", 0, 0]],
            "output_layers": [["last", 0, 0], ["right", 0, 0]],
        },
    }
    cut = cut_unreadable(config, lambda one: "code" if one["class_name"] == "Lambda" else None)
    assert set(cut.reasons) == {"code", "behind", "last"}
    assert cut.learned
    assert [one["name"] for one in config["config"]["layers"]] == ["input", "left", "right"]
    assert config["config"]["output_layers"] == [["right", 0, 0], ["left", 0, 0]]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["functional", "sequential"])
def test_saved_models_of_keras_2(tmp_path: Path, form: str) -> None:
    pytest.importorskip("tf_keras")
    import subprocess
    import sys

    program = """
import sys, numpy as np, tf_keras
L = tf_keras.layers
tf_keras.utils.set_random_seed(1)
layers = [
    L.Input((8, 8, 1)),
    L.Conv2D(3, 3, activation="relu"),
    L.BatchNormalization(),
    L.Dropout(0.5),
    L.Flatten(),
    L.Dense(2, activation="softmax", name="output"),
]
if sys.argv[1] == "sequential":
    model = tf_keras.Sequential(layers)
else:
    x = layers[0]
    for layer in layers[1:]:
        x = layer(x)
    model = tf_keras.Model(layers[0], x)
model.save(sys.argv[2], save_format="tf")
x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
np.savez(sys.argv[2] + "/expected.npz", x=x, y=model.predict(x, verbose=0))
"""
    folder = tmp_path / "saved"
    subprocess.run(
        [sys.executable, "-c", program, form, str(folder)], check=True, capture_output=True
    )
    expected = np.load(folder / "expected.npz")
    model = cnnvis.load_model(folder)
    np.testing.assert_allclose(model.predict(expected["x"]), expected["y"], atol=1e-6)
    assert [layer.kind for layer in model.layers][-5:] == [
        "Conv2D",
        "BatchNormalization",
        "Dropout",
        "Flatten",
        "Dense",
    ]


def test_saved_models_without_layers(tmp_path: Path, classifier: Any) -> None:
    folder = tmp_path / "exported"
    classifier.export(folder, verbose=False)
    with pytest.raises(cnnvis.UserError, match="a SavedModel without Keras layers"):
        cnnvis.load_model(folder)


def test_weights_that_are_missing_are_not_left_random(keras: Any, tmp_path: Path) -> None:
    path = _saved(_with_lambda(keras, [], "last"), tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file["model_weights"].move("hidden", "other")
    with pytest.raises(cnnvis.UserError, match="there are none for the layer 'hidden'"):
        cnnvis.load_model(path)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"class_name": "Functional"}', '{"config": {"layers": ["a"]}}']
)
def test_descriptions_of_no_model(classifier: Any, tmp_path: Path, text: str) -> None:
    path = _saved(classifier, tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = text
    with pytest.raises(cnnvis.UserError, match=r"is damaged|does not describe a Keras model"):
        cnnvis.load_model(path)


def test_a_truncated_file(classifier: Any, tmp_path: Path) -> None:
    path = _saved(classifier, tmp_path / "model.h5")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(cnnvis.UserError, match="is damaged"):
        cnnvis.load_model(path)


@pytest.mark.parametrize("home", ["keras", "tf_keras"])
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_weights_stay_with_their_layers_when_others_are_cut(
    tmp_path: Path, suffix: str, home: str
) -> None:
    """Keras numbers layers of a class in archives, and the number of those behind a cut one changes."""
    package = importlib.import_module(home)
    layers = package.layers

    def own(x: Any) -> Any:
        return x * 2

    def stack(*cut: Any) -> Any:
        inputs = layers.Input((4,))
        end = layers.Dense(4, name="four")(layers.Dense(4, name="three")(inputs))
        sides = [
            layers.Dense(4, one, name="own")(layers.Dense(4, name="one")(inputs)) for one in cut
        ]
        return package.Model(
            inputs, [layers.Dense(4, name="two")(inputs), end, *sides], name="stack"
        )

    inputs = layers.Input((4,))
    one, two, _ = stack(own)(inputs)
    network = package.Model(inputs, [one, two])
    inner = network.get_layer("stack")
    rng = np.random.default_rng(2)
    for variable in network.weights:
        variable.assign(rng.normal(size=tuple(variable.shape)))
    path = _saved(network, tmp_path / f"model{suffix}")
    model = cnnvis.load_model(path)
    assert set(model.cut) == {"stack/own"}
    x = rng.normal(size=(3, 4)).astype(np.float32)
    for name in ("one", "two", "three"):
        (found,) = model.values(x, [f"stack/{name}"])
        np.testing.assert_allclose(found, inner.get_layer(name)(x), rtol=1e-5)
