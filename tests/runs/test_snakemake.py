"""The rules of the documentation, run by Snakemake in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from pages import file_of_the_page
from quickruns import bytes_of

import cnnvis


@pytest.fixture(scope="module")
def snakemake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, which needs some fifty packages that nothing else here does."""
    folder = tmp_path_factory.mktemp("snakemake")
    venv.create(folder, symlinks=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    asked = ["--python", scripts / "python", "install", "--quiet", "snakemake"]
    done = subprocess.run([sys.executable, "-m", "pip", *asked], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"Snakemake cannot be installed here: {done.stderr[-300:]}")
    return scripts / "snakemake"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the rules are words of a shell")
def test_the_rules_of_the_documentation(snakemake: Path, files: Path, tmp_path: Path) -> None:
    """A share whose image failed is done; a share that was interrupted goes on."""
    typed = f"{sys.executable} -m cnnvis"
    for name in ("model.keras", "bad.npz"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    rules = file_of_the_page(
        "Snakefile",
        ('"model.h5", "images.h5", 16', '"model.keras", "bad.npz", 2'),
        ("cnnvis run", f"{typed} run"), ("cnnvis merge", f"{typed} merge"),
        ("threads: 4", "threads: 1"), ("--threads 4 --batch-size 64", "--batch-size 2 --checks none"),
    )  # fmt: skip
    (tmp_path / "Snakefile").write_text(rules)

    def ran(into: str, **more: Any) -> None:
        with cnnvis.computing(batch_size=2):
            cnnvis.run(
                "saliency", tmp_path / "model.keras", data=tmp_path / "bad.npz", checks="none",
                into=tmp_path / into, **more,
            )  # fmt: skip

    ran("part-1", shard="1/2")
    (tmp_path / "part-1" / "1-saliency" / "shards" / "0.json").unlink()
    done = subprocess.run([snakemake, "--cores", "2"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ran("whole")
    found = bytes_of(tmp_path / "maps.run")
    assert found.pop(".snakemake_timestamp") == b""
    assert found == bytes_of(tmp_path / "whole")
    (mean,) = cnnvis.chain(tmp_path / "maps.run", [("average", {"by": "all"})])
    assert mean.titles == ("mean of all (10 images)",)
