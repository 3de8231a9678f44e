"""Settings: where they are kept, what goes before what, and what is wrong with them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import cnnvis
from cnnvis.data.axes import Axis
from cnnvis.registry.discovery import registry
from cnnvis.settings import defaults
from cnnvis.settings.chain_files import TYPES

Typed = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path


def _backprop(typed: Typed, *words: str) -> str:
    """Which modifier a run is made with."""
    done = typed("run", "saliency", "demo", "-im", 0, "-r", "numpy", "-o", "out.npz", *words)
    assert done.returncode == 0, done.stderr
    return str(cnnvis.Explanation.load("out.npz").provenance["options"]["backprop"])


@pytest.mark.slow
def test_what_goes_before_what(folder: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _backprop(typed) == "guided"
    user = defaults.user_file()
    user.parent.mkdir(parents=True)
    user.write_text('[saliency]\nbackprop = "deconv"\n')
    assert _backprop(typed) == "deconv"
    (folder / "cnnvis.toml").write_text('[saliency]\nbackprop = "rectified"\n')
    assert _backprop(typed) == "rectified"
    monkeypatch.setenv("CNNVIS_SALIENCY_BACKPROP", "relu")
    assert _backprop(typed) == "relu"
    assert _backprop(typed, "-bm", "none") == "None"
    shown = typed("show", "saliency").stdout
    assert "backprop is relu, set by the environment" in shown
    # A script means what it says.
    assert cnnvis.run("saliency", "demo", images=0).provenance["options"]["backprop"] == "guided"


def test_the_projects_file_is_found_above(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "pyproject.toml").write_text('[tool.cnnvis.saliency]\nbackprop = "none"\n')
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    (folder / "a" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    monkeypatch.chdir(below)
    plugin = registry().get("technique", "saliency")
    assert defaults.options_for(plugin)["backprop"].value == "none"
    (below / "cnnvis.toml").write_text("[saliency]\nkeras-vis = true\n")
    found = defaults.options_for(plugin)
    assert found["keras_vis"].value is True and "backprop" not in found


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (
            '[saliency]\n# x\nbackprp = "none"\n',
            3,
            "saliency has no option 'backprp'. Did you mean",
        ),
        ('[saliency]\n\nbackprop = "gided"\n', 3, "cannot be 'gided'.*Did you mean 'guided'"),
        ("[salency]\nbackprop = 1\n", 1, "no plugin 'salency'. Did you mean 'saliency'"),
        ("clas_names = ['a']\n", 1, "Did you mean 'class_names'"),
        ("class_names = 'a b'\n", 1, "class_names must be a list"),
        ("\nsaliency = 3\n", 2, r"its options stand in a table \[saliency\]"),
        ("[smooth]\nsigma = -1\n", 2, "sigma of smooth cannot be -1"),
    ],
)
def test_what_is_wrong_in_a_file(
    folder: Path, typed: Typed, text: str, line: int, sentence: str
) -> None:
    (folder / "cnnvis.toml").write_text(text)
    with pytest.raises(cnnvis.UserError, match=rf"cnnvis\.toml', line {line}: .*{sentence}"):
        defaults.sources()
    done = typed("run", "saliency", "demo")
    assert done.returncode == 2 and f"line {line}" in done.stderr and done.stdout == ""


def test_what_is_wrong_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cnnvis.toml").write_text("[saliency\n")
    with pytest.raises(cnnvis.UserError, match="is not TOML"):
        defaults.sources()
    (folder / "cnnvis.toml").unlink()
    monkeypatch.setenv("CNNVIS_SALIENCY_BACKPRP", "none")
    with pytest.raises(cnnvis.UserError, match="mean 'CNNVIS_SALIENCY_BACKPROP'"):
        defaults.sources()
    monkeypatch.delenv("CNNVIS_SALIENCY_BACKPRP")
    monkeypatch.setenv("CNNVIS_SMOOTH_SIGMA", "wide")
    with pytest.raises(cnnvis.UserError, match=r"variable CNNVIS_SMOOTH_SIGMA: .*cannot be 'wide'"):
        defaults.sources()


def test_setting_keeps_comments(folder: Path, typed: Typed) -> None:
    file = folder / "cnnvis.toml"
    file.write_text('# mine\n[saliency]\nbackprop = "none" # plain\n\n[chains.a] # kept\n')
    assert typed("config", "set", "saliency.backprop", "rectified").returncode == 0
    assert typed("config", "set", "activation-max.input_range", 0, 1).returncode == 0
    assert typed("config", "set", "saliency.keras-vis", "true").returncode == 0
    assert typed("config", "set", "class_names", "no", "yes").returncode == 0
    text = file.read_text()
    assert text.startswith("# mine\n") and "# plain" in text and "[chains.a] # kept" in text
    assert typed("config", "get", "saliency.backprop").stdout == "rectified\n"
    assert typed("config", "get", "activation-max.input_range").stdout == "0.0 1.0\n"
    assert typed("config", "get", "class_names").stdout == "no yes\n"
    assert "keras_vis = true" in text
    assert typed("config", "unset", "saliency.backprop").returncode == 0
    done = typed("config", "get", "saliency.backprop")
    assert done.returncode == 2 and "saliency.backprop is not set" in done.stderr
    shown = typed("config").stdout
    # A long path is broken over lines.
    assert "class_names" in shown and "cnnvis.toml" in "".join(shown.split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["saliency.backprp", "none"], "no option 'backprp'. Did you mean 'backprop'"),
        (["saliency.backprop", "gided"], "cannot be 'gided'"),
        (["salency.backprop", "none"], "no plugin 'salency'"),
        (["backprop", "none"], "options of plugins are set as PLUGIN.OPTION"),
    ],
)
def test_setting_what_is_wrong_changes_nothing(
    folder: Path, typed: Typed, words: list[str], sentence: str
) -> None:
    done = typed("config", "set", *words)
    assert done.returncode == 2 and sentence in done.stderr
    assert not (folder / "cnnvis.toml").exists()


def test_the_users_file(folder: Path, typed: Typed) -> None:
    done = typed("config", "set", "png.cmap", "hot", "--user")
    assert done.stdout.strip() == str(defaults.user_file()) and defaults.user_file().is_file()
    assert str(defaults.user_file()) in typed("config", "path").stdout
    assert typed("config", "get", "png.cmap").stdout == "hot\n"
    assert not (folder / "cnnvis.toml").exists()


def test_editing(folder: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "cp source.toml")
    (folder / "source.toml").write_text("[smooth]\nsigma = -1\n")
    done = typed("config", "edit")
    assert done.returncode == 2 and "line 2" in done.stderr
    monkeypatch.delenv("EDITOR")
    (folder / "cnnvis.toml").unlink()
    assert "no editor is set" in typed("config", "edit").stderr


def test_the_schema_knows_every_option(typed: Typed) -> None:
    schema = json.loads(typed("config", "schema").stdout)
    saliency = schema["properties"]["saliency"]
    assert set(saliency["properties"]) == {"backprop", "gradient", "channels", "keras_vis"}
    assert saliency["properties"]["backprop"]["default"] == "guided"
    assert {plugin.name for plugin in registry()} <= set(schema["properties"])
    chain = schema["properties"]["chains"]["additionalProperties"]
    assert {*TYPES, "steps"} == set(chain["properties"]) and chain["required"] == ["steps"]
    assert set(schema["$defs"]["Axis"]["properties"]) == {one.name for one in fields(Axis)}
    assert schema["additionalProperties"] is False


def test_chains_of_the_project(folder: Path, typed: Typed) -> None:
    typed("chain", "demo", "-im", 0, 1, "saliency", "average", "numpy", "--as", "toml")
    text = typed(
        "chain", "demo", "-im", 0, 1, "saliency", "average", "numpy", "--as", "toml"
    ).stdout
    (folder / "cnnvis.toml").write_text(text + "\n[saliency]\nbackprop = 'none'\n")
    done = typed("chain", "--name", "saliency-average-numpy", "-o", "mean.npz")
    assert done.returncode == 0, done.stderr
    found = cnnvis.Explanation.load(folder / "mean.npz")
    assert found.groups == ("neutral", "sweep") and found.provenance["options"]["backprop"] is None


def test_settings_of_others_do_not_matter_here() -> None:
    named = {name for name in os.environ if name.startswith("CNNVIS_")}
    assert named == {"CNNVIS_CHECKS"}  # which the tests set themselves


DEEP = "a = " + "[" * 25 + "]" * 25
SETTINGS_FROM_STRANGERS = {
    "too long": ("#" * (2**20 + 1), "has 1048577 bytes"),
    "too deep": (DEEP, "nests its values more than 20 deep"),
    "far too deep": ("a = " + "[" * 300_000, "nests its values far too deeply"),
    "a long key": ("a" + ".a" * 400_000 + " = 1", "a key of more than 100 parts"),
    "a long number": ("a = " + "9" * 10_000, "is not TOML: Exceeds the limit"),
    "no text": (b"\xff\xfe\0", "is no text in UTF-8"),
    "control characters": ("\x1b[31m = 1", "is not TOML"),
    "a table too little": ("saliency = 3", "saliency is a plugin, so its options"),
    "words for names": ("class_names = 'AI'", "class_names must be a list of names, and is 'AI'"),
    "numbers for names": ("class_names = [1, 2]", "must be a list of names, and is [1, 2]"),
    "a long value": ("axes = '" + "x" * 10_000 + "'", "axes must be a table, [axes.NAME], and"),
    "escapes in a name": ('"\\u001b[31m" = 1', "there is no setting and no plugin '\\x1b[31m'"),
}


@pytest.mark.parametrize("kind", SETTINGS_FROM_STRANGERS)
def test_settings_from_strangers_end_in_a_sentence(tmp_path: Path, kind: str) -> None:
    content, sentence = SETTINGS_FROM_STRANGERS[kind]
    path = tmp_path / "cnnvis.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(cnnvis.UserError) as refusal:
        defaults.read(path)
    assert sentence in str(refusal.value) and len(str(refusal.value)) < 1000


@pytest.mark.parametrize("content", ["tool = 3", "[tool]\ncnnvis = 'x'"])
def test_a_pyproject_with_something_else_in_our_place(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(content)
    for read in (defaults.read, defaults.settings_in):
        with pytest.raises(cnnvis.UserError, match=r"has no table \[tool\.cnnvis\] but"):
            read(path)


def test_settings_that_are_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "cnnvis.toml")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(cnnvis.UserError, match="is a pipe, a device or a socket, not a file"):
        defaults.sources()


def test_many_numbers_on_a_line_are_no_long_key(tmp_path: Path) -> None:
    path = tmp_path / "cnnvis.toml"
    numbers = ", ".join(f"{i}.5" for i in range(500))
    path.write_text(f"[axes.column]\nvalues = [{numbers}]\n")
    assert len(defaults.read(path).settings["axes"]["column"]["values"]) == 500
