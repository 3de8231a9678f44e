"""How files get onto a disk so that they are there whole or not at all, whenever the power fails.

A file's bytes are on the disk once the file is flushed, and its name once the folder that it stands
in is: a rename that was not flushed may be undone, and a file that was not flushed may be empty or
torn. Every step is a method of its own, so that a test can stop before and after each of them, and
lose what was not flushed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnvis.errors import DiskError

TEMPORARY = ".tmp-"
"""What the name of a file begins with that is not whole yet."""


class Disk:
    """The steps, and what is made of them."""

    # One step each.

    def create(self, path: Path) -> int:
        """A new empty file, opened; one of that name that is there is emptied."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)

    def reopen(self, path: Path) -> int:
        """A file that is there, opened at its end."""
        return os.open(path, os.O_WRONLY | os.O_APPEND)

    def write(self, handle: int, data: bytes) -> None:
        """Bytes behind those that were written."""
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]

    def flush(self, handle: int) -> None:
        """Wait until the disk has all bytes of a file."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        old.replace(new)

    def remove(self, path: Path) -> None:
        path.unlink()

    def make(self, folder: Path) -> None:
        folder.mkdir()

    def flush_folder(self, folder: Path) -> None:
        """Wait until the disk knows which names stand in a folder."""
        if os.name == "nt":  # Windows opens no folders, and writes their entries by itself
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    # What is made of them.

    def put(self, path: Path, data: bytes) -> None:
        """Write a file whole or not at all, and wait until it is on the disk.

        Raises
        ------
        DiskError
            If the disk refuses.
        """
        temporary = path.with_name(TEMPORARY + path.name)
        with disk_trouble(path):
            try:
                handle = self.create(temporary)
                try:
                    self.write(handle, data)
                    self.flush(handle)
                finally:
                    self.close(handle)
                self.rename(temporary, path)
                self.flush_folder(path.parent)
            except OSError:
                with suppress(OSError):
                    self.remove(temporary)
                raise

    def append(self, path: Path, data: bytes) -> None:
        """Write bytes behind those of a file that is there, and wait until they are on the disk.

        Raises
        ------
        DiskError
            If the disk refuses; a part of the bytes may then be there.
        """
        with disk_trouble(path):
            handle = self.reopen(path)
            try:
                self.write(handle, data)
                self.flush(handle)
            finally:
                self.close(handle)

    def require_folder(self, folder: Path) -> None:
        """Make a folder, and those that it lies in, where they are not there.

        Raises
        ------
        DiskError
            If the disk refuses.
        """
        with disk_trouble(folder):
            for one in reversed((folder, *folder.parents)):
                if not one.is_dir():
                    self.make(one)
                    self.flush_folder(one.parent)

    def drop(self, paths: list[Path]) -> None:
        """Remove files, and wait until the disk knows.

        Raises
        ------
        DiskError
            If the disk refuses.
        """
        for path in paths:
            with disk_trouble(path):
                self.remove(path)
        for folder in dict.fromkeys(path.parent for path in paths):
            with disk_trouble(folder):
                self.flush_folder(folder)


DISK = Disk()


@contextmanager
def disk_trouble(path: Path) -> Iterator[None]:
    """Say of which file the disk had trouble, and that nothing else is lost."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{str(path)!r} cannot be written: {error.strerror or error}. Whatever was done before "
            "is kept; --resume goes on once the disk takes it"
        ) from error
