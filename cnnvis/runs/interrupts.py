"""Ctrl-C and SIGTERM: the shard in hand is finished within two seconds, or dropped.

Python runs a signal's handler between two of its own steps, and a network may compute for longer;
a thread that the system wakes through a pipe keeps the time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cnnvis.errors import Stopped

PATIENCE = 2.0
"""Number of seconds for a shard in hand."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Gentle:
    """Piece of work that continues after a signal, up to the next `check`."""

    def __init__(self, say: Callable[[], str]) -> None:
        self.say = say
        self.asked: int | None = None


_gentle: list[_Gentle] = []
_command: list[str] = []


@contextmanager
def gently(say: Callable[[], str]) -> Iterator[None]:
    """Let a signal end the work inside the block at the next `check`.

    Without a `check` in two seconds, the process ends.

    Without `watching`, signals have their usual effect.

    Parameters
    ----------
    say
        Function that returns the sentence that a person should read if the process ends there.
    """
    own = _Gentle(say)
    _gentle.append(own)
    try:
        yield
        check()
    finally:
        _gentle.remove(own)


def is_asked() -> bool:
    """Tell whether a signal asked for the end, which comes at the next `check`."""
    return bool(_gentle) and _gentle[-1].asked is not None


def check() -> None:
    """End here if a signal asked for it.

    Raises
    ------
    Stopped
        With the signal's number.
    """
    if _gentle and (asked := _gentle[-1].asked) is not None:
        raise Stopped(asked, _gentle[-1].say())


def how_to_go_on() -> str:
    """Return a sentence that says how to continue stopped work."""
    return f"Go on with: {_command[-1]}" if _command else "It goes on with resume=True"


@contextmanager
def watching(command: str) -> Iterator[None]:
    """Stop the process by signals inside the block, as this module says; in the main thread only.

    Parameters
    ----------
    command
        The command that would continue the work.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = {one: signal.getsignal(one) for one in SIGNALS}
    waking = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for one in SIGNALS:
        signal.signal(one, _handle)
    watcher = threading.Thread(target=_watch, args=(reading,), daemon=True, name="signals")
    watcher.start()
    _command.append(command)
    try:
        yield
    finally:
        _command.pop()
        for one, handler in before.items():
            signal.signal(one, handler)
        signal.set_wakeup_fd(waking)
        os.close(writing)  # the watcher reads the end, and ends
        watcher.join()
        os.close(reading)


def _handle(number: int, frame: FrameType | None) -> None:
    if not _gentle:
        raise Stopped(number)
    if _gentle[-1].asked is None:
        _gentle[-1].asked = number


def _watch(pipe: int) -> None:
    """Count the signals, and end the process at the second one, or when the time is up."""
    first: int | None = None
    late: threading.Timer | None = None
    while data := os.read(pipe, 1):
        if data[0] not in SIGNALS:
            continue
        if first is not None:
            _end(data[0], "")
        first = data[0]
        if _gentle:
            late = threading.Timer(PATIENCE, _end, (first, _gentle[-1].say()))
            late.daemon = True
            late.start()
    if late is not None:
        late.cancel()


def _end(number: int, sentence: str) -> None:
    """End the process as it stands: whatever is on the disk is whole."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), b"\r\x1b[K\x1b[?25h")  # no bar, and the cursor again
        if sentence:
            os.write(sys.stderr.fileno(), f"error: {sentence}\n".encode())
    os._exit(128 + number)
