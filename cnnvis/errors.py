"""Errors of cnnvis that a person can correct."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from types import MappingProxyType
from typing import Any


class UserError(Exception):
    """A mistake in a call, a file or an option that a person can correct.

    The message is one sentence or two: what was wrong, what was found, what would help. The command
    line prints it without a traceback and exits with its `code`, 2.

    Attributes
    ----------
    found
        The results without what failed, as of a `PluginError`; or the findings about a model's file
        that is not loaded: `origin`, `parameters`, `layers` (name and kind of each layer), `refused`
        (objects that must not or cannot be built, with remedies).
    """

    code = 2
    found: Any = MappingProxyType({})

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: the sentence."""
        return [f"{type(self).__name__}: {self}"]


class NothingUsable(UserError):
    """Error when no image gave any result; exit code 4."""

    code = 4


class DiskError(UserError):
    """A disk is full or broken, or lost data; finished work is kept: exit code 5."""

    code = 5


class ShortageError(DiskError):
    """This machine has too little memory; finished work is kept: exit code 5."""


class WorkersError(DiskError):
    """The workers of a run, or their scheduler, are gone; finished work is kept: exit code 5."""


class ChangedError(UserError):
    """A file was changed while it was read, so that what was read is not of one file."""


class Stopped(KeyboardInterrupt):
    """A person or the system asked the process to end, by a signal.

    Attributes
    ----------
    signal
        The signal's number; the exit code is 128 more.
    """

    def __init__(self, signal: int, sentence: str = "stopped") -> None:
        super().__init__(sentence)
        self.signal = signal


class PluginError(Exception):
    """Failure of a plugin that is no mistake of the user.

    The message names the plugin and its package, says what happened and where to report the
    failure; the plugin's own exception is the cause. The command line exits with code 1, and ``-v``
    shows the traceback.

    Attributes
    ----------
    found
        The results that the run computed without the plugin, in the form of `cnnvis.run` or
        `cnnvis.chain`; else None.
    """

    found: Any = None


BY_NAME: dict[str, type[UserError | PluginError]] = {
    one.__name__: one
    for one in (UserError, NothingUsable, DiskError, ShortageError, ChangedError, PluginError)
}
"""Errors with which another process answers, by their names."""


def together(failures: Sequence[UserError | PluginError]) -> UserError | PluginError:
    """Return failures of parts of a run as one error, to be raised when all else is done."""
    if len(failures) == 1:
        return failures[0]
    of_plugins = [one for one in failures if isinstance(one, PluginError)]
    text = " ".join(
        dict.fromkeys(f"{one}." if str(one)[-1:] not in ".!?" else str(one) for one in failures)
    )
    found: UserError | PluginError
    if of_plugins:
        found = PluginError(text)
    else:  # the most particular of them says how the process ends
        found = max((one for one in failures if isinstance(one, UserError)), key=_code).__class__(
            text
        )
    found.__cause__ = of_plugins[0].__cause__ if of_plugins else failures[0].__cause__
    return found


def _code(error: UserError) -> int:
    return error.code


def complaint(error: BaseException) -> str:
    """Return the line of an exception's message that says what is wrong.

    Keras puts its message behind pages of configuration, and adds codes that colour a terminal.
    """
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(error)).strip()
    inner = text.rpartition("Exception encountered: ")[2].strip() or text
    lines = [line.strip() for line in inner.splitlines() if line.strip()]
    # What was being called says less than what it said.
    if len(lines) > 1 and lines[0].startswith("Exception encountered when"):
        lines = lines[1:]
    if lines and lines[0].startswith("Graph execution error"):  # what it says stands above the node
        node = next((i for i, line in enumerate(lines) if line.startswith("[[")), len(lines))
        lines = lines[max(node - 1, 0) :]
    if not lines:
        return type(error).__name__
    return re.sub(r"^(\{\{\w+ [^}]*\}\}\s*)+", "", lines[0])[:LONGEST]


LONGEST = 300
"""Maximum number of letters of an exception's line."""


def shown(value: object) -> str:
    """Return a value as Python writes it, shortened to a length that fits into a sentence."""
    try:
        text = repr(value) if isinstance(value, bool | int | float) else reprlib.repr(value)
    except ValueError:  # of whole numbers of thousands of digits, which Python does not write out
        text = (
            "a number of thousands of digits"
            if isinstance(value, int)
            else f"a {type(value).__name__}"
        )
    return text if len(text) <= 100 else f"{text[:97]}..."


def numbered(count: int, what: str) -> str:
    """Return a number with its noun: ``1 image``, ``2 images``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'saliency'?`` for the known name closest to a name, or nothing.

    Up to three names, where others are about as close.
    """
    close = get_close_matches(name, list(known), n=3, cutoff=0.5)
    likeness = {one: SequenceMatcher(None, one, name).ratio() for one in close}
    found = [repr(one) for one in close if likeness[one] > likeness[close[0]] - 0.1]
    *first, last = found or [""]
    named = f"{', '.join(first)} or {last}" if first else last
    return f" Did you mean {named}?" if found else ""


MANY = 12
"""Most names that an error lists."""


def listed(what: str, names: Sequence[str], command: str) -> str:
    """Return ``There are: a, b.``, or of many names the command that lists them.

    Parameters
    ----------
    what
        The beginning of the sentence: ``There are``.
    """
    if len(names) <= MANY:
        return f"{what}: {', '.join(names)}."
    return f"{command} lists all {len(names)}."


def was_stopped(error: BaseException) -> bool:
    """Tell whether somebody stopped the process while a library was imported, which says something else."""
    while isinstance(error, ImportError) and error.__cause__ is not None:
        error = error.__cause__
    return isinstance(error, KeyboardInterrupt)
