"""Maps as values along a genome: intervals of bases, sorted, none within another."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import cnnvis
from cnnvis.renderers._common import require_maps

BASES = {"bp": 1, "b": 1, "kb": 1000, "kbp": 1000, "mb": 10**6, "mbp": 10**6}

Over = Annotated[
    Literal["mean", "sum", "strongest"],
    cnnvis.Help(
        "The number that stands for all values of a map at one position, over its rows and channels.",
        "strongest is the value of the largest size.",
    ),
]
Contig = Annotated[
    str | None,
    cnnvis.Help(
        "The contig of maps whose axis is described in base pairs for all images alike.",
        "Coordinates of the axis count from 0. Images that have places of their own have contigs, too.",
    ),
]
Each = Annotated[bool, cnnvis.Help("Write a file for each image.")]


@dataclass(frozen=True)
class Piece:
    """Values of one map along one contig: intervals (k,) in rising order, and their values."""

    number: int
    contig: str
    starts: Any
    ends: Any
    values: Any


def pieces_of(
    explanation: cnnvis.Explanation, renderer: str, over: Over, contig: str | None
) -> list[Piece]:
    """Return the maps along the genome, sorted by contig and start.

    Positions without a finite value, or without a place, are left out, with a note. Positions on
    the same base have the mean of their values.

    Raises
    ------
    UserError
        If the maps have no places in a genome.
    """
    import numpy as np

    require_maps(explanation, renderer)
    places = _places(explanation, renderer, contig)
    for name in sorted(set(places.contigs)):
        _require_name(name)
    values, left_out, shared = _profiles(explanation, places.axis, renderer, over), 0, 0
    found = []
    for number, row in enumerate(values):
        starts, ends = places.intervals(number)
        good = np.isfinite(row) & (starts >= 0)
        left_out += int((~good).sum())
        at, index, count = np.unique(starts[good], return_inverse=True, return_counts=True)
        if not len(at):
            continue
        shared += int((count > 1).sum())
        mean = np.bincount(index, row[good]) / count
        last = np.zeros(len(at), np.int64)
        np.maximum.at(last, index, ends[good])
        found.append(Piece(number, places.contigs[number], at, last, mean.astype(np.float32)))
    if left_out:
        are = (
            "position without a value or a place is"
            if left_out == 1
            else "positions without a value or a place are"
        )
        cnnvis.note(f"{renderer}: {left_out} {are} left out")
    if shared:
        have = "base has" if shared == 1 else "bases have"
        cnnvis.note(f"{renderer}: {shared} {have} several positions, whose values are averaged")
    if not found:
        raise cnnvis.UserError(f"{renderer} writes values at places, and the maps have none")
    return sorted(found, key=lambda one: (one.contig, int(one.starts[0]), one.number))


def _places(explanation: cnnvis.Explanation, renderer: str, contig: str | None) -> cnnvis.Places:
    import numpy as np

    if explanation.places is not None:
        if contig is not None:
            raise cnnvis.UserError(
                f"the images have contigs of their own, so --{renderer}.contig has no meaning"
            )
        return explanation.places
    known = {
        name: axis
        for name, axis in explanation.coordinates.items()
        if axis.unit.lower() in BASES and not axis.runs()
    }
    if len(known) != 1 or contig is None:
        raise cnnvis.UserError(_remedy(explanation, renderer, [*known]))
    ((name, axis),) = known.items()
    bases = BASES[axis.unit.lower()]
    count, length = len(explanation), explanation.array.shape[1 + explanation.axes.index(name)]
    if axis.values:
        row = np.rint(np.array(axis.values, np.float64) * bases).astype(np.int64)
        return cnnvis.Places(name, (contig,) * count, np.broadcast_to(row, (count, length)))
    starts, steps = (np.full(count, one * bases) for one in (axis.start, axis.step))
    return cnnvis.Places(name, (contig,) * count, starts, steps, length)


def _remedy(explanation: cnnvis.Explanation, renderer: str, known: Sequence[str]) -> str:
    """Return the sentence about maps without places, with what would give them some."""
    if len(known) == 1:
        return (
            f"the axis {known[0]} is described in base pairs, and no contig is known: name it with "
            f"--{renderer}.contig chr2"
        )
    places, distinct = explanation.image_places, explanation.provenance.get(cnnvis.Places.DISTINCT)
    if places is not None:
        before = ", before they are averaged," if explanation.groups else ""
        return (
            f"the maps have the shape {explanation.array.shape[1:]} over {explanation.axes}, and the "
            f"images {places.length} places along the axis {places.axis}: the "
            f"transform resize gives maps the size of the images{before} and project keeps the axis that it "
            "does not remove"
        )
    if distinct:
        return (
            f"images of {distinct} different places were put together, so their map lies at none of them. "
            "Take images of a single place, as with select --label or --images, or group them by it: "
            "average --by place"
        )
    about = (
        "two axes are described in base pairs" if known else "the maps have no places in a genome"
    )
    return (
        f"{about}. Read the data with places, as from FASTA with --fasta.intervals or from VCF; or describe one "
        'axis in cnnvis.toml, [axes.column] with unit = "bp", start and step, and name the contig with '
        f"--{renderer}.contig"
    )


def _require_name(contig: str) -> None:
    if not contig or contig != cnnvis.printable(contig) or len(contig.split()) != 1:
        raise cnnvis.UserError(f"{contig!r} cannot be the name of a contig in a file")
    if contig.startswith(("#", "track", "browser")):
        raise cnnvis.UserError(f"a line that begins with {contig!r} is none of a contig in a file")


def _profiles(explanation: cnnvis.Explanation, axis: str, renderer: str, over: Over) -> Any:
    """Return one value for each position along an axis, (n, length) float64."""
    import numpy as np

    place = explanation.axes.index(axis) + 1
    rows = np.moveaxis(explanation.array, place, 1).astype(np.float64)
    rows = rows.reshape(*rows.shape[:2], -1)
    others = [
        f"{name} ({size})"
        for name, size in zip(explanation.axes, explanation.array.shape[1:], strict=True)
        if name != axis and size > 1
    ]
    if not others:
        return rows[:, :, 0]
    word = {"mean": "the mean", "sum": "the sum", "strongest": "the value of the largest size"}
    cnnvis.note(f"{renderer}: each value is {word[over]} over {' and '.join(others)}")
    there = np.isfinite(rows)
    rows = np.where(there, rows, 0)
    if over == "strongest":
        at = np.abs(rows).argmax(axis=2)[..., None]
        found = np.take_along_axis(rows, at, axis=2)[..., 0]
    else:
        found = rows.sum(axis=2) / (np.maximum(there.sum(axis=2), 1) if over == "mean" else 1)
    return np.where(there.any(axis=2), found, np.nan)


def by_target(explanation: cnnvis.Explanation, pieces: Sequence[Piece]) -> dict[str, list[Piece]]:
    """Return the pieces of each target, by the target in words."""
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        targets = explanation.targets
        name = str(targets[piece.number]) if targets else ""
        found.setdefault(name, []).append(piece)
    return found


def tracks_of(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Part sorted pieces into as few tracks as possible, so that no two of a track overlap."""
    tracks: list[list[Piece]] = []
    ending: list[tuple[int, int]] = []  # of the tracks, on the present contig
    free: list[int] = []
    contig = None
    for piece in pieces:
        if piece.contig != contig:
            contig, ending, free = piece.contig, [], [*range(len(tracks))]
        while ending and ending[0][0] <= piece.starts[0]:
            heapq.heappush(free, heapq.heappop(ending)[1])
        number = heapq.heappop(free) if free else len(tracks)
        if number == len(tracks):
            tracks.append([])
        tracks[number].append(piece)
        heapq.heappush(ending, (int(piece.ends[-1]), number))
    yield from tracks


def averaged(pieces: Sequence[Piece]) -> list[Piece]:
    """Return one piece for each contig: at each base the mean of all pieces that have a value there."""
    import numpy as np

    found = []
    for contig in dict.fromkeys(piece.contig for piece in pieces):
        own = [piece for piece in pieces if piece.contig == contig]
        starts = np.concatenate([piece.starts for piece in own])
        ends = np.concatenate([piece.ends for piece in own])
        values = np.concatenate([piece.values for piece in own]).astype(np.float64)
        order = np.argsort(starts, kind="stable")
        starts, ends, values = starts[order], ends[order], values[order]
        if not (starts[1:] < ends[:-1]).any():
            found.append(
                replace(own[0], starts=starts, ends=ends, values=values.astype(np.float32))
            )
            continue
        edges = np.unique(np.concatenate([starts, ends]))
        sums, counts = np.zeros(len(edges)), np.zeros(len(edges), np.int64)
        for at, sign in ((starts, 1), (ends, -1)):
            index = np.searchsorted(edges, at)
            sums += np.bincount(index, sign * values, len(edges))
            counts += np.bincount(index, minlength=len(edges)) * sign
        counts = counts.cumsum()[:-1]
        mean = (sums.cumsum()[:-1] / np.maximum(counts, 1)).astype(np.float32)[counts > 0]
        found.append(
            replace(own[0], starts=edges[:-1][counts > 0], ends=edges[1:][counts > 0], values=mean)
        )
    return found


def said_of(explanation: cnnvis.Explanation, number: int) -> str:
    """Return a short name of a map in one word: image and label, or group."""
    samples = explanation.samples
    if samples is not None and not explanation.groups:
        label = samples.label_name(number)
        words = [f"image{samples.indices[number]}", *([] if label is None else [label])]
    elif explanation.groups:
        words = [explanation.groups[number]]
    else:
        title = explanation.titles[number] if explanation.titles else f"map{number}"
        words = [title.partition("\n")[0]]
    return "_".join(cnnvis.printable(" ".join(words)).split()) or f"map{number}"


def track_name(explanation: cnnvis.Explanation, target: str) -> str:
    """Return the name of a track, fit to stand between quotation marks in a line."""
    words = f"{explanation.provenance.get('technique', 'map')} {target}"
    return cnnvis.printable(" ".join(words.split())).replace('"', "'")
