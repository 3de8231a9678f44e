"""Hostile and broken files: each ends in a sentence, soon, in little memory, and runs nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from servers import Server

pytestmark = pytest.mark.slow

HOSTILE = Path(__file__).parents[2] / "hostile"
X = np.zeros((3, 4, 5), np.uint8)


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("hostile_data", HOSTILE / "data.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["hostile_data"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What became of each case, all of them used by one process that is watched."""
    folder = tmp_path_factory.mktemp("hostile")
    files, examples, temporary, home = (folder / n for n in ("files", "examples", "tmp", "home"))
    for one in (files, examples, temporary, home):
        one.mkdir()
    every = _module().cases(files)
    (folder / "cases.json").write_text(json.dumps([asdict(case) for case in every]))
    np.savez(examples / "a.npz", X=X)
    np.savez_compressed(examples / "b.npz", X=X, class_names=["a"])
    np.save(examples / "c.npy", X)
    (examples / "d.pkl").write_bytes(__import__("pickle").dumps(X))
    for suffix in ("png", "jpg", "tiff", "bmp", "gif", "webp"):
        Image.fromarray(X[0]).save(examples / f"e.{suffix}")
    with h5py.File(examples / "f.h5", "w") as file:
        file["X"] = X
    before = _listed(folder)
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            HOSTILE / "watched_data.py",
            folder / "cases.json",
            examples,
        ],
        cwd=home,
        env={**os.environ, "TMPDIR": str(temporary), "HOME": str(home), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert not done.stderr, done.stderr[-2000:]
    assert _listed(folder) - before <= {
        "examples/cnnvis.toml",
        "examples/z.npz",
    }  # neither a canary nor anything
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["name"] for one in found] == [case.name for case in every]
    for one, case in zip(found, every, strict=True):
        one["may_be_fine"] = case.may_be_fine
    return found


def _listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_there_are_enough(told: list[dict[str, Any]]) -> None:
    assert len(told) >= 300
    kinds = {one["name"].partition(":")[0] for one in told}
    assert len(kinds) == 9


def test_each_ends_in_a_sentence(told: list[dict[str, Any]]) -> None:
    wrong = {
        one["name"]: one["end"]
        for one in told
        if not (one["end"].startswith("refused: ") or (one["may_be_fine"] and one["end"] == "fine"))
    }
    assert not wrong
    long = {one["name"]: one["end"][:300] for one in told if len(one["end"]) > 1500}
    assert not long
    assert sum(one["end"] == "fine" for one in told) < 60


def test_each_ends_soon_and_in_little_memory(told: list[dict[str, Any]]) -> None:
    assert {one["name"]: one["took"] for one in told if one["took"] > 10} == {}
    assert max(one["most"] for one in told) < 1024


def test_none_runs_anything(told: list[dict[str, Any]]) -> None:
    assert {one["name"]: one["seen"] for one in told if one["seen"]} == {}


def test_the_command_line_refuses_them(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As a person meets them: real processes, exit code 2, a sentence, and nothing left behind."""
    elsewhere = tmp_path_factory.mktemp("said")
    out = elsewhere / "out.txt"
    server = Server(elsewhere)
    every = [case for case in _module().cases(tmp_path) if case.use == "read"]
    some = [case for case in every if not case.may_be_fine][::5]
    assert {case.name.partition(":")[0] for case in some} >= {"pickles", "npz", "hdf5", "pictures"}
    before = _listed(tmp_path)
    wrong = {}
    for case in some:
        out.write_text("")
        server.start(
            *("run", "saliency", "demo", "--data", case.path, "--out", tmp_path / "map.npz"),
            folder=tmp_path,
            out=out,
        )
        code, said = server.ended()
        if code != 2 or not said.startswith("error: ") or "Traceback" in said or out.read_text():
            wrong[case.name] = (code, said[-500:])
    server.close()
    assert not wrong
    assert _listed(tmp_path) == before
