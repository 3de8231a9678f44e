"""The command line in processes that need not import TensorFlow, each with a disk that may refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Refusal:
    """Which of the calls by which a process changes a folder is refused, counted from 1, and how."""

    folder: Path
    at: int
    number: int


class Server:
    """Runs the command line in processes that need not import TensorFlow.

    Parameters
    ----------
    folder
        Where commands run, unless they are told.
    library
        What `refusing` gave, for commands whose disk refuses.
    """

    def __init__(self, folder: Path, library: Path | None = None) -> None:
        preload = {} if library is None else {"LD_PRELOAD": str(library)}
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, HERE / "forking.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=folder, env={**os.environ, **preload},
        )  # fmt: skip
        self.said, self._report = folder / "said.txt", folder / "report.txt"

    def start(
        self,
        *words: object,
        folder: Path | None = None,
        out: Path | None = None,
        environment: Mapping[str, str] | None = None,
        refusal: Refusal | None = None,
    ) -> int:
        """Start a command; the process's id."""
        self.said.unlink(missing_ok=True)
        assert self._process.stdin is not None and self._process.stdout is not None
        told = {
            "words": [*map(str, words)],
            "said": str(self.said),
            "out": None if out is None else str(out),
            "folder": str(folder or self._folder),
            "environment": dict(environment or {}),
            "refusing": refusal
            and [str(refusal.folder), refusal.at, refusal.number, str(self._report)],
        }
        print(json.dumps(told), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def ended(self) -> tuple[int, str]:
        """Wait for the command: its exit code, and what it said."""
        assert self._process.stdout is not None
        code = int(self._process.stdout.readline())
        return code, self.said.read_text() if self.said.exists() else ""

    def refused(self) -> tuple[int, str]:
        """How often the latest command changed its folder, and which of these calls was refused."""
        count, _, call = self._report.read_text().partition(" ")
        return int(count), call

    def run(self, *words: object) -> tuple[int, str]:
        self.start(*words)
        return self.ended()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def refusing(folder: Path) -> Path:
    """The library that refuses, built; skips the test where that cannot be."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    library = folder / "refusing.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, HERE / "runs" / "refusing.c", "-ldl"],
        check=True,
    )
    return library
