"""Words on a console: folded without blank lines, and in their column whatever the direction of their script."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

MARK = "\N{LEFT-TO-RIGHT MARK}"  # of no width
TO_LEFT = frozenset({"R", "AL", "AN"})


def words(text: str) -> Text:
    """Return a text for a column, folded where it is too long.

    A terminal that knows scripts from right to left takes their letters, and what stands behind them in the next
    columns, for one run, and turns all of it, so that columns change places. With marks at both ends, each
    line is a run of its own.
    """
    found: Text = _kind()(text, overflow="fold")
    return found


@functools.cache
def _kind() -> Any:
    from rich.containers import Lines
    from rich.text import Text

    class Words(Text):
        def wrap(self, *arguments: Any, **settings: Any) -> Any:
            lines = without_blank(super().wrap(*arguments, **settings))
            return Lines(map(in_place, lines))

    return Words


def without_blank(lines: Any) -> list[Text]:
    """Return the lines of a folded text without the blanks behind words that were broken."""
    every = list(lines)
    later = [
        line[len(line) - len(line.plain.lstrip()) :] for line in every[1:] if line.plain.strip()
    ]
    return [*every[:1], *later]


def in_place(line: Text) -> Text:
    """Return a line with marks at both ends, if it has letters of a script from right to left."""
    from rich.text import Text

    text = line.plain.rstrip()
    if not any(unicodedata.bidirectional(letter) in TO_LEFT for letter in text):
        return line
    return Text(f"{MARK}{text}{MARK}")
