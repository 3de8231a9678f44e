"""Reader of sequences of bases from FASTA files, as one-hot arrays."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cnnvis
from cnnvis.plugins.readers._intervals import (
    gathered,
    labels_in,
    of_one_width,
    tiled,
)

LETTERS = "ACGT"
_WIDEST = 2**24  # bases of one image, 256 MB
_MOST = _MOST_RECORDS = 10**7
_LARGE = 10**8  # bytes; finding the sequences of such a file takes a while


_ENDINGS = (".fa", ".fasta", ".fna")
_PACKED = tuple(f"{ending}.gz" for ending in _ENDINGS)


@cnnvis.reader("fasta", suffixes=(*_ENDINGS, *_PACKED), requires=("pyfaidx",), extra="fasta")
def fasta(
    path: Path,
    *,
    intervals: str | None = None,
    width: cnnvis.Count | None = None,
    center: Literal["middle", "summit"] = "middle",
    step: cnnvis.Count | None = None,
    label: cnnvis.Count | None = None,
    channels: Literal["last", "first"] = "last",
) -> cnnvis.Samples:
    """Read sequences as one-hot images, a channel each for A, C, G and T, by pyfaidx.

    With a BED file of intervals, each interval is an image; an interval on the strand - is read
    backwards and complemented. Without intervals, each sequence of the file is an image. Any other
    letter, such as N, is 0 in all channels; small letters count as large ones, and U as T. A genome
    is read as its images are needed.

    Parameters
    ----------
    intervals
        A BED file; its strands, in column 6, are followed.
    width
        The number of bases of each image: intervals are widened or cut about their middle. By
        default as wide as the intervals are, if all have one width.
    center
        What stays in the middle: the middle of an interval, or the summit, which narrowPeak files
        give in column 10.
    step
        Instead of a single image about the middle, make images of the width all along each sequence
        or interval, so many bases from one to the next.
    label
        The column of the BED file with labels, counted from 1: words, or numbers of classes.
    channels
        Where the axis of the four letters is: last, (bases, 4), or first, (4, bases).
    """
    if path.name.lower().endswith(_PACKED):
        raise cnnvis.UserError(
            f"{str(path)!r} is packed, and intervals are read from unpacked files alone: gunzip -k {path.name}"
        )
    genome = _Genome(path, cnnvis.held(path))
    if intervals is not None:
        chosen = cnnvis.intervals_in(Path(intervals))
    else:
        if label is not None:
            raise cnnvis.UserError("--fasta.label is a column of --fasta.intervals FILE.bed")
        chosen = genome.records()
    if step is None:
        chosen = of_one_width(chosen, width, center, "fasta")
    elif width is None or center != "middle":
        raise cnnvis.UserError("--fasta.step needs a width, --fasta.width N, and no --fasta.center")
    else:
        genome.require_within(chosen)
        chosen = tiled(chosen, width, step, _MOST)
    if chosen[0].end - chosen[0].start > _WIDEST:
        raise cnnvis.UserError(
            f"{chosen[0].words} has more than {_WIDEST:,} bases, too many for an image: choose intervals "
            "with --fasta.intervals FILE.bed"
        )
    genome.require_within(chosen)
    labels = labels_in(chosen, label)
    return cnnvis.Samples(
        _Windows(genome, chosen, is_first=channels == "first"),
        labels,
        names=_names(chosen, labels) if step is None else None,
        channel_axis=1 if channels == "first" else -1,
        coordinates={"channel": cnnvis.Axis("base", values=tuple(LETTERS))},
        places=_places(chosen, genome),
        reading=cnnvis.Reading(_remedy if intervals is not None else _remedy_of_sequences),
    )


def _remedy(wanted: tuple[int | None, ...]) -> str:
    """Return what to type for a network that takes images of another shape."""
    sizes = [size for size in wanted if size != 1]
    if len(sizes) != 2 or 4 not in sizes:
        return ""
    first = sizes[0] == 4 and sizes[1] != 4
    width = sizes[1] if first else sizes[0]
    words = [] if width is None else [f"--fasta.width {width}"]
    return f"read them with {' '.join([*words, '--fasta.channels first' if first else ''])}".strip()


def _remedy_of_sequences(wanted: tuple[int | None, ...]) -> str:
    found = _remedy(wanted)
    more = "with --fasta.step N for images N bases apart, or --fasta.intervals FILE.bed for some of them"
    return f"{found}, {more}" if found else ""


def _names(chosen: Sequence[cnnvis.Interval], labels: Any) -> tuple[str, ...] | None:
    """Return the names of intervals, from column 4 of their file; None where they have none."""
    cells = [one.cells[3] if len(one.cells) > 3 else "" for one in chosen]
    told = labels is not None and [*map(str, labels)] == cells
    return None if told or len({*cells} - {"", "."}) < 2 else tuple(cells)


def _places(chosen: Sequence[cnnvis.Interval], genome: _Genome) -> cnnvis.Places:
    """Return the places of intervals, or of what was cut out of a genome and is named after its place."""
    import numpy as np

    cut = [_cut_out(one, genome.sizes.get(one.contig, 0)) for one in chosen]
    known = [one for one in cut if one is not None]
    is_cut = len(known) == len(cut)
    placed = known if is_cut else chosen
    return cnnvis.Places(
        "position",
        tuple(one.contig for one in placed),
        np.array([one.end if one.backwards else one.start for one in placed], np.float64),
        np.array([-1.0 if one.backwards else 1.0 for one in placed]),
        chosen[0].end - chosen[0].start,
        {} if is_cut else genome.sizes,
    )


def _cut_out(one: cnnvis.Interval, size: int) -> cnnvis.Interval | None:
    """Return the place that a sequence is named after: chr2:99-200(-) of bedtools, chr2:100-200 of samtools."""
    found = re.fullmatch(r"(.+):(\d{1,12})-(\d{1,12})(\([+-]\))?", one.contig, re.ASCII)
    if found is None:
        return None
    first, last = int(found[2]), int(found[3])
    start = first if last - first == size else first - 1
    if last - start != size or start < 0:
        return None
    backwards = found[4] == "(-)"
    # What is read forwards in such a cut is read backwards in the genome.
    begin = last - one.end if backwards else start + one.start
    end = begin + one.end - one.start
    return cnnvis.Interval(found[1], begin, end, one.where, backwards != one.backwards)


class _Genome:
    """Sequences of a FASTA file, any part of which can be read."""

    def __init__(self, path: Path, held: Any) -> None:
        import pyfaidx

        self.path, self._held = path, held
        beside = path.with_name(f"{path.name}.fai")
        try:
            is_new = beside.is_file() and beside.stat().st_mtime >= path.stat().st_mtime
            if not is_new and path.stat().st_size > _LARGE:
                cnnvis.note(
                    f"there is no index {beside.name} beside {path.name}, so the whole file is read to find its "
                    f"sequences, each time: samtools faidx {path.name} makes one"
                )
            with tempfile.TemporaryDirectory(prefix="cnnvis-") as folder:
                # Nothing is written beside a person's files, so that an index is made each time.
                index = beside if is_new else Path(folder) / "index.fai"
                if is_new:
                    cnnvis.require_regular(beside)
                self._file = pyfaidx.Faidx(
                    str(held.place), indexname=str(index), as_raw=True, rebuild=False,
                    build_index=not is_new, strict_bounds=True,
                )  # fmt: skip
            size = path.stat().st_size
            for name, one in self._file.index.items():
                if one.rlen and not (
                    0 < one.lenc <= one.lenb and 0 < one.offset < one.bend <= size
                ):
                    raise ValueError(f"the index places {name!r} where the file has no sequence")
            self.sizes = {str(name): int(one.rlen) for name, one in self._file.index.items()}
        except (OSError, ValueError, TypeError, KeyError, ArithmeticError, IndexError) as error:
            raise self._damaged(error) from error
        except pyfaidx.FastaIndexingError as error:
            raise self._damaged(error) from error
        if not self.sizes or len(self.sizes) > _MOST_RECORDS:
            raise cnnvis.UserError(f"{str(path)!r} holds {len(self.sizes)} sequences")

    def _damaged(self, error: Exception) -> cnnvis.UserError:
        return cnnvis.UserError(
            f"{str(self.path)!r} is no FASTA file that can be read: {error}. An index {self.path.name}.fai "
            "beside the file must be its own, as samtools faidx makes it"
        )

    def records(self) -> list[cnnvis.Interval]:
        """Return an interval for each sequence of the file."""
        found = []
        for number, (name, size) in enumerate(self.sizes.items(), 1):
            if not size:
                raise cnnvis.UserError(f"the sequence {name!r} in {str(self.path)!r} is empty")
            where = f"sequence {number} of {self.path.name}"
            found.append(cnnvis.Interval(name, 0, size, where, cells=("", "", "", name)))
        return found

    def require_within(self, intervals: Sequence[cnnvis.Interval]) -> None:
        """Refuse intervals outside of their contigs.

        Raises
        ------
        UserError
            If there is one.
        """
        for one in intervals:
            size = self.sizes.get(one.contig)
            if size is None:
                raise cnnvis.UserError(
                    f"{str(self.path)!r} has no contig {one.contig!r} ({one.where}); it has "
                    f"{', '.join([*self.sizes][:8])}{' ...' if len(self.sizes) > 8 else ''}"
                )
            if one.start < 0 or one.end > size:
                raise cnnvis.UserError(
                    f"{one.words} reaches beyond the contig, which has {size:,} bases: leave the "
                    "interval out, or take a smaller width"
                )

    def bases(self, one: cnnvis.Interval) -> bytes:
        """Return the letters of an interval, as the file has them."""
        try:
            found = self._file.fetch(one.contig, one.start + 1, one.end)
            letters = str(found).encode("ascii")
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
            raise self._damaged(error) from error
        if len(letters) != one.end - one.start:
            raise self._damaged(ValueError(f"{one.words} has {len(letters)} letters"))
        if not letters.translate(None, b"*-").isalpha() and letters.strip(b"*-"):
            raise self._damaged(ValueError(f"{one.words} holds what is no letter"))
        return letters


class _Windows:
    """One-hot sequences, (n, bases, 4) or (n, 4, bases) float32, read when they are indexed."""

    def __init__(
        self, genome: _Genome, intervals: Sequence[cnnvis.Interval], *, is_first: bool
    ) -> None:
        import numpy as np

        self._genome, self._intervals, self._is_first = genome, intervals, is_first
        self._says_unknown = True
        width = intervals[0].end - intervals[0].start
        each = (len(LETTERS), width) if is_first else (width, len(LETTERS))
        self.shape, self.dtype = (len(intervals), *each), np.dtype(np.float32)
        self._number = np.full(256, len(LETTERS), np.int8)
        for number, letter in enumerate(LETTERS):
            for one in letter + letter.lower():
                self._number[ord(one)] = number
        self._number[[ord("U"), ord("u")]] = LETTERS.index("T")

    def __getitem__(self, index: Any) -> Any:
        return gathered(
            index, lambda place: self._one(self._intervals[place]), self.shape, self.dtype
        )

    def _one(self, interval: cnnvis.Interval) -> Any:
        import numpy as np

        numbers = self._number[np.frombuffer(self._genome.bases(interval), np.uint8)]
        if interval.backwards:  # the complement of A, C, G, T is T, G, C, A
            numbers = np.where(numbers < len(LETTERS), len(LETTERS) - 1 - numbers, numbers)[::-1]
        if self._says_unknown and (numbers == len(LETTERS)).any():
            self._says_unknown = False
            count = int((numbers == len(LETTERS)).sum())
            cnnvis.note(
                f"{count} bases of {interval.words} are unknown, such as N, and 0 in all channels; so are "
                "those of other intervals"
            )
        hot = np.eye(len(LETTERS) + 1, len(LETTERS), dtype=np.float32)[numbers]
        return hot.T if self._is_first else hot
