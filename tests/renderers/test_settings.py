"""Pictures are drawn under a person's own settings of Matplotlib, whatever a folder holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

import cnnvis
from cnnvis.drawing.figure_settings import own_settings, settings

Command = Callable[..., subprocess.CompletedProcess[str]]
STRANGE = """\
text.usetex: True
text.latex.preamble: \\input{/etc/passwd}
backend: module://canary
axes.formatter.use_locale: True
font.size: 33
image.lut: 2
savefig.bbox: tight
figure.facecolor: red
"""
PLUGIN = """\
import cnnvis
import matplotlib.pyplot as plt

@cnnvis.renderer("plotted", suffixes=(".txt",))
def plotted(explanation, path):
    \"\"\"Write what a plugin finds Matplotlib set to.\"\"\"
    names = ("text.usetex", "font.size", "image.lut", "figure.facecolor")
    path.write_text(" ".join(str(plt.rcParams[name]) for name in names))
"""


@pytest.fixture
def latex(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """Variables under which a TeX is found that leaves a marker, and the marker."""
    marker = tmp_path / "latex-ran"
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("latex", "pdflatex", "xelatex", "dvipng", "kpsewhich"):
        (programs / name).write_text(f"#!/bin/sh\n: > {marker}\nexit 1\n")
        (programs / name).chmod(0o755)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}, marker


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    ["run get-labels demo -im 0 1", "run filter-weights demo --layer conv1"],
)
def test_a_folder_has_no_say(
    tmp_path: Path, command: Command, latex: tuple[dict[str, str], Path], words: str
) -> None:
    """The file in the folder changes no byte of a picture, starts no TeX, and reaches no plugin."""
    variables, marker = latex
    (tmp_path / "maps_of.py").write_text(PLUGIN)
    pictures = []
    for folder in ("plain", "strange"):
        (tmp_path / folder).mkdir()
        if folder == "strange":
            (tmp_path / folder / "matplotlibrc").write_text(STRANGE)
            (tmp_path / folder / "canary.py").write_text("open('canary', 'w')")
        done = command(
            *("--plugin", tmp_path / "maps_of.py", *words.split()),
            *("-r", "png", "-r", "plotted", "-o", "out/"),
            cwd=tmp_path / folder,
            env=variables,
        )
        assert done.returncode == 0, done.stderr
        pictures.append(
            {one.suffix: one.read_bytes() for one in (tmp_path / folder / "out").iterdir()}
        )
    assert pictures[0] == pictures[1]
    assert pictures[0][".txt"].split()[0] == b"False"
    assert not marker.exists()
    assert not (tmp_path / "strange" / "canary").exists()


@pytest.mark.slow
def test_a_pipe_of_that_name_is_not_waited_for(tmp_path: Path, command: Command) -> None:
    cnnvis.Explanation(np.arange(6.0).reshape(1, 2, 3)).save(tmp_path / "a.npz")
    os.mkfifo(tmp_path / "matplotlibrc")
    done = command("compare", "a.npz", "a.npz", "-o", "both.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "both.png").exists()


def test_a_persons_own_file_is_obeyed_but_for_tex(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "matplotlibrc"
    own.write_text(STRANGE)
    for named in (own, tmp_path):
        monkeypatch.setenv("MATPLOTLIBRC", str(named))
        before = dict(dict.items(matplotlib.rcParams))
        with own_settings():
            assert matplotlib.rcParams["font.size"] == 33
            assert matplotlib.rcParams["text.usetex"] is False
        assert dict(dict.items(matplotlib.rcParams)) == before
    monkeypatch.delenv("MATPLOTLIBRC")
    monkeypatch.chdir(tmp_path)
    assert settings()["font.size"] == matplotlib.rcParamsDefault["font.size"]


@pytest.mark.slow
def test_a_program_keeps_its_own_settings(tmp_path: Path) -> None:
    """In a person's own process Matplotlib stays as it was, and pictures are as they always are."""
    (tmp_path / "matplotlibrc").write_text("font.size: 33\n")
    program = (
        "import sys, cnnvis, numpy as np\n"
        "found = cnnvis.Explanation(np.arange(6.0).reshape(1, 2, 3))\n"
        "assert 'matplotlib' not in sys.modules\n"
        "found.save('first.png')\n"
        "import matplotlib\n"
        "assert matplotlib.rcParams['font.size'] == 33\n"
        "matplotlib.rcParams.update({'font.size': 3, 'text.usetex': True})\n"
        "found.save('second.png')\n"
        "assert matplotlib.rcParams['font.size'] == 3 and matplotlib.rcParams['text.usetex']\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    pictures: list[Any] = [(tmp_path / f"{one}.png").read_bytes() for one in ("first", "second")]
    assert pictures[0] == pictures[1]
