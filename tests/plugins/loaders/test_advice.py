"""What an error advises works when it is typed."""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import re
import shlex
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hostile.models import call, layer, operation, pictures, sound, write_h5, write_keras
from quick import quick_are, quick_at

import cnnvis

Typed = Callable[..., subprocess.CompletedProcess[str]]
Written = Callable[[Path, str], Path]

GIVEN = """
import keras
import tf_keras


def same(x):
    return x[0] if isinstance(x, list) else x


class Scale(keras.layers.Layer):
    def call(self, x):
        return x * 2

    def compute_output_shape(self, shape):
        return shape


class Bucket(keras.layers.Layer):
    def __init__(self, num_bins=1, **settings):
        super().__init__(**settings)

    def call(self, x):
        return x


class Cell(keras.layers.SimpleRNNCell):
    pass


class Network(keras.Model):
    def __init__(self, units=3, **settings):
        super().__init__(**settings)
        self.units = units
        self.first = keras.layers.Dense(units)

    def call(self, x):
        return self.first(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Scale2(tf_keras.layers.Layer):
    def call(self, x):
        return x * 2
"""

OPTION = re.compile(r"--(?:custom|lambda) (?:'(?:[^']|'\"'\"')*'|\S+)|--trust-model")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of a person's own."""
    (tmp_path / "given_here.py").write_text(GIVEN)
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("given_here")


def _follow(typed: Typed, path: Path, *, classes: dict[str, str] | None = None) -> list[str]:
    """Do what each error advises, until there is none; what was typed for that."""
    words: list[str] = []
    for _ in range(6):
        done = typed("doctor", path, *words)
        if done.returncode == 0:
            assert words and "cut off" not in done.stdout
            return words
        assert done.returncode == 2 and "Traceback" not in done.stderr
        found = OPTION.search(" ".join(done.stderr.split()))
        assert found is not None, done.stderr
        option = shlex.split(found[0])
        assert not set(option) <= set(words), (words, done.stderr)
        words += [_filled(word, classes or {}) for word in option]
    raise AssertionError(words)


def _filled(word: str, classes: dict[str, str]) -> str:
    """The word with a person's own names in it."""
    name, _, what = word.rpartition("=")
    if what == "module:function":
        return f"{name}=given_here:same"
    if what == "module:Class":
        return f"{name}=given_here:{classes[name]}"
    return word.replace("module:", "given_here:")


def _first(home: Any, one: Any, *more: Any) -> Any:
    """A network that begins with a layer."""
    layers = home.layers
    ends = [layers.Flatten(), layers.Dense(2, name="output")]
    return home.Sequential([layers.Input((6, 4)), one, *more, *ends])


SUFFIXES = ["keras", "h5"]


@pytest.mark.parametrize(
    ("suffix", "name"),
    quick_are(
        [("keras", "some code"), ("h5", "it's=code")],
        itertools.product(SUFFIXES, ["code", "some code", "it's=code"]),
    ),
)
def test_a_lambda(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str, name: str
) -> None:
    _first(keras, keras.layers.Lambda(lambda x: x, name=name)).save(tmp_path / f"m.{suffix}")
    words = _follow(typed, tmp_path / f"m.{suffix}")
    assert words == ["--lambda", f"{name}=given_here:same"]


@pytest.mark.parametrize(
    ("home", "suffix", "package"),
    quick_are(
        [("keras", "keras", "mine"), ("keras", "h5", None), ("tf_keras", "keras", None)],
        itertools.product(["keras", "tf_keras"], SUFFIXES, [None, "mine"]),
    ),
)
def test_a_layer_of_ones_own(
    tmp_path: Path, given: Any, typed: Typed, home: str, suffix: str, package: str | None
) -> None:
    package_ = importlib.import_module(home)
    mine = type("Scale", (given.Scale if home == "keras" else given.Scale2,), {})
    if package:
        mine = package_.saving.register_keras_serializable(f"{package}_{home}_{suffix}")(mine)
    _first(package_, mine(name="scale"), mine(name="again")).save(tmp_path / f"m.{suffix}")
    ours = "Scale" if (home, suffix) != ("tf_keras", "keras") else "Scale2"
    words = _follow(typed, tmp_path / f"m.{suffix}", classes={"Scale": ours})
    assert words == ["--custom", f"Scale=given_here:{ours}"]


@pytest.mark.parametrize(
    ("home", "suffix", "registered"),
    quick_are(
        [("keras", "keras", True), ("keras", "h5", False), ("tf_keras", "h5", True)],
        itertools.product(["keras", "tf_keras"], SUFFIXES, [False, True]),
    ),
)
def test_an_activation_of_ones_own(
    tmp_path: Path, given: Any, typed: Typed, home: str, suffix: str, registered: bool
) -> None:
    package = importlib.import_module(home)

    def mine(x: Any) -> Any:
        return x

    if registered:
        mine = package.saving.register_keras_serializable(f"acts_{home}_{suffix}")(mine)
    _first(package, package.layers.Dense(4, mine, name="first")).save(tmp_path / f"m.{suffix}")
    words = _follow(typed, tmp_path / f"m.{suffix}")
    assert words == ["--custom", "mine=given_here:same"]


@pytest.mark.parametrize("suffix", quick_at([1], SUFFIXES))
def test_classes_within_layers(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str
) -> None:
    cell = keras.saving.register_keras_serializable(f"cells_{suffix}")(given.Cell)
    for name, first in (
        ("Scale", keras.layers.TimeDistributed(given.Scale(name="inner"))),
        ("Cell", keras.layers.RNN(cell(3), return_sequences=True)),
    ):
        _first(keras, first).save(tmp_path / f"{name}.{suffix}")
        words = _follow(typed, tmp_path / f"{name}.{suffix}", classes={name: name})
        assert words == ["--custom", f"{name}=given_here:{name}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_lambda_within_a_layer(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str
) -> None:
    inner = keras.layers.Lambda(lambda x: x)
    network = _first(keras, keras.layers.TimeDistributed(inner, name="each"))
    network.save(tmp_path / f"m.{suffix}")
    words = _follow(typed, tmp_path / f"m.{suffix}")
    assert words == ["--custom", "each=given_here:same"]


WRITES = {"keras": write_keras, "h5": write_h5}


@pytest.mark.parametrize(
    ("suffix", "kind"),
    quick_are(
        [("keras", "Map"), ("h5", "Bincount")],
        itertools.product(SUFFIXES, ["Bincount", "Map", "ElasticTransform"]),
    ),
)
def test_an_operation(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str, kind: str
) -> None:
    config = operation(kind, {"class_name": "__lambda__", "config": {}})
    if suffix == "h5":  # as Keras writes them there
        for key in ("module", "registered_name"):
            del config["config"]["layers"][1][key]
    words = _follow(typed, WRITES[suffix](tmp_path / f"m.{suffix}", config, []))
    assert words == ["--custom", "hidden=given_here:same"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_layer_of_keras_that_is_not_loaded(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str
) -> None:
    config = sound()
    config["config"]["layers"][1] = call(layer("Hashing", "hidden", num_bins=3), "input")
    config["config"]["layers"][2:] = []
    config["config"]["output_layers"] = [["hidden", 0, 0]]
    path = WRITES[suffix](tmp_path / f"m.{suffix}", config, [])
    words = _follow(typed, path, classes={"hidden": "Bucket"})
    assert words == ["--custom", "hidden=given_here:Bucket"]


@pytest.mark.parametrize(
    "change",
    [
        {"module": "elsewhere"},
        {"registered_name": "mine>Activation"},
        {"config": {"name": "hidden", "activation": "relu", "dtype": "float7"}},
    ],
)
@pytest.mark.parametrize("suffix", quick_at([1], SUFFIXES))
def test_what_is_called_as_keras_calls_its_own(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str, change: dict[str, Any]
) -> None:
    config = sound()
    one = call(layer("Activation", "hidden", activation="relu"), "input")
    config["config"]["layers"][1:] = [{**one, **change}]
    config["config"]["output_layers"] = [["hidden", 0, 0]]
    path = WRITES[suffix](tmp_path / f"m.{suffix}", config, [])
    kinds = dict.fromkeys(("hidden", "Activation"), "Own")
    given.Own = type("Own", (given.Scale,), {"__init__": _any_options})
    words = _follow(typed, path, classes=kinds)
    assert words[0] == "--custom" and len(words) == 2


def _any_options(self: Any, activation: Any = None, **settings: Any) -> None:
    super(type(self), self).__init__(**settings)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.slow
def test_a_function_of_tensorflow(tmp_path: Path, given: Any, typed: Typed, suffix: str) -> None:
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.layers.Input((4,))
    h = tf.nn.relu(tf.add(inputs, y=inputs) * 2.0)
    network = tf_keras.Model(inputs, tf_keras.layers.Dense(2)(h))
    network.save(tmp_path / f"m.{suffix}")
    path = _rewritten(tmp_path / f"m.{suffix}", '"math.add"', '"io.write_file"')
    words = _follow(typed, path)
    assert words[0] == "--custom" and words[1].endswith("=given_here:same")


def _rewritten(path: Path, old: str, new: str) -> Path:
    """The file with other words in the description of its network."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            text = file.attrs["model_config"]
            assert old in text
            file.attrs["model_config"] = text.replace(old, new)
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in parts["config.json"]
    parts["config.json"] = parts["config.json"].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_a_model_of_ones_own_class(keras: Any, tmp_path: Path, given: Any, typed: Typed) -> None:
    network = keras.saving.register_keras_serializable("models")(given.Network)(units=5)
    network(np.ones((1, 4), np.float32))
    network.save(tmp_path / "m.keras")
    assert _follow(typed, tmp_path / "m.keras") == ["--custom", "given_here:Network"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_code_that_does_not_run(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str
) -> None:
    """Of another Python, say, in a file that is trusted."""
    _first(keras, keras.layers.Lambda(lambda x: x, name="code")).save(tmp_path / f"m.{suffix}")
    path = tmp_path / f"m.{suffix}"
    text = (
        h5py.File(path).attrs["model_config"]
        if suffix == "h5"
        else zipfile.ZipFile(path).read("config.json").decode()
    )
    (code,) = re.findall(r'"code": "([^"]+)"', text)
    _rewritten(path, code, base64.b64encode(b"no code").decode())
    done = typed("doctor", path, "--trust-model")
    found = OPTION.search(" ".join(done.stderr.split()))
    assert done.returncode == 2 and found is not None
    words = [_filled(word, {}) for word in shlex.split(found[0])]
    assert words == ["--lambda", "code=given_here:same"]
    assert typed("doctor", path, "--trust-model", *words).returncode == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_grows_is_loaded_once_its_maker_is_trusted(
    keras: Any, tmp_path: Path, given: Any, typed: Typed, suffix: str
) -> None:
    config = pictures(layer("UpSampling2D", "up", size=[4096, 4096]))
    path = WRITES[suffix](tmp_path / f"m.{suffix}", config, [("conv", (3, 3, 1, 2))])
    assert _follow(typed, path) == ["--trust-model"]


def test_numbers_that_are_large_are_loaded_once_its_maker_is_trusted(
    keras: Any, tmp_path: Path, given: Any, typed: Typed
) -> None:
    first = keras.layers.Discretization([0, 3_000_000_000], name="first")
    _first(keras, first).save(tmp_path / "m.keras")
    assert _follow(typed, tmp_path / "m.keras") == ["--trust-model"]


def test_the_shape_of_the_input(keras: Any, tmp_path: Path, typed: Typed) -> None:
    config = {
        "class_name": "Sequential",
        "config": {"name": "s", "layers": [layer("Flatten", "flat"), layer("Dense", "d", units=2)]},
    }
    path = write_h5(tmp_path / "m.h5", config, [("d", (784, 2))])
    done = typed("doctor", path)
    (words,) = re.findall(r"for example (--input-shape [\d ]+)", " ".join(done.stderr.split()))
    assert typed("doctor", path, *words.split()).returncode == 0
    done = typed("doctor", path, "--input-shape", 0)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_shape_that_is_not_needed(keras: Any, tmp_path: Path, typed: Typed) -> None:
    path = write_h5(tmp_path / "m.h5", sound())
    done = typed("doctor", path, "--input-shape", 5)
    said = " ".join(done.stderr.split())
    assert done.returncode == 2 and "--input-shape cannot be 5; leave it out" in said
    assert typed("doctor", path).returncode == 0


def test_an_architecture_that_is_needed_and_one_that_is_not(
    keras: Any, tmp_path: Path, typed: Typed
) -> None:
    path = write_h5(tmp_path / "m.h5", sound())
    (tmp_path / "w.json").write_text(json.dumps(sound()))
    done = typed("doctor", path, "--architecture", "w.json")
    assert done.returncode == 2 and "leave out --architecture" in " ".join(done.stderr.split())
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    path.rename(tmp_path / "w.h5")
    done = typed("doctor", "w.h5")
    (words,) = re.findall(r"(--architecture), perhaps '([^']+)'", " ".join(done.stderr.split()))
    assert typed("doctor", "w.h5", *words).returncode == 0


def test_everything_that_is_advised_is_tried_here() -> None:
    """An error of the loaders that names an option is one of those above, or in test_trust.py."""
    folder = Path(cnnvis.__file__).parent / "plugins" / "loaders"
    found: dict[str, set[str]] = {}
    for file in folder.glob("*.py"):
        texts = [line for line in file.read_text().splitlines() if '"' in line]
        options = {one for line in texts for one in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
        if options:
            found[file.name] = options
    assert found == {
        "allowed.py": {"--custom"},
        "building.py": {"--custom"},
        "config.py": {"--custom", "--lambda"},
        "custom.py": {"--custom", "--lambda"},
        "findings.py": {"--custom"},
        "legacy.py": {"--input-shape"},
        "obstacles.py": {"--trust-model"},
        "reading.py": {"--architecture"},
        "growth.py": {"--trust-model"},
        "trial.py": {"--lambda"},
    }
