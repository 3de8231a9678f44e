"""Headings of figures, and figures of tables. All sizes are in inches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import cnnvis
from cnnvis.renderers._common import cell_text, failed_checks, folded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EDGE = 0.2
LINE = 0.125  # one line of a title
# The widths of letters: of a title, of a heading, of a table.
LETTER, HEADING_LETTER, TABLE_LETTER = 0.062, 0.088, 0.0672
TABLE_LINE = 0.152
CELL = 44  # letters of a table's cell, before it is folded
# Lines of a text: a label may be a novel.
HEADING_LINES, CELL_LINES = 3, 12
# A $ in a label is no mathematics, nor is a label a program where somebody has all text set by TeX.
PLAIN: Any = {"parse_math": False, "usetex": False}


def table_page(explanation: cnnvis.Explanation) -> Figure:
    """Return a figure of a table, with long cells folded and numbers aligned to the right."""
    from matplotlib.lines import Line2D

    assert explanation.table is not None
    columns = [_column(name, cells) for name, cells in explanation.table.items()]
    rows = [_evened(row) for row in zip(*columns, strict=True)] or [[]]
    names, lines = rows[0], [line for row in rows[1:] for line in row]
    width = max(2 * EDGE + TABLE_LETTER * max(map(len, names + lines), default=0), 3.6)
    heading = Heading(explanation, len(explanation), width)
    below_names = heading.height + TABLE_LINE * len(names) + 0.08
    height = below_names + TABLE_LINE * len(lines) + EDGE
    figure = heading.figure(width, height)
    style: Any = {"va": "top", "fontsize": 8, "family": "monospace", "linespacing": 1.3}
    for top, text, weight in ((heading.height, names, "bold"), (below_names + 0.06, lines, None)):
        x, y = EDGE / width, 1 - top / height
        figure.text(x, y, "\n".join(text), weight=weight, **PLAIN, **style)
    rule = 1 - below_names / height
    figure.add_artist(Line2D([EDGE / width, 1 - EDGE / width], [rule, rule], lw=0.6, color="0.4"))
    return figure


def _column(name: str, cells: Sequence[Any]) -> list[list[str]]:
    """Return the lines of a column's name and of each of its cells, all equally wide."""
    texts = [folded(cell_text(cell), CELL, CELL_LINES) or [""] for cell in (name, *cells)]
    width = max(len(line) for text in texts for line in text)
    numbers = all(isinstance(cell, int | float | None) for cell in cells)
    return [[line.rjust(width) if numbers else line.ljust(width) for line in t] for t in texts]


def _evened(row: Sequence[list[str]]) -> list[str]:
    """Return the lines of a row of cells: a short cell is blank below its last line."""
    filled = zip_longest(*row, fillvalue=None)
    blanks = [" " * len(cell[0]) for cell in row]
    return [
        "  ".join(
            blank if part is None else part for part, blank in zip(line, blanks, strict=True)
        ).rstrip()
        for line in filled
    ]


class Heading:
    """Title of a figure, with the files of the explanation below it."""

    def __init__(self, explanation: cnnvis.Explanation, shown: int, width: float) -> None:
        facts = explanation.provenance
        options = facts.get("options") or {}
        words = [str(facts.get("technique", ""))]
        layers = list(dict.fromkeys(target.layer for target in explanation.targets))
        targets = list(dict.fromkeys(map(str, explanation.targets)))
        if explanation.groups and len(targets) == 1:  # which titles of groups do not name
            words.append(f"of {targets[0]}")
        elif len(layers) == 1:
            words.append(f"of {layers[0]}")
        if "backprop" in options:
            words.append(f"(backprop {options['backprop'] or 'none'})")
        words += [f"- {one}" for one in explanation.changes]
        if shown < len(explanation):
            words.append(f"- the first {shown} of {len(explanation)} maps")
        files = [(facts.get(what) or {}).get("file") for what in ("model", "data")]
        about = ", ".join(str(name) for name in files if name)
        room = int((width - EDGE) / HEADING_LETTER)
        self._lines = folded(cnnvis.printable(" ".join(words)), room, HEADING_LINES)
        failed = failed_checks(explanation)
        self._lines += folded(failed, room, HEADING_LINES) if failed else []
        self._files = folded(cnnvis.printable(about), int((width - EDGE) / LETTER), HEADING_LINES)
        self._below = 0.1 + 0.16 * len(self._lines)
        self.height = self._below + LINE * len(self._files) + 0.06

    def figure(self, width: float, height: float) -> Figure:
        """Return a figure of that size with only the heading."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height))
        style: Any = {"ha": "center", "va": "top", **PLAIN}
        top, below = 1 - 0.1 / height, 1 - self._below / height
        figure.text(0.5, top, "\n".join(self._lines), fontsize=9, weight="bold", **style)
        figure.text(0.5, below, "\n".join(self._files), fontsize=7, color="0.4", **style)
        return figure
