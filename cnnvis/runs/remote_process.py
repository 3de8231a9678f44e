"""Process of its own in which a worker computes, such as the shards of a run.

A worker of a scheduler outlives runs, and files of plugins and models change between them. So a run
gets a process in which nothing of an earlier run is left: no module, no open folder, no thread of
TensorFlow. It ends with the run, or with the worker.
"""

from __future__ import annotations

import os
import pickle
import platform
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnvis.files.child_process import child_process, end_with_parent
from cnnvis.network import backend
from cnnvis.network.compilation import THREADS
from cnnvis.runs.remote_work import Work


class ProcessLost(RuntimeError):
    """The process of a run did not begin, or ended before it answered; another may compute the piece."""


NUMERIC = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables that set the numbers of threads of NumPy's libraries."""


class _Process:
    """Process of a run, which is given its work first, and then parts and numbers of pieces."""

    def __init__(self, work: Work) -> None:
        # Dask gives NumPy's libraries a single thread, and without Dask they take all processors.
        threads = dict.fromkeys((*THREADS, *NUMERIC), str(work.threads))
        self.busy = threading.Lock()
        try:
            self._process = subprocess.Popen(
                **child_process("cnnvis.runs.remote_process", same_path=True, settings=threads),
                cwd=work.here,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:  # for want of memory, say
            raise ProcessLost(f"no process began on {platform.node()}: {error}") from error
        self._work: Work | None = work  # which was not sent yet

    def asked(self, part: str, number: int) -> dict[str, Any]:
        """Return the answer of `cnnvis.runs.remote_answers.Answers` there.

        Raises
        ------
        ProcessLost
            If it ends before it answers.
        """
        given_to, answers = self._process.stdin, self._process.stdout
        assert given_to is not None and answers is not None
        with self.busy:
            try:
                if self._work is not None:
                    pickle.dump(self._work, given_to)
                    self._work = None
                pickle.dump((part, number), given_to)
                given_to.flush()
                found: dict[str, Any] = pickle.load(answers)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                raise ProcessLost(f"a process on {platform.node()} ended") from error
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


_processes: dict[str, _Process] = {}
_changing = threading.Lock()


def answer(work: Work, part: str, number: int) -> dict[str, Any]:
    """Compute a piece in the process of its work; see `cnnvis.runs.remote_answers`.

    Raises
    ------
    ProcessLost
        If the process ends, as for want of memory: then another worker may compute the piece.
    """
    if not Path(work.here).is_dir():
        why = (
            f"the worker on {platform.node()} has no folder {work.here!r}, in which the run began: "
            "its files must be on a disk that all workers share"
        )
        return {"refused": ("UserError", why)}
    with _changing:
        process = _processes.get(work.token)
        if process is None:
            for token, other in list(_processes.items()):
                if not other.busy.locked():  # of a run that is over, or has nothing to do here
                    other.close()
                    del _processes[token]
            process = _processes[work.token] = _Process(work)
    try:
        return process.asked(part, number)
    except ProcessLost:
        end(work.token)
        raise


def end(token: str) -> None:
    """End the process of a run, if this worker has one."""
    with _changing:
        process = _processes.pop(token, None)
    if process is not None:
        process.close()


def main() -> None:
    """Answer a worker until it closes the pipe."""
    end_with_parent()
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not disturb the answers
    backend.leave_extras()
    from cnnvis.runs.remote_answers import Answers

    work = pickle.load(asked)
    sys.path += [one for one in work.paths if one not in sys.path]
    own = Answers(work)
    while True:
        try:
            part, number = pickle.load(asked)
        except EOFError:
            return
        try:
            found = own.to(part, number)
        except Exception as error:
            why = f"{type(error).__name__}: {error}. This is a bug in cnnvis (worker on {platform.node()})"
            found = {"refused": ("PluginError", why)}
        with suppress(BrokenPipeError):
            pickle.dump(found, answers)
            answers.flush()


if __name__ == "__main__":
    main()
