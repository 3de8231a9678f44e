"""Tables that are taken away hold what was found: each number with all its digits, each name harmless."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.execution.calls import call_plugin
from cnnvis.registry.discovery import registry
from cnnvis.reporting import notes_kept

RNG = np.random.default_rng(0)
EVIL = (
    "=cmd|' /C calc'!A0", "+1+cmd", "@SUM(1)", "-2+3", "  =1+1", "\uff1d1+1", "-7", "a\tb\n\x1b[31m", "x,\"y\"",
)  # fmt: skip


def _written(name: str, found: cnnvis.Explanation, folder: Path, **options: Any) -> Path:
    path = folder / f"table.{name}"
    options = {"count": 20, **options}
    if name in ("csv", "tsv"):
        options = {"safe": True, "origin": False, **options}
    call_plugin(registry().get("renderer", name), found, path, **options)
    return path


def _rows(path: Path) -> list[dict[str, str]]:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    return list(csv.DictReader(io.StringIO(path.read_text()), delimiter=delimiter))


def _found(*shape: int, **facts: Any) -> cnnvis.Explanation:
    maps = RNG.normal(size=(3, *shape)).astype(np.float32)
    maps.reshape(3, -1)[1, :4] = [np.nan, 0, -9, 9]
    samples = cnnvis.Samples(
        np.zeros((3, *shape, 1)), [0, 1, 0], names=EVIL[:3], class_names=("no", "yes")
    )[[2, 0, 1]]
    targets = [cnnvis.Target("out", (1,), ("yes",), score, 0.25) for score in (1e-7, 2.5, 1 / 3)]
    axes = cnnvis.axis_names(len(shape), None)
    axis = cnnvis.Axis("place", "bp", start=1_303_120, step=0.1)
    return cnnvis.Explanation(
        maps, samples, targets=tuple(targets), predictions=np.array([1, 0, 1]),
        provenance={"technique": "saliency", "options": {}, "model": {"sha256": "ab"}},
        coordinates={axes[-1]: axis}, **facts,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(30,), (5, 6), (2, 3, 5)])
def test_rows_are_the_strongest_places(shape: tuple[int, ...], tmp_path: Path) -> None:
    found = _found(*shape)
    rows = _rows(_written("tsv", found, tmp_path, count=7))
    assert len(rows) == 21 and [int(row["rank"]) for row in rows] == [*range(1, 8)] * 3
    for number, one in enumerate(found.array):
        sizes = np.sort(abs(one[np.isfinite(one)]))[::-1]
        for rank, row in enumerate(rows[7 * number :][:7]):
            place = tuple(int(row[name]) for name in found.axes)
            assert np.float32(row["value"]) == one[place] and abs(one[place]) == sizes[rank]
            assert float(row["place (bp)"]) == round(1_303_120 + 0.1 * place[-1], 1)
    first = rows[7]  # of equal sizes, the first place
    assert (first["value"], first[found.axes[-1]]) == ("-9.0", "2")
    known = ("image", "name", "label", "prediction", "target", "score", "probability")
    assert [first[name] for name in known] == [
        "0", "'=cmd|' /C calc'!A0", "no", "no", "out[yes]", "2.5", "0.25",
    ]  # fmt: skip
    assert rows[14]["score"] == repr(1 / 3) and rows[0]["score"] == "1e-07"
    every = _rows(_written("csv", found, tmp_path, count=None))
    assert len(every) == found.array.size
    assert sum(row["value"] == "" for row in every) == 1  # NaN
    assert len(_rows(_written("csv", found, tmp_path, count=10_000))) == found.array.size - 2


def test_json_and_parquet_hold_the_same_rows_and_the_origin(tmp_path: Path) -> None:
    found = _found(5, 6)
    text = _rows(_written("tsv", found, tmp_path, safe=False, count=None))
    held = json.loads(_written("json", found, tmp_path, count=None).read_text())
    assert held["format"] == "cnnvis table" and held["format_version"] == 1
    assert held["provenance"]["model"]["sha256"] == "ab"
    types = {column["name"]: (column["type"], column["unit"]) for column in held["columns"]}
    assert types["place (bp)"] == ("number", "bp") and types["row"] == ("integer", None)
    assert [
        {k: "" if v is None else str(v) for k, v in row.items()} for row in held["rows"]
    ] == text
    assert [row["value"] for row in held["rows"]].count(None) == 1
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = _written("parquet", found, tmp_path, count=None)
    table = parquet.read_table(path)
    assert table.to_pylist() == held["rows"]
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (kinds["row"], kinds["value"], kinds["name"]) == ("int64", "double", "string")
    about = json.loads(table.schema.metadata[b"cnnvis"])
    assert about == {key: held[key] for key in about} and about["provenance"]


def test_a_table_is_written_with_its_types(tmp_path: Path) -> None:
    table = {
        "name": EVIL,
        "count": [1303120, *range(8)],
        "share": [1 / 3, None, float("nan"), np.float32(0.5), 3, 1e-300, 1.30312e6, -1.0, np.inf],
        "right": [True, False, None, np.True_, *[False] * 5],
        "mixed": ["none", 1, 2, 3, 4, 5, 6, 7, 8],
        "=heading": [(1, 2)] * 9,
    }
    found = cnnvis.Explanation(table=table, provenance={"technique": "get-labels", "options": {}})
    with notes_kept() as notes:
        rows = _rows(_written("csv", found, tmp_path))
    assert [row["count"] for row in rows[:2]] == ["1303120", "0"]
    assert [row["share"] for row in rows] == [
        repr(1 / 3), "", "", "0.5", "3.0", "1e-300", "1303120.0", "-1.0", "inf",
    ]  # fmt: skip
    assert [row["right"] for row in rows[:4]] == ["true", "false", "", "true"]
    for row, name in zip(rows, EVIL, strict=True):
        is_formula = name.strip()[0] in "=+-@\uff1d" and name != "-7"
        assert row["name"] == ("'" if is_formula else "") + cnnvis.printable(name)
    assert "'=heading" in rows[0]
    assert (
        len(notes) == 1
        and "7 cells begin as formulas of a spreadsheet" in notes[0]
        and "--csv.no-safe" in notes[0]
    )
    assert "\x1b" not in (tmp_path / "table.csv").read_text()
    raw = _rows(_written("tsv", found, tmp_path, safe=False))
    assert raw[0]["name"] == EVIL[0] and "=heading" in raw[0]
    held = json.loads(_written("json", found, tmp_path).read_text())
    assert [column["type"] for column in held["columns"]] == [
        "text", "integer", "number", "boolean", "text", "text",
    ]  # fmt: skip
    assert [row["name"] for row in held["rows"]] == list(EVIL)
    assert held["rows"][8]["share"] is None and held["rows"][0]["mixed"] == "none"
    lines = _written("tsv", found, tmp_path, origin=True).read_text().splitlines()
    assert lines[0] == '# format: "cnnvis table"' and '"get-labels"' in lines[5]
    with pytest.raises(cnnvis.UserError, match="a table without columns"):
        _written("csv", cnnvis.Explanation(table={}), tmp_path)


def test_a_comparison_of_groups_is_a_row_a_place(tmp_path: Path) -> None:
    difference = np.array([0.5, -2, 0, 1], np.float32)
    p = np.array([0.01, 0.5, 1, 0.01], np.float32)
    facts: Any = {
        "axes": ("position",),
        "coordinates": {"position": cnnvis.Axis(values=("CEU", "CEU", "YRI", "CHB"))},
        "provenance": {"technique": "saliency", "options": {}, "comparison": {}},
    }
    found = cnnvis.Explanation(
        np.stack([difference, p]), groups=("difference", "p"), titles=("d", "p"), **facts
    )
    rows = _rows(_written("tsv", found, tmp_path))
    assert rows[0] == {
        "rank": "1", "position": "3", "position at": "CHB", "difference": "1.0", "p": "0.01",
    }  # fmt: skip
    assert [row["position"] for row in rows] == ["3", "0", "1", "2"]
    found = cnnvis.Explanation(
        np.stack([difference, -p]), groups=("difference", "low"), titles=("d", "l"), **facts
    )
    rows = _rows(_written("tsv", found, tmp_path))
    assert [row["position"] for row in rows] == ["1", "3", "0"] and rows[0]["low"] == "-0.5"


def test_groups_pictures_and_single_numbers(tmp_path: Path) -> None:
    facts: Any = {"provenance": {"technique": "x", "options": {}}}
    means = cnnvis.Explanation(
        np.ones((2, 3)), groups=("a", "b"), titles=("mean of a", "mean of b"), **facts
    )
    rows = _rows(_written("csv", means, tmp_path))
    assert len(rows) == 6 and (rows[3]["group"], rows[3]["map"]) == ("b", "mean of b")
    rows = _rows(_written("csv", cnnvis.Explanation(np.array([2.0, 3.0]), **facts), tmp_path))
    assert rows == [{"rank": "1", "map": "0", "value": "2.0"}, {"rank": "1", "map": "1", "value": "3.0"}]  # fmt: skip
    blank = _written("json", cnnvis.Explanation(np.zeros((1, 3)), **facts), tmp_path)
    assert json.loads(blank.read_text())["rows"] == []
    pytest.importorskip("pyarrow")
    assert (
        _written("parquet", cnnvis.Explanation(np.zeros((1, 3)), **facts), tmp_path).stat().st_size
    )


def test_parquet_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(cnnvis.UserError, match=r"pyarrow.*pip install"):
        _written("parquet", cnnvis.Explanation(np.zeros((1, 3))), tmp_path)


@pytest.mark.slow
def test_tables_are_typed(typed: Callable[..., Any], tmp_path: Path) -> None:
    done = typed("run", "get-predictions", "demo", "-im", "0-5", "-o", "said.tsv")
    assert done.returncode == 0, done.stderr
    assert _rows(tmp_path / "said.tsv")[1]["prediction"] == "neutral"
    # What was written is a table to choose images by, and asks no network.
    done = typed("run", "get-labels", "demo", "-im", "said.tsv: p>0.999 and prediction=sweep")
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["0", "2", "4"]
    done = typed(
        "run", "saliency", "demo", "-im", "0", "-r", "json", "tsv", "--json.count", "3", "--tsv.count", "none",
        "--checks", "none", "-o", "maps/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (one,) = (tmp_path / "maps").glob("*.json")
    held = json.loads(one.read_text())
    assert len(held["rows"]) == 3 and held["provenance"]["model"]["sha256"]
    assert held["command"].split()[-3:] == ["saliency", "\\", "json"]
    assert len(_rows(next((tmp_path / "maps").glob("*.tsv")))) == 64 * 64
