"""Call that is made beside others, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """Call that is made in a thread of its own, from now on.

    Not by an executor: the garbage collector may close an abandoned generator at any moment, also in
    a thread that just starts, and the end of an executor needs locks that are held then.

    Parameters
    ----------
    call
        The call. Notes that it makes go to whoever listens here.
    name
        The name of the thread.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._ident = 0
        self._found: list[T] = []
        self._error: BaseException | None = None
        self._under_way = threading.Lock()
        self._under_way.acquire()
        run = copy_context().run
        threading.Thread(target=run, args=(self._run, call), name=name).start()

    def _run(self, call: Callable[[], T]) -> None:
        self._ident = threading.get_ident()
        try:
            self._found.append(call())
        except BaseException as error:
            self._error = error
        finally:
            self._under_way.release()

    def result(self) -> T:
        """Return what the call returned, when it has; raise what it raised."""
        with self._under_way:
            pass
        if self._error is not None:
            raise self._error
        return self._found[0]

    def wait(self, seconds: float = -1) -> None:
        """Wait for the end of the call, whatever comes of it.

        Parameters
        ----------
        seconds
            How long to wait at most; below 0, as long as it takes.
        """
        if threading.get_ident() == self._ident:  # where the collector closes what the call uses
            return
        if self._under_way.acquire(timeout=seconds):
            self._under_way.release()
