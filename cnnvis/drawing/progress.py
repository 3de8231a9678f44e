"""Progress of long tasks: bars in a terminal or a notebook, elsewhere a line a minute."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from cnnvis.reporting import WAITING, Advance, reported_to
from cnnvis.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

# Seconds: before anything is shown, and before a further bar is, lest short tasks flicker.
PATIENCE, BLINK = 1.0, 0.2

EVERY = 60.0
"""Seconds from one line of progress to the next, where there are no bars."""

_asked: list[bool] = []
"""Whether calls from Python show their progress, where somebody said so."""


def show_progress(shown: bool = True) -> None:
    """Show the progress of calls from Python on stderr, or show it no more.

    In a notebook it is shown unless this is called with False, in a script only after this is called.
    In a terminal and in a notebook with ipywidgets, progress is a bar, elsewhere a line a minute.
    """
    _asked[:] = [bool(shown)]


def progress_of_calls() -> AbstractContextManager[None]:
    """Show the progress of all tasks inside the block of a call from Python, if it is to be shown."""
    if not (_asked[0] if _asked else _in_notebook()):
        return nullcontext()
    from cnnvis.drawing.console import Screen

    return bars(Screen(stderr=True))


def bars(console: Console, *, quiet: bool = False) -> AbstractContextManager[None]:
    """Show the progress of all tasks inside the block, unless somebody wants quiet."""
    if quiet:
        return nullcontext()
    has_widgets = console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None
    return reported_to(Bars(console) if console.is_terminal or has_widgets else Lines(console))


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


class Bars:
    """Progress bars, one for each task, below that of its parent task."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._bars: Progress | None = None
        self._tasks = 0

    @contextmanager
    def __call__(self, what: str, total: int | None) -> Iterator[Advance]:
        """Show a bar for one task, and remove it when the task is done."""
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
    from rich.text import Text

    class Done(MofNCompleteColumn):
        def render(self, task: Task) -> Text:
            return Text() if task.total is None else super().render(task)

    what = TextColumn("{task.description}", markup=False)  # a file may be called [red]
    columns = (what, BarColumn(), Done(), TimeRemainingColumn())
    return Progress(SpinnerColumn(), *columns, console=console, transient=True)


@dataclass
class _Task:
    what: str
    total: int | None
    begin: float
    done: int = 0

    def line(self, now: float) -> str:
        """Return how far the task is, and how long the rest will take at the pace so far."""
        if not self.total:
            return f"{self.what}: {self.done:,} done" if self.done else self.what
        share = self.done / self.total
        line = f"{self.what}: {self.done:,} of {self.total:,} ({share:.0%})"
        if 0 < share < 1:
            left = (now - self.begin) * (1 - share) / share
            line += f", {timedelta(seconds=round(left))} left"
        return line


class Lines:
    """A line about the outermost task, every minute: for logs, and whatever shows no bars.

    It also says how far the task's first step is, and what is waited for.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._tasks: list[_Task] = []
        self._timer: threading.Timer | None = None

    @contextmanager
    def __call__(self, what: str, total: int | None) -> Iterator[Advance]:
        """Tell of one task until it is done."""
        task = _Task(printable(what), total, time.monotonic())
        with self._lock:
            self._tasks.append(task)
            if self._timer is None:
                self._wait()

        def advance(steps: int) -> None:
            task.done += steps

        try:
            yield advance
        finally:
            with self._lock:
                self._tasks.remove(task)
                if not self._tasks and self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

    def _wait(self) -> None:
        # The minute goes on from task to task, or a run of many short tasks would be silent.
        waited = (time.monotonic() - self._start) % EVERY
        self._timer = threading.Timer(EVERY - waited, self._print)
        self._timer.daemon = True
        self._timer.start()

    def _print(self) -> None:
        with self._lock:
            if self._timer is None or not self._tasks:
                return
            now = time.monotonic()
            first, *inner = self._tasks
            parts = [task.line(now) for task in inner if task.total and not first.done][:1]
            parts += [task.what for task in inner if task.what.startswith(WAITING)]
            line = "; ".join([first.line(now), *parts])
            self._wait()
        self._console.print(line, highlight=False, markup=False)
