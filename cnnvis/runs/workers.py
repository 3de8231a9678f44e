"""Workers that compute the shards of a run: processes of this machine, or those of a scheduler.

Dask's scheduler gives each worker a shard's number at a time. Workers write the files of shards into
the run folder; its journal is written here alone, so that a run with workers is resumed, checked and
merged as any other.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import queue
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from cnnvis.errors import (
    ChangedError,
    DiskError,
    NothingUsable,
    PluginError,
    ShortageError,
    UserError,
    WorkersError,
    numbered,
)
from cnnvis.network.compilation import computing_now
from cnnvis.registry.discovery import registry
from cnnvis.reporting import progress
from cnnvis.runs import interrupts
from cnnvis.runs.folder import MANIFEST, RunFolder
from cnnvis.runs.on import CONNECTING, On
from cnnvis.runs.remote_process import ProcessLost, end, shard
from cnnvis.runs.remote_work import Work
from cnnvis.runs.schema import LONGEST_MANIFEST
from cnnvis.runs.seals import digest

Client = Any
"""``distributed.Client``, whose functions have no types, and its futures."""

Future = Any

ADVICE = "Finished shards are kept; --resume goes on"

AHEAD = 2
"""Shards of each worker that the scheduler knows: the next one waits where the last one ends."""

LISTENING = 0.2
"""Seconds between looks at signals and at the scheduler."""

RETRIES = 3
"""How often a shard is given to a worker again whose process ended."""

CLOSING = 1
"""Seconds that workers of this machine have to end."""

_ERRORS = {
    one.__name__: one
    for one in (UserError, NothingUsable, DiskError, ShortageError, ChangedError, PluginError)
}


@contextmanager
def at_work(folder: RunFolder | None) -> Iterator[None]:
    """Have workers compute what an open run folder lacks, inside the block, if it asks for workers."""
    on = None if folder is None else folder.into.on
    if folder is None or on is None or on.request is None:
        yield
        return
    work = Work(
        str(folder.path.resolve()),
        digest(folder.folder.read(MANIFEST, LONGEST_MANIFEST)),
        on.request,
        tuple((plugin.name, options) for plugin, options in folder.techniques),
        tuple(str(one.resolve()) for one in registry().files),
        computing_now(),
        on.threads,
        uuid.uuid4().hex,
        str(Path.cwd()),
        tuple(str(Path(one).absolute()) for one in sys.path),
    )
    with Workers(on, work) as folder.workers:
        yield


@dataclass
class Workers:
    """Workers of a run; a context that ends those which it started.

    Attributes
    ----------
    on
        Where shards are computed.
    work
        What is computed.
    """

    on: On
    work: Work
    _closing: ExitStack = field(default_factory=ExitStack)
    _client: Client | None = None
    _cluster: Any = None
    _there: int = 0
    _looked: float = -math.inf

    @property
    def strict(self) -> bool:
        """True where the first image without a result ends the run."""
        return self.work.request.strict

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._cluster is not None:
            # Nobody waits for shards in hand: after Ctrl-C there are two seconds in all.
            for nanny in self._cluster.workers.values():
                with suppress(OSError, TypeError):
                    os.kill(nanny.pid, signal.SIGKILL)
        if self._client is not None and self._cluster is None:
            with suppress(Exception):  # of a scheduler that is gone
                self._client.run(end, self.work.token)
        self._closing.close()

    def lines(self, part: str, numbers: Sequence[int]) -> Iterator[Any]:
        """Yield the journal's lines of the shards of a part, as they are computed.

        Raises
        ------
        WorkersError
            If the scheduler or its workers are gone.
        UserError, PluginError
            If a worker refuses; see `cnnvis.runs.remote_shards.shard`.
        Stopped
            If a signal asked for it.
        """
        client = self._client = self._client or self._connected()
        left, done = iter(numbers), queue.SimpleQueue[Any]()
        waiting: dict[Any, int] = {}
        with progress("computing on workers", len(numbers)) as advance:
            try:
                while True:
                    for number in itertools.islice(left, max(self._room(client, waiting), 0)):
                        future = client.submit(
                            shard, self.work, part, number,
                            key=f"{part}-{number}-{uuid.uuid4().hex}", pure=False, retries=RETRIES,
                        )  # fmt: skip
                        waiting[future] = number
                        future.add_done_callback(done.put)
                    if not waiting:
                        return
                    future = self._next(client, done)
                    if future is not None:
                        yield _line_of(future, waiting.pop(future), self.on)
                        advance(1)
            finally:
                with suppress(Exception):  # of a scheduler that is gone
                    client.cancel(list(waiting))

    def _room(self, client: Client, waiting: dict[Any, int]) -> int:
        """Return how many more shards the scheduler is to know."""
        if time.monotonic() > self._looked + LISTENING:  # the scheduler takes some ms to answer
            try:
                self._there = len(client.nthreads())
            except (OSError, RuntimeError) as error:  # as Dask says that a connection is closed
                raise _lost(self.on) from error
            self._looked = time.monotonic()
        return max(AHEAD * self._there, 4) - len(waiting)

    def _next(self, client: Client, done: queue.SimpleQueue[Any]) -> Future:
        """Return the next future that is done, None where there is none yet."""
        try:
            return done.get(timeout=LISTENING)
        except queue.Empty:
            interrupts.check()
            if client.status != "running":
                raise _lost(self.on) from None
            return None

    def _connected(self) -> Client:
        """Return a client of the scheduler, of one with own workers if nobody named another."""
        if self.on.count is None and not isinstance(self.on.scheduler, str):
            return self.on.scheduler
        address = self.on.scheduler
        if self.on.count is not None:
            address = self._cluster = self._closing.enter_context(_started(self.on))
        self._closing.enter_context(_quiet())
        client = self._closing.enter_context(_client_of(address, self.on))
        with progress(f"waiting for workers at {self.on}"):
            while not client.nthreads():
                interrupts.check()
                time.sleep(LISTENING)
        return client


def _client_of(address: Any, on: On) -> Client:
    """Connect to a scheduler.

    Raises
    ------
    WorkersError
        If none answers.
    """
    import distributed

    answers = queue.SimpleQueue[Any]()

    def connect() -> None:
        try:
            answers.put(distributed.Client(address, timeout=CONNECTING, set_as_default=False))
        except Exception as error:
            answers.put(error)

    # In a thread that the process does not wait for: what listens and says nothing holds it without end.
    threading.Thread(target=connect, daemon=True, name="connecting").start()
    end = time.monotonic() + 2 * CONNECTING
    found: Any = None
    while found is None and time.monotonic() < end:
        with suppress(queue.Empty):
            found = answers.get(timeout=LISTENING)
        interrupts.check()
    if found is None or isinstance(found, Exception):
        why = "no answer" if found is None else type(found).__name__
        raise WorkersError(f"no scheduler of Dask answers at {on} ({why}). {ADVICE}")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs about lost connections away from a person, who gets a sentence."""
    names = ("distributed", "asyncio", "tornado")
    # Dask gives some of them levels of their own, so that those of their parents count for nothing.
    inner = [one for one in logging.root.manager.loggerDict if one.partition(".")[0] in names]
    loggers = [logging.getLogger(name) for name in {*names, *inner}]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)


@contextmanager
def _started(on: On) -> Iterator[Any]:
    """Start workers on this machine."""
    import dask
    import distributed

    assert on.count is not None
    # Python's helper counts semaphores of processes that are killed, and warns of them.
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
    with (
        # Dask would give libraries such as NumPy's a single thread, which a run without workers does not.
        dask.config.set({"distributed.nanny.pre-spawn-environ": {}}),
        progress(f"starting {numbered(on.count, 'worker')}"),
    ):
        try:
            # What TensorFlow allocates is none that Dask could move to a disk: no limit by Dask.
            cluster: Any = distributed.LocalCluster(
                n_workers=on.count, threads_per_worker=1, memory_limit=0,
                dashboard_address=None, silence_logs=logging.CRITICAL,
            )  # fmt: skip
        except RuntimeError as error:
            raise UserError(
                "workers could not start: a script that is run with on='local' begins its work under "
                "if __name__ == '__main__':, since each worker imports the script"
            ) from error
    try:
        yield cluster
    finally:
        with suppress(TimeoutError):  # then they end with this process
            cluster.close(timeout=CLOSING)


def _line_of(future: Future, number: int, on: On) -> Any:
    """Return the line of a shard from a worker's answer.

    Raises
    ------
    WorkersError
        If workers were lost with this shard several times, or the scheduler is gone.
    UserError, PluginError
        If the worker refused.
    """
    from distributed import KilledWorker

    try:
        answer = future.result()
    except (KilledWorker, ProcessLost) as error:
        raise WorkersError(
            f"workers at {on} ended again and again with shard {number}, perhaps for want of memory: "
            f"use a smaller --batch-size or --shard-size, or fewer workers. {ADVICE}"
        ) from error
    except CancelledError as error:
        raise _lost(on) from error
    except ImportError as error:
        raise UserError(
            f"a worker at {on} has no cnnvis, or none of this version ({error}): install the same "
            "packages for all workers"
        ) from error
    if "refused" in answer:
        kind, sentence = answer["refused"]
        raise _ERRORS.get(kind, UserError)(sentence)
    return answer["line"]


def _lost(on: On) -> WorkersError:
    return WorkersError(f"the scheduler at {on} is gone. {ADVICE}")
