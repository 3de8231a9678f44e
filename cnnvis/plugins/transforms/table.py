"""Maps as a table with the known facts about each map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cnnvis


@cnnvis.transform("table", takes=("images", "groups", "pictures"), gives="table")
def table(stream: cnnvis.Stream) -> cnnvis.Explanation:
    """A table with a row for each map: image, label, target, score and measures.

    Of compare-groups, a row for each region or cluster in which groups differ.
    """
    columns: dict[str, list[object]] = {}
    count = 0
    first = None
    for batch in stream:
        first = batch if first is None else first
        regions = batch.provenance.get("comparison", {}).get("regions")
        if regions is not None:
            return _of_rows(regions, batch)
        for place in range(len(batch)):
            row = _row(batch, place)
            for name in row:
                columns.setdefault(name, [None] * count)
            for name, column in columns.items():
                column.append(row.get(name))
            count += 1
    if first is None:
        raise cnnvis.UserError("there is no map to make a table of")
    return cnnvis.Explanation(
        table=columns, notes=first.notes, provenance=first.provenance, input=first.input
    )


def _of_rows(rows: Sequence[Mapping[str, Any]], found: cnnvis.Explanation) -> cnnvis.Explanation:
    """Return a table of rows with the same columns; without rows, it says so."""
    facts = found.provenance["comparison"]
    count = facts.get("regions in all", 0)  # which files of earlier versions do not have
    if count > len(rows):
        cnnvis.note(f"the table holds the {len(rows)} strongest of {count:,} regions")
    rows = rows or [{"region": "none", "smallest p": facts["smallest p"]}]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return cnnvis.Explanation(
        table=columns, notes=found.notes, provenance=found.provenance, input=found.input
    )


def _row(explanation: cnnvis.Explanation, place: int) -> dict[str, object]:
    samples, row = explanation.samples, dict[str, object]()
    if samples is not None:
        row["image"] = int(samples.indices[place])
        label = samples.label_name(place)
        if label is not None:
            row["label"] = label
    if explanation.places is not None:
        row["place"] = explanation.places.window(place)
    for name, words in (("group", explanation.groups), ("title", explanation.titles)):
        if words:
            row[name] = words[place]
    if explanation.targets:
        target = explanation.targets[place]
        row["target"] = str(target)
        if target.score is not None:
            row["score"] = target.score
        if target.probability is not None:
            row["probability"] = target.probability
    for name, values in explanation.measures.items():
        row[name.replace("_", " ")] = float(values[place])
    return row
