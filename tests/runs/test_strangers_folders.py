"""Run folders from strangers: what they lead to stays as it is, and nothing of them is believed blindly.

Each attack is tried on a folder that is resumed, one that is merged, and one that is merged into. It is
repaired to the same bytes or refused in a sentence, in bounded time and memory, and nothing outside of
the folder is changed.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import random
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from quickruns import Runs, bytes_of

import cnnvis
from cnnvis.files.writing import Folder, Strange
from cnnvis.runs.merging import merge
from cnnvis.runs.seals import digest, sealed, unsealed
from cnnvis.runs.shard_files import read_facts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs links, pipes and limits")

PART = "1-made"
FILES = (
    *("lock", "manifest.json", f"{PART}/journal.jsonl", f"{PART}/zarr.json"),
    *(f"{PART}/shards/0.json", f"{PART}/maps/c.0.0.0", f"{PART}/maps/zarr.json"),
)
FOLDERS = (PART, f"{PART}/maps", f"{PART}/shards", f"{PART}/index")
SECONDS, MEMORY = 20, 2**30


@dataclass(frozen=True)
class Attack:
    """What is done to a run folder, perhaps to something in it that has to be there."""

    what: str
    change: Callable[[Path, Path], object]
    to: str = ""


class TooLong(BaseException):
    """What is tried does not end; nothing that takes an error for damage takes this one."""


@contextmanager
def bounded() -> Iterator[None]:
    """Fail what takes too long, or asks for too much memory."""

    def late(*_: object) -> None:
        raise TooLong

    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits, handler = resource.getrlimit(resource.RLIMIT_AS), signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, limits[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def everything(folder: Path) -> dict[str, bytes]:
    """What lies in a folder: its files' bytes, and that there are folders."""
    return {
        path.relative_to(folder).as_posix(): b"" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def _removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _leads(path: Path, outside: Path) -> None:
    """Have a link lead to a copy, outside."""
    (shutil.copytree if path.is_dir() else shutil.copyfile)(path, outside / "copy")
    _removed(path)
    path.symlink_to(outside / "copy")


def _dangles(path: Path, outside: Path) -> None:
    """Have a link lead to what is not there, and would be made."""
    _removed(path)
    path.symlink_to(outside / "made")


def _is(make: Callable[[Path], object]) -> Callable[[Path, Path], None]:
    def change(path: Path, outside: Path) -> None:
        _removed(path)
        make(path)

    return change


def _long(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**12)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # whose own name may be longer than a socket's may be
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _temporary_links(path: Path, outside: Path) -> None:
    (outside / "target").write_text("mine")
    for folder in (path, path / PART, path / PART / "maps"):
        for name in (".tmp-c.0.0.0", ".tmp-manifest.json"):
            (folder / name).symlink_to(outside / "target")


KINDS: dict[str, tuple[Callable[[Path, Path], object], tuple[str, ...]]] = {
    "is a link": (_leads, (*FILES, *FOLDERS)),
    "is a link to nothing": (_dangles, (*FILES, *FOLDERS)),
    "has two names": (lambda path, outside: os.link(path, outside / "other"), FILES),
    "is a pipe": (_is(os.mkfifo), (*FILES, *FOLDERS)),
    "is a socket": (_is(_socket), FILES),
    "is a folder": (_is(Path.mkdir), FILES),
    "is a device": (_is(lambda path: path.symlink_to("/dev/zero")), FILES),
    "is long": (_is(_long), (*FILES, *FOLDERS)),
}
STRANGE = [
    *(
        Attack(f"{name} {kind}", change, name)
        for kind, (change, names) in KINDS.items()
        for name in names
    ),
    Attack("temporary files are links", _temporary_links),
]

# Values


WRONG: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**6, 10**12, 2**63, 1.5, float("nan"), "", "x", "../../outside/x", "0" * 64),
    *([], {}, [[]], [0] * 20, {"a": 1}, json.loads("[" * 400 + "]" * 400), "x" * 20_000, "\ud800"),
)  # fmt: skip


def _leaves(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield where
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(inner, (*where, key))


def _changed(value: Any, rng: random.Random) -> tuple[str, Any]:
    """A value with something in it that is of another kind, is not there, or is there too much."""
    value = copy.deepcopy(value)
    where = rng.choice([one for one in _leaves(value) if one])
    holder = functools.reduce(lambda held, key: held[key], where[:-1], value)
    wrong = rng.choice(WRONG)
    if rng.random() < 0.15:
        del holder[where[-1]]
        return f"{where} removed", value
    if rng.random() < 0.15 and isinstance(holder, dict):
        holder["../../outside/x"] = holder.pop(where[-1])
        return f"{where} renamed", value
    holder[where[-1]] = wrong
    return f"{where} is {str(wrong)[:30]}", value


def _manifest(path: Path, rng: random.Random) -> str:
    file = path / "manifest.json"
    what, value = _changed(unsealed(file.read_bytes()), rng)
    file.write_bytes(sealed(value, indent=1))
    return what


def _lines(path: Path) -> list[Any]:
    return [unsealed(line) for line in (path / PART / "journal.jsonl").read_bytes().splitlines()]


def _write_lines(path: Path, lines: list[Any]) -> None:
    (path / PART / "journal.jsonl").write_bytes(b"".join(map(sealed, lines)))


def _journal(path: Path, rng: random.Random) -> str:
    what, lines = _changed(_lines(path), rng)
    _write_lines(path, lines)
    return what


def _facts(path: Path, rng: random.Random) -> str:
    lines = _lines(path)
    line = rng.choice([line for line in lines if "shard" in line])
    name = f"shards/{line['shard']}.json"
    what, value = _changed(json.loads((path / PART / name).read_bytes()), rng)
    _put(path, line, name, json.dumps(value).encode())
    _write_lines(path, lines)
    return what


def _put(path: Path, line: Any, name: str, data: bytes) -> None:
    (path / PART / name).write_bytes(data)
    line["files"][name] = digest(data)


def _bomb(length: int, shape: list[int] | None) -> Callable[[Path, Path], None]:
    """Have a file of maps claim to unpack to so many bytes, and its maps perhaps to be as large."""

    def change(path: Path, outside: Path) -> None:
        lines = _lines(path)
        line = lines[0]
        data = b"\x28\xb5\x2f\xfd\xe0" + length.to_bytes(8, "little") + b"\x03\x00\x00" * 4
        _put(path, line, "maps/c.0.0.0", data)
        if shape is not None:
            facts = json.loads((path / PART / "shards/0.json").read_bytes())
            _put(path, line, "shards/0.json", json.dumps({**facts, "shape": shape}).encode())
        _write_lines(path, lines[:-1] if "shard" not in lines[-1] else lines)

    return change


def _deep(path: Path, outside: Path) -> None:
    (path / "manifest.json").write_bytes(b'{"sha256":"","value":' + b"[" * 10**6)


def _many_lines(path: Path, outside: Path) -> None:
    """Have a journal name one shard many times over, with sums that do not fit to a long file."""
    lines = _lines(path)
    os.truncate(path / PART / "maps" / "c.0.0.0", 2**28)
    _write_lines(path, [lines[0]] * 5000)


def _huge_run(path: Path, outside: Path) -> None:
    """Have a manifest tell of as many images as there may be, each a shard of its own."""
    file = path / "manifest.json"
    facts = unsealed(file.read_bytes())
    facts["data"]["count"], facts["computed"]["shard_size"] = 10**12, 1
    file.write_bytes(sealed(facts, indent=1))


CONTENTS = [
    Attack("a frame that claims a terabyte", _bomb(2**40, None)),
    Attack("maps of four terabytes", _bomb(2**42, [2**20, 2**18])),
    Attack("maps of nothing", _bomb(0, [0, 2])),
    Attack("a deep manifest", _deep),
    Attack("a line many times", _many_lines),
    Attack("a trillion images", _huge_run),
]

# How they are tried


class Tries:
    """Tries attacks on folders that are resumed, merged and merged into.

    Attributes
    ----------
    refused, repaired
        How many tries ended in a sentence, and how many in the bytes that a run writes.
    """

    def __init__(self, runs: Runs, root: Path, whole: dict[str, bytes]) -> None:
        self._runs, self._root, self._whole = runs, root, whole
        for number in (1, 2):
            runs.run(root / f"share {number}", share=f"{number}/2")
        self.refused = self.repaired = 0

    def all_ways(self, attack: Attack, *, is_believed: bool = False) -> None:
        """Try an attack in each way; `is_believed` where it says what might be."""
        shares = [self._root / f"share {number}" for number in (1, 2)]
        attacked, merged = self._root / "attacked", self._root / "merged"

        def resumed() -> Path:
            self._runs.run(attacked)
            return attacked

        ways: list[tuple[str, Callable[[], Path]]] = [
            ("whole", resumed),
            ("share 1", lambda: merge(merged, [attacked, shares[1]])),
            ("whole", lambda: merge(attacked, shares)),
        ]
        for begun_from, use in ways:
            if (self._root / begun_from / attack.to).exists():
                self._try(attack, begun_from, use, is_believed)

    def _try(
        self, attack: Attack, begun_from: str, use: Callable[[], Path], is_believed: bool
    ) -> None:
        attacked, outside = self._root / "attacked", self._root / "outside"
        for folder in (attacked, outside, self._root / "merged"):
            shutil.rmtree(folder, ignore_errors=True)
        outside.mkdir()
        shutil.copytree(self._root / begun_from, attacked)
        attack.change(attacked / attack.to, outside)
        before = everything(outside)
        try:
            with bounded():
                made = use()
        except cnnvis.UserError as error:
            assert 10 < len(str(error)) < 1000, attack
            self.refused += 1
        else:
            assert not any(one.is_symlink() for one in made.rglob("*")), attack
            assert is_believed or bytes_of(made) == self._whole, attack
            self.repaired += 1
        assert everything(outside) == before, attack


@pytest.fixture
def tries(runs: Runs, tmp_path: Path, whole: dict[str, bytes]) -> Tries:
    return Tries(runs, tmp_path, whole)


@pytest.mark.slow
def test_what_is_strange_in_a_folder_leads_nowhere(tries: Tries) -> None:
    for attack in STRANGE:
        tries.all_ways(attack)
    assert tries.refused > 60 and tries.repaired > 40


@pytest.mark.slow
def test_what_a_folder_claims_is_held_against_what_is_there(tries: Tries) -> None:
    for attack in CONTENTS:
        tries.all_ways(attack, is_believed=True)
    assert tries.refused > 3 and tries.repaired > 3


def _values(tries: Tries, seeds: range) -> None:
    for seed in seeds:

        def change(path: Path, outside: Path, seed: int = seed) -> None:
            rng = random.Random(seed)
            rng.choice([_manifest, _journal, _facts])(path, rng)

        # Whoever makes the checksums anew may say what could be so.
        tries.all_ways(Attack(f"values {seed}", change), is_believed=True)


@pytest.mark.slow
def test_values_of_every_kind_are_refused_or_computed_again(tries: Tries) -> None:
    _values(tries, range(60))
    assert tries.refused > 15 and tries.repaired > 40


@pytest.mark.slow
def test_hundreds_of_values_are_refused_or_computed_again(tries: Tries) -> None:
    _values(tries, range(1000, 1300))
    assert tries.refused > 90 and tries.repaired > 180


@pytest.mark.parametrize("key", ["07", "7\n", " 7", "-1", "9", "x", "\u0663"])
@pytest.mark.parametrize("name", ["constant", "failed"])
def test_places_are_written_in_a_single_way(name: str, key: str) -> None:
    good = {
        "index": list(range(8)), "label": None, "failed": {}, "notes": [], "blank": [], "shape": [1],
        "axes": ["row"], "titles": [], "targets": [], "signed": None, "are_inputs": False,
        "notes of the result": [], "measures": {}, "constant": {"7": 0.0},
    }  # fmt: skip
    assert read_facts(json.dumps(good).encode(), range(8)) is not None
    value: Any = 0.0 if name == "constant" else ["no map", "why"]
    strange = json.dumps({**good, name: {key: value}}).encode()
    assert read_facts(strange, range(8)) is None


# Between a look at it and its use


def test_a_folder_that_becomes_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    monkeypatch.setattr(Folder, "_require", lambda *_: None)
    with Folder.opened(tmp_path) as folder, pytest.raises(OSError):
        folder.inner("link")


def test_a_file_that_becomes_a_link_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(Folder, "_require", lambda *_: None)
    with Folder.opened(tmp_path) as folder:
        for flags in (os.O_RDONLY, os.O_RDWR | os.O_APPEND, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
            with pytest.raises(OSError):
                folder.open("link", flags)
        with pytest.raises(Strange, match="is no file"):
            folder.open("pipe", os.O_RDWR)
    assert (tmp_path / "other").read_text() == "mine"


def test_a_run_folder_may_itself_be_a_link(
    runs: Runs, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    runs.run(tmp_path / "run")
    assert bytes_of(tmp_path / "elsewhere") == whole


@pytest.mark.slow
def test_systems_without_handles_of_folders_look_before_they_open(
    tries: Tries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnvis.files.writing.HAS_HANDLES", False)
    for attack in STRANGE[::4]:
        tries.all_ways(attack)
    assert tries.refused > 10 and tries.repaired > 5
