"""Lock of a folder for one run at a time, released when the process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cnnvis.errors import UserError
from cnnvis.files.writing import Folder, fault_of_disk, require_only_name, trouble_with
from cnnvis.reporting import note

NAME = "lock"


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Hold the folder's lock inside the block.

    Raises
    ------
    UserError
        If another process holds it, the folder may not be written to, or the lock is no file of this
        folder's own.
    DiskError
        If the disk is full, or broken.
    """
    with trouble_with(folder.path / NAME):
        handle = folder.open(NAME, os.O_RDWR | os.O_CREAT)
    try:
        with trouble_with(folder.path / NAME):
            require_only_name(folder, NAME, handle)
            _lock(handle, folder)
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)  # only a run that died leaves its number there
    finally:
        with suppress(OSError):  # the lock is gone all the same, and nothing depends on the number
            os.close(handle)


def _lock(handle: int, folder: Folder) -> None:
    path = str(folder.path)
    try:
        import fcntl
    except ImportError:  # Windows
        note(f"cnnvis cannot keep a second run out of {path!r}: this system has no file locks")
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode(errors="replace")
        raise UserError(
            f"another run writes to {path!r}{f' (process {holder})' if holder.isdigit() else ''}: "
            "wait for the other run, stop it, or name another folder with --into"
        ) from None
    except OSError as error:
        if fault_of_disk(error) is not None:
            raise
        note(
            f"cnnvis cannot keep a second run out of {path!r}: file locks do not work there "
            f"({error})"
        )
