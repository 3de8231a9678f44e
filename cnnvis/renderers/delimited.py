"""Renderers of tables as text, for spreadsheets and programs: a line a row."""

from __future__ import annotations

import csv as csv_module
from pathlib import Path
from typing import Annotated

import cnnvis
from cnnvis.renderers._rows import Cell, Most, header_of, json_text, rows_of

Safe = Annotated[
    bool,
    cnnvis.Help(
        "Put an apostrophe before texts that a spreadsheet would take for a formula: texts that begin with = + - or "
        "@ and are no numbers."
    ),
]
Origin = Annotated[
    bool,
    cnnvis.Help(
        "Begin the file with lines that say how the table was made, each with # before it."
    ),
]

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""Beginnings of texts that spreadsheets take for formulas, the wide forms of East Asian keyboards among them."""


@cnnvis.renderer("tsv", suffixes=(".tsv",))
def tsv(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    count: Most = 20,
    safe: Safe = True,
    origin: Origin = False,
) -> None:
    """A table with tabs between cells: the strongest places of maps, or a table as it is.

    Of maps, a row for each place: its rank in its map, the image, label, prediction, target and score,
    the position along each axis and its coordinate, and the value; where images have places in a
    genome, contig, start and end as in BED files, counted from 0. Of compare-groups, a row for each
    place, with all that was computed there. Numbers have all their digits, and no thousands separators;
    an empty cell is no number.
    """
    _write(explanation, path, "\t", count, safe=safe, origin=origin)


@cnnvis.renderer("csv", suffixes=(".csv",))
def csv(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    count: Most = 20,
    safe: Safe = True,
    origin: Origin = False,
) -> None:
    """A table with commas between cells: the strongest places of maps, or a table as it is.

    See the renderer tsv, which writes the same rows.
    """
    _write(explanation, path, ",", count, safe=safe, origin=origin)


def _write(
    explanation: cnnvis.Explanation,
    path: Path,
    delimiter: str,
    count: int | None,
    *,
    safe: bool,
    origin: bool,
) -> None:
    table = rows_of(explanation, count)
    marked: list[str] = []

    def text(cell: Cell) -> str:
        if cell is None:
            return ""
        if isinstance(cell, bool):
            return str(cell).lower()
        if not isinstance(cell, str):
            return repr(cell)
        plain = cnnvis.printable(cell)
        if not (safe and _is_formula(plain)):
            return plain
        marked.append(plain)
        return f"'{plain}"

    with path.open("w", encoding="utf-8", newline="") as file:
        if origin:
            for name, value in header_of(explanation, table).items():
                file.write(f"# {name}: {json_text(value)}\n")
        lines = csv_module.writer(file, delimiter=delimiter, lineterminator="\n")
        lines.writerow([text(column.name) for column in table.columns])
        for row in table.rows:
            lines.writerow([text(cell) for cell in row])
    if marked:
        renderer = "csv" if delimiter == "," else "tsv"
        what = "cell begins as a formula" if len(marked) == 1 else "cells begin as formulas"
        cnnvis.note(
            f"{len(marked)} {what} of a spreadsheet, such as {marked[0][:60]!r}, and "
            f"{'was' if len(marked) == 1 else 'were'} written with an apostrophe before the text; --{renderer}.no-safe "
            "writes texts as they are"
        )


def _is_formula(text: str) -> bool:
    """Tell whether a spreadsheet would compute a text: numbers and lone signs are no formulas."""
    bare = text.strip()
    if not bare.startswith(FORMULA) or len(bare) == 1:
        return False
    try:
        float(bare)
    except ValueError:
        return True
    return False
