"""Tracks for genome browsers: what their format asks for, and the values of the maps."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnvis
from cnnvis.reporting import notes_kept

Rows = list[tuple[str, int, int, Any]]


def _explained(
    maps: Any, contigs: Any, starts: Any, steps: Any = None, **settings: Any
) -> cnnvis.Explanation:
    maps = np.asarray(maps, np.float32)
    steps = None if steps is None else np.asarray(steps)
    places = cnnvis.Places(
        "column" if maps.ndim == 3 else "position", tuple(contigs), np.asarray(starts), steps,
        maps.shape[-1], {"chr1": 500, "chr2": 600},
    )  # fmt: skip
    x = np.zeros(maps.shape, np.float32)
    samples = cnnvis.Samples(
        x, np.arange(len(maps)), class_names=["a", "b", "c"][: len(maps)], channel_axis=None,
        places=places,
    )  # fmt: skip
    return cnnvis.Explanation(maps, samples, **settings)


def _written(found: cnnvis.Explanation, path: Path, **options: Any) -> list[Rows]:
    """Write a file, and return the rows of each of its tracks."""
    found.save(path, **options)
    tracks: list[Rows] = []
    for line in path.read_text().splitlines():
        if line.startswith("track"):
            tracks.append([])
            continue
        contig, start, end, value, *_ = line.split("\t")
        tracks = tracks or [[]]
        tracks[-1].append((contig, int(start), int(end), value))
    return tracks


def _require_sound(rows: Rows) -> None:
    for before, after in itertools.pairwise(rows):
        assert before[0] < after[0] or (before[0] == after[0] and before[2] <= after[1])
    assert all(0 <= start < end for _, start, end, _ in rows)


def test_every_position_has_its_value_once(tmp_path: Path) -> None:
    maps = [[0.1, np.nan, -3], [1, 2, 3]]
    found = _explained(maps, ["chr2", "chr1"], [10, 100], [5, -2])
    (rows,) = _written(found, tmp_path / "a.bedgraph")
    assert rows == [
        ("chr1", 94, 96, "3.0"), ("chr1", 96, 98, "2.0"), ("chr1", 98, 100, "1.0"),
        ("chr2", 10, 15, "0.1"), ("chr2", 20, 25, "-3.0"),
    ]  # fmt: skip
    assert np.float32(rows[3][3]) == found.array[0, 0]


def test_sites_at_any_distance_and_two_on_one_base(tmp_path: Path) -> None:
    found = _explained([[1, 2, 4, 8]], ["chr1"], [[7, 30, 30, -1]])
    with notes_kept() as notes:
        (rows,) = _written(found, tmp_path / "a.bdg")
    assert rows == [("chr1", 7, 8, "1.0"), ("chr1", 30, 31, "3.0")]
    assert any("1 base has several" in one for one in notes)
    assert any("1 position without" in one for one in notes)


def test_images_that_overlap_have_tracks_or_means(tmp_path: Path) -> None:
    maps = [[1, 1, 1], [3, 3, 3], [5, 5, 5]]
    found = _explained(maps, ["chr1"] * 3, [0, 15, 30], [10, 10, 10])
    first, second = _written(found, tmp_path / "a.bedgraph")
    for rows in (first, second):
        _require_sound(rows)
    assert len(first) == 6 and len(second) == 3
    (mean,) = _written(found, tmp_path / "mean.bedgraph", overlaps="mean")
    _require_sound(mean)
    at = {base: float(v) for _, start, end, v in mean for base in range(start, end)}
    assert (at[14], at[15], at[29], at[30], at[44], at[45]) == (1, 2, 2, 4, 4, 5)
    assert max(at) == 59 and len(at) == 60
    targets = [cnnvis.Target("out", (i // 2,), None) for i in range(3)]
    by_target = dataclasses.replace(found, targets=tuple(targets))
    assert [len(one) for one in _written(by_target, tmp_path / "b.bedgraph")] == [3, 3, 3]


def test_regions_have_names_scores_and_signs(tmp_path: Path) -> None:
    maps = [[0, 4, 4, 0, -2, 4, 0, 0, 1, 0]]
    found = _explained(maps, ["chr1"], [100], [10])
    (rows,) = _written(found, tmp_path / "a.bed", at=2)
    assert rows == [
        ("chr1", 110, 130, "image0_a+"), ("chr1", 140, 150, "image0_a-"),
        ("chr1", 150, 160, "image0_a+"),
    ]  # fmt: skip
    scores = [line.split("\t")[4] for line in (tmp_path / "a.bed").read_text().splitlines()]
    assert scores == ["1000", "500", "1000"]
    (rows,) = _written(found, tmp_path / "b.bed", at=1, merge=30)
    assert [row[1:3] for row in rows] == [(110, 130), (140, 150), (150, 190)]
    (rows,) = _written(found, tmp_path / "c.bed", percent=10)
    assert [row[1:3] for row in rows] == [(110, 130), (150, 160)]
    for sign, expected in (
        ("positive", [(110, 130), (150, 160), (180, 190)]),  # -2 takes none of the share
        ("negative", [(140, 150)]),
    ):
        (rows,) = _written(found, tmp_path / "d.bed", percent=40, sign=sign)
        assert [row[1:3] for row in rows] == expected
    blank = found.with_maps(np.zeros((1, 10)))
    blank.save(tmp_path / "blank.bed")
    assert (tmp_path / "blank.bed").read_text() == "# no regions\n"


def test_rows_become_one_value_with_a_word(tmp_path: Path) -> None:
    found = _explained([[[1, -6], [2, 2]]], ["chr1"], [0], [3])
    with notes_kept() as notes:
        (rows,) = _written(found, tmp_path / "a.bedgraph")
    assert [row[3] for row in rows] == ["1.5", "-2.0"]
    assert any("the mean over row (2)" in one for one in notes)
    (rows,) = _written(found, tmp_path / "b.bedgraph", over="strongest")
    assert [row[3] for row in rows] == ["2.0", "-6.0"]


def test_tables_have_the_bases_of_each_place(tmp_path: Path) -> None:
    _explained([[[1, -6], [2, 2]], [[0, 0], [0, 9]]], ["chr2", "chr1"], [[3, 70], [5, -1]]).save(
        tmp_path / "a.tsv", count=2
    )
    heading, *rows = [line.split("\t") for line in (tmp_path / "a.tsv").read_text().splitlines()]
    assert heading[-4:] == ["contig", "start", "end", "value"]
    assert [row[-4:] for row in rows] == [
        ["chr2", "70", "71", "-6.0"], ["chr2", "3", "4", "2.0"], ["", "", "", "9.0"]
    ]  # fmt: skip


def test_axes_of_all_images_alike_need_a_contig(tmp_path: Path) -> None:
    axis = cnnvis.Axis(unit="kb", start=2, step=0.5)
    found = cnnvis.Explanation(np.ones((2, 4)), coordinates={"position": axis})
    with pytest.raises(cnnvis.UserError, match=r"no contig is known: .*--bed.contig"):
        found.save(tmp_path / "a.bed")
    rows, again = _written(found, tmp_path / "a.bedgraph", contig="chrX")
    assert rows == again and rows[1] == ("chrX", 2500, 3000, "1.0")
    values = cnnvis.Axis(unit="bp", values=(5, 9, 1000, 2))
    found = cnnvis.Explanation(np.arange(4.0)[None], coordinates={"position": values})
    (rows,) = _written(found, tmp_path / "b.bedgraph", contig="chrX")
    assert [row[1] for row in rows] == [2, 5, 9, 1000] and rows[0][3] == "3.0"
    with pytest.raises(cnnvis.UserError, match=r"no places in a genome\. .*--fasta.intervals"):
        cnnvis.Explanation(np.ones((2, 4))).save(tmp_path / "c.bed")
    for name in ("chr 1", "a\tb", "#1", "track", "\u202ex"):
        with pytest.raises(cnnvis.UserError, match="contig"):
            found.save(tmp_path / "d.bed", contig=name)


def test_bigwig_holds_the_same_values(tmp_path: Path) -> None:
    pybigtools = pytest.importorskip("pybigtools")
    found = _explained([[1, 2, np.nan], [3, 4, 5]], ["chr2", "chr1"], [10, 100], [5, 2])
    found.save(tmp_path / "a.bw")
    with pybigtools.open(str(tmp_path / "a.bw")) as file:
        assert file.chroms() == {"chr1": 500, "chr2": 600}
        assert [*file.records("chr2")] == [(10, 15, 1.0), (15, 20, 2.0)]
        assert [*file.records("chr1")] == [(100, 102, 3.0), (102, 104, 4.0), (104, 106, 5.0)]
    sizes = tmp_path / "chrom.sizes"
    sizes.write_text("chr1\t104\nchr2\t600\n")
    with pytest.raises(cnnvis.UserError, match=r"reach base 106 of 'chr1', which has 104"):
        found.save(tmp_path / "b.bw", sizes=str(sizes))
    sizes.write_text("chr1\t1040\n")
    with pytest.raises(cnnvis.UserError, match="length of the contig 'chr2' is not known"):
        found.save(tmp_path / "b.bw", sizes=str(sizes))
    sizes.write_text("chr1\tlong\n")
    with pytest.raises(cnnvis.UserError, match=r"line 1 of .* must be a contig and its length"):
        found.save(tmp_path / "b.bw", sizes=str(sizes))
    assert not (tmp_path / "b.bw").exists()


def test_pictures_number_each_map_by_its_own_place(tmp_path: Path) -> None:
    maps = np.tile(np.arange(40.0), (2, 1))
    found = _explained(maps, ["chr1", "chr2"], [100, 7_000_040], [1, -1])
    found.save(tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    for word in ("chr1 (bp)", "chr2 (bp)", "120", "7,000,020"):
        assert f"<!-- {word} -->" in drawn, word
    places = cnnvis.Places("row", ("a", "b"), np.array([100_000, 0]), np.array([500, 500]), 40)
    square = cnnvis.Samples(np.zeros((2, 40, 30)), channel_axis=None, places=places)
    cnnvis.Explanation(np.ones((2, 40, 30)), square).save(tmp_path / "b.svg")
    drawn = (tmp_path / "b.svg").read_text()
    for word in ("a (bp)", "b (bp)", "105,000", "5,000"):
        assert f"<!-- {word} -->" in drawn, word
    found.save(tmp_path / "a.html")
    assert "chr2:7,000,001" in (tmp_path / "a.html").read_text()
