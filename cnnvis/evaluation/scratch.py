"""Arrays for the time of a computation: in memory, or in a temporary file where memory is short."""

from __future__ import annotations

import math
import os
import tempfile
from types import TracebackType
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.errors import DiskError
from cnnvis.host import available_memory

LARGEST = 2**31
"""Largest number of bytes that are kept in memory; fewer where less memory is free."""

SHARE = 4
"""Part of the free memory that arrays may take: a fourth."""


class Scratch:
    """Arrays of zeros; a context that removes its file.

    The temporary file has no name where the system allows that (Linux, macOS): it is gone with the
    process, however this ends.

    Parameters
    ----------
    most
        The largest number of bytes in memory; by default a fourth of the free memory, 2 GiB at most.
    """

    def __init__(self, most: int | None = None) -> None:
        self._left = min(LARGEST, available_memory() // SHARE) if most is None else most
        self._file: Any = None

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def is_on_disk(self) -> bool:
        """True where a part of the arrays lies in a file."""
        return self._file is not None

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array of zeros.

        Raises
        ------
        DiskError
            If the array does not fit into memory, and its file does not fit on the disk.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size <= self._left:
            self._left -= size
            return np.zeros(shape, dtype)
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="cnnvis-")  # noqa: SIM115 (closed at the end)
        begin = os.fstat(self._file.fileno()).st_size
        try:
            _lengthen(self._file, begin, size)
        except OSError as error:
            raise DiskError(
                f"the maps take more memory than there is, and the temporary folder "
                f"{tempfile.gettempdir()!r} has no room for {size / 2**30:.1f} GiB more "
                f"({error.strerror}): set TMPDIR to a folder on a larger disk, or compare along one axis"
            ) from error
        return np.memmap(self._file, dtype, "r+", begin, shape)


def _lengthen(file: Any, begin: int, size: int) -> None:
    """Make room in a file: a full disk is an error here, and would be a crash at a later write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), begin, size)
        return
    file.seek(begin)  # macOS, Windows
    for start in range(0, size, 2**20):
        file.write(bytes(min(2**20, size - start)))
    file.flush()
