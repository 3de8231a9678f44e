"""Columns of tables beside the data: a value for each image, such as its subject or its condition."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cnnvis.data.lazy import Array
from cnnvis.errors import UserError, nearest, numbered, shown
from cnnvis.files.reading import read_text
from cnnvis.reporting import note

_TABLE = re.compile(r"^(?P<file>.*\.(?:csv|tsv))(?::(?P<columns>[^:/\\]*))?$", re.IGNORECASE)

PLACES, NAMES = ("image", "index"), ("name", "file")
"""Headings of columns that say which image a line is about: its number in the data, or its name."""


ENDINGS = (
    ".nii.gz", ".nii", ".dcm", ".wav", ".wave", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp",
    ".vcf.gz", ".vcf", ".bcf",
)  # fmt: skip
"""Endings of files, which tables of subjects leave out of names."""


def without_ending(name: str) -> str:
    """Return a name without the ending of a file: ``s03`` for ``s03.nii.gz``."""
    ending = next((one for one in ENDINGS if name.lower().endswith(one)), "")
    return name[: len(name) - len(ending)] or name


def is_table(words: str) -> bool:
    """Tell whether words name a table: ``subjects.tsv``, or a column in it, ``subjects.tsv:age``."""
    return _TABLE.match(words.strip()) is not None


class NumberedImages(Protocol):
    """Images that lines of a table are about, such as `cnnvis.Samples`."""

    @property
    def indices(self) -> Array:
        """The place of each image in the whole data set, (n,) int64."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The name of each image, or None."""

    @property
    def total(self) -> int | None:
        """The number of images in the whole data set; None where it is not known."""


@dataclass
class _Seen:
    """Images that a column was asked about, batch by batch: the line of each name, and the numbers."""

    names: dict[int, str] = field(default_factory=dict)
    images: set[int] = field(default_factory=set)
    is_said: bool = False


@dataclass(frozen=True)
class Column:
    """Values of a column, matched to images.

    Attributes
    ----------
    source
        The file and the column in words.
    values
        The values in the order of the lines.
    key
        The heading of the column that says which image a line is about; empty where the lines follow
        the order of the images.
    places
        The line of each image, by its number or its name. A name may lack its ending, as `s03` for
        the image ``s03.nii.gz``, if no other image has this name without its ending.
    file
        The file in words.
    """

    source: str
    values: tuple[str, ...]
    key: str
    places: Mapping[str | int, int]
    file: str = ""
    _seen: _Seen = field(default_factory=_Seen, repr=False, compare=False)

    def of(self, samples: NumberedImages) -> list[str]:
        """Return the value of each sample.

        Raises
        ------
        UserError
            If an image has no line or no value, or there are more lines than images.
        """
        found = []
        for position, value in enumerate(self.found(samples)):
            if not value:
                name = self._key_of(samples, position)
                known = [one for one in self.places if isinstance(one, str)]
                near = nearest(name, known) if isinstance(name, str) else ""
                raise UserError(
                    f"{self.source}: there is no value for the image {shown(name)}{near and '.'}{near}"
                )
            found.append(value)
        return found

    def found(self, samples: NumberedImages) -> list[str | None]:
        """Return the value of each sample; empty where it has none, None where no line is about it.

        Once all images of the data have been asked about, a note names lines that are about none.

        Raises
        ------
        UserError
            If there are more lines than images, or the table counts or names other images, or a name
            without an ending may be that of two.
        """
        if self.key in NAMES and samples.names is None:
            raise UserError(
                f"{self.source}: the column {self.key!r} holds names, and the images of these data have "
                "none: number the images from 0 in a column image"
            )
        if not self.key and samples.total is not None and len(self.values) != samples.total:
            raise UserError(
                f"{self.source}: the table holds {numbered(len(self.values), 'line')} and the data "
                f"{numbered(samples.total, 'image')}. Without a column image or name, a line stands for "
                "each image, in the order of the data"
            )
        # A table may be about more images than these data; but this one counts from 1.
        total = samples.total
        if self.key in PLACES and total and total in self.places and 0 not in self.places:
            raise UserError(
                f"{self.source}: the table is about image {total} and not about image 0, and the data hold "
                f"images 0 to {total - 1}; images are counted from 0"
            )
        lines = [self._line(self._key_of(samples, i)) for i in range(len(samples.indices))]
        self._say_of_others(samples)
        return [None if line is None else self.values[line] for line in lines]

    def _line(self, key: str | int) -> int | None:
        """Return the line about an image."""
        line = self.places.get(key)
        if not isinstance(key, str):
            return line
        if line is None:
            line = self.places.get(without_ending(key))
        if line is not None:
            other = self._seen.names.setdefault(line, key)
            if other != key:
                raise UserError(
                    f"{self.source}: the line about {shown(without_ending(key))} may be about the image "
                    f"{shown(other)} or {shown(key)}: write whole names"
                )
        return line

    def _say_of_others(self, samples: NumberedImages) -> None:
        """Make a note on lines about images that the data do not have: a slip, or a larger study."""
        seen = self._seen
        if seen.is_said or not self.key or samples.total is None:
            return
        seen.images.update(int(one) for one in samples.indices)
        if len(seen.images) < samples.total:  # some images may have been asked for alone
            return
        seen.is_said = True
        if self.key in NAMES:
            others = [one for one, line in self.places.items() if line not in seen.names]
        else:
            others = [one for one in self.places if one not in seen.images]
        if others:
            is_one = len(others) == 1
            verb = ("names" if is_one else "name") if self.key in NAMES else ("is about" if is_one else "are about")  # fmt: skip
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            note(
                f"{numbered(len(others), 'line')} of {self.file} {verb} no image of these data: "
                f"{', '.join(map(shown, others[:3]))}{more}"
            )

    def _key_of(self, samples: NumberedImages, position: int) -> str | int:
        is_by_name = self.key in NAMES and samples.names
        return samples.names[position] if is_by_name else int(samples.indices[position])  # type: ignore[index]


def columns_of(words: str, beside: str | None = None) -> list[Column]:
    """Return columns of a table beside the data, or the one of a file with a value a line.

    Parameters
    ----------
    words
        ``FILE.tsv:COLUMN``, or several columns with commas between; a table of a single column besides
        that of images needs no name. Without a table's ending: a file with a value for each
        image, one a line, without a heading; or a column of the table `beside`.
    beside
        Another option that may name a table.

    Raises
    ------
    UserError
        If the file cannot be read, or has no such column, or an image stands in it twice.
    """
    match = _TABLE.match(words.strip())
    known = _TABLE.match(beside.strip()) if beside else None
    if match is None and known is not None and not Path(words).is_file():
        return _of_table(Path(known["file"]), words)
    if match is None:
        try:
            lines = read_text(Path(words)).removesuffix("\n").split("\n")
        except UserError as error:
            raise UserError(
                f"{words!r} is neither a column of a table, such as facts.tsv:subject, nor a file with a "
                f"value for each image, one a line: {error}"
            ) from error
        values = tuple(line.strip() for line in lines)
        return [Column(repr(words), values, "", {line: line for line in range(len(values))})]
    return _of_table(Path(match["file"]), match["columns"] or "")


def headings_of(path: Path) -> tuple[str, ...]:
    """Return the headings of a table's columns.

    Raises
    ------
    UserError
        If the file cannot be read, or is no table.
    """
    return tuple(_read(path)[0])


def column_named(path: Path, name: str) -> Column:
    """Return a column of a table by its heading, which may hold commas.

    Raises
    ------
    UserError
        If the file cannot be read, or has no such column.
    """
    return _columns(path, *_read(path), [name])[0]


def _of_table(path: Path, names: str) -> list[Column]:
    heading, rows = _read(path)
    every = [one for one in heading if one not in (*PLACES, *NAMES)]
    if not names.strip() and len(every) != 1:
        raise UserError(
            f"{str(path)!r} has {numbered(len(every), 'column')}, {', '.join(every[:20])}: choose one by its "
            f"heading, {path}:{every[0] if every else 'COLUMN'}"
        )
    asked = [one.strip() for one in names.split(",") if one.strip()] or every
    return _columns(path, heading, rows, asked)


def _columns(
    path: Path, heading: list[str], rows: list[list[str]], asked: Sequence[str]
) -> list[Column]:
    for one in asked:
        if one not in heading:
            raise UserError(
                f"{str(path)!r} has no column {one!r}.{nearest(one, heading)} It has: "
                f"{', '.join(heading[:20])}."
            )
    key = next((one for one in (*PLACES, *NAMES) if one in heading), "")
    named = [row[heading.index(key)] for row in rows] if key else None
    places = _places(path, key, named, len(rows))
    return [
        Column(
            f"{str(path)!r}, column {one!r}",
            tuple(row[heading.index(one)] for row in rows),
            key,
            places,
            repr(str(path)),
        )
        for one in asked
    ]


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the lines of a table, each as long as the heading."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        lines = [
            [entry.strip() for entry in line]
            for line in csv.reader(io.StringIO(read_text(path)), delimiter=delimiter)
            if any(entry.strip() for entry in line)
        ]
    except csv.Error as error:
        raise UserError(f"{str(path)!r} is no table: {error}") from error
    if len(lines) < 2:
        raise UserError(f"{str(path)!r} must hold a line of headings, and a line for each image")
    heading, rows = lines[0], lines[1:]
    twice = next((one for one in heading if heading.count(one) > 1), None)
    if twice is not None:
        raise UserError(f"{str(path)!r}: two columns have the heading {twice!r}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(heading):
            raise UserError(
                f"{str(path)!r}, line {number} of those that are not empty: {numbered(len(row), 'entry')} "
                f"under {numbered(len(heading), 'heading')}".replace("entrys", "entries")
            )
    return heading, rows


def _places(path: Path, key: str, named: Sequence[str] | None, count: int) -> dict[str | int, int]:
    if named is None:
        return {line: line for line in range(count)}
    found: dict[str | int, int] = {}
    for line, text in enumerate(named):
        image: str | int = text
        if key in PLACES:
            if not text.isascii() or not text.isdecimal() or len(text) > 18:
                raise UserError(
                    f"{str(path)!r}: the column {key!r} holds {shown(text)}, and must hold the number of an "
                    "image, counted from 0"
                )
            image = int(text)
        if image in found:
            raise UserError(f"{str(path)!r}: two lines are about the image {shown(image)}")
        found[image] = line
    return found
