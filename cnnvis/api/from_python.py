"""Calls of a person's own code, whose notes are logged and whose progress may be shown."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from cnnvis.drawing.progress import progress_of_calls
from cnnvis.reporting import inputs_together, note, notes_kept, verdict, verdicts_kept

P = ParamSpec("P")
R = TypeVar("R")

LOGGER = logging.getLogger("cnnvis")

MOST = 10_000
"""Maximum number of sentences of which it is known that they were logged."""

_logged: dict[str, None] = {}
_is_heard: ContextVar[bool] = ContextVar("is_heard", default=False)


@contextmanager
def heard() -> Iterator[None]:
    """Leave it to the caller to show notes and progress inside the block, as a command line does."""
    token = _is_heard.set(True)
    try:
        yield
    finally:
        _is_heard.reset(token)


def from_python(function: Callable[P, R]) -> Callable[P, R]:
    """Log the notes and failed checks of a function's calls as warnings of the logger ``cnnvis``.

    Each sentence is logged once. Progress is shown as `cnnvis.show_progress` says. Calls from the
    command line, and calls inside other calls, log and show nothing.
    """

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if _is_heard.get():
            return function(*args, **kwargs)
        with heard(), progress_of_calls(), notes_kept() as notes, verdicts_kept() as verdicts:
            result = function(*args, **kwargs)
        for sentence in notes:  # to whoever listens around the call
            note(sentence)
        for (technique, of, metric), (outcome, meaning) in verdicts.items():
            verdict(technique, of, metric, outcome, meaning)
        _log(inputs_together([*notes, *_notes_of(result)]))
        _log(
            f"{technique}{f' of {of}' if of else ''}: the check {metric} failed: {meaning}"
            for (technique, of, metric), (outcome, meaning) in verdicts.items()
            if outcome == "failed"
        )
        return result

    return called


def _notes_of(result: Any) -> Iterator[str]:
    for one in result if isinstance(result, list) else [result]:
        yield from getattr(one, "notes", ())
        yield from _notes_of([*getattr(one, "other_inputs", ())])


def _log(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        if sentence not in _logged:
            if len(_logged) < MOST:
                _logged[sentence] = None
            LOGGER.warning("%s", sentence)
