"""Rows that a stream of maps is added up in, an image or a unit each."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.evaluation.scratch import Scratch

ROWS, PLACES = 64, 512
"""Rows of a piece, and places that lie side by side in it: what is read from a disk in one go."""


@dataclass
class MapRows:
    """Sums of the maps that belong together: a row for each key.

    Rows lie in pieces, of some rows and all places each, so that a block of places of all rows is read
    without reading the others.

    Attributes
    ----------
    places
        The number of values of a map.
    scratch
        Where the pieces are made.
    dtype
        float64 for sums of many maps, float32 where each row is one map.
    keys
        The number of each key's row, in the order of their first maps.
    """

    places: int
    scratch: Scratch
    dtype: Any = np.float64
    keys: dict[Any, int] = field(default_factory=dict)
    _counts: list[int] = field(default_factory=list)
    _pieces: list[Array] = field(default_factory=list)

    @property
    def counts(self) -> Array:
        """The number of maps in each row, (rows,) int64."""
        return np.asarray(self._counts, np.int64)

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, keys: Sequence[Hashable], maps: Array) -> None:
        """Add maps, (n, places), to the rows of their keys.

        Raises
        ------
        DiskError
            If there is no room for them.
        """
        blocks = math.ceil(self.places / PLACES)
        for key, one in zip(keys, maps, strict=True):
            row = self._row(key)
            wide = np.zeros(blocks * PLACES, self.dtype)
            wide[: self.places] = one
            self._pieces[row // ROWS][:, row % ROWS] += wide.reshape(blocks, PLACES)
            self._counts[row] += 1

    def _row(self, key: Hashable) -> int:
        row = self.keys.setdefault(key, len(self.keys))
        if row == len(self._counts):
            if row // ROWS == len(self._pieces):
                shape = math.ceil(self.places / PLACES), ROWS, PLACES
                self._pieces.append(self.scratch.zeros(shape, self.dtype))
            self._counts.append(0)
        return row

    def blocks(self, most: int) -> Iterator[slice]:
        """Yield slices of places, each as long as `most` allows, but 512 at least."""
        step = max(most // PLACES, 1) * PLACES
        for start in range(0, self.places, step):
            yield slice(start, min(start + step, self.places))

    def means(self, block: slice) -> Array:
        """Return the mean map of each row at a block of places, (rows, places) of `dtype`."""
        first, last = block.start // PLACES, math.ceil(block.stop / PLACES)
        found = np.empty((len(self), block.stop - block.start), self.dtype)
        for number, piece in enumerate(self._pieces):
            start = number * ROWS
            rows = min(ROWS, len(self) - start)
            wide = piece[first:last, :rows].transpose(1, 0, 2).reshape(rows, -1)
            found[start : start + rows] = wide[:, : found.shape[1]]
        found /= self.counts[:, None].astype(self.dtype)
        return found
