"""Where the command line writes: the one place that sends anything to a terminal or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from cnnvis.names import printable


class Screen(Console):
    """Rich's console, to which no name or text from elsewhere can say anything but be read.

    Whatever is printed passes through `render` in pieces; what is in a piece besides letters is
    written out, so that nobody who prints a name has to think of it. Only rich's own control codes
    pass. Markup is off: a class may be called ``[red]``.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """A word as rich's text, which would leave out some characters without a word."""
        return super().render_str(printable(text, lines=True), **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What a thing looks like, in pieces of text."""
        encoding = self.encoding
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
                continue
            shown = printable(segment.text, lines=True)
            if not encoding.startswith("utf") and not shown.isascii():
                shown = shown.encode(encoding, "backslashreplace").decode(encoding)
            yield segment if shown == segment.text else Segment(shown, segment.style)


def results() -> Screen:
    """Where results go: stdout."""
    return Screen()


def messages() -> Screen:
    """Where notes and bars go: a copy of stderr, since TensorFlow is kept from writing to that."""
    return Screen(file=os.fdopen(os.dup(sys.stderr.fileno()), "w"), soft_wrap=True)


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
