"""What a stranger may have written: refused or cut off in a sentence, and nothing of it run."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile.models import (
    MARKER,
    NOT_NEEDED,
    Case,
    cases,
    changes,
    hdf5,
    sound,
    sound_files,
    write_h5,
    write_keras,
)
from quick import quick_are

import cnnvis

SECONDS = 10
"""What one file may take; more on a machine that has other things to do, see `_watched`."""

BYTES = 2**30


def _watched(every: list[Case], folder: Path, work: Path) -> list[dict[str, Any]]:
    """What became of each case, in processes that are stopped where one takes too long."""
    log, listed, left = work / "log", work / "cases.json", work / "left"
    left.mkdir()
    found: dict[int, dict[str, Any]] = {}
    script = Path(__file__).parents[2] / "hostile" / "watched.py"
    todo = list(range(len(every)))
    while todo:
        log.write_text("")
        listed.write_text(json.dumps([(every[i].path, every[i].words) for i in todo]))
        process = subprocess.Popen(
            [sys.executable, str(script), str(listed), str(log), str(folder), MARKER],
            env={**os.environ, "TMPDIR": str(left), "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=subprocess.PIPE,
        )
        done = _followed(process, log)
        for number, facts in done.items():
            found[todo[number]] = facts
        # Of a process that crashed or was stopped, the next one goes on behind the case it was at.
        todo = [i for i in todo if i not in found]
    return [found[i] for i in range(len(every))]


def _followed(process: subprocess.Popen[bytes], log: Path) -> dict[int, dict[str, Any]]:
    """Read what the process writes down until it ends or a case takes too long."""
    done: dict[int, dict[str, Any]] = {}
    begun: dict[int, float] = {}
    started, at = time.monotonic(), 0
    while True:
        is_over = process.poll() is not None
        with log.open("rb") as file:
            file.seek(at)
            for line in file.read().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                at += len(line)
                facts = json.loads(line)
                if "begins" in facts:
                    begun[facts["begins"]] = time.monotonic()
                else:
                    done[facts["ends"]] = facts
        running = [number for number in begun if number not in done]
        if is_over:
            for number in running:
                done[number] = {"code": f"crashed with {process.returncode}", "said": ""}
            if not begun:
                raise AssertionError((process.stderr.read() if process.stderr else b"")[-2000:])
            return done
        late = [n for n in running if time.monotonic() - begun[n] > 6 * SECONDS]
        if late or time.monotonic() - started > 1800:
            process.kill()
            process.wait()
            for number in running:
                done[number] = {"code": "took too long", "said": ""}
            return done
        time.sleep(0.05)


@pytest.mark.slow
def test_nothing_that_a_stranger_wrote_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("files")
    every = list(cases(folder))
    assert len(every) >= 180 and len({case.name for case in every}) == len(every)
    results = _watched(every, folder, tmp_path_factory.mktemp("watched"))
    wrong = []
    for case, facts in zip(every, results, strict=True):
        allowed = (0, 2) if case.may_load else (2,)
        problems = []
        if facts["code"] not in allowed or "Traceback" in facts["said"]:
            problems.append(f"ended with {facts['code']}: {facts['said'][-500:]}")
        elif facts["code"] == 2 and "error: " not in facts["said"]:
            problems.append(f"said nothing: {facts['said'][-500:]}")
        problems += facts.get("seen", [])
        problems += [f"left {name}" for name in facts.get("left", [])]
        if facts.get("more", 0) > BYTES:
            problems.append(f"took {facts['more']:,} bytes")
        if facts.get("seconds", 0) > SECONDS:
            problems.append(f"took {facts['seconds']:.0f} s")
        wrong += [f"{case.name}: {one}" for one in problems]
    assert not (folder / MARKER).exists()
    assert not wrong, "\n".join(wrong)


FLAWS = {
    "CVE-2024-3660": ["lambda with bytecode"],
    "CVE-2025-1550": ["layer of another module", "function of a lambda, os.system"],
    "CVE-2025-8747": ["lambda that fetches a file", "initializer that is a function"],
    "CVE-2025-9905": ["lambda with bytecode as a list", "wrapped code"],
    "CVE-2025-9906": ["lambda that makes loading unsafe", "lambda that loads a model"],
    "CVE-2025-12058": ["words from a file", "words from an address", "wrapped words"],
    "CVE-2025-12060": ["lambda that fetches and unpacks"],
    "CVE-2025-49655": ["torch module from a pickle"],
    "CVE-2026-1462": ["graph from a folder"],
    "drawing functions": ["lambda that draws", "activation that draws"],
    "sizes": [
        "dense of 67108864",
        "embedding of absurd size",
        "models in models, each called twice",
    ],
}
"""Flaws that Keras had, each with the shapes that made use of it."""


@pytest.mark.parametrize(
    ("flaw", "form"),
    quick_are(
        zip(FLAWS, itertools.cycle(["keras", "h5"]), strict=False),
        itertools.product(FLAWS, ["h5", "keras"]),
    ),
)
def test_each_kind_of_flaw_that_keras_had(tmp_path: Path, flaw: str, form: str) -> None:
    for number, name in enumerate(FLAWS[flaw]):
        config = sound()
        changes(tmp_path / MARKER)[name](config)
        path = (write_h5 if form == "h5" else write_keras)(tmp_path / f"{number}.{form}", config)
        if name in NOT_NEEDED:
            assert "left out the " in " ".join(cnnvis.load_model(path).repairs)
            continue
        with pytest.raises(cnnvis.UserError):
            cnnvis.load_model(path)
    assert not (tmp_path / MARKER).exists() and MARKER not in sys.modules


@pytest.mark.slow
def test_data_that_lie_elsewhere_or_nowhere(tmp_path: Path) -> None:
    """CVE-2026-1669 and CVE-2026-0897: links, external and virtual data, shapes without data."""
    refused = {}
    for case in hdf5(tmp_path / "files", tmp_path / MARKER):
        if any(word in case.name for word in ("link", "another file", "virtual", "none stored")):
            with pytest.raises(cnnvis.UserError) as error:
                cnnvis.load_model(case.path)
            refused[case.name] = str(error.value)
    assert len(refused) == 9
    assert all("is not loaded: " in one for one in refused.values()), refused


def test_the_same_files_as_they_should_be(tmp_path: Path) -> None:
    """What the hostile ones are made of loads; so it is what was changed that is refused."""
    answers = []
    for form, path in sound_files(tmp_path).items():
        model = cnnvis.load_model(path)
        assert not model.cut
        x = np.ones((2, 4), np.float32)
        answers.append(model.values(x, ["hidden"])[0])
        assert {"h5": "HDF5", "keras": "Keras archive"}.get(form, "SavedModel") in model.origin
    np.testing.assert_allclose(answers[0], np.full((2, 3), 0.4), rtol=1e-6)
    for other in answers[1:]:
        assert other.shape == (2, 3)
