"""Workers that a run starts itself, and ends: processes of this machine."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from cnnvis.errors import UserError, numbered
from cnnvis.reporting import progress

CLOSING = 1
"""Seconds that workers have to end."""


class Cluster(Protocol):
    """Workers that a run has started.

    Attributes
    ----------
    dask
        The cluster, as a client of Dask connects to it.
    """

    dask: Any

    def kill(self) -> None:
        """End all workers at once, whatever they compute."""
        ...

    def standing(self, workers: int) -> str:
        """Look after workers that are not there, and say why, so many of them being there.

        Raises
        ------
        WorkersError
            If none will come.
        """
        ...


class _Local:
    """Processes of this machine."""

    def __init__(self, dask: Any) -> None:
        self.dask = dask

    def kill(self) -> None:
        import psutil

        for nanny in self.dask.workers.values():
            if nanny.pid:  # else it is being started
                with suppress(psutil.Error):
                    psutil.Process(nanny.pid).kill()

    def standing(self, workers: int) -> str:
        return "processes that ended are started again"


@contextmanager
def local_workers(count: int) -> Iterator[Cluster]:
    """Start processes on this machine, and end them after the block.

    Raises
    ------
    UserError
        If a script starts them that begins its work without asking whether it is imported.
    """
    import dask
    import distributed

    # Python's helper counts semaphores of processes that are killed, and warns of them.
    os.environ.setdefault("PYTHONWARNINGS", "ignore::UserWarning:multiprocessing.resource_tracker")
    with tempfile.TemporaryDirectory(prefix="cnnvis-", ignore_cleanup_errors=True) as scratch:
        settings = {"distributed.nanny.pre-spawn-environ": {}, "temporary-directory": scratch}
        with dask.config.set(settings), progress(f"starting {numbered(count, 'worker')}"):
            try:
                # What TensorFlow allocates is none that Dask could move to a disk: no limit by Dask.
                cluster: Any = distributed.LocalCluster(
                    n_workers=count, threads_per_worker=1, memory_limit=0,
                    security=own_keys(), dashboard_address=None, silence_logs=logging.CRITICAL,
                )  # fmt: skip
            except RuntimeError as error:
                raise UserError(
                    "workers could not start: a script that is run with on='local' begins its work under "
                    "if __name__ == '__main__':, since each worker imports the script"
                ) from error
        try:
            yield _Local(cluster)
        finally:
            close(cluster)


def own_keys() -> Any:
    """Return keys of a single run: whoever reaches a scheduler without them can run code on its workers.

    Raises
    ------
    UserError
        If the library that makes them is not installed.
    """
    from distributed.security import Security

    try:
        return Security.temporary()
    except ImportError:
        raise UserError(
            "workers need the package cryptography: pip install 'cnnvis[dask]'"
        ) from None


def close(cluster: Any) -> None:
    """Close a cluster of Dask; what takes longer than a moment ends with this process."""
    with suppress(TimeoutError):
        cluster.close(timeout=CLOSING)
