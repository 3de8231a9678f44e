"""What lets code run is typed, or said in a call in Python: no file and no variable may say it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cnnvis
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import options_of
from cnnvis.registry.plugin import Plugin
from cnnvis.settings import defaults

Typed = Callable[..., Any]

MARKER = """
from pathlib import Path
Path("canary").write_text("ran")
class Scale: ...
"""

OWN = '''
import cnnvis


@cnnvis.technique("asks")
def asks(model, *, code: cnnvis.Granting[str] = "", plain: int = 1):
    """Runs what somebody says.

    Parameters
    ----------
    code
        What is run.
    plain
        A number.
    """
    return cnnvis.Explanation(table={"code": [code], "plain": [plain]})
'''


def _granting() -> Iterator[tuple[Plugin, str]]:
    for plugin in registry():
        for option in options_of(plugin):
            if option.grants:
                yield plugin, option.name


VALUES = {"custom": '["marked:Scale"]', "lambdas": '["x=marked:Scale"]'}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classifier: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "marked.py").write_text(MARKER)
    classifier.save(tmp_path / "model.keras")
    classifier.save(tmp_path / "model.h5")
    return tmp_path


def test_these_are_the_options_that_let_code_run() -> None:
    """Of what comes with cnnvis; whoever adds another marks it, and puts it here."""
    assert {f"{plugin.name}.{name}" for plugin, name in _granting()} == {
        "pickle.trust",
        *(f"h5.{name}" for name in ("custom", "lambdas", "trust_model")),
        *(f"keras.{name}" for name in ("custom", "lambdas", "trust_model")),
        *(f"saved-model.{name}" for name in ("custom", "lambdas", "trust_model")),
    }


@pytest.mark.parametrize("file", ["cnnvis.toml", "pyproject.toml", "../cnnvis.toml", "user"])
@pytest.mark.slow
def test_no_file_of_settings_says_so(
    here: Path, typed: Typed, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file.startswith(".."):
        (here / "deep").mkdir()
        monkeypatch.chdir(here / "deep")
    path = defaults.user_file() if file == "user" else Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    for plugin, name in _granting():
        table = f"tool.cnnvis.{plugin.name}" if file == "pyproject.toml" else plugin.name
        for key in {name, name.replace("_", "-")}:
            path.write_text(f"[{table}]\n{key} = {VALUES.get(name, 'true')}\n")
            done = typed("run", "model-summary", here / "model.keras")
            assert done.returncode == 2, (table, key)
            assert f"{key} of {plugin.name} lets code run" in " ".join(done.stderr.split())
    assert not list(here.rglob("canary"))


def test_no_variable_says_so(here: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    for plugin, name in _granting():
        variable = f"CNNVIS_{plugin.name}_{name}".upper().replace("-", "_")
        monkeypatch.setenv(variable, "marked:Scale" if name in VALUES else "true")
        done = typed("run", "model-summary", "model.keras")
        assert done.returncode == 2 and "does not take it from the environment" in done.stderr
        monkeypatch.delenv(variable)
    assert not (here / "canary").exists()


@pytest.mark.slow
def test_it_is_not_kept_when_somebody_tries(here: Path, typed: Typed) -> None:
    for plugin, name in _granting():
        for place in ((), ("--user",)):
            done = typed("config", "set", f"{plugin.name}.{name}", "true", *place)
            assert done.returncode == 2 and "lets code run" in " ".join(done.stderr.split())
    assert not (here / "cnnvis.toml").exists() and not defaults.user_file().exists()
    schema = json.loads(typed("config", "schema").stdout)
    assert "trust_model" not in schema["properties"]["keras"]["properties"]


@pytest.mark.parametrize("place", ["subject", "step"])
def test_no_chain_says_so(here: Path, typed: Typed, place: str) -> None:
    for name in sorted({name for _, name in _granting()}):
        line = f"{name} = {VALUES.get(name, 'true')}\n"
        Path("chain.toml").write_text(
            f'[chains.one]\nmodel = "model.keras"\n{line if place == "subject" else ""}'
            f'[[chains.one.steps]]\nstep = "model-summary"\n{line if place == "step" else ""}'
        )
        done = typed("chain", "--file", "chain.toml")
        assert done.returncode == 2 and f"the key '{name}', which lets code run" in done.stderr
    assert not (here / "canary").exists()


def test_a_chain_that_is_kept_does_not_keep_it(here: Path, typed: Typed) -> None:
    words = ("chain", "model.keras", "--custom", "marked:Scale", "--trust-model", "model-summary")
    done = typed(*words, "numpy", "--save-chain", "chain.toml")
    assert done.returncode == 0, done.stderr
    text = (here / "chain.toml").read_text()
    assert "model.keras" in text and "custom" not in text and "trust" not in text
    assert "custom" not in typed(*words, "numpy", "--as", "toml").stdout


@pytest.mark.skipif(not hasattr(os, "chown"), reason="files have no owners here")
def test_settings_of_other_users_are_passed_over(
    here: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid():
        pytest.skip("only the administrator can give a file away")
    (here / "deep").mkdir()
    for name, link in (("cnnvis.toml", False), ("cnnvis.toml", True), ("pyproject.toml", False)):
        path = here / name
        if link:
            (here / "mine.toml").write_text('class_names = ["theirs"]\n')
            path.symlink_to("mine.toml")
            os.lchown(path, 1234, -1)
        else:
            text = '[tool.cnnvis]\nclass_names = ["theirs"]\n'
            path.write_text(text if name == "pyproject.toml" else text.partition("\n")[2])
            os.chown(path, 1234, -1)
        monkeypatch.chdir(here / "deep")
        done = typed("config", "show")
        assert done.returncode == 0 and "theirs" not in done.stdout
        assert f"{name}' belong to another user and are not read" in " ".join(done.stderr.split())
        monkeypatch.chdir(here)
        path.unlink()


@pytest.mark.slow
def test_an_outsider_marks_an_option_in_the_same_way(here: Path, typed: Typed) -> None:
    Path("asks.py").write_text(OWN)
    run = ("--plugin", "asks.py", "run", "asks", "model.keras", "-r", "terminal")
    done = typed(*run, "--code", "typed")
    assert done.returncode == 0 and "typed" in done.stdout, done.stderr
    Path("cnnvis.toml").write_text("[asks]\nplain = 7\n")
    assert "7" in typed(*run).stdout
    Path("cnnvis.toml").write_text('[asks]\ncode = "kept"\n')
    done = typed(*run)
    assert done.returncode == 2 and "code of asks lets code run" in " ".join(done.stderr.split())
    cnnvis.load_plugin("asks.py")
    found = cnnvis.run("asks", "model.keras", code="called")
    assert found.table is not None and list(found.table["code"]) == ["called"]
