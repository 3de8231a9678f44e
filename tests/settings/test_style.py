"""The style of techniques: by their own defaults, or as their papers define them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.registry.discovery import Registry, registry
from cnnvis.registry.options import checked, options_of

Typed = Callable[..., subprocess.CompletedProcess[str]]


def _options(found: cnnvis.Explanation) -> Any:
    return found.provenance["options"]


def test_the_paper_says_the_defaults(classifier: Any, images: Any) -> None:
    plain = cnnvis.run("saliency", classifier, data=images, backprop=None)
    found = cnnvis.run("saliency", classifier, data=images, style="paper")
    np.testing.assert_array_equal(found.array, plain.array)
    assert _options(found) == _options(plain) and found.provenance["style"] == "paper"
    assert "style" not in plain.provenance
    # What is given goes before it, also where it is the usual default.
    found = cnnvis.run("saliency", classifier, data=images, style="paper", backprop="guided")
    assert _options(found)["backprop"] == "guided"
    (chained,) = cnnvis.chain(classifier, ["saliency"], data=images, style="paper")
    np.testing.assert_array_equal(chained.array, plain.array)
    assert chained.provenance["style"] == "paper"
    sides = cnnvis.compare(
        "saliency", ("saliency", {"backprop": None}), classifier, data=images, style="paper"
    )
    assert sides.in_all["largest"] == 0
    evaluation = cnnvis.evaluate(
        ["saliency"], classifier, data=images, metrics="sparseness", style="paper"
    )
    assert evaluation.provenance["techniques"]["saliency"]["backprop"] is None
    assert evaluation.provenance["style"] == "paper"
    with pytest.raises(cnnvis.UserError, match="style is default or paper, not 'papers'"):
        cnnvis.run("saliency", classifier, data=images, style="papers")  # type: ignore[arg-type]


def test_the_variable_is_the_default_of_the_argument(
    monkeypatch: pytest.MonkeyPatch, classifier: Any, images: Any
) -> None:
    monkeypatch.setenv("CNNVIS_STYLE", "paper")
    found = cnnvis.run("saliency", classifier, data=images)
    assert _options(found)["backprop"] is None
    found = cnnvis.run("saliency", classifier, data=images, style="default")
    assert _options(found)["backprop"] == "guided" and "style" not in found.provenance
    monkeypatch.setenv("CNNVIS_STYLE", "mine")
    with pytest.raises(cnnvis.UserError, match=r"CNNVIS_STYLE\) is default or paper, not 'mine'"):
        cnnvis.run("saliency", classifier, data=images)


@pytest.mark.slow
def test_settings_say_which_style(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(99))

    def backprop(*words: str, command: tuple[str, ...] = ("run", "saliency", "demo")) -> Any:
        path = tmp_path / f"{next(numbers)}.npz"
        done = typed(*command, "-im", "0", *words, "-o", path)
        assert done.returncode == 0, done.stderr
        return _options(cnnvis.Explanation.load(path))["backprop"]

    assert backprop() == "guided" and backprop("--style", "paper") is None
    assert backprop("--style", "paper", "--backprop", "rectified") == "rectified"
    assert typed("config", "set", "style", "paper").returncode == 0
    assert (tmp_path / "cnnvis.toml").read_text() == 'style = "paper"\n'
    assert backprop() is None and backprop("--style", "default") == "guided"
    done = typed("chain", "demo", "-im", "0", "-v", "-o", tmp_path / "a.npz", "saliency", "numpy")
    assert '"style": "paper"' in done.stderr
    # An option in the settings goes before the style.
    assert typed("config", "set", "saliency.backprop", "rectified").returncode == 0
    assert backprop() == "rectified"
    monkeypatch.setenv("CNNVIS_STYLE", "mine")
    done = typed("run", "saliency", "demo", "-im", "0")
    assert done.returncode == 2
    assert "CNNVIS_STYLE: style can be default, paper, and is 'mine'" in done.stderr
    monkeypatch.delenv("CNNVIS_STYLE")
    done = typed("compare", "saliency", "--backprop", "none", "saliency", "demo", "-im", "0")
    assert done.returncode == 0 and "0.0" in done.stdout


def test_a_saved_chain_keeps_its_style(typed: Typed, tmp_path: Path) -> None:
    words = ("chain", "demo", "-im", "0", "--style", "paper", "saliency", "numpy")
    assert typed(*words, "--as", "toml").stdout.count('style = "paper"') == 1
    assert "style='paper'" in typed(*words, "--as", "python").stdout
    assert "--style paper" in typed(*words, "--as", "shell").stdout


def test_the_page_of_a_technique_says_its_style(typed: Typed) -> None:
    said = " ".join(typed("show", "activation-max").stdout.split())
    assert "--style paper stands for --backprop none and --tv-weight 0.0 and --jitter 0.0" in said
    assert "--style" not in typed("show", "smoothgrad").stdout
    assert '"paper": {' in typed("show", "saliency", "--json").stdout


def test_papers_set_options_that_there_are() -> None:
    for plugin in registry().of("technique"):
        known = {option.name: option.default for option in options_of(plugin)}
        found = checked(plugin, dict(plugin.paper))
        assert all(found[name] == value != known[name] for name, value in plugin.paper.items())


def test_a_style_of_no_option_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "import cnnvis\n\n@cnnvis.technique('odd', paper={'smoth': 1})\n"
        'def odd(model, samples, *, smooth: int = 0):\n    """Nothing."""\n'
    )
    known = Registry(only=[])
    known.add_file(tmp_path / "odd.py")
    assert "no option 'smoth', which it sets in the paper's style" in known.broken[0].reason
