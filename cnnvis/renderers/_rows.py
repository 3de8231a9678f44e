"""Rows of tables that people take away: of maps the strongest places, of a table its own rows."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

Most = Annotated[
    cnnvis.Count | None,
    cnnvis.Help("The number of places of each map, the strongest first; none for all places."),
]
"""Option of the renderers of tables."""

Kind = Literal["integer", "number", "boolean", "text"]

Cell = int | float | bool | str | None
"""Cell of a table; None for an empty one. No cell is NaN."""


@dataclass(frozen=True)
class Column:
    """Column of a table: its heading, the type of its cells, and their unit, if they have one."""

    name: str
    kind: Kind
    unit: str = ""


@dataclass(frozen=True)
class Rows:
    """Table to be written: its columns, and its rows, each with a cell for each column."""

    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Cell]]


def rows_of(explanation: cnnvis.Explanation, count: int | None) -> Rows:
    """Return a table as it is; of maps, a row for each of the strongest places.

    Parameters
    ----------
    count
        The number of places of each map, the strongest first; places whose value is 0 or NaN are left
        out. None for all places, these too.

    Raises
    ------
    UserError
        If there are neither maps nor columns.
    """
    if explanation.table is not None:
        if not explanation.table:
            raise cnnvis.UserError("the result is a table without columns, and no file is written")
        return _of_table(explanation.table)
    if explanation.groups and "comparison" in explanation.provenance:
        return _of_comparison(explanation, count)
    return _of_maps(explanation, count)


def header_of(explanation: cnnvis.Explanation, table: Rows) -> dict[str, Any]:
    """Return what a file says of its table: columns with types and units, notes and origin."""
    return {
        "format": "cnnvis table",
        "format_version": 1,
        "columns": [
            {"name": one.name, "type": one.kind, "unit": one.unit or None} for one in table.columns
        ],
        "input": explanation.input,
        "notes": list(explanation.notes),
        "provenance": dict(explanation.provenance),
    }


def json_text(value: Any) -> str:
    """Return JSON in a line, invisible characters escaped; infinite numbers and NaN are null."""
    plain = json.dumps(_finite(value), ensure_ascii=False, default=str, allow_nan=False)
    return re.sub("[^ -~]", _escaped, plain)


def _escaped(found: re.Match[str]) -> str:
    letter = found[0]
    return letter if cnnvis.printable(letter) == letter else json.dumps(letter)[1:-1]


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value


# Tables


def _of_table(table: Mapping[str, Sequence[Any]]) -> Rows:
    cells = {str(name): [_cell(one) for one in column] for name, column in table.items()}
    kinds = {name: _kind(column) for name, column in cells.items()}
    columns = tuple(Column(name, kind) for name, kind in kinds.items())
    typed = [[_as(kinds[name], one) for one in column] for name, column in cells.items()]
    return Rows(columns, zip(*typed, strict=True))


def _cell(value: Any) -> Cell:
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if plain is None or isinstance(plain, bool | int | str):
        return plain
    if isinstance(plain, float):
        return None if math.isnan(plain) else plain
    return str(plain)


def _kind(cells: Sequence[Cell]) -> Kind:
    there = {type(one) for one in cells if one is not None}
    if there == {bool}:
        return "boolean"
    if there == {int} and all(abs(int(one)) < 2**63 for one in cells if one is not None):
        return "integer"
    return "number" if there and there <= {int, float} else "text"


def _as(kind: Kind, cell: Cell) -> Cell:
    """Return a cell as a value of its column's type."""
    if cell is None:
        return None
    if kind == "number":
        return float(cell)
    return str(cell) if kind == "text" else cell


# Maps

IN_GENOME = (
    Column("contig", "text"),
    Column("start", "integer", "bp"),
    Column("end", "integer", "bp"),
)
"""The columns of the place of a position in a genome, as BED has it."""


def _of_maps(explanation: cnnvis.Explanation, count: int | None) -> Rows:
    facts, of_places = _facts(explanation), _place_columns(explanation)
    kinds = [column.kind for column in of_places]
    columns = (
        Column("rank", "integer"),
        *(column for column, _ in facts),
        *of_places,
        *(IN_GENOME if explanation.places is not None else ()),
        Column("value", "number"),
    )

    def rows() -> Iterator[list[Cell]]:
        for number in range(len(explanation)):
            known = [of(number) for _, of in facts]
            flat = explanation.array[number].reshape(-1)
            places = _strongest(flat, count)
            values = _exact(flat[places])
            where = zip(
                _places(explanation, places, kinds),
                _intervals(explanation, number, places),
                strict=True,
            )
            for rank, ((place, bases), value) in enumerate(zip(where, values, strict=True), 1):
                yield [rank, *known, *place, *bases, value]

    return Rows(columns, rows())


def _of_comparison(explanation: cnnvis.Explanation, count: int | None) -> Rows:
    """Return a row for each place at which groups were compared, with a column for each map."""
    import numpy as np

    parts, of_places = explanation.groups, _place_columns(explanation)
    columns = (
        Column("rank", "integer"),
        *of_places,
        *(IN_GENOME if explanation.places is not None else ()),
        *(Column(name, "number") for name in parts),
    )
    flat = explanation.array.reshape(len(parts), -1)
    if "p" in parts:  # the most certain first, and of these the largest
        order = np.lexsort((-abs(flat[0]), flat[parts.index("p")]))
        places = order if count is None else order[:count]
    else:
        places = _strongest(flat[0], count)
    where = zip(
        _places(explanation, places, [column.kind for column in of_places]),
        _intervals(explanation, 0, places),
        strict=True,
    )
    values = zip(*(_exact(one[places]) for one in flat), strict=True)
    rows = (
        [rank, *place, *bases, *cells]
        for rank, ((place, bases), cells) in enumerate(zip(where, values, strict=True), 1)
    )
    return Rows(columns, rows)


def _strongest(flat: npt.NDArray[Any], count: int | None) -> npt.NDArray[Any]:
    """Return the places of the values of the largest size, of equals the first."""
    import numpy as np

    sizes = np.nan_to_num(abs(flat), nan=0.0, posinf=np.inf)
    order = np.argsort(-sizes, kind="stable")
    return order if count is None else order[: min(count, int(np.count_nonzero(sizes)))]


def _exact(values: npt.NDArray[Any]) -> list[float | None]:
    """Return numbers with the fewest digits that give the same number in single precision again."""
    return [None if value != value else float(str(value)) for value in values]


def _place_columns(explanation: cnnvis.Explanation) -> list[Column]:
    """Return the columns of a place: its position along each axis, and what that position means."""
    found = []
    for name in explanation.axes:
        found.append(Column(name, "integer"))
        axis = explanation.coordinates.get(name)
        if axis is not None:
            kind = _kind([axis.coordinate(0), axis.coordinate(1)])
            if axis.values:
                kind = _kind([_cell(one) for one in axis.values])
            heading = axis.label(name)
            taken = {*explanation.axes, "rank", "value"}
            found.append(Column(f"{heading} at" if heading in taken else heading, kind, axis.unit))
    return found


def _places(
    explanation: cnnvis.Explanation, places: npt.NDArray[Any], kinds: Sequence[Kind]
) -> Iterator[tuple[Cell, ...]]:
    """Yield the cells of `_place_columns`, of these kinds, for places of a flat map."""
    import numpy as np

    shape = explanation.array.shape[1:]
    if not shape:
        return iter([()] * len(places))
    cells: list[Sequence[Cell]] = []
    for name, along in zip(explanation.axes, np.unravel_index(places, shape), strict=True):
        positions = [int(one) for one in along]
        cells.append(positions)
        axis = explanation.coordinates.get(name)
        if axis is not None:
            kind = kinds[len(cells)]
            cells.append([_as(kind, _cell(axis.coordinate(one))) for one in positions])
    return zip(*cells, strict=True)


def _intervals(
    explanation: cnnvis.Explanation, number: int, places: npt.NDArray[Any]
) -> Iterator[tuple[Cell, ...]]:
    """Yield contig, start and end of places of a flat map, as BED has them; nothing without any."""
    import numpy as np

    known = explanation.places
    if known is None:
        yield from [()] * len(places)
        return
    axis = explanation.axes.index(known.axis)
    starts, ends = known.intervals(number)
    for position in np.unravel_index(places, explanation.array.shape[1:])[axis].tolist():
        start, end = int(starts[position]), int(ends[position])
        yield (known.contigs[number], start, end) if start >= 0 else (None, None, None)


def _facts(explanation: cnnvis.Explanation) -> list[tuple[Column, Callable[[int], Cell]]]:
    """Return the columns of what is known of each map, with a function of the map's number."""
    found: list[tuple[Column, Callable[[int], Cell]]] = []
    samples, targets = explanation.samples, explanation.targets
    if samples is not None:
        found.append((Column("image", "integer"), lambda one: int(samples.indices[one])))
        names = samples.names
        if names is not None:
            found.append((Column("name", "text"), lambda one: names[one]))
    titles = [title.replace("\n", ", ") for title in explanation.titles]
    for heading, words in (("group", explanation.groups), ("map", titles)):
        if words:
            found.append((Column(heading, "text"), lambda one, words=words: words[one]))  # type: ignore[misc]
    if samples is not None and samples.labels is not None:
        found.append((Column("label", "text"), samples.label_name))
    if explanation.predictions is not None:
        found.append((Column("prediction", "text"), explanation.answer_name))
    if targets:
        found.append((Column("target", "text"), lambda one: str(targets[one])))
        if any(one.score is not None for one in targets):
            found.append((Column("score", "number"), lambda one: _cell(targets[one].score)))
        if any(one.probability is not None for one in targets):
            found.append(
                (Column("probability", "number"), lambda one: _cell(targets[one].probability))
            )
    for name in explanation.metrics:
        of = explanation.measures[name]
        found.append((Column(name, "number"), lambda one, of=of: _cell(of[one])))  # type: ignore[misc]
    if not found and len(explanation) > 1:
        found.append((Column("map", "integer"), lambda one: one))
    return found
