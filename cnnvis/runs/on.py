"""Where shards are computed, as a person asked for it."""

from __future__ import annotations

import multiprocessing
import os
import re
import socket
import sys
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from cnnvis import demo, host
from cnnvis.errors import UserError, complaint, shown
from cnnvis.execution.isolation import isolates_plugins
from cnnvis.explain.request import Request
from cnnvis.files.addresses import is_address
from cnnvis.network.compilation import THREADS
from cnnvis.runs.slurm import asked_jobs

CONNECTING = 10
"""Seconds to reach a scheduler."""


@dataclass(frozen=True)
class On:
    """Where shards are computed.

    Attributes
    ----------
    count
        The number of worker processes on this machine; None for others.
    scheduler
        The address of Dask's scheduler, or a client that is connected to it; None for workers that
        the run starts itself.
    request
        What is explained, once it is known.
    threads
        The number of TensorFlow's threads in each worker.
    jobs
        The number of jobs of Slurm in which workers are started; None for others.
    address
        The address of the client's scheduler, which a client that loses it does not know any more; None
        for others.
    """

    count: int | None
    scheduler: Any = None
    request: Request | None = None
    threads: int = 1
    jobs: int | None = None
    address: str | None = None

    def __str__(self) -> str:
        if self.count is not None:
            return f"local:{self.count}"
        if self.jobs is not None:
            return f"slurm:{self.jobs}"
        return self.address or str(self.scheduler)


def on_of(value: Any) -> On:
    """Return where shards are computed, from what a person typed.

    Raises
    ------
    UserError
        If that is not understood, or Dask is not installed; or if nothing listens at an address, or a
        client is closed.
    """
    try:
        import distributed
    except ImportError:
        raise UserError(
            "computing on several workers needs dask.distributed: pip install 'cnnvis[dask]'"
        ) from None
    except ValueError as error:  # of a file of settings
        raise UserError(f"Dask's settings cannot be read: {complaint(error)}") from error
    if isinstance(value, distributed.Client):
        if value.status != "running":
            raise UserError(
                f"the client of Dask has no scheduler (it is {value.status}): make a new one with "
                "distributed.Client(ADDRESS)"
            )
        address = str(value.scheduler.address)
        return On(None, value, threads=_threads(host.processors()), address=address)
    text = str(value)
    if found := re.fullmatch(r"local(?::(\d{1,4}))?", text):
        count = host.processors() if found[1] is None else int(found[1])
        if count >= 1:
            _leave_if_imported()
            return On(count, threads=_threads(max(host.processors() // count, 1)))
    if found := re.fullmatch(r"(?:tcp|tls)://([^\s/]+):(\d{1,5})", text):
        _require_reachable(text, found[1].strip("[]"), int(found[2]))
        return On(None, text, threads=_threads(host.processors()))
    if found := re.fullmatch(r"slurm(?::(\d{1,4}))?", text):
        jobs, cores = asked_jobs(found[1])
        return On(None, threads=_threads(cores), jobs=jobs)
    raise UserError(
        f"{shown(value)} names no workers: local:4 is four processes on this machine, "
        "tcp://HOST:8786 the workers of Dask's scheduler at that address, and slurm:16 is 16 jobs of "
        "Slurm"
    )


def _threads(otherwise: int) -> int:
    """Return the threads of each worker: those that were asked for, or another number."""
    asked = os.environ.get(THREADS[0])
    # Where TensorFlow has started, and nobody asked, cnnvis has set the first variable alone.
    if asked is not None and ("tensorflow" not in sys.modules or THREADS[1] in os.environ):
        return int(asked)
    return otherwise


def _leave_if_imported() -> None:
    """End this process, without a word, if it is a worker that imports the script of its run.

    Such a script begins its work when it is imported. The process that it was started for says so.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)


def _require_reachable(address: str, name: str, port: int) -> None:
    """Refuse an address at which nothing listens, before anything is loaded or written.

    Raises
    ------
    UserError
        With how to start a scheduler.
    """
    try:
        socket.create_connection((name, port), CONNECTING).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"nothing listens at {address} ({error}): `dask scheduler` starts a scheduler, and says its "
            "address"
        ) from None


def with_request(on: On, request: Request) -> On:
    """Return the workers with what they are to explain, which they open by its paths.

    Raises
    ------
    UserError
        If a worker cannot open the model or the data, or plugins are to be isolated.
    """
    if isolates_plugins():
        raise UserError("on and isolate do not go together: each worker is a process of its own")
    for what, value in (("model", request.model), ("data", request.data.data)):
        if value is not None and not isinstance(value, str | PathLike):
            raise UserError(
                f"workers open the {what} by its path, and the {what} was given as "
                f"{type(value).__name__}: save it in a file, and name the file"
            )
    model, data = (
        one if one is None or one == demo.NAME or is_address(one) else os.path.abspath(one)  # noqa: PTH100 (links stay)
        for one in (request.model, request.data.data)
    )
    paths = replace(request, model=model, data=replace(request.data, data=data))
    return replace(on, request=paths)
