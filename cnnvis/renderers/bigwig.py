"""Renderer of maps for genome browsers, as bigWig."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cnnvis
from cnnvis.renderers._genome import Contig, Each, Over, averaged, by_target, pieces_of, tracks_of


@cnnvis.renderer("bigwig", suffixes=(".bw", ".bigwig"), requires=("pybigtools",), extra="bigwig")
def bigwig(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    sizes: str | None = None,
    over: Over = "mean",
    contig: Contig = None,
    each: Each = False,
) -> None:
    """Values of maps at every position of a genome, as bigWig, by pybigtools.

    Where images overlap, the value is the mean of theirs, with a note. Positions without a value are
    left out.

    Parameters
    ----------
    sizes
        A file with the length of each contig, a contig a line: chrom.sizes, or the index .fai of a
        genome. By default the lengths that the reader of the data knows.
    """
    import pybigtools

    pieces = pieces_of(explanation, "bigwig", over, contig)
    targets = by_target(explanation, pieces)
    if len(targets) > 1:
        raise cnnvis.UserError(
            f"a bigWig file has one track, and there are maps of {len(targets)} targets: choose the "
            "maps of one with the transform select --target"
        )
    places = explanation.places
    known = {} if places is None else dict(places.sizes)
    if sizes is not None:
        known = _read(Path(sizes))
    used: dict[str, int] = {}
    for piece in pieces:
        used[piece.contig] = max(used.get(piece.contig, 0), int(piece.ends[-1]))
    for name, end in used.items():
        if name not in known:
            raise cnnvis.UserError(
                f"the length of the contig {name!r} is not known, and bigWig needs it: give a file of "
                "lengths with --bigwig.sizes FILE, such as chrom.sizes or genome.fa.fai"
            )
        if end > known[name]:
            raise cnnvis.UserError(
                f"maps reach base {end:,} of {name!r}, which has {known[name]:,}: the lengths are of "
                "another genome"
            )
    if len([*tracks_of(pieces)]) > 1:
        cnnvis.note("bigwig: images overlap, and the value of a base is the mean of theirs")

    def values() -> Iterator[tuple[str, int, int, float]]:
        for piece in averaged(pieces):
            rows = (piece.starts.tolist(), piece.ends.tolist(), piece.values.tolist())
            for start, end, value in zip(*rows, strict=True):
                yield piece.contig, start, end, value

    pybigtools.open(str(path), "w").write({name: known[name] for name in sorted(known)}, values())


def _read(path: Path) -> dict[str, int]:
    """Return the lengths of contigs in a file.

    Raises
    ------
    UserError
        If the file holds anything else.
    """
    found = {}
    for number, line in enumerate(cnnvis.read_text(path).splitlines(), 1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not cells:
            continue
        if len(cells) < 2 or not cells[1].isdecimal() or not 0 < int(cells[1][:12]) < 2**31:
            raise cnnvis.UserError(
                f"line {number} of {str(path)!r} is {line[:60]!r}, and must be a contig and its length"
            )
        found[cells[0]] = int(cells[1][:12])
    return found
