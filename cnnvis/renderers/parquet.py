"""Renderer of tables as Parquet files, with pyarrow."""

from __future__ import annotations

import itertools
from pathlib import Path

import cnnvis
from cnnvis.renderers._rows import Most, header_of, json_text, rows_of

AT_ONCE = 100_000
"""Number of rows that are written at a time."""


@cnnvis.renderer("parquet", suffixes=(".parquet",), requires=("pyarrow",), extra="parquet")
def parquet(explanation: cnnvis.Explanation, path: Path, *, count: Most = 20) -> None:
    """A table as a Parquet file, with typed columns: 64-bit numbers, truth values and texts.

    The rows are those of the renderer tsv. The key cnnvis of the file's metadata holds, as JSON, the units of
    the columns and the origin.
    """
    import pyarrow
    from pyarrow import parquet as files

    table = rows_of(explanation, count)
    kinds = {
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "text": pyarrow.string(),
    }
    schema = pyarrow.schema(
        [pyarrow.field(column.name, kinds[column.kind]) for column in table.columns],
        metadata={"cnnvis": json_text(header_of(explanation, table))},
    )
    with files.ParquetWriter(path, schema) as file:
        rows = iter(table.rows)
        while some := list(itertools.islice(rows, AT_ONCE)):
            columns = [
                pyarrow.array(cells, field.type)
                for cells, field in zip(zip(*some, strict=True), schema, strict=True)
            ]
            file.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
