"""Ordinary pickles are read as Python itself reads them, whichever Python and NumPy wrote them."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.plugins.readers._unpickle import unpickle

WRITER = Path(__file__).with_name("ordinary.py")

WRITERS = Path(os.environ.get("CNNVIS_PICKLE_WRITERS", "nowhere"))
"""A folder with a link to a Python and a folder of NumPy for it in each: NAME/python, NAME/numpy."""


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, np.ndarray) and theirs.dtype.kind == "O":
        theirs = np.array(theirs.tolist())
    if isinstance(theirs, np.ndarray):
        return (
            ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
            and ours.shape == theirs.shape
            and ours.tobytes() == theirs.astype(ours.dtype).tobytes()
        )
    if isinstance(theirs, list | tuple):
        return (
            type(ours) is type(theirs) and len(ours) == len(theirs) and all(map(same, ours, theirs))
        )
    if isinstance(theirs, dict):
        return list(map(_text, ours)) == list(map(_text, theirs)) and same(
            list(ours.values()), list(theirs.values())
        )
    return bool(_text(ours) == _text(theirs))


def _text(value: Any) -> Any:
    """Python 2 kept text and bytes as one: what it meant cannot be told."""
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("latin-1")
    return value.encode("utf-8").decode("latin-1") if isinstance(value, str) else value


def _read_alike(folder: Path) -> int:
    files = sorted(folder.glob("*.pkl"))
    for file in files:
        data = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, that dtypes had another form once
            theirs = pickle.loads(data, encoding="latin1")
        try:
            ours = unpickle(data)
        except cnnvis.UserError as error:
            raise AssertionError(f"{file.name}: {error}: {theirs!r:.300}") from error
        assert same(ours, theirs), f"{file.name}: {ours!r:.300} is not {theirs!r:.300}"
    return len(files)


def test_those_of_this_python(tmp_path: Path) -> None:
    subprocess.run([sys.executable, WRITER, tmp_path, "0", "300"], check=True)
    assert _read_alike(tmp_path) == 300


@pytest.mark.slow
@pytest.mark.skipif(not WRITERS.is_dir(), reason="CNNVIS_PICKLE_WRITERS names no other Pythons")
def test_those_of_others(tmp_path: Path) -> None:
    every = sorted(WRITERS.iterdir())
    each = -(-1000 // len(every))
    for number, writer in enumerate(every, 1):
        folder = tmp_path / writer.name
        folder.mkdir()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(writer / "numpy")}
        command = [str(writer / "python"), str(WRITER), str(folder), str(number), str(each)]
        subprocess.run(command, check=True, env=environment)
        assert _read_alike(folder) == each
