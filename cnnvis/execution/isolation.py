"""Plugins in processes of their own, whose crash, hang or hunger costs nobody else anything.

This is the side that asks; `cnnvis.execution.isolated` is the process that answers.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cnnvis import host
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.data.stream import Stream
from cnnvis.errors import PluginError, UserError, nearest
from cnnvis.execution.transfer import (
    pack_explanation,
    pack_samples,
    unpack_explanation,
    unpack_samples,
)
from cnnvis.files.child_process import child_process
from cnnvis.network.compilation import computing_now
from cnnvis.network.loaded import LoadedNetwork
from cnnvis.network.model import Model
from cnnvis.network.targets import as_word, region_of
from cnnvis.registry.decorators import BUILT_IN, Plugin
from cnnvis.registry.discovery import registry
from cnnvis.reporting import note, progress

TIMEOUT = 600.0
"""How many seconds one call may take, unless somebody says otherwise: a batch of images, a picture."""

START, LOOK = 300.0, 0.05
"""How many seconds a process has to start, and how often it is looked at."""

SHARE = 0.8
"""How much of the memory that is there a process may take, unless somebody says otherwise."""

ANSWER = 2**24
"""How many bytes an answer has at most; arrays are in files."""

GB = 2**30

P = ParamSpec("P")
T = TypeVar("T")
Which = bool | str | Sequence[str]


@dataclass
class _Isolation:
    """Which plugins run apart, how far they may go, and the processes that are there for them."""

    names: frozenset[str] | None
    timeout: float
    memory: float
    workers: dict[tuple[str, str], Worker] = field(default_factory=dict)

    def takes(self, plugin: Plugin) -> bool:
        if self.names is None:
            return plugin.distribution != BUILT_IN
        return plugin.name in self.names

    def worker(self, plugin: Plugin) -> Worker:
        key = (plugin.kind, plugin.name)
        if key not in self.workers:
            self.workers[key] = Worker(plugin, self.timeout, self.memory)
        return self.workers[key]


_current: ContextVar[_Isolation | None] = ContextVar("isolation", default=None)


@contextlib.contextmanager
def isolating(
    isolate: Which = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
) -> Iterator[None]:
    """Have plugins called inside the block run in processes of their own.

    Parameters
    ----------
    isolate
        Which: all that are not built in, or those of some names.
    isolate_timeout
        How many seconds a call may take; 600 by default.
    isolate_memory
        How many GB (2^30 bytes) such a process may take; by default four fifths of what is there.

    Raises
    ------
    UserError
        If there is no plugin of a name, or a limit is not above zero.
    """
    for what, value in (("isolate_timeout", isolate_timeout), ("isolate_memory", isolate_memory)):
        if value is not None and not value > 0:
            raise UserError(f"{what} is {value:g}, and must be above zero")
    names = None if isinstance(isolate, bool) else _names(isolate)
    if isolate is False or names == frozenset():
        yield
        return
    memory = SHARE * host.available_memory() if isolate_memory is None else isolate_memory * GB
    here = _Isolation(names, TIMEOUT if isolate_timeout is None else isolate_timeout, memory)
    token = _current.set(here)
    try:
        yield
    finally:
        _current.reset(token)
        for worker in here.workers.values():
            worker.close()


def isolates(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function heed its arguments ``isolate...``, which are those of `isolating`."""

    @functools.wraps(function)
    def within(*args: P.args, **kwargs: P.kwargs) -> T:
        names = ("isolate", "isolate_timeout", "isolate_memory")
        settings: dict[str, Any] = {name: kwargs.pop(name) for name in names if name in kwargs}
        with isolating(**settings) if settings else contextlib.nullcontext():
            return function(*args, **kwargs)

    return within


def _names(isolate: str | Sequence[str]) -> frozenset[str]:
    names = [isolate] if isinstance(isolate, str) else list(isolate)
    known = [plugin.name for plugin in registry()]
    for name in names:
        if name not in known:
            raise UserError(
                f"there is no plugin named {name!r} to run in a process of its own."
                f"{nearest(name, known)}"
            )
    return frozenset(names)


def applies(plugin: Plugin) -> bool:
    """Whether a plugin is to run in a process of its own."""
    here = _current.get()
    return here is not None and here.takes(plugin)


def called(plugin: Plugin, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a plugin gives, computed in its own process."""
    here = _current.get()
    assert here is not None
    worker = here.worker(plugin)
    with progress(f"{plugin.name}, in a process of its own"):
        match plugin.kind:
            case "technique":
                return _technique(worker, dict(kwargs))
            case "transform":
                return _transform(worker, args[0], kwargs)
            case "renderer":
                return _renderer(worker, args[0], args[1], kwargs)
            case "reader":
                return _reader(worker, args[0], kwargs)
            case "loader":
                return _loader(worker, args[0], kwargs)


# What each kind of plugin is sent, and what it answers


def _technique(worker: Worker, given: dict[str, Any]) -> Explanation:
    model, samples = given.pop("model", None), given.pop("samples", None)
    folder = worker.folder()
    known: dict[str, Samples] = {}
    if samples is not None:
        pack_samples(samples, folder / "samples")
        known[str(folder / "samples")] = samples
    answer = worker.asked(
        options=given,
        model=None if model is None else _facts(worker, model),
        samples=None if samples is None else str(folder / "samples"),
        out=str(folder / "out"),
    )
    blank = answer.get("blank") or []
    if model is not None and model.blank_reasons is not None:
        model.blank_reasons.extend(map(str, blank))
    found = worker.read(lambda: unpack_explanation(folder / "out", known))
    # What is mapped from a file that is gone stays there for as long as it is used.
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _facts(worker: Worker, model: Model) -> dict[str, Any]:
    """A model as another process can load it: from its file, or from one that is made for it."""
    region = model.asked_region
    return {
        "path": worker.path_of(model),
        "loading": dict(model.loading),
        "sha256": model.sha256,
        "class_names": model.class_names,
        "layer": model.asked_layer,
        "filters": model.asked_filters,
        "output": model.asked_output,
        "region": None if region is None else list(map(as_word, region_of(region))),
        "has_classes": model.has_classes,
        "tallying": model.blank_reasons is not None,
    }


def _transform(worker: Worker, given: Any, options: Mapping[str, Any]) -> Any:
    folder = worker.folder()
    known: dict[str, Samples] = {}
    parts = [given] if isinstance(given, Explanation) else given
    number = 0
    for number, part in enumerate(parts, 1):
        where = folder / f"in-{number}"
        pack_explanation(part, where)
        if part.samples is not None and not isinstance(given, Stream):
            known[str(where / "samples")] = part.samples
    kind = "stream" if isinstance(given, Stream) else "list" if isinstance(given, list) else "one"
    answer = worker.asked(
        options=dict(options), folder=str(folder), count=number, kind=kind,
    )  # fmt: skip
    made = answer.get("count")
    if made is None:
        found = worker.read(lambda: unpack_explanation(folder / "out-0", known))
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def each() -> Iterator[Explanation]:
        for place in range(int(made)):
            where = folder / f"out-{place}"
            yield worker.read(functools.partial(unpack_explanation, where, known))
        shutil.rmtree(folder, ignore_errors=True)

    return each()


def _renderer(
    worker: Worker, explanation: Explanation, target: Any, options: Mapping[str, Any]
) -> None:
    folder = worker.folder()
    pack_explanation(explanation, folder / "in")
    if worker.plugin.suffixes:
        path = str(Path(target).absolute())
        worker.asked(options=dict(options), explanation=str(folder / "in"), path=path)
    else:
        from rich.text import Text

        screen = {
            "width": target.width,
            "force_terminal": target.is_terminal,
            "color_system": target.color_system,
        }
        answer = worker.asked(options=dict(options), explanation=str(folder / "in"), console=screen)
        target.print(Text.from_ansi(str(answer.get("text", ""))), soft_wrap=True, highlight=False)
    shutil.rmtree(folder, ignore_errors=True)


def _reader(worker: Worker, path: Any, options: Mapping[str, Any]) -> Samples:
    folder = worker.folder()
    worker.asked(options=dict(options), path=str(path), out=str(folder / "samples"))
    found: Samples = worker.read(lambda: unpack_samples(folder / "samples"))
    return found


def _loader(worker: Worker, path: Any, options: Mapping[str, Any]) -> LoadedNetwork:
    folder = worker.folder()
    place = folder / "network.keras"
    answer = worker.asked(options=dict(options), path=str(path), out=str(place))
    loaded: LoadedNetwork = registry().for_path("loader", place).function(place)
    return replace(
        loaded,
        repairs=tuple(map(str, answer.get("repairs", ()))),
        cut=dict(answer.get("cut", {})),
        cut_learned=bool(answer.get("cut_learned")),
        origin=str(answer.get("origin", "")),
        loss=dict(answer.get("losses", {})),
    )


# The process


class _There(Exception):
    """What happened in the other process, for a traceback."""


class Worker:
    """A process for one plugin: started when it is first wanted, and anew after it ended.

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
        """A new folder for a call."""
        folder = Path(self._place.name) / str(next(self._numbers))
        folder.mkdir()
        return folder

    def path_of(self, model: Model) -> str:
        """The file of a model's network; a network that has none is put into one.

        Raises
        ------
        UserError
            If it cannot be.
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
                f"{self.plugin.name} cannot run in a process of its own: the network is in no file, "
                f"and cannot be saved ({type(error).__name__}: {str(error)[:200]})"
            ) from error
        self._networks.append((model.network, path))
        return path

    def asked(self, **request: Any) -> dict[str, Any]:
        """What the process answers; its notes are told here.

        Raises
        ------
        UserError
            As the plugin does.
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
            raise UserError(text)
        raise PluginError(text) from _There(str(answer.get("trace", "")))

    def read(self, reading: Callable[[], T]) -> T:
        """What is read of the files that the process wrote.

        Raises
        ------
        PluginError
            If they are no good.
        """
        try:
            return reading()
        except (UserError, OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise self.plugin.failed(f"what its process left cannot be read: {error}") from error

    def close(self) -> None:
        """End the process, and take its files away."""
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
                f"{self.plugin.name} cannot run in a process of its own, which does not find it in "
                f"any file or package: {answer.get('text')}"
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
                raise self.plugin.failed("its process answered something that is no answer")
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
                    "(isolate_timeout) gives it more"
                )
            taken = _memory(watched)
            if taken > self._memory:
                raise self.plugin.failed(
                    f"it took more than {self._memory / GB:.3g} GB of memory, and was ended; "
                    "--isolate-memory (isolate_memory) gives it more"
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
    """Read answers until there are no more, which an empty one says."""
    with contextlib.suppress(OSError, ValueError):
        while line := source.readline(ANSWER):
            answers.put(line)
    answers.put(b"")


def _memory(process: Any) -> int:
    """How many bytes a process and those that it started have in memory."""
    import psutil

    total = 0
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += int(one.memory_info().rss)
    return total
