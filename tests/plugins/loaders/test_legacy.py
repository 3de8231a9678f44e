"""Files of old Keras versions, files that lack something, and files that want code to run."""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import marshal
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis.plugins.loaders.h5 import h5
from cnnvis.plugins.loaders.keras_archive import keras_archive
from cnnvis.plugins.loaders.legacy import repaired

FILES = [
    *(
        f"{version}_{kind}.h5"
        for version in ("keras231", "tfkeras204")
        for kind in ("nested", "seq1d", "seq2d", "seq3d", "seqinp")
    ),
    *(
        f"tfk_{kind}.{end}"
        for kind in ("depthwise", "nested", "seq", "tfop")
        for end in ("h5", "keras")
    ),
    *(f"tfk_{kind}.h5" for kind in ("functional_in_functional", "functional_in_sequential")),
    *(f"tfk_{kind}.h5" for kind in ("sequential_in_functional", "siamese")),
]


@pytest.fixture(scope="session")
def legacy(reference: Path) -> Path:
    return reference / "legacy"


def test_no_file_is_left_out(legacy: Path) -> None:
    there = {path.name for path in legacy.iterdir() if path.suffix in (".h5", ".keras")}
    assert there == set(FILES) and len(FILES) == 22


SOME = (
    *("keras231_nested.h5", "keras231_seq1d.h5", "keras231_seqinp.h5", "tfkeras204_seq3d.h5"),
    *("tfk_tfop.h5", "tfk_nested.keras", "tfk_siamese.h5", "tfk_functional_in_sequential.h5"),
)


@pytest.mark.parametrize("name", quick_are(SOME, FILES))
def test_files_answer_as_what_wrote_them(legacy: Path, name: str) -> None:
    expected = np.load(legacy / "expected.npz")
    which = json.loads((legacy / "inputs.json").read_text())[name]
    x = expected[which]
    before = (legacy / name).read_bytes()
    options: dict[str, Any] = {}
    if name == "keras231_seqinp.h5":
        with pytest.raises(cnnvis.UserError, match=r"holds no input shape,.*--input-shape 28 28 1"):
            cnnvis.load_model(legacy / name)
    if name.endswith("seqinp.h5"):
        options["input_shape"] = x.shape[1:]
    model = cnnvis.load_model(legacy / name, **options)
    if name == "tfk_siamese.h5":
        samples = cnnvis.Samples.of({"input_4": x, "input_5": x[::-1]})
        model = model.with_inputs_held(model.shaped(samples)["input_4"])
    np.testing.assert_allclose(model.predict(x), expected[f"y|{name}"], atol=1e-5)
    assert "Keras 2" in model.origin
    assert (legacy / name).read_bytes() == before
    assert np.isfinite(model.input_gradient(x)).all()


@pytest.mark.parametrize("name", quick_are(["nested"], ["depthwise", "nested", "seq", "tfop"]))
def test_files_of_keras_2_and_keras_3_give_the_same_maps(legacy: Path, name: str) -> None:
    """One network, read by Keras 3 from .h5 and by tf_keras from .keras."""
    x = np.load(legacy / "expected.npz")["rgb"]
    for settings in ({"backprop": None}, {"backprop": "guided"}):
        one, other = (
            cnnvis.run("saliency", legacy / f"tfk_{name}.{end}", data=x, **settings).maps
            for end in ("h5", "keras")
        )
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-7)


def test_a_shape_that_the_file_has_is_not_overruled(legacy: Path) -> None:
    with pytest.raises(cnnvis.UserError, match="28 28 1, so --input-shape cannot be 32 32 1"):
        cnnvis.load_model(legacy / "keras231_seq2d.h5", input_shape=(32, 32, 1))


# Repairs of configurations that no file here has


def _layer(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": {"name": kind.lower(), **config}}


@pytest.mark.parametrize(
    ("layer", "kind", "left"),
    [
        (_layer("LSTM", units=2, time_major=False, implementation=2), "LSTM", {"units"}),
        (_layer("CuDNNLSTM", units=2), "LSTM", {"units"}),
        (
            _layer("BatchNormalization", axis=[3], renorm=False, fused=True),
            "BatchNormalization",
            {"axis", "renorm"},
        ),
        (_layer("Convolution2D", filters=2, kernel_size=3), "Conv2D", {"filters", "kernel_size"}),
        (_layer("ThresholdedReLU", theta=0.5), "ReLU", {"threshold"}),
        (_layer("SyncBatchNormalization", axis=-1), "BatchNormalization", {"axis"}),
    ],
)
def test_what_keras_3_no_longer_knows(
    keras: Any, layer: dict[str, Any], kind: str, left: set[str]
) -> None:
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    done = repaired(config, (8, 8, 1) if kind != "LSTM" else (8, 1))
    one = config["config"]["layers"][1]  # type: ignore[index]
    assert one["class_name"] == kind and set(one["config"]) == left | {"name"}
    assert len(done) >= 2
    keras.Sequential.from_config(config["config"])


def test_an_option_that_changes_something_is_not_dropped(keras: Any) -> None:
    layer = _layer("LSTM", units=2, time_major=True)
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    repaired(config, (8, 1))
    assert layer["config"]["time_major"] is True


def test_a_list_of_layers_without_a_name(keras: Any) -> None:
    layer = _layer("Dense", units=2, batch_input_shape=[None, 4])
    config: dict[str, Any] = {"class_name": "Sequential", "config": [layer]}
    repaired(config)
    network = keras.Sequential.from_config(config["config"])
    assert network.input_shape == (None, 4)


# Lambdas and other code


def test_what_a_lambda_holds_is_said_and_not_run(tmp_path: Path, keras: Any) -> None:
    """Bytecode that would write a file: its names are read, it is neither loaded nor run."""
    x = np.random.default_rng(0).normal(size=(20, 4))  # some of them are sure to pass the ReLU
    canary = tmp_path / "canary"
    source = f"lambda x: __import__('pathlib').Path({str(canary)!r}).write_text('ran') and x"
    code = base64.b64encode(marshal.dumps(eval(source).__code__)).decode()
    for function in (
        [code, None, None],
        {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}},
    ):
        network = keras.Sequential(
            [
                keras.layers.Input((4,)),
                keras.layers.Dense(3, "relu", name="hidden"),
                keras.layers.Dense(2, name="output"),
                keras.layers.Lambda(lambda x: x, name="code"),
            ]
        )
        network.save(tmp_path / "model.h5")
        with h5py.File(tmp_path / "model.h5", "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"][-1]["config"]["function"] = function
            file.attrs["model_config"] = json.dumps(config)
        model = cnnvis.load_model(tmp_path / "model.h5")
        assert "it mentions" in model.cut["code"] and "write_text" in model.cut["code"]
        assert model.input_gradient(x).any()
    assert not canary.exists()


@pytest.mark.parametrize("code", ["", "!!!", "AAAA", "e" * 4000, 3, None])
def test_damaged_bytecode_is_only_text(tmp_path: Path, keras: Any, code: Any) -> None:
    network = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(2), keras.layers.Lambda(lambda x: x)]
    )
    network.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["function"] = [code, None, None]
        file.attrs["model_config"] = json.dumps(config)
    assert "Python code that cnnvis does not run" in next(
        iter(h5(tmp_path / "model.h5").cut.values())
    )


@pytest.mark.parametrize(
    ("form", "suffix"),
    quick_are(
        [("functional", ".keras")],
        itertools.product(["functional", "sequential"], [".h5", ".keras"]),
    ),
)
def test_a_lambda_in_a_nested_model(tmp_path: Path, keras: Any, form: str, suffix: str) -> None:
    layers = keras.layers
    keras.utils.set_random_seed(0)
    stack = [
        layers.Conv2D(3, 3, activation="relu", name="first"),
        layers.BatchNormalization(name="norm"),
        layers.Conv2D(4, 3, activation="relu", name="second"),
        layers.Lambda(lambda x: x * 2, name="code"),
    ]
    if form == "sequential":
        backbone = keras.Sequential([layers.Input((9, 9, 1)), *stack], name="backbone")
    else:
        x = inside = layers.Input((9, 9, 1))
        for layer in stack:
            x = layer(x)
        backbone = keras.Model(inside, x, name="backbone")
    inputs = layers.Input((9, 9, 1))
    x = layers.Conv2D(2, 1, name="side")(inputs)
    end = layers.Concatenate()([layers.Flatten()(backbone(inputs)), layers.Flatten()(x)])
    network = keras.Model(inputs, layers.Dense(2, name="output")(end))
    for variable in network.weights:
        variable.assign(np.random.default_rng(0).random(variable.shape))
    network.save(tmp_path / f"model{suffix}")
    data = np.random.default_rng(1).normal(size=(2, 9, 9, 1)).astype(np.float32)
    expected = cnnvis.Model(network, layer="backbone/second", filters=1).input_gradient(data)
    model = cnnvis.load_model(tmp_path / f"model{suffix}", layer="backbone/second", filter=1)
    assert "backbone/code" in model.cut and "output" in model.cut
    np.testing.assert_allclose(model.input_gradient(data), expected, rtol=1e-5)
    with pytest.raises(cnnvis.UserError, match=r"'output' cannot be explained: it comes after the"):
        cnnvis.load_model(tmp_path / f"model{suffix}", layer="output")
    with pytest.raises(cnnvis.UserError, match=r"end was cut off.*backbone/second"):
        cnnvis.load_model(tmp_path / f"model{suffix}").input_gradient(data)


# What a person gives


MINE = """
import keras

@keras.saving.register_keras_serializable("mine")
class Scale(keras.layers.Layer):
    def __init__(self, by=2.0, **settings):
        super().__init__(**settings)
        self.by = by
        self.w = self.add_weight(shape=(), initializer="ones", name="w")
    def call(self, x):
        return x * self.by * self.w
    def get_config(self):
        return {**super().get_config(), "by": self.by}

@keras.saving.register_keras_serializable("mine")
class Network(keras.Model):
    def __init__(self, units=3, **settings):
        super().__init__(**settings)
        self.units = units
        self.first = keras.layers.Dense(units, "relu", name="first")
        self.last = keras.layers.Dense(2, name="last")
    def call(self, x):
        return self.last(self.first(x))
    def get_config(self):
        return {**super().get_config(), "units": self.units}

def twice(x):
    return x * 2
"""


@contextmanager
def _imported(folder: Path, keras: Any) -> Iterator[None]:
    """A person's own module may be imported, and is forgotten again, by Keras too."""
    known = keras.saving.get_custom_objects()
    before = dict(known)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("my_layers", None)
        known.clear()
        known.update(before)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, keras: Any) -> Path:
    """Files that name a person's own classes, and what the networks in them answer."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_layers.py").write_text(MINE)
    layers = keras.layers
    keras.utils.set_random_seed(0)
    with _imported(folder, keras):
        mine: Any = importlib.import_module("my_layers")
        scale = mine.Scale(3.0, name="scale")
        code = layers.Lambda(mine.twice, name="code", output_shape=(3,))
        networks = {
            name: keras.Sequential(
                [layers.Input((4,)), layers.Dense(3, "relu"), one, layers.Dense(2)]
            )
            for name, one in (("layer", scale), ("code", code))
        }
        networks["own"] = mine.Network(units=5)
        x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
        answers = {name: np.asarray(network(x)) for name, network in networks.items()}
        for name, network in networks.items():
            network.save(folder / f"{name}.keras")
            if name != "own":
                network.save(folder / f"{name}.h5")
    np.savez(folder / "answers.npz", x=x, **answers)
    return folder


@pytest.mark.parametrize(
    ("name", "custom"),
    [
        ("layer.h5", "my_layers:Scale"),
        ("layer.keras", "my_layers:Scale"),
        ("own.keras", "my_layers:Network"),
        ("code.h5", "code=my_layers:twice"),
        ("code.keras", "code=my_layers:twice"),
    ],
)
def test_code_that_a_person_gives(own: Path, keras: Any, name: str, custom: str) -> None:
    found = np.load(own / "answers.npz")
    assert "my_layers" not in sys.modules
    with _imported(own, keras):
        model = cnnvis.load_model(own / name, custom=[custom])
        expected = found[name.split(".")[0]]
        np.testing.assert_allclose(model.predict(found["x"]), expected, rtol=1e-5)
        assert np.isfinite(model.input_gradient(found["x"])).all()
        assert not model.cut, model.cut


@pytest.mark.slow
def test_code_that_a_person_names_with_a_flag(own: Path, command: Any) -> None:
    np.savez(own / "data.npz", X=np.load(own / "answers.npz")["x"])
    words = ("run", "saliency", "layer.h5", "-d", "data.npz", "--class", 0, "-bm", "none")
    done = command(*words, "--custom", "my_layers:Scale", cwd=own)
    assert done.returncode == 0, done.stderr


def test_without_it_nothing_is_imported(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own)
    with pytest.raises(cnnvis.UserError, match=r"class 'Network'.*--custom module:Network"):
        cnnvis.load_model("own.keras")
    model = cnnvis.load_model("layer.keras")
    assert "'Scale' (mine>Scale), whose code the file does not hold" in model.cut["scale"]
    assert "my_layers" not in sys.modules


@pytest.mark.parametrize(
    ("custom", "sentence"),
    [
        ("Scale", "takes module:Class"),
        ("no_such_module:Scale", "module 'no_such_module' cannot be imported: ModuleNotFoundError"),
        ("my_broken:Scale", "cannot be imported: ZeroDivisionError"),
        ("json:Scale", "holds no class or function 'Scale'"),
    ],
)
def test_code_that_cannot_be_had(
    own: Path, custom: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own / "my_broken.py").write_text("1 / 0")
    monkeypatch.chdir(own)
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.load_model("layer.keras", custom=[custom])


@pytest.mark.parametrize(
    "name",
    quick_are(["renamed.h5"], ["weights.h5", "model.weights.h5", "renamed.h5"]),
)
def test_weights_with_an_architecture_beside_them(
    classifier: Any, images: Any, tmp_path: Path, name: str
) -> None:
    import tf_keras

    network = classifier
    if name == "weights.h5":  # as Keras 2 wrote them
        layers = tf_keras.layers
        network = tf_keras.Sequential(
            [
                layers.Conv2D(2, 3, activation="relu", input_shape=(12, 10, 2)),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
    path = tmp_path / ("model.weights.h5" if name == "renamed.h5" else name)
    network.save_weights(str(path))
    path = path.rename(tmp_path / name)
    with pytest.raises(cnnvis.UserError, match=r"weights without a network.*--architecture"):
        cnnvis.load_model(path)
    (tmp_path / "network.json").write_text(network.to_json())
    model = cnnvis.load_model(path, architecture=str(tmp_path / "network.json"))
    np.testing.assert_allclose(model.predict(images), network.predict(images, verbose=0), rtol=1e-5)
    assert "with the network of network.json" in model.origin
    (tmp_path / "text.json").write_text("no JSON")
    for other, sentence in (
        ("text.json", "cannot be read as JSON"),
        ("nothing.json", "cannot be read: No such file"),
        ("", "is a folder, not a file"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            cnnvis.load_model(path, architecture=str(tmp_path / other))


# Files that only tf_keras reads, written by a stranger


def _keras_2(tmp_path: Path, change: Any) -> Path:
    """A .keras file of Keras 2 with its configuration changed."""
    import tf_keras

    network = tf_keras.Sequential(
        [
            tf_keras.layers.Dense(3, "relu", input_shape=(4,), name="first"),
            tf_keras.layers.Dense(2, name="last"),
        ]
    )
    network.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return tmp_path / "model.keras"


def _set(place: str, value: Any) -> Any:
    def change(config: Any) -> None:
        layer = config["config"]["layers"][-1]
        layer[place] = value if place != "config" else {**layer["config"], **value}

    return change


def _named(value: str) -> dict[str, Any]:
    return {"module": "canary", "class_name": value, "config": {}, "registered_name": value}


HOSTILE = {
    "module": _set("module", "canary"),
    "submodule": _set("module", "keras.__import__('canary')"),
    "initializer": _set("config", {"kernel_initializer": _named("run")}),
    "function": _set(
        "config",
        {"activation": {"module": "builtins", "class_name": "function", "config": "get_file"}},
    ),
    "activation": _set("config", {"activation": "get_file"}),
    "registered": _set("registered_name", "Custom>Dense"),
    "lambda": _set(
        "config", {"activation": {"class_name": "__lambda__", "config": {"value": "x"}}}
    ),
    "regularizer": _set("config", {"bias_regularizer": _named("run")}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_names_is_not_imported(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canary.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = _keras_2(tmp_path, HOSTILE[name])
    loaded = keras_archive(path)
    if name in ("initializer", "regularizer"):
        assert loaded.cut == {} and "'run' of canary, which has no effect" in loaded.repairs[-1]
    else:
        assert "last" in loaded.cut and [layer.name for layer in loaded.network.layers] == ["first"]
    assert not (tmp_path / "ran").exists() and "canary" not in sys.modules


@pytest.mark.parametrize(
    "function",
    quick_at(
        [0, 5],
        ["io.write_file", "py_function", "raw_ops.WriteFile", "numpy_function", "print", None],
    ),
)
def test_functions_that_are_no_mathematics(tmp_path: Path, function: Any) -> None:
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.layers.Input((4,))
    hidden = tf_keras.layers.Dense(3, name="hidden")(inputs)
    tf_keras.Model(inputs, tf.nn.relu(hidden)).save(str(tmp_path / "model.h5"))
    assert h5(tmp_path / "model.h5").cut == {}
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["config"]["function"] = function
        file.attrs["model_config"] = json.dumps(config)
    loaded = h5(tmp_path / "model.h5")
    assert f"TensorFlow's function {function!r}" in next(iter(loaded.cut.values()))
    assert [layer.name for layer in loaded.network.layers][-1] == "hidden"


def test_without_tf_keras_its_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _keras_2(tmp_path, lambda config: None)
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(
        cnnvis.UserError, match=r"needs Keras 2, since it is a \.keras file .*pip install"
    ):
        cnnvis.load_model(path)
