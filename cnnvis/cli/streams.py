"""Standard streams that never interrupt the work: closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from errno import EPIPE
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Lasting(io.RawIOBase):
    """Descriptor to which writing never fails: output that cannot be written is dropped.

    Attributes
    ----------
    failure
        The error that the system answered a write with; None as long as all was written.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return True if the descriptor is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write to the descriptor, or drop what it does not take."""
        with memoryview(data) as left:
            while self.failure is None:
                try:
                    return os.write(self._descriptor, left)
                except (
                    BlockingIOError
                ):  # whoever shares it does not want to wait; this process does
                    select.select([], [self._descriptor], [])
                except OSError as error:
                    self.failure = error
            return left.nbytes


def open_text(descriptor: int, like: TextIO | None = None) -> TextIO:
    """Open a descriptor for text to which writing never fails.

    Parameters
    ----------
    descriptor
        An open descriptor.
    like
        A stream whose encoding the text has; else UTF-8.
    """
    raw = Lasting(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=(like and like.encoding) or "utf-8",
        # A name that cannot be encoded is shown in another way, and ends nothing.
        errors="backslashreplace",
        line_buffering=raw.isatty(),
    )


def make_lasting() -> Lasting:
    """Replace stdout and stderr by streams to which writing never fails.

    A standard descriptor that is closed is opened on nothing. Otherwise the next file that is opened
    would get its number, and whatever is printed would be written into that file.

    Returns
    -------
    Lasting
        The stream behind stdout, which tells whether all was written.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number, so this one. Processes that are started need it as well.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (as long as the process)
    out, error = open_text(1, sys.stdout), open_text(2, sys.stderr)
    for old in (sys.stdout, sys.stderr):
        if old is not None:
            with suppress(OSError):
                old.flush()
    sys.stdout, sys.stderr = out, error
    raw = out.buffer.raw  # type: ignore[attr-defined]
    assert isinstance(raw, Lasting)
    return raw


def unwritten(out: Lasting) -> str:
    """Return a sentence on output that was lost; empty if all was written, or nobody reads it."""
    if out.failure is None or out.failure.errno == EPIPE:
        return ""
    return f"the output cannot be written: {out.failure.strerror}"
