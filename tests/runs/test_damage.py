"""Damaged journals, shards and manifests: repaired to the same bytes or refused, never believed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from quick import quick_are
from quickruns import SIZE, Runs, bytes_of

import cnnvis
from cnnvis.files.writing import DISK, Folder
from cnnvis.runs.folder import manifest_in, part_of


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\0"
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))] if data else b""


def _zeros(data: bytes, rng: random.Random) -> bytes:
    """As a file whose bytes never came to the disk."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + bytes(len(data) - place)


def _garbage(data: bytes, rng: random.Random) -> bytes:
    return data + rng.randbytes(rng.randint(1, 60))


def _swapped(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def _doubled(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"".join(lines)


def _deleted(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _other_shard(data: bytes, rng: random.Random) -> bytes:
    """A line that says it is another shard's, or another image's outcome, with its old checksum."""
    return data.replace(b'"shard":0', b'"shard":3').replace(b"ninth", b"tenth")


CHANGES: list[Callable[[bytes, random.Random], bytes]] = [
    *(_flip, _flip, _cut, _zeros, _garbage, _swapped, _doubled, _deleted, _other_shard),
]


def _damage(path: Path, rng: random.Random) -> str:
    """Damage something in a run folder; what."""
    files = [one for one in sorted(path.rglob("*")) if one.is_file() and one.name != "lock"]
    journal = path / "1-made" / "journal.jsonl"
    file = journal if rng.random() < 0.4 and journal in files else rng.choice(files)
    what = rng.random()
    if what < 0.1:
        file.unlink()
        return f"{file.name} removed"
    if what < 0.2:
        other = rng.choice(files)
        one, two = file.read_bytes(), other.read_bytes()
        file.write_bytes(two), other.write_bytes(one)
        return f"{file.name} and {other.name} swapped"
    if what < 0.25:
        # Beside the others of its kind: what a person puts elsewhere is left alone.
        file = rng.choice([one for one in files if len(one.relative_to(path).parts) > 2])
        copy = file.with_name(file.name.replace("1", "3") + rng.choice(["", "x"]))
        copy.write_bytes(file.read_bytes())
        return f"{copy.name} a copy of {file.name}"
    change = rng.choice(CHANGES)
    file.write_bytes(change(file.read_bytes(), rng))
    return f"{file.name} {change.__name__}"


def _try(
    runs: Runs, folder: Path, seeds: range, starts: list[Path], whole: dict[str, bytes]
) -> tuple[int, int]:
    repaired = refused = 0
    for seed in seeds:
        rng = random.Random(seed)
        path = folder / "damaged"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(rng.choice(starts), path)
        damage = [_damage(path, rng) for _ in range(rng.choice([1, 1, 2, 5]))]
        try:
            runs.run(path)
        except cnnvis.UserError as error:
            assert "manifest.json' is damaged" in str(error) or "no run folder" in str(error), (
                damage
            )
            refused += 1
            continue
        assert bytes_of(path) == whole, (seed, damage)
        repaired += 1
    return repaired, refused


@pytest.fixture
def starts(runs: Runs, tmp_path: Path, whole: dict[str, bytes]) -> list[Path]:
    """A finished run, and one that was stopped after two shards."""
    runs.run(tmp_path / "stopped", until=3)
    return [tmp_path / "whole", tmp_path / "stopped"]


@pytest.mark.parametrize("damages", quick_are([30], [30, 150]))
def test_damage_is_repaired_or_refused(
    runs: Runs, tmp_path: Path, starts: list[Path], whole: dict[str, bytes], damages: int
) -> None:
    repaired, refused = _try(runs, tmp_path, range(damages), starts, whole)
    assert repaired > damages * 2 / 3 and refused > damages / 30


@pytest.mark.slow
def test_a_thousand_damages_are_repaired_or_refused(
    runs: Runs, tmp_path: Path, starts: list[Path], whole: dict[str, bytes]
) -> None:
    repaired, refused = _try(runs, tmp_path, range(1000, 2000), starts, whole)
    assert repaired > 700 and refused > 30


def test_a_shard_counts_by_its_own_bytes(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """The most telling damages, one by one, each with the shard that it costs."""
    part = tmp_path / "whole" / "1-made"
    (part / "shards" / "0.json").write_bytes((part / "shards" / "2.json").read_bytes())
    runs.run(tmp_path / "whole")
    assert runs.computed == [0] and bytes_of(tmp_path / "whole") == whole

    lines = (part / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (part / "journal.jsonl").write_bytes(b"".join(lines)[:-200])  # the last line is torn
    runs.run(tmp_path / "whole")
    assert runs.computed == [] and bytes_of(tmp_path / "whole") == whole

    (part / "maps" / "c.3.0.0").write_bytes(b"")
    (part / "maps" / "c.1.0.0").write_bytes(b"never written by the run")
    runs.run(tmp_path / "whole")
    assert runs.computed == [3] and bytes_of(tmp_path / "whole") == whole


def test_another_runs_shards_are_none_of_this_one(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    runs.run(tmp_path / "other", options={"steps": 6})
    shutil.rmtree(tmp_path / "whole" / "1-made")
    shutil.copytree(tmp_path / "other" / "1-made", tmp_path / "whole" / "1-made")
    runs.run(tmp_path / "whole")
    assert runs.computed == [0, 1, 2, 3] and bytes_of(tmp_path / "whole") == whole


def test_a_shard_that_changes_while_it_is_used_is_not_believed(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    path = tmp_path / "whole"
    read = runs.run(path)
    assert len(read) == -(-14 // SIZE) and runs.computed == []
    with Folder.opened(path) as folder:
        facts = manifest_in(folder)
        assert facts is not None
        part = part_of(folder, facts, "1-made", 0, DISK).recovered()
        (path / "1-made" / "shards" / "0.json").write_text(json.dumps({"failed": {}}))
        with pytest.raises(cnnvis.DiskError, match="is damaged: it differs from the written data"):
            part.take(0, part)
