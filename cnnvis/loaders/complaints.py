"""What Keras complains of, in one line."""

from __future__ import annotations

import re

LETTERS = 300


def complaint(error: Exception) -> str:
    """The line of an error's message that says what is wrong.

    Keras wraps what happened in pages of configuration, and puts it at their end.
    """
    text = re.sub(r"\x1b\[\d*m", "", str(error)).strip()  # Keras writes parts of it in bold
    inner = text.rpartition("Exception encountered: ")[2].strip() or text
    lines = [line.strip() for line in inner.splitlines() if line.strip()]
    # What was being called says less than what it said.
    if len(lines) > 1 and lines[0].startswith("Exception encountered when"):
        lines = lines[1:]
    return lines[0][:LETTERS] if lines else type(error).__name__
