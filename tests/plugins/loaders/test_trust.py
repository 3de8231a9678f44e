"""Code that runs because somebody said so: given functions, and files that are trusted."""

from __future__ import annotations

import base64
import json
import marshal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hostile.models import sound, write_keras
from quick import quick_at

import cnnvis
from cnnvis.plugins.loaders import trial

Typed = Callable[..., subprocess.CompletedProcess[str]]


def _with_lambda(keras: Any, path: Path, *, factor: float = 2.0) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(3, "relu", name="hidden"),
            layers.Lambda(lambda x: x * factor if False else x * 2, name="code"),
            layers.Dense(2, "softmax", name="output"),
        ]
    )
    network.save(path)
    return network


X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code of a file that is trusted runs at once, and not first in a process of its own."""
    monkeypatch.setattr(trial, "_became", lambda *_: None)


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_function_in_the_place_of_a_lambda(
    keras: Any, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _with_lambda(keras, tmp_path / f"model.{suffix}")
    module = f"given_for_{suffix}"
    (tmp_path / f"{module}.py").write_text("def twice(x):\n    return x * 2\n")
    monkeypatch.chdir(tmp_path)
    model = cnnvis.load_model(f"model.{suffix}", lambdas=[f"code={module}:twice"])
    assert not model.cut and [one.kind for one in model.layers][1] == "twice"
    np.testing.assert_allclose(model.predict(X), network.predict(X, verbose=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "sentence"),
    quick_at(
        [0, 4],
        [
            ("json:loads", "has the form NAME=module:function, .* named ''; it has: code"),
            ("hidden=json:loads", "no Lambda layer named 'hidden'; it has: code"),
            ("cod=json:loads", "no Lambda layer named 'cod'; it has: code"),
            ("code=json", "--lambda 'code=json' is not understood"),
            ("code=no_such_module:f", "--lambda .* cannot be imported: ModuleNotFoundError"),
            ("code=json:nothing", "--lambda .* holds no class or function 'nothing'"),
        ],
    ),
)
def test_functions_that_cannot_be_had(
    keras: Any, tmp_path: Path, given: str, sentence: str
) -> None:
    _with_lambda(keras, tmp_path / "model.keras")
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.load_model(tmp_path / "model.keras", lambdas=[given])


def test_a_model_without_lambdas_takes_no_function(tmp_path: Path) -> None:
    with pytest.raises(cnnvis.UserError, match="named 'code'; it has none"):
        cnnvis.load_model(write_keras(tmp_path / "m.keras", sound()), lambdas=["code=json:loads"])


@pytest.mark.usefixtures("untried")
@pytest.mark.slow
def test_the_flags(keras: Any, tmp_path: Path, typed: Typed) -> None:
    network = _with_lambda(keras, tmp_path / "model.keras")
    (tmp_path / "flags_given.py").write_text("def twice(x):\n    return x * 2\n")
    np.savez(tmp_path / "data.npz", X=X)
    expected = network.predict(X, verbose=0).argmax(axis=1)
    words = ("run", "saliency", "model.keras", "-d", "data.npz", "-bm", "none", "-r", "numpy")
    done = typed(*words)
    assert done.returncode == 2 and "--layer" in done.stderr
    done = typed(*words, "--lambda", "code=flags_given:twice", "-o", "one.npz")
    assert done.returncode == 0, done.stderr
    done = typed(*words, "--trust-model", "-o", "two.npz")
    assert done.returncode == 0, done.stderr
    one, two = (cnnvis.Explanation.load(tmp_path / f"{name}.npz") for name in ("one", "two"))
    np.testing.assert_allclose(one.array, two.array, rtol=1e-5)
    assert [target.filters[0] for target in two.targets] == expected.tolist()
    assert "ran all code in the file" in str(two.provenance)
    for command in ("doctor", "chain", "compare"):
        assert "--trust-model" in typed(command, "--help").stdout
    done = typed("doctor", "model.keras", "--trust-model")
    assert done.returncode == 0 and "repaired: ran all code in the file" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_what_is_trusted_runs(keras: Any, tmp_path: Path, suffix: str) -> None:
    network = _with_lambda(keras, tmp_path / f"model.{suffix}")
    path = tmp_path / f"model.{suffix}"
    assert list(cnnvis.load_model(path).cut) == ["code", "output"]
    model = cnnvis.load_model(path, trust_model=True)
    assert not model.cut
    np.testing.assert_allclose(model.predict(X), network.predict(X, verbose=0), rtol=1e-5)


@pytest.mark.usefixtures("untried")
@pytest.mark.slow
def test_trust_is_said_anew_each_time(tmp_path: Path, typed: Typed, keras: Any) -> None:
    """No file says that a model is to be trusted: not a saved chain either."""
    _with_lambda(keras, tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", X=X)
    words = ("run", "saliency", "model.keras", "-d", "data.npz", "--trust-model", "-o", "a.png")
    assert typed(*words, "--save-chain", "kept.toml").returncode == 0
    assert "trust" not in (tmp_path / "kept.toml").read_text()
    assert typed("chain", "--file", "kept.toml").returncode == 2
    text = (tmp_path / "kept.toml").read_text()
    (tmp_path / "kept.toml").write_text(text.replace("model = ", "trust_model = true\nmodel = "))
    done = typed("chain", "--file", "kept.toml")
    assert done.returncode == 2 and "has the key 'trust_model', which lets code run" in done.stderr


CODE = marshal.dumps((lambda x: __import__("os").abort()).__code__)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (CODE[:40], "perhaps since another version compiled the code: a trial gives"),
        (CODE, "a trial ends it with code -6"),
    ],
    ids=["cut off", "ends the interpreter"],
)
def test_code_of_another_python(keras: Any, tmp_path: Path, content: bytes, sentence: str) -> None:
    """It is tried where a crash does no harm, and what became of it is said."""
    _with_lambda(keras, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        one = next(one for one in config["config"]["layers"] if one["config"]["name"] == "code")
        held = [base64.b64encode(content).decode(), None, None]
        one["config"]["function"] = held
        one.pop("module", None)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(cnnvis.UserError, match=sentence):
        cnnvis.load_model(tmp_path / "model.h5", trust_model=True)


def test_doctor_says_what_is_refused(keras: Any, tmp_path: Path, typed: Typed) -> None:
    """All that can be found of a file that is not loaded, and what would do."""
    ran = tmp_path / "ran"
    config = sound()
    code = base64.b64encode(marshal.dumps(compile(f"open({str(ran)!r}, 'w')", "", "eval")))
    settings = {"name": "hidden", "function": [code.decode(), None, None]}
    config["config"]["layers"][1].update(class_name="Lambda", config=settings)
    config["config"]["layers"][2]["config"]["activation"] = {
        "module": "stranger",
        "class_name": "Touch",
        "config": {},
        "registered_name": None,
    }
    write_keras(tmp_path / "model.keras", config)
    done = typed("doctor", "model.keras")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for words in (
        "Keras archive, written by Keras 3.15.1",
        "23 in the file",
        "hidden (Lambda)",
        "refused: the Lambda layer 'hidden', Python code that cnnvis does not run",
        "--lambda hidden=module:function",
        "refused: the layer 'output' names the class 'Touch'",
        "no code in the file was run",
    ):
        assert words in done.stdout, words
    assert "all its layers come after the Lambda layer 'hidden'" in done.stderr
    facts = json.loads(typed("doctor", "model.keras", "--json").stdout)
    assert facts["layers"][2] == ["output", "Dense"] and len(facts["refused"]) == 2
    assert facts["problem"] and len(facts["sha256"]) == 64
    assert not ran.exists() and "stranger" not in sys.modules
    (tmp_path / "cut.keras").write_bytes((tmp_path / "model.keras").read_bytes()[:900])
    done = typed("doctor", "cut.keras")
    assert done.returncode == 2 and "origin   Keras archive" in done.stdout


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_class_of_another_name_gets_the_weights(
    keras: Any, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives hold weights by the names of classes."""
    (tmp_path / f"named_{suffix}.py").write_text(
        "import keras\n"
        "class Factor(keras.layers.Layer):\n"
        "    def build(self, shape):\n"
        "        self.factor = self.add_weight(shape=(), initializer='ones')\n"
        "    def call(self, x):\n"
        "        return x * self.factor\n"
        "class Scale(Factor):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    named = __import__(f"named_{suffix}")
    network = keras.Sequential([keras.layers.Input((4,)), named.Scale(name="own")])
    network.layers[0].factor.assign(3.0)
    network.save(tmp_path / f"model.{suffix}")
    for given in (f"Scale=named_{suffix}:Factor", f"own=named_{suffix}:Factor"):
        model = cnnvis.load_model(tmp_path / f"model.{suffix}", custom=[given])
        np.testing.assert_allclose(model.predict(X), 3 * X, rtol=1e-6)
