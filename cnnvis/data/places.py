"""Places of images in a genome: each image has a contig, and positions along one axis of its own."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from msgspec import Meta, Struct

from cnnvis.data.axes import Axis
from cnnvis.data.lazy import Array
from cnnvis.errors import UserError, shown

STARTS, STEPS = "place_starts", "place_steps"
"""The names of the arrays of places in files."""

Word = Annotated[str, Meta(max_length=10_000)]

FARTHEST = 2**53
"""Positions beyond are no whole numbers in double precision; no chromosome is nearly so long."""


@dataclass(frozen=True, eq=False)
class Places:
    """Places of images in a genome, along one axis of the images.

    Positions are counted from 0, and an interval does not hold its end, as in BED files. Words for
    people count from 1, as genome browsers and VCF do.

    Attributes
    ----------
    axis
        The usual name of the axis that runs along the genome: ``position``, ``column``.
    contigs
        The contig or chromosome of each image, (n,) words.
    starts
        The base at which each position of each image begins, (n, length) int64; -1 for a position
        that stands for no base, such as padding. With `steps`, (n,) float64: where each image
        begins.
    steps
        The number of bases from one position to the next in each image, (n,) float64; below 0 for
        images that are read backwards, whose `starts` are the ends of their intervals. None where
        the positions of an image are at no equal distances: then each stands for one base.
    length
        The number of positions along the axis.
    sizes
        The lengths of contigs, as far as they are known.

    Raises
    ------
    UserError
        If the numbers of contigs, starts and steps differ, or a start or step is no number.
    """

    axis: str
    contigs: tuple[str, ...]
    starts: Array
    steps: Array | None = None
    length: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)

    DISTINCT: ClassVar = "distinct_places"
    """The fact in the provenance of maps of groups without places: how many places the images have."""

    def __post_init__(self) -> None:
        count = len(self.contigs)
        starts = np.asarray(self.starts)
        if starts.dtype.kind not in "iuf" or not (np.abs(starts) < FARTHEST).all():
            raise UserError("the starts of places in a genome must be numbers below 2**53")
        if self.steps is None:
            if starts.ndim != 2 or len(starts) != count or starts.dtype.kind == "f":
                raise UserError(
                    f"there are {count} contigs, and the starts of places have the shape "
                    f"{shown(starts.shape)}: a whole number for each position of each image"
                )
            object.__setattr__(self, "starts", np.asarray(starts, np.int64))
            object.__setattr__(self, "length", starts.shape[1])
            return
        steps = np.asarray(self.steps, np.float64)
        if starts.shape != (count,) or steps.shape != (count,) or self.length < 1:
            raise UserError(
                f"there are {count} contigs, {shown(starts.shape)} starts and "
                f"{shown(steps.shape)} steps of places: one of each for each image"
            )
        if (
            not np.isfinite(steps).all()
            or not (np.abs(steps) < FARTHEST).all()
            or (steps == 0).any()
        ):
            raise UserError("the steps of places in a genome must be numbers other than 0")
        object.__setattr__(self, "starts", np.asarray(starts, np.float64))
        object.__setattr__(self, "steps", steps)

    def __len__(self) -> int:
        return len(self.contigs)

    def fits(self, axes: Sequence[str], shape: Sequence[int]) -> bool:
        """Tell whether arrays of these axes and sizes have a position for each of the places."""
        return self.axis in axes and shape[axes.index(self.axis)] == self.length

    def picked(self, chosen: Sequence[int] | Array) -> Places:
        """Return the places of some of the images, in the given order."""
        numbers = np.asarray(chosen, np.int64)
        return replace(
            self,
            contigs=tuple(self.contigs[number] for number in numbers),
            starts=self.starts[numbers],
            steps=None if self.steps is None else self.steps[numbers],
        )

    @classmethod
    def joined(cls, parts: Sequence[Places | None]) -> Places | None:
        """Join the places of images; None where some images have none, or are of another kind."""
        known = [one for one in parts if one is not None]
        kinds = {(one.axis, one.length, one.steps is None) for one in known}
        if len(known) < len(parts) or len(kinds) != 1:
            return None
        steps = [one.steps for one in known if one.steps is not None]
        return replace(
            known[0],
            contigs=tuple(contig for one in known for contig in one.contigs),
            starts=np.concatenate([one.starts for one in known]),
            steps=np.concatenate(steps) if steps else None,
            sizes={name: size for one in known for name, size in one.sizes.items()},
        )

    def repeated(self, count: int) -> Places:
        """Return the place of a single image, for each of so many maps."""
        return self.picked([0] * count)

    def fingerprints(self) -> list[bytes]:
        """Return a short value for each image, equal for images with the very same place.

        Images that are read in opposite directions have different places.
        """
        kind = f"{self.axis} {self.length} {self.steps is None} ".encode()
        steps = [b""] * len(self) if self.steps is None else [one.tobytes() for one in self.steps]
        return [
            hashlib.blake2b(
                kind + start.tobytes() + step + contig.encode(errors="surrogatepass"),
                digest_size=16,
            ).digest()
            for contig, start, step in zip(self.contigs, self.starts + 0, steps, strict=True)
        ]

    def piece(self, kept: Sequence[int]) -> Places | None:
        """Return the places of some of the positions; None where these are at no equal distances."""
        if self.steps is None:
            return replace(self, starts=self.starts[:, list(kept)])
        if list(kept) != list(range(kept[0], kept[0] + len(kept))):
            return None
        return replace(self, starts=self.starts + kept[0] * self.steps, length=len(kept))

    def intervals(self, number: int) -> tuple[Array, Array]:
        """Return the interval of bases of each position of an image: starts and ends, (length,) int64.

        An interval does not hold its end, and no two intervals overlap unless they are equal. Both
        are -1 for a position that stands for no base.
        """
        if self.steps is None:
            starts = self.starts[number]
            return starts, np.where(starts < 0, -1, starts + 1)
        ends = self.starts[number] + self.steps[number] * np.arange(self.length + 1)
        whole = np.rint(ends).astype(np.int64)
        low, high = np.minimum(whole[:-1], whole[1:]), np.maximum(whole[:-1], whole[1:])
        there = low >= 0  # a window may begin before its contig, and so be padded
        return np.where(there, low, -1), np.where(there, np.maximum(high, low + 1), -1)

    def at(self, number: int, position: int) -> str:
        """Return the place of a position of an image in words: ``chr2:135,787,851``.

        The first base of a contig is 1, as in genome browsers. Empty where the position stands for
        no base.
        """
        starts, ends = self.intervals(number)
        return self._words(number, int(starts[position]), int(ends[position]))

    def window(self, number: int) -> str:
        """Return the place of an image in words: ``chr2:135,700,001-135,800,000``."""
        starts, ends = self.intervals(number)
        there = starts >= 0
        if not there.any():
            return ""
        return self._words(number, int(starts[there].min()), int(ends[there].max()))

    def _words(self, number: int, start: int, end: int) -> str:
        if start < 0:
            return ""
        last = f"-{end:,}" if end > start + 1 else ""
        return f"{self.contigs[number]}:{start + 1:,}{last}"

    def axis_of(self, number: int) -> Axis:
        """Return the description of the axis for one image, in bases counted from 1."""
        if self.steps is not None:
            step = float(self.steps[number])
            first = float(self.starts[number]) + (step if step < 0 else 0)
            return Axis(self.contigs[number], "bp", start=first + 1, step=step)
        values = tuple(math.nan if one < 0 else one + 1 for one in self.starts[number].tolist())
        return Axis(self.contigs[number], "bp", values=values)

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by the names that `PlaceFacts.places` knows."""
        named = {STARTS: self.starts, STEPS: self.steps}
        return {name: one for name, one in named.items() if one is not None}

    def facts(self) -> dict[str, Any]:
        """Return all but the arrays as plain values, for JSON."""
        used = set(self.contigs)
        sizes = {name: size for name, size in self.sizes.items() if name in used}
        return {
            "axis": self.axis,
            "contigs": list(self.contigs),
            "length": self.length,
            "sizes": sizes,
        }


class PlaceFacts(Struct):
    """All but the arrays of places, as files have them."""

    axis: Word
    contigs: list[Word]
    length: Annotated[int, Meta(ge=1, le=2**31)]
    sizes: dict[Word, Annotated[int, Meta(ge=0, lt=FARTHEST)]]

    def places(self, array: Callable[[str], Any]) -> Places:
        """Return the places with the arrays of these facts.

        Parameters
        ----------
        array
            Function of a name that returns the array of this name, or None; see `Places.arrays`.

        Raises
        ------
        UserError
            If the arrays do not fit.
        """
        starts = array(STARTS)
        if starts is None:
            raise UserError("it has contigs, and no starts of places")
        found = Places(
            self.axis, tuple(self.contigs), starts, array(STEPS), self.length, self.sizes
        )
        if found.length != self.length:
            raise UserError(f"places have {found.length} positions, and should have {self.length}")
        return found
