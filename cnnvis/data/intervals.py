"""Intervals of a genome, and BED files of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnnvis.errors import UserError
from cnnvis.files.reading import read_text

_LONGEST = 2**27  # bytes of a file, of some million intervals
_FARTHEST = 2**40  # bases; the longest chromosomes have 2**36


@dataclass(frozen=True)
class Interval:
    """One interval of a genome.

    Attributes
    ----------
    contig
        The contig or chromosome.
    start, end
        The first base, counted from 0, and the base behind the last.
    where
        The line of its file in words, for messages.
    backwards
        True on the strand -.
    cells
        All cells of its line.
    """

    contig: str
    start: int
    end: int
    where: str
    backwards: bool = False
    cells: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The interval for a message."""
        return f"{self.contig}:{self.start:,}-{self.end:,} ({self.where})"

    def resized(self, width: int, center: int | None = None) -> Interval:
        """Return the interval of another width about the same middle."""
        middle = (self.start + self.end) // 2 if center is None else center
        start = middle - width // 2
        return Interval(self.contig, start, start + width, self.where, self.backwards, self.cells)


def intervals_in(path: Path) -> list[Interval]:
    """Return the intervals in a BED file, in its order.

    Raises
    ------
    UserError
        If a line holds no interval, or there is none.
    """
    found = []
    for number, line in enumerate(read_text(path, _LONGEST).splitlines(), 1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        cells = tuple(line.split("\t") if "\t" in line else line.split())
        ends = cells[1:3]
        if (
            len(ends) < 2
            or not all(_is_base(cell) for cell in ends)
            or int(ends[0]) >= int(ends[1])
        ):
            raise UserError(
                f"line {number} of {str(path)!r} is {line[:60]!r}, and must be an interval of BED: a "
                "contig, a start and an end beyond the start, with tabs between them"
            )
        strand = cells[5] if len(cells) > 5 else "."
        start, end = map(int, ends)
        found.append(
            Interval(cells[0], start, end, f"line {number} of {path.name}", strand == "-", cells)
        )
    if not found:
        raise UserError(f"{str(path)!r} holds no interval")
    return found


def _is_base(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) <= 13 and int(cell) < _FARTHEST
