"""Files that the page about long runs shows."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "long-runs.md"


def file_of_the_page(title: str, *changes: tuple[str, str]) -> str:
    """Return a file that the page shows, with changes to words that it holds."""
    found = re.search(
        rf'^```\w+ title="{title}"\n(.*?)^```$', PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    text = found[1]
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text
