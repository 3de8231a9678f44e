"""The process of one plugin: started, asked, watched for its time and memory, and ended.

`cnnvis.execution.isolated` is what runs in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from cnnvis.errors import BY_NAME, PluginError, UserError
from cnnvis.execution.sending import Sender
from cnnvis.files.child_process import child_process
from cnnvis.network.compilation import computing_now
from cnnvis.network.model import Model
from cnnvis.registry.discovery import registry
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import note

START, LOOK = 300.0, 0.05
"""Timeout for the start of a process, and interval between checks of the process, in seconds."""

ANSWER = 2**24
"""Maximum number of bytes of an answer; arrays are in files."""

GB = 2**30

T = TypeVar("T")


class _There(Exception):
    """Traceback of the other process."""


class Worker:
    """Process for one plugin: started at the first use, and again after it ended.

    It ends when its standard input does, so also when this process is killed.
    """

    def __init__(self, plugin: Plugin, timeout: float, memory: float) -> None:
        self.plugin = plugin
        self._timeout, self._memory = timeout, memory
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as this)
        self._place = tempfile.TemporaryDirectory(prefix="cnnvis-", ignore_cleanup_errors=True)
        self._numbers = count()
        self._networks: list[tuple[Any, str]] = []

    def folder(self) -> Path:
        """Return a new folder for a call."""
        folder = Path(self._place.name) / str(next(self._numbers))
        folder.mkdir()
        return folder

    def path_of(self, model: Model) -> str:
        """Return the file of a model's network; a network without a file is written to a new file.

        Raises
        ------
        UserError
            If the network cannot be written.
        """
        if model.path is not None:
            return str(model.path.absolute())
        for network, path in self._networks:
            if network is model.network:
                return path
        path = str(self.folder() / "network.keras")
        try:
            model.network.save(path)
        except Exception as error:
            raise UserError(
                f"{self.plugin.name} cannot be isolated: the network is in no file, and cannot be "
                f"saved ({type(error).__name__}: {str(error)[:200]})"
            ) from error
        self._networks.append((model.network, path))
        return path

    def called(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the plugin's result for these arguments.

        Raises
        ------
        UserError, PluginError
            As `asked` does.
        """
        folder = self.folder()
        sender = Sender(folder, self.path_of, self.read)
        answer = self.asked(
            args=[sender.pack(one) for one in args],
            kwargs={name: sender.pack(one) for name, one in kwargs.items()},
            out=str(folder / "out"),
        )
        sender.take(answer)
        return sender.unpack(answer.get("value"))

    def asked(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the process's answer; notes of the process are made here.

        Raises
        ------
        UserError
            If the plugin raises it.
        PluginError
            If the plugin fails, or the process crashes, hangs, or takes too much memory.
        """
        process = self._started()
        answer = self._exchanged(process, request, self._timeout)
        for said in answer.get("notes") or ():
            note(str(said))
        failure = answer.get("failure")
        if failure is None:
            return answer
        text = str(answer.get("text"))
        if failure == "user":
            cause = MemoryError() if answer.get("short") else None
            raise BY_NAME.get(str(answer.get("kind")), UserError)(text) from cause
        raise PluginError(text) from _There(str(answer.get("trace", "")))

    def read(self, reading: Callable[[], T]) -> T:
        """Return what `reading` reads from the files that the process wrote.

        Raises
        ------
        PluginError
            If the files are not valid.
        """
        try:
            return reading()
        except (UserError, OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self.plugin.failed(
                f"the answer of its process cannot be read: {error}"
            ) from error

    def close(self) -> None:
        """End the process, and delete its files."""
        self._stop()
        self._errors.close()
        self._place.cleanup()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._stop()
        self._errors.seek(0)
        self._errors.truncate()
        process = self._process = subprocess.Popen(
            # It must find the same packages, cnnvis in a checkout among them.
            **child_process("cnnvis.execution.isolated", same_path=True),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Ctrl-C is for this process, which ends that one and all that it has started.
            start_new_session=True,
        )
        answers = self._answers = queue.Queue()
        threading.Thread(target=_read, args=(process.stdout, answers), daemon=True).start()
        known = registry()
        answer = self._exchanged(
            process,
            {
                "kind": self.plugin.kind,
                "name": self.plugin.name,
                "files": [str(path.absolute()) for path in known.files],
                "only": None if known.only is None else sorted(known.only),
                "computing": computing_now(),
            },
            START,
        )
        if "failure" in answer:
            self._stop()
            raise UserError(
                f"{self.plugin.name} cannot be isolated: its process does not find it in any file "
                f"or package: {answer.get('text')}"
            )
        return process

    def _exchanged(
        self, process: subprocess.Popen[bytes], request: Mapping[str, Any], timeout: float
    ) -> dict[str, Any]:
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # then there is no answer either
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            line = self._awaited(process, timeout)
            try:
                answer = json.loads(line)
            except ValueError:
                answer = None
            if not isinstance(answer, dict):
                raise self.plugin.failed("its process gave an invalid answer")
            return answer
        except BaseException:
            self._stop()  # an answer that nobody waits for must not be taken for the next one's
            raise

    def _awaited(self, process: subprocess.Popen[bytes], timeout: float) -> bytes:
        import psutil

        end = time.monotonic() + timeout
        watched = psutil.Process(process.pid)
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=LOOK)
                if not line:
                    raise self._ended(process)
                return line
            if time.monotonic() > end:
                raise self.plugin.failed(
                    f"it took longer than {timeout:g} seconds, and was ended; --isolate-timeout "
                    "(isolate_timeout) sets a longer time"
                )
            taken = _memory(watched)
            if taken > self._memory:
                raise self.plugin.failed(
                    f"it took more than {self._memory / GB:.3g} GB of memory, and was ended; "
                    "--isolate-memory (isolate_memory) allows more"
                )

    def _ended(self, process: subprocess.Popen[bytes]) -> Exception:
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return self.plugin.failed("its process closed its output and did not end")
        self._errors.seek(0)
        said = self._errors.read()[-4000:].decode(errors="replace").strip()
        if code < 0:
            name = signal.Signals(-code).name
            error = self.plugin.failed(f"its process crashed ({name})")
        else:
            error = self.plugin.failed(f"its process ended without an answer (exit code {code})")
        error.__cause__ = _There(said) if said else None
        return error

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


def _read(source: Any, answers: queue.Queue[bytes]) -> None:
    """Read answers until the end, which an empty answer marks."""
    with contextlib.suppress(OSError, ValueError):
        while line := source.readline(ANSWER):
            answers.put(line)
    answers.put(b"")


def _memory(process: Any) -> int:
    """Return the number of bytes of memory of a process and of those that it started."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += int(one.memory_info().rss)
    return total
