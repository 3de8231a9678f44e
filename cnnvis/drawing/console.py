"""Rich's console, limited to readable characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from cnnvis.text import printable

_NARROWEST, _USUAL, _WIDEST = 20, 80, 10_000
"""Columns. In fewer, rich leaves out what does not fit; no terminal and no script wants more."""


class Screen(Console):
    """Rich's console, on which names and texts from elsewhere can only be read.

    Whatever is printed passes through `render` in pieces; what is in a piece besides letters is
    written out, so that nobody who prints a name has to think of it. Only rich's own control codes
    pass. Markup is off: a class may be called ``[red]``.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)
        if self.width < _NARROWEST:
            self.width = _USUAL
        elif self.width > _WIDEST:
            self.width = _WIDEST

    def on_broken_pipe(self) -> None:
        """Leave it to whoever runs the command that nobody reads it any more; rich would end it."""
        raise  # the BrokenPipeError that is being handled

    def render_str(self, text: str, **settings: Any) -> Text:
        """Return a word as text of rich, which without this would drop some characters silently."""
        return super().render_str(printable(text, lines=True), **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the segments of text that an object is rendered as."""
        encoding = self.encoding
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
                continue
            shown = printable(segment.text, lines=True)
            if not encoding.startswith("utf") and not shown.isascii():
                shown = shown.encode(encoding, "backslashreplace").decode(encoding)
            yield segment if shown == segment.text else Segment(shown, segment.style)
