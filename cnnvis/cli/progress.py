"""Progress bars that appear when a task takes more than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from cnnvis.reporting import Advance, reported_to
from cnnvis.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

# Seconds: before anything is shown, and before a further bar is, lest short tasks flicker.
PATIENCE, BLINK = 1.0, 0.2


def bars(console: Console, *, quiet: bool = False) -> AbstractContextManager[None]:
    """Show bars of all tasks inside the block, unless somebody wants quiet."""
    return nullcontext() if quiet else reported_to(Bars(console))


class Bars:
    """Progress bars, one for each task, below that of its parent task; none without a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._tasks = 0

    @contextmanager
    def __call__(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show a bar for one task, and remove it when the task is done."""
        if not self._console.is_terminal:
            yield lambda steps: None
            return
        with self._lock:
            self._tasks += 1
            bars = self._bars = self._bars or _bars(self._console)
        task = bars.add_task(printable(what), total=total, visible=False)

        def show() -> None:
            bars.update(task, visible=True)
            bars.start()

        waited = time.monotonic() - self._start
        late = threading.Timer(max(PATIENCE - waited, BLINK), show)
        late.daemon = True
        late.start()
        try:
            yield lambda steps: bars.advance(task, steps)
        finally:
            late.cancel()
            late.join()
            with self._lock:
                self._tasks -= 1
                if not self._tasks:  # whatever is printed next finds the screen without bars
                    bars.stop()
                    self._bars = None
            bars.remove_task(task)


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )

    from cnnvis.cli.console import words

    class Done(MofNCompleteColumn):
        def render(self, task: Task) -> Text:
            return words() if task.total is None else super().render(task)

    what = TextColumn("{task.description}", markup=False)  # a file may be called [red]
    columns = (what, BarColumn(), Done(), TimeRemainingColumn())
    return Progress(SpinnerColumn(), *columns, console=console, transient=True)
