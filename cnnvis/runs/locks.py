"""One run at a time in a folder: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnvis.errors import UserError
from cnnvis.reporting import note

NAME = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock inside the block.

    Raises
    ------
    UserError
        If another process holds it, or the folder may not be written to.
    """
    try:
        handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(
            f"{str(folder)!r} cannot be written to: {error.strerror or error}"
        ) from error
    try:
        _lock(handle, folder)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)  # only a run that died leaves its number there
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        note(f"nothing keeps two runs out of {str(folder)!r}: this system has no such locks")
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode(errors="replace")
        raise UserError(
            f"{str(folder)!r} is being written by another run"
            f"{f' (process {holder})' if holder.isdigit() else ''}: wait for it, stop it, or name "
            "another folder with --into"
        ) from None
    except OSError as error:
        note(f"nothing keeps two runs out of {str(folder)!r}: locks do not work there ({error})")
