"""The first look at a stranger's file: what is refused, and what a child's end becomes."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import cnnvis
from cnnvis.files import sandbox
from cnnvis.files.sandbox import MEMORY, begin_look, first_look, require_sound_hdf5

pytestmark = pytest.mark.usefixtures("looks_of_their_own")

X = np.random.default_rng(0).random((50, 8, 8, 1)).astype(np.float32)


# What the child does in these tests; it imports them from here.


def _tells(path: str, *arguments: Any) -> Any:
    return [Path(path).read_text(), *arguments]


def _refuses(path: str) -> None:
    refusal = cnnvis.UserError("is not liked")
    refusal.found = {"config": "{}"}
    raise refusal


def _crashes(path: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _loops(path: str) -> None:
    while True:
        pass


def _hoards(path: str) -> int:
    return len(bytearray(2 * MEMORY))


def _fails(path: str) -> None:
    raise RuntimeError("something unforeseen")


def _writes(path: str) -> None:
    Path(os.path.realpath(path)).with_name("canary").write_text("written")


def _sleeps(path: str) -> None:
    time.sleep(600)


def _chatters(path: str) -> list[str]:
    sys.stderr.write("x" * 2**21)
    return ["y" * 2**21]


def _ways(path: str) -> list[str]:
    return sys.path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", os.fspath(Path(__file__).parent), prepend=os.pathsep)
    some = (_tells, _refuses, _crashes, _loops, _hoards, _fails, _writes, _sleeps, _chatters, _ways)
    for look in some:
        monkeypatch.setattr(look, "__module__", Path(__file__).stem)
    path = tmp_path / "a file"
    path.write_text("held")
    return path


def test_what_a_look_finds(file: Path) -> None:
    assert first_look(_tells, file, 1, ["x"]) == ["held", 1, ["x"]]


def test_a_look_goes_on_while_something_else_is_done(file: Path) -> None:
    began = time.monotonic()
    looks = [begin_look(look, file) for look in (_tells, _chatters, _refuses)]
    assert time.monotonic() - began < 60
    assert looks[0]() == ["held"]
    assert looks[1]() == ["y" * 2**21]
    with pytest.raises(cnnvis.UserError) as error:
        looks[2]()
    assert error.value.found == {"config": "{}"}


@pytest.mark.slow
def test_a_look_that_waits_for_ever_is_ended(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PATIENCE", 3)
    with pytest.raises(cnnvis.UserError, match="reading it does not end"):
        first_look(_sleeps, file)


@pytest.mark.slow
def test_a_larger_file_may_take_longer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1)
    monkeypatch.setattr(sandbox, "BYTES_A_SECOND", 2)  # and the file has four
    with pytest.raises(cnnvis.UserError, match="more than 3 seconds"):
        first_look(_loops, file)


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        (_refuses, "'.*a file' is not liked"),
        (_crashes, "made to do harm: reading it crashes"),
        pytest.param(_loops, "more than 6 seconds", marks=pytest.mark.slow),
        (_hoards, "more than 1024 MB"),
        (_fails, "crashes .*something unforeseen"),
    ],
)
def test_how_a_look_may_end(file: Path, look: Callable[..., Any], sentence: str) -> None:
    with pytest.raises(cnnvis.UserError, match=sentence):
        first_look(look, file)


def test_a_look_writes_nothing_and_imports_nothing_from_where_it_runs(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(cnnvis.UserError, match="File too large"):
        first_look(_writes, file)
    canary = file.with_name("canary")
    assert not canary.exists() or not canary.stat().st_size
    monkeypatch.chdir(file.parent)
    (file.parent / "h5py.py").write_text("from pathlib import Path; Path('canary').write_text('x')")
    ways = first_look(_ways, file)
    assert "" not in ways and os.fspath(file.parent) not in ways


def test_only_regular_files_are_looked_at(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "loop.h5").symlink_to("loop.h5")
    for name, sentence in (
        ("pipe.h5", "is a pipe, a device or a socket, not a file"),
        ("", "is a folder, not a file"),
        ("none.h5", "cannot be read: No such file"),
        ("loop.h5", "cannot be read: Too many levels"),
    ):
        with pytest.raises(cnnvis.UserError, match=sentence):
            require_sound_hdf5(tmp_path / name)


def _external(file: h5py.File) -> None:
    file["X"] = h5py.ExternalLink("secret.h5", "/X")


def _external_beside_others(file: h5py.File) -> None:
    file["a"] = file["z"] = X
    file["X"] = h5py.ExternalLink("secret.h5", "/X")


def _soft(file: h5py.File) -> None:
    file["X"] = h5py.SoftLink("/y")


def _elsewhere(file: h5py.File) -> None:
    file.create_dataset("X", (10,), "u1", external=[("/etc/hostname", 0, 10)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("secret.h5", "X", (10,))
    file.create_virtual_dataset("X", layout)


def _unwritten(file: h5py.File) -> None:
    file.create_dataset("X", (2**30,), "u1")


def _all_zeros(file: h5py.File) -> None:
    file.create_dataset("X", data=np.zeros(2**28, "u1"), compression="gzip", chunks=(2**24,))


def _in_all(file: h5py.File) -> None:
    for index in range(20):
        file.create_dataset(f"X{index}", data=np.zeros(2**23, "u1"), compression="gzip")


def _one_bomb(file: h5py.File) -> None:
    from hostile.bombs import zeros  # here, since the child imports this module alone

    data = file.create_dataset("X", (16, 1024), "u1", chunks=(16, 1024), compression="gzip")
    data.id.write_direct_chunk((0, 0), zeros(2**30))


def _bomb_in_a_large_piece(stream: bytes) -> Callable[[h5py.File], None]:
    def write(file: h5py.File) -> None:
        data = file.create_dataset("X", (2**20,), "u1", chunks=(2**20,), compression="gzip")
        data.id.write_direct_chunk((0,), stream)

    return write


def _bomb_in_one_go(file: h5py.File) -> None:
    _bomb_in_a_large_piece(zlib.compress(bytes(2**28)))(file)


def _bomb_with_flushes(file: h5py.File) -> None:
    from hostile.bombs import zeros

    _bomb_in_a_large_piece(zeros(2**28))(file)


def _bomb_of_members(file: h5py.File) -> None:
    _bomb_in_a_large_piece(zlib.compress(bytes(2**20)) * 2**8)(file)


def _packed_before_another_filter(file: h5py.File) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((100,))
    plan.set_deflate(4)
    plan.set_shuffle()
    space = h5py.h5s.create_simple((100,))
    h5py.h5d.create(file.id, b"X", h5py.h5t.NATIVE_INT32, space, dcpl=plan)


def _large_pieces(file: h5py.File) -> None:
    file.create_dataset("X", (2**20, 2**10), "u1", chunks=(2**20, 2**10), compression="gzip")


def _twice_packed(file: h5py.File) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((100,))
    for _ in range(2):
        plan.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (4,))
    space = h5py.h5s.create_simple((100,))
    h5py.h5d.create(file.id, b"X", h5py.h5t.NATIVE_INT32, space, dcpl=plan)


def _odd_filter(file: h5py.File) -> None:
    file.create_dataset("X", data=np.arange(100), scaleoffset=0, chunks=(10,))


def _within_itself(file: h5py.File) -> None:
    file["g/g"] = file.create_group("g")


def _deep(file: h5py.File) -> None:
    group: Any = file
    for _ in range(60):
        group = group.create_group("g")


def _many_attributes(file: h5py.File) -> None:
    for index in range(1001):
        file.attrs[str(index)] = 0


def _large_pieces_in_a_large_file(file: h5py.File) -> None:
    file["held"] = np.random.default_rng(0).integers(0, 255, 2**20, "u1")
    file.create_dataset("X", (2**28 + 1,), "u1", chunks=(2**28 + 1,), compression="gzip")


def _many(file: h5py.File) -> None:
    from hostile.bombs import links

    file["X"] = 1
    links(file, b"X", 50_001)


REFUSED: dict[Callable[[h5py.File], None], str] = {
    _external: "holds '/X', a link to the other file 'secret.h5'",
    _external_beside_others: "holds '/X', a link to the other file 'secret.h5'",
    _soft: "holds '/X', a link to '/y'",
    _elsewhere: "keeps the data of '/X' in other files",
    _virtual: "keeps the data of '/X' in other files",
    _unwritten: "declares '/X' to hold 1073741824 bytes, of which it stores 0",
    _all_zeros: "declares '/X' to hold 268435456 bytes, of which it stores 2",
    _in_all: "declares to hold [0-9]+, more than 100 times",
    _one_bomb: "stores [0-9]+ bytes in a piece of '/X', which holds 16384 bytes",
    _bomb_in_one_go: "unpacks the pieces of '/X' to more bytes than the pieces hold",
    _bomb_with_flushes: "unpacks the pieces of '/X' to more bytes than the pieces hold",
    _bomb_of_members: "unpacks the pieces of '/X' to more bytes than the pieces hold",
    _packed_before_another_filter: "packs '/X' again behind gzip",
    _large_pieces: "in pieces of 1073741824 bytes",
    _twice_packed: "filter deflate; .* each used once",
    _odd_filter: "filter scaleoffset; cnnvis reads gzip, lzf",
    _within_itself: "holds the group '/g/g' twice, or within itself",
    _deep: "nests its groups more than 50 deep",
    _many_attributes: "describes '/' with 1001 attributes",
    _large_pieces_in_a_large_file: "in pieces of 268435457 bytes",
    _many: "more than 50000 objects",
}


LONG = (_all_zeros, _many)


@pytest.mark.parametrize(
    "write",
    # Not by `quick_are`: looks of this file import it where there are no other tests.
    [pytest.param(one, marks=pytest.mark.slow) if one in LONG else one for one in REFUSED],
    ids=lambda write: write.__name__,
)
def test_what_is_refused_of_hdf5(tmp_path: Path, write: Callable[[h5py.File], None]) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        write(file)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(cnnvis.UserError, match=REFUSED[write]):
        require_sound_hdf5(tmp_path / "data.h5")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 10  # of the processor: others may want it, too


def _ordinary(path: Path) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["plain"], file["again"] = X, X[:0]
        file["the same"] = file["plain"]
        file["names"] = ["ape", "bee", "cow"]
        file["group/alone"] = b"text"
        file["group/type"] = np.dtype("f4")
        file["group/none"] = h5py.Empty("f4")
        file["group/records"] = np.zeros(5, [("a", "f4"), ("b", "S10")])
        file.create_dataset("gzip", data=X, compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("lzf", data=X, compression="lzf")
        file.create_dataset("grows", data=X, maxshape=(None, 8, 8, 1), chunks=(7, 3, 3, 1))
        file.create_dataset("later", (9, 9), "f4")
        wide = file.create_dataset(
            "wide", (1, 5 * 2**20), "f4", chunks=(1, 2**20), compression="gzip"
        )
        wide[0, : 2**20] = 1
        file.create_dataset("blank", data=np.zeros(2**25, "u1"), compression="gzip")
        file.attrs["model_config"] = json.dumps({"layers": ["Dense"] * 10_000})
        file["plain"].attrs["words"] = ["one", "two"]
    return path


def test_ordinary_hdf5_is_sound(tmp_path: Path) -> None:
    require_sound_hdf5(_ordinary(tmp_path / "data.h5"))


@pytest.mark.slow
def test_the_reference_files_are_sound(reference: Path) -> None:
    files = [*reference.rglob("*.h5"), *reference.rglob("*.hdf5")]
    assert files
    for file in files:
        require_sound_hdf5(file)


@pytest.mark.slow
def test_damaged_files_end_in_a_sentence_here_or_in_the_first_look(tmp_path: Path) -> None:
    """What the first look lets through, this Python can read without harm."""
    whole = _ordinary(tmp_path / "whole.h5").read_bytes()
    chance = random.Random(20)
    passed = []
    for index in range(100):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 2, 5, 20])):
            place = chance.randrange(512, min(len(whole), chance.choice([2000, 20_000, 10**9])))
            damaged[place] = chance.choice([0, 127, 128, 255, chance.randrange(256)])
        path = tmp_path / f"{index}.h5"
        path.write_bytes(damaged)
        try:
            require_sound_hdf5(path)
        except cnnvis.UserError:
            path.unlink()
        else:
            passed.append(path)
    assert 15 < len(passed) < 85
    program = (
        "import sys, h5py\n"
        "for path in sys.argv[1:]:\n"
        "    with h5py.File(path) as file:\n"
        "        def read(name, one):\n"
        "            if isinstance(one, h5py.Dataset):\n"
        "                try: one[()]\n"
        "                except (OSError, ValueError, TypeError, RuntimeError): pass\n"
        "        file.visititems(read)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, passed)], timeout=300)
    assert done.returncode == 0
