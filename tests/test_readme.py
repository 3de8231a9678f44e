"""What the README and the guide say is what happens."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick import quick_are, quick_at

import cnnvis
from cnnvis.cli.command_line import parsed
from cnnvis.cli.commands import chain as chain_command
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide.md").read_text()
BOTH = README + "\n" + GUIDE
COMMANDS = list(
    dict.fromkeys(re.findall(r"^    (?:.*&& )?cnnvis (.*?)(?:  .*)?$", BOTH, re.MULTILINE))
)
TOML = [text for text in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL) if "[axes" in text]
SHOWN, PLUGIN, OTHER = re.findall(r"```python\n(.*?)```", BOTH, re.DOTALL)

Typed = Callable[..., "subprocess.CompletedProcess[str]"]


def test_there_is_something_to_try() -> None:
    assert len(COMMANDS) == 35, COMMANDS


LONG = (
    "evaluate saliency",
    "test-plugin",
    "randomization",
    "--into",
    "keras-vis:",
    "multiply",
    "--png.overlay",
)


@pytest.mark.parametrize(
    "words",
    quick_are([words for words in COMMANDS if not any(long in words for long in LONG)], COMMANDS),
)
def test_commands_do_what_they_say(
    words: str, typed: Typed, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "model.h5" in words:
        seed = request.getfixturevalue("reference") / "seed"
        (tmp_path / "model.h5").symlink_to(seed / "introgression_32x32.h5")
        (tmp_path / "images.pkl").symlink_to(seed / "test_data_32x32.pkl")
    if "keras-vis:" in words:
        pytest.importorskip("vis", reason="keras-vis is not installed")
    if words.startswith("chain --file"):  # the command before it in the README wrote the file
        typed(*shlex.split(next(one for one in COMMANDS if "--save-chain" in one)))
    done = typed(*shlex.split(words))
    assert done.returncode == 0, done.stderr
    for written in re.findall(r"^\S+\.(?:png|npz)$", done.stdout, re.MULTILINE):
        assert (tmp_path / written).stat().st_size > 1000


EXAMPLES = [
    line.strip().removeprefix("cnnvis ")
    for line in chain_command.EXAMPLES.splitlines()
    if line.startswith("  cnnvis chain")
]


@pytest.mark.parametrize("words", quick_at([0], EXAMPLES))
def test_examples_of_the_help_do_what_they_say(words: str, typed: Typed, tmp_path: Path) -> None:
    assert len(EXAMPLES) == 4
    done = typed(*shlex.split(words))
    assert done.returncode == 0, done.stderr
    for written in re.findall(r"^\S+\.(?:png|npz)$", done.stdout, re.MULTILINE):
        assert (tmp_path / written).stat().st_size > 1000


OTHERS = re.findall(
    r"`cnnvis ((?:run|chain|evaluate) [^`]+)`", (ROOT / "docs" / "coming-from.md").read_text()
)


@pytest.mark.parametrize("words", OTHERS)
def test_commands_in_place_of_those_of_other_tools_are_commands(words: str) -> None:
    assert len(OTHERS) > 30
    given = parsed(shlex.split(words))
    if "technique" in given:
        prefix = "option "
        of_plugin = {k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}
        checked(registry().get("technique", given["technique"]), of_plugin)


def test_the_settings_are_settings(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "cnnvis.toml").write_text(TOML[0])
    done = typed("run", "saliency", "demo", "-r", "numpy", "-o", "maps.npz")
    assert done.returncode == 0, done.stderr
    found = cnnvis.Explanation.load(tmp_path / "maps.npz")
    assert found.provenance["options"]["backprop"] == "rectified"
    assert found.coordinates["column"].label("column") == "position (kb)"
    done = typed("chain", "demo", "--name", "means")
    assert done.returncode == 0, done.stderr


def test_python_does_what_it_says(
    typed: Typed, tmp_path: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = reference / "seed"
    (tmp_path / "model.h5").symlink_to(seed / "introgression_32x32.h5")
    (tmp_path / "images.pkl").symlink_to(seed / "test_data_32x32.pkl")
    names: dict[str, Any] = {}
    exec(SHOWN, names)
    exec(OTHER, names)
    explanation = names["explanation"]
    assert explanation.maps.shape == (2, 64, 64)
    assert explanation.labels.tolist() == [1, 1]
    assert explanation.target == "output[sweep]"
    assert abs(explanation.maps.mean(axis=1).argmax(axis=1) - [41, 46]).max() <= 5
    assert (tmp_path / "maps.npz").exists()


def test_the_plugin_is_one() -> None:
    names: dict[str, Any] = {"__name__": "cnnvis_grad_times_input"}
    import sys
    import types

    module = types.ModuleType("cnnvis_grad_times_input")
    sys.modules[module.__name__] = module
    try:
        exec(PLUGIN, module.__dict__)
        names.update(module.__dict__)
        model = cnnvis.load_model(cnnvis.demo.MODEL)
        samples = cnnvis.read_samples(cnnvis.demo.DATA)[[0]]
        samples = samples.shaped_for(model.input_shape)
        found = names["grad_times_input"](model, samples)
        expected = model.input_gradient(samples.x) * samples.x
        np.testing.assert_allclose(found.maps, expected)
        plugin = cnnvis.plugin_of(names["grad_times_input"])
        assert plugin is not None and plugin.name == "grad-times-input"
    finally:
        del sys.modules[module.__name__]


def test_figures_are_those_that_were_measured() -> None:
    facts = json.loads((ROOT / "cnnvis" / "demo" / "facts.json").read_text())
    near = facts["localization_in_correct_sweeps"]
    for figure in (
        f"{facts['held_out_accuracy']:.1%}".replace("%", " %"),
        f"{facts['held_out_simulations']:,} simulations",
        f"{near['sweeps']} held-out sweeps",
        f"{near['brightest_saliency_column']['within_3_columns']:.0%}".replace("%", " %"),
        f"{near['chance_any_column']['within_3_columns']:.0%}".replace("%", " %"),
    ):
        assert figure in README, figure
    site = np.load(ROOT / "cnnvis" / "demo" / "data.npz")["site"]
    assert site[[0, 2]].tolist() == [41, 46]


def test_pictures_are_there() -> None:
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).stat().st_size > 1000


def test_the_demo_is_as_accurate_on_what_ships() -> None:
    samples = cnnvis.read_samples(cnnvis.demo.DATA)
    facts = json.loads((ROOT / "cnnvis" / "demo" / "facts.json").read_text())["shipped"]
    answers = cnnvis.load_model(cnnvis.demo.MODEL).predict(samples.x[..., None]).argmax(axis=1)
    assert len(samples) == facts["simulations"]
    assert int((answers == samples.labels).sum()) == facts["correctly_classified"]


def test_the_demo_is_small() -> None:
    files = (ROOT / "cnnvis" / "demo").glob("*")
    assert sum(file.stat().st_size for file in files if file.is_file()) < 1_000_000
