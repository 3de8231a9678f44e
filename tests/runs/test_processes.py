"""Runs as processes: stopped by signals, killed, beside each other, on a disk that is really full."""

from __future__ import annotations

import contextlib
import math
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from quickruns import bytes_of
from servers import Server

from cnnvis.errors import UserError
from cnnvis.files.writing import Folder
from cnnvis.runs.locks import locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX signals")

PLUGIN = '''
import time
import cnnvis


@cnnvis.technique("slow")
def slow(model, samples, *, seconds: float = 0.3) -> cnnvis.Explanation:
    """The gradient, after a while."""
    time.sleep(seconds)
    return cnnvis.Explanation(model.input_gradient(samples.x), samples)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processes")
    (path / "slow.py").write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    yield server
    server.close()


def _slow(into: Path, *more: object) -> list[object]:
    plugin = into.parent / "slow.py"
    return [
        "--plugin", plugin, "run", "slow", "demo", "-im", *range(8), "--shard-size", 1,
        "--into", into, "-r", "numpy", "-o", into.with_suffix(".npz"), *more,
    ]  # fmt: skip


def _wait_for(path: Path, lines: int) -> None:
    """Until so many shards are in the journal."""
    late = time.monotonic() + 60
    while not path.is_file() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < late
        time.sleep(0.01)


@pytest.fixture(scope="module")
def slow_whole(server: Server, folder: Path) -> dict[str, bytes]:
    code, said = server.run(*_slow(folder / "whole", "--seconds", 0.3))
    assert code == 0, said
    return bytes_of(folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_after_the_shard_in_hand_and_says_how_to_go_on(
    server: Server, folder: Path, slow_whole: dict[str, bytes], name: str, code: int
) -> None:
    into = folder / name
    process = server.start(*_slow(into, "--seconds", 0.3))
    _wait_for(into / "1-slow" / "journal.jsonl", 2)
    began = time.monotonic()
    os.kill(process, getattr(signal, name))
    found, said = server.ended()
    assert found == code and time.monotonic() - began < 2, said
    assert f"shards are kept in {str(into)!r}" in said and not into.with_suffix(".npz").exists()
    lines = (into / "1-slow" / "journal.jsonl").read_bytes().count(b"\n")
    assert f"stopped; {lines} of 8 shards" in said
    command = said.split("Go on with: cnnvis ")[1].splitlines()[0]
    found, said = server.run(*shlex.split(command))
    assert found == 0, said
    assert bytes_of(into) == slow_whole
    assert into.with_suffix(".npz").exists()


def _in_a_long_shard(server: Server, into: Path) -> int:
    """A run that is a second into a shard of a minute; its process's id."""
    process = server.start(*_slow(into, "--seconds", 60))
    _wait_for(into / "1-slow" / "journal.jsonl", 0)
    time.sleep(1)
    return process


@pytest.mark.slow
def test_a_shard_that_takes_longer_is_dropped(server: Server, folder: Path) -> None:
    into = folder / "dropped"
    process = _in_a_long_shard(server, into)
    began = time.monotonic()
    os.kill(process, signal.SIGTERM)
    code, said = server.ended()
    assert code == 143 and 1.5 < time.monotonic() - began < 4
    assert "stopped; 0 of 8 shards" in said and "--resume" in said


@pytest.mark.slow
def test_a_second_signal_ends_at_once(server: Server, folder: Path) -> None:
    into = folder / "twice"
    process = _in_a_long_shard(server, into)
    began = time.monotonic()
    os.kill(process, signal.SIGINT)
    time.sleep(0.2)
    os.kill(process, signal.SIGINT)
    code, said = server.ended()
    assert code == 130 and time.monotonic() - began < 1.5, said


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_without_a_folder_a_signal_ends_with_a_word(
    server: Server, folder: Path, name: str, code: int
) -> None:
    out = folder / "nothing" / "left.npz"
    process = server.start(
        "--plugin", folder / "slow.py", "run", "slow", "demo", "-o", out, "--seconds", 1.5
    )
    time.sleep(1.2)
    os.kill(process, getattr(signal, name))
    assert server.ended() == (code, "error: stopped\n")
    assert not out.parent.exists()


@pytest.mark.slow
def test_two_runs_into_one_folder(
    server: Server, folder: Path, slow_whole: dict[str, bytes]
) -> None:
    into = folder / "shared"
    process = server.start(*_slow(into, "--seconds", 0.3))
    _wait_for(into / "1-slow" / "journal.jsonl", 1)
    with (
        Folder.opened(into) as there,
        pytest.raises(UserError, match=rf"another run writes to .*\(process {process}\)"),
        locked(there),
    ):
        pass
    code, said = server.ended()
    assert code == 0, said
    assert bytes_of(into) == slow_whole


KILLS = int(os.environ.get("KILLS", 25))
"""How often a run is killed; a variable of this name says more."""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(server: Server, folder: Path) -> None:
    rng = random.Random(0)

    def words(into: Path) -> list[object]:
        return [
            "run", "smoothgrad", "demo", "-im", *range(40), "--copies", 4, "--shard-size", 1,
            "--into", into, "--resume", "-r", "numpy", "-o", folder / "killed.npz", "-q",
        ]  # fmt: skip

    took = math.inf
    for name in ("first", "unkilled"):  # the first takes longer
        began = time.monotonic()
        code, said = server.run(*words(folder / name))
        assert code == 0, said
        took = min(took, time.monotonic() - began)
    expected, maps = bytes_of(folder / "unkilled"), (folder / "killed.npz").read_bytes()
    kills = finished = 0
    while kills < KILLS:
        into = folder / "killed"
        shutil.rmtree(into, ignore_errors=True)
        (folder / "killed.npz").unlink(missing_ok=True)
        code = -9
        while code == -9:
            process = server.start(*words(into))
            time.sleep(rng.uniform(0, 1.1 * took))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            code, said = server.ended()
            assert code in (0, -9), said
            kills += code == -9
        assert bytes_of(into) == expected
        assert (folder / "killed.npz").read_bytes() == maps
        finished += 1
    assert finished > 1


@pytest.mark.slow
def test_a_disk_that_is_really_full(server: Server, folder: Path) -> None:
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", small], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount a file system")

    def words(into: Path) -> list[object]:
        return [
            "run", "saliency", "demo", "-im", *range(24), "--shard-size", 2, "--into", into,
            "-r", "numpy", "-o", folder / "full.npz", "--resume",
        ]  # fmt: skip

    try:
        code, said = server.run(*words(small / "run"))
        assert code == 5 and "No space left on device" in said and "--resume" in said, said
        assert "Traceback" not in said
        done = (small / "run" / "1-saliency" / "journal.jsonl").read_bytes().count(b"\n")
        assert done > 1
        subprocess.run(["mount", "-o", "remount,size=4m", small], check=True)
        code, said = server.run(*words(small / "run"))
        assert code == 0, said
        code, said = server.run(*words(folder / "roomy"))
        assert code == 0, said
        assert bytes_of(small / "run") == bytes_of(folder / "roomy")
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        code, said = server.run(*words(small / "run"))
        assert code == 2 and "cannot be written" in said, said
        code, said = server.run(*words(small / "new"))
        assert code == 2 and "Traceback" not in said, said
    finally:
        subprocess.run(["umount", small], check=True)
    np.load(folder / "full.npz", allow_pickle=False).close()
