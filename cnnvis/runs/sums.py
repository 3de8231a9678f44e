"""Sums of the maps of each shard that workers made for a transform, until the transform adds them up."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from cnnvis.reporting import note


class Sums:
    """Sums of shards, pickled, in a temporary file: those of many shards and groups take memory.

    They come from workers, whose answers run code here anyway.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._places: dict[int, int | None] = {}  # None of shards without maps
        self._is_lost = False

    def __contains__(self, number: int) -> bool:
        return number in self._places and not self._is_lost

    def put(self, number: int, data: bytes) -> None:
        """Keep the sums of a shard; on a full disk all are lost, and the maps must be read.

        Parameters
        ----------
        data
            The notes that were made meanwhile, and the sums, pickled together; empty for a shard
            without maps.
        """
        if not data:
            self._places[number] = None
            return
        try:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 (as long as this)
            self._file.seek(0, 2)
            self._places[number] = self._file.tell()
            self._file.write(data)
        except OSError:
            self._is_lost = True

    def __iter__(self) -> Iterator[Any]:
        """Yield the sums in the order of the shards, and make their notes."""
        for number in sorted(self._places):
            place = self._places[number]
            if place is None:
                continue
            assert self._file is not None
            self._file.seek(place)
            notes, found = pickle.load(self._file)
            for sentence in notes:
                note(sentence)
            yield found
