"""Where shards are computed, as a person asked for it."""

from __future__ import annotations

import os
import re
import socket
import sys
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from cnnvis import demo, host
from cnnvis.errors import UserError, shown
from cnnvis.execution.isolation import isolates_plugins
from cnnvis.explain.request import Request
from cnnvis.files.addresses import is_address
from cnnvis.network.compilation import THREADS

CONNECTING = 10
"""Seconds to reach a scheduler."""


@dataclass(frozen=True)
class On:
    """Where shards are computed.

    Attributes
    ----------
    count
        The number of worker processes on this machine; None for those of a scheduler.
    scheduler
        The address of Dask's scheduler, or a client that is connected to it; None for this machine.
    request
        What is explained, once it is known.
    threads
        The number of TensorFlow's threads in each worker.
    """

    count: int | None
    scheduler: Any = None
    request: Request | None = None
    threads: int = 1

    def __str__(self) -> str:
        if self.count is not None:
            return f"local:{self.count}"
        address = self.scheduler
        return address if isinstance(address, str) else str(address.scheduler.address)


def on_of(value: Any) -> On:
    """Return where shards are computed, from what a person typed.

    Raises
    ------
    UserError
        If that is not understood, or Dask is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise UserError(
            "computing on several workers needs dask.distributed: pip install 'cnnvis[dask]'"
        ) from None
    if isinstance(value, distributed.Client):
        return On(None, value, threads=_threads(1))
    text = str(value)
    if found := re.fullmatch(r"local(?::(\d{1,4}))?", text):
        count = host.processors() if found[1] is None else int(found[1])
        if count >= 1:
            return On(count, threads=_threads(count))
    if found := re.fullmatch(r"(?:tcp|tls)://([^\s/]+):(\d{1,5})", text):
        _require_reachable(text, found[1].strip("[]"), int(found[2]))
        return On(None, text, threads=_threads(1))
    raise UserError(
        f"{shown(value)} names no workers: local:4 is four processes on this machine, and "
        "tcp://HOST:8786 the workers of Dask's scheduler at that address"
    )


def _threads(count: int) -> int:
    """Return the threads of each worker: those that were asked for, or a share of the processors."""
    asked = os.environ.get(THREADS[0])
    # Where TensorFlow has started, and nobody asked, cnnvis has set the first variable alone.
    if asked is not None and ("tensorflow" not in sys.modules or THREADS[1] in os.environ):
        return int(asked)
    return max(host.processors() // count, 1)


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
