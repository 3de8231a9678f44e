"""Wherever a run is cut off, and whatever the disk loses then, it goes on to the same bytes."""

from __future__ import annotations

import errno
import random
import threading
from pathlib import Path

import pytest
import quickruns
from disks import Counting, Crash, Full, Losing, Quick
from quick import quick_are, slow_are
from quickruns import Runs, bytes_of

import cnnvis
from cnnvis.data.batches import Piece, Read
from cnnvis.files.writing import Folder
from cnnvis.runs.merging import merge
from cnnvis.runs.part import JOURNAL

LOSSES = [("flushed", "flushed"), ("kept", "flushed"), ("kept", "kept"), ("mixed", "mixed")]
"""What a crash leaves: names, and what they hold. The second is a rename that came before its file."""


def _moments(runs: Runs, path: Path) -> int:
    path.mkdir()
    disk = Losing(path)
    runs.run(path, disk)
    return disk.count


def _crashed(runs: Runs, path: Path, moment: int, loss: tuple[str, str]) -> str:
    """A run that crashed at a moment, and what the disk has of it; at what."""
    path.mkdir()
    runs.reported.clear()
    disk = Losing(path, moment)
    with pytest.raises(Crash) as crash:
        runs.run(path, disk)
    disk.lose(*loss, random.Random(moment))
    return str(crash.value)


def _require_same(runs: Runs, path: Path, whole: dict[str, bytes]) -> None:
    """The run goes on to the same bytes, and computes nothing again that was said to be done."""
    done = set(runs.reported)
    runs.run(path)
    assert bytes_of(path) == whole
    assert not done & set(runs.computed)


def test_the_disk_of_these_tests_loses_what_was_not_flushed(tmp_path: Path) -> None:
    for flush, flush_folder, left in [
        (True, True, b"whole"), (False, True, b""), (True, False, None), (False, False, None),
    ]:  # fmt: skip
        root = tmp_path / f"{flush}{flush_folder}"
        root.mkdir()
        disk = Losing(root)
        with Folder.opened(root) as folder:
            handle = disk.create(folder, "temporary")
            disk.write(handle, b"whole")
            if flush:
                disk.flush(handle)
            disk.close(handle)
            disk.rename(folder, "temporary", "file")
            if flush_folder:
                disk.flush_folder(folder)
        disk.lose("flushed", "flushed", random.Random(0))
        assert bytes_of(root).get("file") == left


@pytest.mark.slow
def test_a_crash_at_each_step(runs: Runs, tmp_path: Path, whole: dict[str, bytes]) -> None:
    """Every seventh moment, the losses in turn; the slow test takes each with each."""
    for moment in range(1, _moments(runs, tmp_path / "counted") + 1, 7):
        path = tmp_path / str(moment)
        _crashed(runs, path, moment, LOSSES[moment % len(LOSSES)])
        _require_same(runs, path, whole)


@pytest.mark.parametrize(
    "loss",
    slow_are([("kept", "flushed")], [pytest.param(loss, id="-".join(loss)) for loss in LOSSES]),
)
def test_a_crash_at_each_step_with_each_loss(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes], loss: tuple[str, str]
) -> None:
    for moment in range(1, _moments(runs, tmp_path / "counted") + 1):
        path = tmp_path / str(moment)
        _crashed(runs, path, moment, loss)
        _require_same(runs, path, whole)


@pytest.mark.parametrize("crashes", quick_are([5], [5, 60]))
def test_a_crash_while_it_recovers(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes], crashes: int
) -> None:
    """A second crash, at each step of the run that goes on after the first."""
    last = _moments(runs, tmp_path / "counted")
    rng = random.Random(1)
    for number in range(crashes):
        path, moment = tmp_path / str(number), rng.randint(1, last)
        _crashed(runs, path, moment, rng.choice(LOSSES))
        disk = Losing(path, rng.randint(1, 40))
        try:
            runs.run(path, disk)
        except Crash:
            disk.lose(*rng.choice(LOSSES), rng)
        _require_same(runs, path, whole)


def test_a_line_behind_a_torn_one_counts(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """What goes on where a line was torn, and crashes later, keeps what it said was done."""
    last = _moments(runs, tmp_path / "counted")
    said = 0
    for later in range(10, last // 2, 30):
        path = tmp_path / str(later)
        _crashed(runs, path, last // 5, ("flushed", "flushed"))
        with next(path.rglob(JOURNAL)).open("ab") as journal:
            journal.write(b'{"sha256":"0a')
        runs.reported.clear()
        disk = Losing(path, later)
        with pytest.raises(Crash):
            runs.run(path, disk)
        disk.lose("flushed", "flushed", random.Random(later))
        said += len(runs.reported)
        _require_same(runs, path, whole)
    assert said


@pytest.mark.parametrize(
    ("number", "every"),
    quick_are(
        ["full, some"],
        {
            "full, some": (errno.ENOSPC, 40),
            "broken, some": (errno.EIO, 40),
            "full": (errno.ENOSPC, 2),
            "broken": (errno.EIO, 2),
        },
    ),
)
def test_a_disk_that_refuses_a_step(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes], number: int, every: int
) -> None:
    """Each step, before or after it, by turns with the other disk; in quick tests, some."""
    disk = Counting()
    runs.run(tmp_path / "counted", disk)
    for moment in range(1 + (number == errno.EIO), disk.count + 1, every):
        path = tmp_path / str(moment)
        runs.reported.clear()
        with pytest.raises(cnnvis.DiskError, match=r"cannot be written: .*--resume goes on"):
            runs.run(path, Full(moment, number))
        _require_same(runs, path, whole)


@pytest.mark.parametrize("every", quick_are([48], [48, 3]))
def test_a_crash_in_a_merge(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes], every: int
) -> None:
    shares = [tmp_path / name for name in ("one", "two", "three")]
    for number, path in enumerate(shares, 1):
        runs.run(path, share=f"{number}/3")
    path = tmp_path / "counted"
    path.mkdir()
    disk = Losing(path)
    for share in shares:
        disk.names |= Losing(share).names
    with runs.on(disk):
        merge(path, shares)
    assert bytes_of(path) == whole
    for moment in range(1, disk.count + 1, every):
        path = tmp_path / str(moment)
        path.mkdir()
        losing = Losing(path, moment)
        with runs.on(losing), pytest.raises(Crash):
            merge(path, shares)
        losing.lose(*LOSSES[moment % len(LOSSES)], random.Random(moment))
        with runs.on(Quick()):
            merge(path, shares)
        assert bytes_of(path) == whole


class Waiting(Quick):
    """A disk on which the first shard is not written before the second one is computed."""

    def __init__(self, second: threading.Event) -> None:
        self.second = second
        self.in_time: list[bool] = []

    def rename(self, folder: Folder, old: str, new: str) -> None:
        if new == "0.json":
            self.in_time.append(self.second.wait(20))
        super().rename(folder, old, new)


def test_a_shard_is_written_while_the_next_is_computed(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()

    def compute(read: Read) -> Piece:
        if read.places.start == quickruns.SIZE:
            second.set()
        return made(read)

    made = quickruns.compute
    monkeypatch.setattr(quickruns, "compute", compute)
    disk = Waiting(second)
    runs.run(tmp_path / "run", disk)
    assert disk.in_time == [True]
    assert bytes_of(tmp_path / "run") == whole
