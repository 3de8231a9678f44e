"""What is started imports nothing from the folder that it is started in."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnnvis
from cnnvis.files import child_process

SOURCES = Path(cnnvis.__file__).parent

SHADOWS = ("json", "queue", "struct", "pickle", "platform", "numpy", "cnnvis_strange", "resource")
"""Modules that children import, and that a stranger's folder could hold."""


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    folder = tmp_path / "strange"
    folder.mkdir()
    marker = tmp_path / "canary"
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').write({name!r})\n")
    return folder


COMMAND = "import sys; from cnnvis.cli.main import main; main(sys.argv[1:])"


def _run(folder: Path, *words: str, program: str = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *words], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES.parent), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip


@pytest.mark.slow
def test_one_helper_starts_all_of_them() -> None:
    """Whatever starts Python does so by it; but for the checks that a plugin's author runs."""
    for file in SOURCES.rglob("*.py"):
        every = ast.walk(ast.parse(file.read_text()))
        if "sys.executable" in {
            ast.unparse(one) for one in every if isinstance(one, ast.Attribute)
        }:
            assert file.name in ("child_process.py", "conformance.py"), file


def test_the_command_runs_in_a_child(tmp_path: Path) -> None:
    """No variable of a child is taken for a setting."""
    called = cnnvis.child_process("cnnvis", "config", "show", same_path=True)
    done = subprocess.run(**called, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


WAITING = """
import time
import cnnvis
cnnvis.end_with_parent()
time.sleep(1.5)
print("done")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_a_child_behind_another_program_does_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "waiting_child.py").write_text(WAITING)
    monkeypatch.syspath_prepend(tmp_path)
    called = cnnvis.child_process("waiting_child", same_path=True)
    behind = ["sh", "-c", '"$@"; exit $?', "sh", *called["args"]]
    done = subprocess.run(behind, env=called["env"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_child_whose_parent_has_ended_before_it_looked_ends(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    env = {**os.environ, child_process.PARENT: str(gone.pid)}
    program = "import cnnvis; cnnvis.end_with_parent(); print('done')"
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_what_no_child_process_started_is_refused() -> None:
    with pytest.raises(RuntimeError, match="child_process did not start this process"):
        cnnvis.end_with_parent()


@pytest.mark.slow
def test_a_transform_in_a_process_of_its_own_imports_nothing_from_here(
    strange: Path, tmp_path: Path
) -> None:
    program = """
import numpy as np
import cnnvis
from cnnvis.execution import calls, isolation
from cnnvis.registry.discovery import registry
given = cnnvis.Explanation(np.ones((1, 6, 6), np.float32))
with isolation.isolating("smooth"):
    found = calls.call_plugin(registry().get("transform", "smooth"), given)
    assert isolation._current.get().worker(registry().get("transform", "smooth"))._process
print(found.array.shape)
"""
    done = _run(strange, program=program)
    assert (done.returncode, done.stdout) == (0, "(1, 6, 6)\n"), done.stderr
    assert not (tmp_path / "canary").exists()


@pytest.mark.slow
def test_a_plugin_in_a_process_of_its_own_imports_nothing_from_here(
    strange: Path, tmp_path: Path
) -> None:
    words = (
        "chain",
        "demo",
        "-im",
        "0",
        "saliency",
        "smooth",
        "numpy",
        "-o",
        str(tmp_path / "maps.npz"),
    )
    done = _run(strange, *words, "--isolate-only", "smooth")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "maps.npz").is_file() and not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "words",
    [
        "run get-labels demo -d model.h5",
        "run get-labels demo -d data.pkl --trust-pickle",
        "run saliency model.h5 -d data.npz",
        "run saliency demo -d data.pkl --trust-pickle",
    ],
)
@pytest.mark.slow
def test_nor_does_what_looks_at_files(strange: Path, tmp_path: Path, words: str) -> None:
    np.savez(strange / "data.npz", X=np.ones((1, 64, 64)))
    (strange / "data.pkl").write_bytes(b"cbuiltins\nlist\n.")
    (strange / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    done = _run(strange, *words.split())
    assert done.returncode == 2, done.stderr
    assert not (tmp_path / "canary").exists()


@pytest.mark.slow
def test_nor_does_keras_vis(strange: Path, tmp_path: Path) -> None:
    pytest.importorskip("tf_keras")
    pytest.importorskip("vis")
    words = ("run", "keras-vis:saliency", "demo", "-im", "0", "-r", "numpy")
    done = _run(strange, *words, "-o", str(tmp_path / "maps.npz"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "maps.npz").is_file() and not (tmp_path / "canary").exists()
