"""Renderers of maps for genome browsers, as text: regions, and the value of every position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import cnnvis
from cnnvis.renderers._genome import (
    Contig,
    Each,
    Over,
    Piece,
    averaged,
    by_target,
    pieces_of,
    said_of,
    track_name,
    tracks_of,
)

Sign = Literal["both", "positive", "negative"]


@cnnvis.renderer("bed", suffixes=(".bed",))
def bed(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    percent: cnnvis.Percent = 5.0,
    at: cnnvis.NotNegative | None = None,
    sign: Sign = "both",
    merge: int = 0,
    over: Over = "mean",
    contig: Contig = None,
    each: Each = False,
) -> None:
    """Regions of a genome where maps are strong: contig, start, end, name and score, as BED.

    Starts count from 0 and ends are not in the region. The name is the image and its label, with the
    sign of the region where signs mean something. The score is the largest size in the region, 1000
    for the largest in the file. Where images overlap, or there are several targets, the file has
    several tracks, each with a heading; within a track nothing overlaps.

    Parameters
    ----------
    percent
        The share of a map's positions to keep, in per cent: those with the values of the largest size.
    at
        Instead of a share, keep values with a size of at least this one, on the maps' own scale.
    sign
        The values that count: those of both signs; positive ones, which speak for the target where signs
        mean something; or negative ones. The share is that of all positions.
    merge
        Join regions of the same sign with at most this many bases between them.
    """
    if merge < 0:
        raise cnnvis.UserError(f"merge is {merge}, and is a number of bases, 0 or more")
    pieces = pieces_of(explanation, "bed", over, contig)
    signed = explanation.is_signed
    regions = {id(piece): [*_regions(piece, percent, at, sign, merge, signed)] for piece in pieces}
    largest = max((one[2] for some in regions.values() for one in some), default=0.0)
    if not largest:
        cnnvis.note("bed: no value is large enough, so the file has no regions")
    tracks = [
        (target, track)
        for target, own in by_target(explanation, pieces).items()
        for track in tracks_of(own)
    ]
    with path.open("w", encoding="utf-8") as file:
        if len(tracks) == 1 and not largest:
            print("# no regions", file=file)
        for target, track in tracks:
            if len(tracks) > 1:
                print(f'track name="{track_name(explanation, target)}"', file=file)
            for piece in track:
                name = said_of(explanation, piece.number)
                for start, end, size, mark in regions[id(piece)]:
                    score = max(round(1000 * size / largest), 1)
                    print(piece.contig, start, end, f"{name}{mark}", score, sep="\t", file=file)


def _regions(
    piece: Piece, percent: float, at: float | None, wanted: Sign, merge: int, signed: bool
) -> Iterator[tuple[int, int, float, str]]:
    """Yield the start, end, largest size and sign of each region of strong values."""
    import numpy as np

    sizes = np.abs(piece.values)
    if wanted != "both":
        sizes = np.where((piece.values > 0) == (wanted == "positive"), sizes, 0)
    if at is None:
        count = max(round(len(sizes) * percent / 100), 1)
        at = float(np.partition(sizes, -count)[-count])
    kept = np.flatnonzero((sizes >= at) & (sizes > 0))
    if not len(kept):
        return
    signs = np.sign(piece.values[kept])
    starts, ends = piece.starts[kept], piece.ends[kept]
    new = (signs[1:] != signs[:-1]) | (starts[1:] - ends[:-1] > merge)
    first = np.concatenate([[0], np.flatnonzero(new) + 1])
    last = np.concatenate([first[1:] - 1, [len(kept) - 1]])
    largest = np.maximum.reduceat(sizes[kept], first)
    for one, end, size in zip(first, last, largest, strict=True):
        sign = "" if not signed else "+" if signs[one] > 0 else "-"
        yield int(starts[one]), int(ends[end]), float(size), sign


@cnnvis.renderer("bedgraph", suffixes=(".bedgraph", ".bdg"))
def bedgraph(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    overlaps: Literal["tracks", "mean"] = "tracks",
    over: Over = "mean",
    contig: Contig = None,
    each: Each = False,
) -> None:
    """Values of maps at every position of a genome, as bedGraph: contig, start, end and value.

    Starts count from 0 and ends are not in the interval. Positions without a value are left out. Each
    target has tracks of its own; within a track nothing overlaps.

    Parameters
    ----------
    overlaps
        Where images overlap, put them into several tracks, or take the mean of their values.
    """
    pieces = pieces_of(explanation, "bedgraph", over, contig)
    with path.open("w", encoding="utf-8") as file:
        for target, own in by_target(explanation, pieces).items():
            for track in tracks_of(own) if overlaps == "tracks" else [averaged(own)]:
                name = track_name(explanation, target)
                print(f'track type=bedGraph name="{name}"', file=file)
                for piece in track:
                    file.writelines(_lines(piece))


def _lines(piece: Piece) -> Iterator[str]:
    rows: Any = zip(piece.starts.tolist(), piece.ends.tolist(), piece.values, strict=True)
    for start, end, value in rows:
        yield f"{piece.contig}\t{start}\t{end}\t{value!s}\n"
