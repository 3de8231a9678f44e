"""Progress bars of long tasks, and notes to a person from deep inside the code.

Both do nothing without a listener: the command line shows bars and prints notes, `cnnvis.run` keeps
the notes in the explanation and logs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

Advance = Callable[[int], None]
Reporter = Callable[[str, int | None], AbstractContextManager[Advance]]

_reporter: ContextVar[Reporter | None] = ContextVar("reporter", default=None)
_notes: ContextVar[list[str] | None] = ContextVar("notes", default=None)
_verdicts: ContextVar[dict[tuple[str, str, str], tuple[str, str]] | None] = ContextVar(
    "verdicts", default=None
)
_failures: ContextVar[dict[int, str] | None] = ContextVar("failures", default=None)


WAITING = "waiting for "
"""Beginning of the words for a task in which nothing is computed, and which a person may have to end."""


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """Report the progress of `what`; call the value given to ``with`` after each step.

    Parameters
    ----------
    what
        The task, in words: ``computing saliency``.
    total
        The number of steps, or None if the number is not known.
    """
    reporter = _reporter.get()
    if reporter is None:
        yield lambda steps: None
    else:
        with reporter(what, total) as advance:
            yield advance


@contextmanager
def reported_to(reporter: Reporter) -> Iterator[None]:
    """Send progress inside the block to `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def note(sentence: str) -> None:
    """Make a note for a person to read beside the result."""
    notes = _notes.get()
    if notes is not None and sentence not in notes:
        notes.append(sentence)


def note_on_input(name: str | None, sentence: str) -> None:
    """Make a note on what is explained of one of several inputs of a network; None for the only input."""
    is_named = name is None or repr(name) in sentence
    note(sentence if is_named else f"input {name!r}: {sentence}")


def inputs_together(notes: Iterable[str]) -> list[str]:
    """Return notes, each once, and those that are made on several inputs alike as a single note."""
    of: dict[str, list[str]] = {}
    for sentence in notes:
        found = _ON_INPUT.fullmatch(sentence)
        name, rest = found.groups() if found else ("", sentence)
        if name not in (names := of.setdefault(rest, [])):
            names.append(name)
    return [_on_inputs([name for name in names if name]) + rest for rest, names in of.items()]


_ON_INPUT = re.compile(r"""input ('[^']*'|"[^"]*"): (.*)""", re.DOTALL)


def _on_inputs(names: Sequence[str]) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return f"input {names[0]}: "
    return f"inputs {', '.join(names[:-1])} and {names[-1]}: "


@contextmanager
def notes_kept() -> Iterator[list[str]]:
    """Collect the notes made inside the block, in a list that grows as they are made."""
    notes: list[str] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


def failure_of_image(image: int, reason: str) -> None:
    """Report an image without a result, and the reason."""
    failures = _failures.get()
    if failures is not None:
        failures.setdefault(image, reason)


@contextmanager
def failures_kept() -> Iterator[dict[int, str]]:
    """Collect images without a result inside the block, and the reasons, in a growing dict."""
    failures: dict[int, str] = {}
    token = _failures.set(failures)
    try:
        yield failures
    finally:
        _failures.reset(token)


def verdict(technique: str, input: str, metric: str, outcome: str, meaning: str) -> None:
    """Report the verdict of a metric about the maps of a technique for an input of the network."""
    verdicts = _verdicts.get()
    if verdicts is not None:
        said, whose, number = (outcome, meaning), technique, 1
        while verdicts.get((whose, input, metric), said) != said:  # of another use of the technique
            number += 1
            whose = f"{technique} ({number})"
        verdicts[whose, input, metric] = said


@contextmanager
def verdicts_kept() -> Iterator[dict[tuple[str, str, str], tuple[str, str]]]:
    """Collect outcomes and meanings of verdicts by technique, input and metric, in a growing dict."""
    verdicts: dict[tuple[str, str, str], tuple[str, str]] = {}
    token = _verdicts.set(verdicts)
    try:
        yield verdicts
    finally:
        _verdicts.reset(token)


@contextmanager
def quietly() -> Iterator[None]:
    """Suppress progress inside the block, where one bar for all of it is shown already."""
    token = _reporter.set(None)
    try:
        yield
    finally:
        _reporter.reset(token)
