"""Progress bars that show themselves when something takes more than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cnnvis.reporting import Advance

if TYPE_CHECKING:
    from rich.console import Console

# Seconds: before anything is shown, and before a further bar is, lest short tasks flicker.
PATIENCE, BLINK = 1.0, 0.2


class Bars:
    """One bar for each task under way, on a console; nothing where that is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()

    @contextmanager
    def __call__(self, what: str, total: int | None) -> Iterator[Advance]:
        """A bar for one task, gone when the task is done."""
        if not self._console.is_terminal:
            yield lambda steps: None
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = [SpinnerColumn(), TextColumn("{task.description}")]
        if total is not None:
            columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        bars = Progress(*columns, console=self._console, transient=True)
        task = bars.add_task(what, total=total)
        waited = time.monotonic() - self._start
        late = threading.Timer(max(PATIENCE - waited, BLINK), bars.start)
        late.daemon = True
        late.start()
        try:
            yield lambda steps: bars.advance(task, steps)
        finally:
            late.cancel()
            late.join()
            bars.stop()
