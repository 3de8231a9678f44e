"""Columns of tables beside the data, matched to images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnnvis
from cnnvis.data.columns import columns_of, is_table
from cnnvis.reporting import notes_kept

SAMPLES = cnnvis.Samples(np.zeros((4, 2)), names=("d.png", "c.png", "b.png", "a.png"))


def _written(folder: Path, text: str, name: str = "facts.tsv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_columns_by_order_by_number_and_by_name(tmp_path: Path) -> None:
    for text, expected in (
        ("subject\tage\nu\t1\nv\t2\nw\t3\nx\t4\n", "uvwx"),
        ("image\tsubject\n3\tx\n0\tu\n2\tw\n1\tv\n\n7\ty\n", "uvwx"),
        ("subject\tname\nu\td.png\nx\ta.png\nv\tc.png\nw\tb.png\n", "uvwx"),
        ("\ufeffindex\tsubject\n0\t u \n1\tv\n2\tw\n3\tx\n", "uvwx"),
    ):
        file = _written(tmp_path, text)
        (column,) = columns_of(f"{file}:subject")
        assert "".join(column.of(SAMPLES)) == expected
        # A batch, out of order.
        assert "".join(column.of(SAMPLES[[3, 1]])) == expected[3] + expected[1]
    file = _written(tmp_path, 'age,"a, b"\n1,"x, y"\n2,z\n3,z\n4,z\n', "facts.CSV")
    both = columns_of(f"{file}:age")
    assert both[0].of(SAMPLES) == ["1", "2", "3", "4"]
    assert columns_of("age", file)[0].values == both[0].values
    assert [one.of(SAMPLES)[0] for one in columns_of(_written(tmp_path, "a\tb\n1\t2\n3\t4\n5\t6\n7\t8\n") + ":b,a")] == ["2", "1"]  # fmt: skip
    only = _written(tmp_path, "image\tgroup\n0\tlow\n1\thigh\n2\tlow\n3\tlow\n")
    assert columns_of(only)[0].of(SAMPLES) == ["low", "high", "low", "low"]
    lines = _written(tmp_path, "u\nv\nw\nx\n", "subjects.txt")
    assert columns_of(lines)[0].of(SAMPLES[[2]]) == ["w"]
    assert is_table("a/b.tsv") and is_table("C:\\a.csv:b c") and not is_table("label")


@pytest.mark.parametrize(
    ("text", "words", "sentence"),
    [
        ("a\tb\n1\t2\n", ":c", r"no column 'c'\..* It has: a, b"),
        ("a\tb\n1\t2\n", "", r"has 2 columns, a, b: choose one"),
        ("a\n1\n2\n", ":a", r"holds 2 lines and the data 4 images"),
        ("image\ta\n0\t1\n1\t2\n2\t3\n", ":a", "no value for the image 3"),
        ("image\ta\n0\t1\n1\t\n2\t3\n3\t1\n", ":a", "no value for the image 1"),
        ("name\ta\nd.png\t1\n", ":a", r"no value for the image 'c\.png'"),
        ("image\ta\n0\t1\n0\t2\n", ":a", "two lines are about the image 0"),
        ("image\ta\n-1\t1\n", ":a", "holds '-1', and must hold the number of an image"),
        ("a\ta\n1\t1\n", ":a", "two columns have the heading 'a'"),
        ("a\tb\n1\n", ":a", "line 2 .*: 1 entry under 2 headings"),
        ("a\tb\n", ":a", "a line of headings, and a line for each image"),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, text: str, words: str, sentence: str) -> None:
    file = _written(tmp_path, text)
    with pytest.raises(cnnvis.UserError, match=sentence):
        columns_of(file + words)[0].of(SAMPLES)


def test_names_without_endings_and_names_of_other_images(tmp_path: Path) -> None:
    samples = cnnvis.Samples(np.zeros((3, 2)), names=("s1.nii.gz", "s2.NII", "v.1"))
    text = "name\tage\ns1\t1\ns2\t2\nv.1\t3\ns07\t4\ns1.png\t5\n"
    (column,) = columns_of(_written(tmp_path, text))
    with notes_kept() as notes:
        assert column.of(samples[[2, 1]]) == ["3", "2"] and not notes
        assert column.of(samples[[0]]) == ["1"]
    assert [one.partition("facts.tsv'")[2] for one in notes] == [
        " name no image of these data: 's07', 's1.png'"
    ]
    (by_number,) = columns_of(_written(tmp_path, "image\tage\n0\t1\n1\t2\n2\t3\n9\t4\n"))
    with notes_kept() as notes:
        by_number.of(samples)
    assert "1 line of" in notes[0] and notes[0].endswith("is about no image of these data: 9")
    (column,) = columns_of(_written(tmp_path, text))
    column.of(samples)
    twice = cnnvis.Samples(np.zeros((1, 2)), names=("s1.nii",))
    with pytest.raises(cnnvis.UserError, match=r"may be about the image 's1.nii.gz' or 's1.nii'"):
        column.of(twice)
    with pytest.raises(cnnvis.UserError, match=r"no value for the image 'S07'\. .*'s07'"):
        column.of(cnnvis.Samples(np.zeros((1, 2)), names=("S07",)))


def test_names_of_images_without_names(tmp_path: Path) -> None:
    file = _written(tmp_path, "name\ta\nd.png\t1\n")
    samples = cnnvis.Samples(np.zeros((1, 2)))
    with pytest.raises(cnnvis.UserError, match="number the images from 0 in a column image"):
        columns_of(file)[0].of(samples)
    with pytest.raises(cnnvis.UserError, match="cannot be read"):
        columns_of(str(tmp_path / "none.tsv"))
