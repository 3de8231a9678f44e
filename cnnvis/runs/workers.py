"""Workers that compute the pieces of a work: processes of this machine, of a scheduler, jobs of Slurm.

Dask's scheduler gives each worker a piece at a time, by its part and its number. Of a run, pieces are
shards: workers write their files into the run folder, and its journal is written here alone, so that a
run with workers is resumed, checked and merged as any other.
"""

from __future__ import annotations

import itertools
import logging
import math
import pickle
import queue
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from cnnvis.data.stream import Summed
from cnnvis.errors import BY_NAME, UserError, WorkersError
from cnnvis.network.compilation import computing_now
from cnnvis.registry.discovery import registry
from cnnvis.reporting import WAITING, progress
from cnnvis.runs import interrupts
from cnnvis.runs.clusters import Cluster, local_workers
from cnnvis.runs.folder import MANIFEST, RunFolder
from cnnvis.runs.on import CONNECTING, On
from cnnvis.runs.remote_process import ProcessLost, answer, end
from cnnvis.runs.remote_shards import Shards
from cnnvis.runs.remote_work import Computing, Work
from cnnvis.runs.schema import LONGEST_MANIFEST
from cnnvis.runs.seals import digest
from cnnvis.runs.slurm import slurm_workers

Client = Any
"""``distributed.Client``, whose functions have no types, and its futures."""

Future = Any

Piece = tuple[str, int]
"""Part of a work, and the number of a piece of it."""

ADVICE = "Finished shards are kept; --resume goes on"

AHEAD = 2
"""Pieces of each worker that the scheduler knows: the next one waits where the last one ends."""

LISTENING = 0.2
"""Seconds between looks at signals and at the scheduler."""

PATIENCE = 30
"""Seconds without any worker after which it is said how workers are started."""

RETRIES = 3
"""How often a piece is given to a worker again whose process ended."""


@contextmanager
def at_work(
    folder: RunFolder | None, sums: Mapping[int, Summed] | None = None, *, predicts: bool = False
) -> Iterator[None]:
    """Have workers compute what an open run folder lacks, inside the block, if it asks for workers.

    Parameters
    ----------
    sums
        By the number of a technique, the transform that needs sums of its maps alone.
    predicts
        See `cnnvis.explain.task.Task`.
    """
    on = None if folder is None else folder.into.on
    if folder is None or on is None or on.request is None:
        yield
        return
    shards = Shards(
        str(folder.path.resolve()),
        digest(folder.folder.read(MANIFEST, LONGEST_MANIFEST)),
        on.request,
        tuple((plugin.name, options) for plugin, options in folder.techniques),
        sums or {},
        predicts,
    )
    workers = RunWorkers(on, work_of(shards, on), ADVICE, strict=on.request.strict)
    with workers:
        folder.workers, folder.sums = workers, sums or {}
        yield


def work_of(computing: Computing, on: On) -> Work:
    """Return the work of workers, which compute as this process would."""
    return Work(
        pickle.dumps(computing),
        tuple(str(one.resolve()) for one in registry().files),
        computing_now(),
        on.threads,
        uuid.uuid4().hex,
        str(Path.cwd()),
        tuple(str(Path(one).absolute()) for one in sys.path),
    )


@dataclass
class Workers:
    """Workers of a work; a context that ends those which it started.

    Attributes
    ----------
    on
        Where the pieces are computed.
    work
        What is computed.
    advice
        A sentence on what a person may do if the workers are lost.
    unit, smaller
        What a piece is called, and the options by which it takes less memory.
    """

    unit: ClassVar[str] = "part"
    smaller: ClassVar[str] = "--batch-size"

    on: On
    work: Work
    advice: str = "Type it again where workers are"
    _closing: ExitStack = field(default_factory=ExitStack)
    _client: Client | None = None
    _cluster: Cluster | None = None
    _there: int = 0
    _looked: float = -math.inf

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._cluster is not None:
            # Nobody waits for pieces in hand: after Ctrl-C there are two seconds in all.
            self._cluster.kill()
        if self._client is not None and self._cluster is None:
            with suppress(Exception):  # of a scheduler that is gone
                self._client.run(end, self.work.token)
        self._closing.close()

    def answers(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Any]]:
        """Yield pieces and what was computed of them, as they are computed, in any order.

        Raises
        ------
        WorkersError
            If the scheduler or its workers are gone.
        UserError, PluginError
            If a worker refuses; see `cnnvis.runs.remote_answers`.
        Stopped
            If a signal asked for it.
        """
        client = self._client = self._client or self._connected()
        left, done = iter(pieces), queue.SimpleQueue[Any]()
        waiting: dict[Any, Piece] = {}
        with progress("computing on workers", len(pieces)) as advance:
            try:
                while True:
                    for piece in itertools.islice(left, max(self._room(client, waiting), 0)):
                        future = self._given(client, piece)
                        waiting[future] = piece
                        future.add_done_callback(done.put)
                    if not waiting:
                        return
                    future = self._next(client, done)
                    if future is not None:
                        piece = waiting.pop(future)
                        yield piece, self._found(future, piece)
                        advance(1)
            finally:
                with suppress(Exception):  # of a scheduler that is gone
                    client.cancel(list(waiting))

    def _given(self, client: Client, piece: Piece) -> Future:
        """Give a piece to the scheduler."""
        key = f"{piece[0]}-{piece[1]}-{uuid.uuid4().hex}"
        try:
            return client.submit(answer, self.work, *piece, key=key, pure=False, retries=RETRIES)
        except Exception as error:  # for which Dask has no type that all its versions know
            if client.status == "running":
                raise
            raise self._lost() from error

    def _room(self, client: Client, waiting: dict[Any, Piece]) -> int:
        """Return how many more pieces the scheduler is to know, once there are workers."""
        return max(AHEAD * self._present(client), 4) - len(waiting)

    def _present(self, client: Client) -> int:
        """Return the number of workers, once there are some; until then, say what is waited for."""
        said, begun = "", time.monotonic()
        with ExitStack() as shown:
            while not (workers := self._counted(client)):
                interrupts.check()
                if (now := self._awaited(time.monotonic() - begun)) != said:
                    said = now
                    shown.close()
                    shown.enter_context(progress(said))
                time.sleep(LISTENING)
        return workers

    def _counted(self, client: Client) -> int:
        """Return the number of workers, and look after those of this run."""
        if time.monotonic() > self._looked + LISTENING:  # the scheduler takes some ms to answer
            try:
                self._there = len(client.nthreads())
            except Exception as error:  # of several types, none of which all versions of Dask know
                if client.status == "running" and not isinstance(error, OSError | RuntimeError):
                    raise
                raise self._lost() from error
            if self._cluster is not None:
                self._cluster.standing(self._there)
            self._looked = time.monotonic()
        return self._there

    def _awaited(self, seconds: float) -> str:
        """Say what is waited for, after some seconds without workers."""
        said = f"{WAITING}workers at {self.on}"
        if self._cluster is not None:
            return f"{said}: {self._cluster.standing(0)}"
        if seconds < PATIENCE:
            return said
        return f"{said}: `dask worker {self.on} --nthreads 1 --memory-limit 0` starts one, on any machine"

    def _next(self, client: Client, done: queue.SimpleQueue[Any]) -> Future:
        """Return the next future that is done, None where there is none yet."""
        try:
            return done.get(timeout=LISTENING)
        except queue.Empty:
            interrupts.check()
            if client.status != "running":
                raise self._lost() from None
            return None

    def _connected(self) -> Client:
        """Return a client of the scheduler, of one with own workers if nobody named another."""
        on = self.on
        if on.scheduler is not None and not isinstance(on.scheduler, str):
            return on.scheduler
        address = on.scheduler
        started = (
            None
            if address is not None
            else slurm_workers(on.jobs)
            if on.jobs is not None
            else local_workers(on.count or 1)
        )
        if started is not None:
            self._cluster = self._closing.enter_context(started)
            address = self._cluster.dask
        self._closing.enter_context(_quiet())
        return self._closing.enter_context(self._client_of(address))

    def _client_of(self, address: Any) -> Client:
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
            raise WorkersError(f"no scheduler of Dask answers at {self.on} ({why}). {self.advice}")
        return found

    def _found(self, future: Future, piece: Piece) -> Any:
        """Return what was computed of a piece, from a worker's answer.

        Raises
        ------
        WorkersError
            If workers were lost with this piece several times, or the scheduler is gone.
        UserError, PluginError
            If the worker refused.
        """
        from distributed import KilledWorker

        try:
            told = future.result()
        except (KilledWorker, ProcessLost) as error:
            why = f" ({error})" if isinstance(error, ProcessLost) else ""
            raise WorkersError(
                f"workers at {self.on} ended again and again with {self.unit} {piece[1]} of {piece[0]}, perhaps "
                f"for want of memory{why}: use a smaller {self.smaller}, or fewer workers. {self.advice}"
            ) from error
        except CancelledError as error:
            raise self._lost() from error
        except Exception as error:
            assert self._client is not None
            is_gone = isinstance(error, OSError) or self._client.status != "running"
            if is_gone and future.status != "error":  # which the worker's own error is
                raise self._lost() from error  # while the answer was being fetched
            if isinstance(error, ImportError | AttributeError | TypeError):  # it cannot unpickle
                raise UserError(
                    f"a worker at {self.on} has no cnnvis, or none of this version ({error}): install "
                    "the same packages for all workers"
                ) from error
            raise
        if "refused" in told:
            kind, sentence = told["refused"]
            raise BY_NAME.get(kind, UserError)(sentence)
        return told["found"]

    def _lost(self) -> WorkersError:
        return WorkersError(f"the scheduler at {self.on} is gone. {self.advice}")


@dataclass
class RunWorkers(Workers):
    """Workers that compute the shards of a run folder."""

    unit: ClassVar[str] = "shard"
    smaller: ClassVar[str] = "--batch-size or --shard-size"

    strict: bool = False

    def lines(self, part: str, numbers: Sequence[int]) -> Iterator[Any]:
        """Yield the journal's lines of the shards of a part, as they are computed; see `answers`."""
        for _, line in self.answers([(part, number) for number in numbers]):
            yield line


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
