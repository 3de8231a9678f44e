"""Renderer of tables as JSON, with all that is known of them."""

from __future__ import annotations

from pathlib import Path

import cnnvis
from cnnvis.renderers._rows import Most, header_of, json_text, rows_of


@cnnvis.renderer("json", suffixes=(".json",))
def json(
    explanation: cnnvis.Explanation,
    path: Path,
    page: cnnvis.Page | None = None,
    *,
    count: Most = 20,
) -> None:
    """A table as JSON: columns with types and units, the origin, and a list of rows.

    The rows are those of the renderer tsv, each an object by the names of the columns. NaN and infinite
    numbers are null. The key format_version grows when the form changes.
    """
    table = rows_of(explanation, count)
    header = header_of(explanation, table)
    if page is not None and "Command" in page.repeat:
        header["command"] = page.repeat["Command"].rstrip()
    names = [column.name for column in table.columns]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for key, value in header.items():
            file.write(f"{'{' if key == 'format' else ','}\n  {json_text(key)}: {json_text(value)}")
        file.write(',\n  "rows": [')
        for number, row in enumerate(table.rows):
            cells = json_text(dict(zip(names, row, strict=True)))
            file.write(f"{',' if number else ''}\n    {cells}")
        file.write("\n  ]\n}\n")
