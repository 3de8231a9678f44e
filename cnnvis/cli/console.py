"""Output of the command line: the only module that writes to a terminal or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from cnnvis import host
from cnnvis.cli.streams import open_text
from cnnvis.drawing.console import Screen as Screen
from cnnvis.reporting import inputs_together
from cnnvis.text import printable

if TYPE_CHECKING:
    from cnnvis.data.explanation import Explanation


def results() -> Screen:
    """Return the screen for results: stdout."""
    return Screen()


def messages() -> Screen:
    """Return the screen for notes and bars: a copy of stderr, to which TensorFlow cannot write."""
    return Screen(file=open_text(os.dup(sys.stderr.fileno()), sys.stderr), soft_wrap=True)


def errors() -> Screen:
    """Return the screen for the last sentence of a command that failed: stderr."""
    return Screen(stderr=True, soft_wrap=True)


def words(*parts: str | tuple[str, str], lines: bool = False) -> Text:
    """Return text made of parts, plain or with a style, to be laid out in the width of the screen.

    Parameters
    ----------
    lines
        Keep ends of lines: for docstrings and tracebacks. In names they are written out.
    """
    shown = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        shown.append(printable(text, lines=lines), style)
    return shown


def sentence(label: str, style: str, text: str) -> Text:
    """Return ``error: what was wrong`` on one line, even if an exception's text has more."""
    return words((f"{label}: ", style), " ".join(text.split("\n")))


def print_notes(screen: Screen, notes: Iterable[str]) -> None:
    """Print notes, a line for each; what is noted on several inputs alike has one line."""
    for note in inputs_together(notes):
        screen.print(sentence("note", "bold", note))


def print_memory(screen: Screen, found: Iterable[Explanation]) -> None:
    """Print what the process has taken of the memory."""
    said = host.memory_report(sum(one.maps.nbytes for one in found if one.maps is not None))
    print_notes(screen, [said] if said else [])


def line(text: object) -> None:
    """Print a path or another result by itself: never folded, highlighted or styled."""
    results().print(words(str(text)), soft_wrap=True, highlight=False)


def whole(text: str) -> None:
    """Print a text of many lines as it stands: JSON, TOML, a script for a shell."""
    sys.stdout.write(printable(text, lines=True))
