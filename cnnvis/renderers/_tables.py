"""Complete tables on a console of any width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnnvis.renderers._common import cell_text, folded
from cnnvis.renderers._words import words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from cnnvis.renderers._cells import Pen

NARROW = 12  # a column that is no wider is not folded
SPACES = 2  # between columns


def print_table(console: Console, columns: Mapping[str, Sequence[Any]], pen: Pen) -> None:
    """Print columns side by side; folded, or row by row, where they are too wide.

    In a file nothing is folded: a row is a line, for other programs to find.
    """
    from rich.cells import cell_len
    from rich.text import Text

    names = [pen.text(name) for name in columns]
    rows = [
        [pen.text(cell_text(cell)) for cell in row] for row in zip(*columns.values(), strict=True)
    ]
    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    spaces = SPACES * (len(names) - 1)
    least = sum(min(width, NARROW) for width in widths) + spaces
    if console.is_terminal and least > console.width:
        _print_records(console, names, rows)
        return
    word = words if console.is_terminal else Text  # no marks that other programs would read
    folding = console.is_terminal and sum(widths) + spaces > console.width
    table = _table(None if folding else sum(widths) + spaces, pen)
    for name, width, cells in zip(names, widths, columns.values(), strict=True):
        numbers = all(isinstance(cell, int | float | None) for cell in cells)
        table.add_column(
            word(name),
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=not folding or width <= NARROW,
        )
    for row in rows:
        table.add_row(*map(word, row))
    console.print(table, crop=False)


def _table(width: int | None, pen: Pen) -> Table:
    from rich.box import SIMPLE_HEAD, Box
    from rich.table import Table

    plain = Box(str(SIMPLE_HEAD).replace("\N{BOX DRAWINGS LIGHT HORIZONTAL}", "-"), ascii=True)
    return Table(
        box=SIMPLE_HEAD if pen.in_colour else plain,
        padding=(0, SPACES - 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        width=width,
    )


def _print_records(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print each row in words, its later lines indented."""

    from rich.text import Text

    for row in rows:
        line = ", ".join(f"{name} {cell}" for name, cell in zip(names, row, strict=True) if cell)
        for place, piece in enumerate(folded(line, max(console.width - 2, 1))):
            console.print(Text("  " * (place > 0) + piece))
