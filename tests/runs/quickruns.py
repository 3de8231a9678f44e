"""A run without a network, which takes milliseconds: all but the technique is real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from disks import Quick

from cnnvis.data.batches import Failure, Piece, Read, finite
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.data.target import Target
from cnnvis.explain.keeping import Making
from cnnvis.explain.task import Task
from cnnvis.files.writing import Disk
from cnnvis.registry.plugin import Plugin
from cnnvis.runs import folder as folders
from cnnvis.runs import merging
from cnnvis.runs.folder import kept_in
from cnnvis.runs.into import Into, share_of

COUNT, SIZE = 14, 4

X = np.random.default_rng(0).normal(size=(11, 12, 10, 2)).astype(np.float32)
Y = np.arange(11) % 3
"""Images of runs with a real network, and their labels."""


def technique(model: Any, samples: Any, *, steps: int = 5) -> None:
    """Stand for a technique; `compute` does its work."""


def samples() -> Samples:
    """Images of which one holds NaN, and all of the second shard do."""
    x = np.random.default_rng(7).normal(size=(COUNT, 3, 2)).astype(np.float32)
    x[[2, 4, 5, 6, 7], 0, 0] = np.nan
    return Samples(x, np.arange(COUNT) % 3, indices=np.arange(COUNT) * 10)


def compute(read: Read) -> Piece:
    """What a technique would make of some images: fails at one, and says something of the others."""
    read = finite(read)
    failed = dict(read.failed)
    if 9 in read.places:
        failed[9] = Failure("no map", "it is the ninth")
    good = [place for place in read.places if place not in failed]
    if not good or read.samples is None:
        return Piece(read.places, None, failed)
    part = read.samples[[read.good.index(place) for place in good]]
    maps = np.cumsum(part.x, axis=1)
    targets = tuple(
        Target("output", (i % 3,), None, float(m.sum()), 0.5) for i, m in enumerate(maps)
    )
    titles = tuple(f"the {place}th" for place in good)
    found = Explanation(maps, part, ("row", "column"), titles, targets)
    return Piece(read.places, found, failed, (f"from {good[0]}",), ("why",) if 12 in good else ())


class Runs:
    """Runs in one folder or several, on any disk.

    Attributes
    ----------
    computed
        The shards that the latest run computed.
    reported
        Those that any run since this was emptied has said to be done.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.computed: list[int] = []
        self.reported: set[int] = set()

    @contextmanager
    def on(self, disk: Disk) -> Iterator[None]:
        """Everything is written to that disk."""
        with self._monkeypatch.context() as patched:
            patched.setattr(folders, "DISK", disk)
            patched.setattr(merging, "DISK", disk)
            yield

    def run(
        self, path: Path, disk: Disk | None = None, share: str = "1/1", until: int | None = None,
        **changes: Any,
    ) -> list[Piece]:  # fmt: skip
        """Go through a whole run, or so many shards of it; its pieces."""
        model = SimpleNamespace(
            path=None, sha256=changes.get("model", "ab" * 32), network=None, layer="output",
            asked_layer=None, asked_filters=None, asked_output=None, asked_region=None,
            footprint=lambda samples: 1000, explainable_inputs=("input",),
        )  # fmt: skip
        of = changes.get("samples", samples())
        task = Task(model, {"input": of}, None)  # type: ignore[arg-type]
        plugin = Plugin(
            "technique", "made", technique, distribution="made", version=changes.get("version", "1")
        )
        into = Into(path, changes.get("resume", True), share_of(share), SIZE)
        found: list[Piece] = []
        self.computed = []

        def counted(read: Read) -> Piece:
            self.computed.append(read.places.start // SIZE)
            return compute(read)

        with (
            self.on(disk or Quick()),
            kept_in(into, task, [(plugin, changes.get("options", {}))], {}, None, path) as folder,
        ):
            assert folder is not None
            for piece in folder.part(0, "input").pieces(of, Making(counted, lambda one: one)):
                found.append(piece)
                self.reported.add(piece.places.start // SIZE)
                if len(found) == until:
                    break
        return found


def bytes_of(path: Path) -> dict[str, bytes]:
    """All files of a folder, by their names."""
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }
