"""Where the command line writes: the one place that sends anything to a terminal or a file."""

from __future__ import annotations

import os
import sys

from rich.text import Text

from cnnvis.cli.streams import open_text
from cnnvis.drawing.console import Screen as Screen
from cnnvis.text import printable


def results() -> Screen:
    """Where results go: stdout."""
    return Screen()


def messages() -> Screen:
    """Where notes and bars go: a copy of stderr, since TensorFlow is kept from writing to that."""
    return Screen(file=open_text(os.dup(sys.stderr.fileno()), sys.stderr), soft_wrap=True)


def errors() -> Screen:
    """Where the last sentence of a command that failed goes: stderr."""
    return Screen(stderr=True, soft_wrap=True)


def words(*parts: str | tuple[str, str], lines: bool = False) -> Text:
    """Text of parts, plain or with a style, to be laid out as wide as it will be shown.

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
    """``error: what was wrong``, on one line however many an exception's text has."""
    return words((f"{label}: ", style), " ".join(text.split("\n")))


def line(text: object) -> None:
    """Print a path or another result by itself: never folded, highlighted or styled."""
    results().print(words(str(text)), soft_wrap=True, highlight=False)


def whole(text: str) -> None:
    """Print a text of many lines as it stands: JSON, TOML, a script for a shell."""
    sys.stdout.write(printable(text, lines=True))
