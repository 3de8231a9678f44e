"""Faults planted in the code, one at a time: the tests of long runs find each.

A journal that is written before its shard is none of them: whoever goes on holds each shard against its
line, and computes what is not there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import cnnvis

HERE = Path(__file__).parent

CRASH = "test_crashes.py::test_a_crash_at_each_step"
EVERY_MOMENT = "test_crashes.py::test_a_crash_at_each_step_with_each_loss[kept-flushed]"
DAMAGE = "test_damage.py"
HOSTILE = "test_strangers_folders.py"

RECOVERS = "test_crashes.py::test_a_line_behind_a_torn_one_counts"


@dataclass(frozen=True)
class Fault:
    """A fault: what it is, in which file, what is written there and what it becomes, and who finds it."""

    what: str
    file: str
    old: str
    new: str
    found_by: str


FAULTS = [
    Fault(
        "a shard's files are not flushed", "files/writing.py",
        "                self.flush(handle)\n            finally:\n                self.close(handle)\n"
        "            if place is None:\n",
        "                pass\n            finally:\n                self.close(handle)\n"
        "            if place is None:\n", CRASH,
    ),
    Fault(
        "a file is renamed before it is flushed", "files/writing.py",
        "                self.flush(handle)\n            finally:\n                self.close(handle)\n"
        "            if place is None:\n                self.rename(folder, temporary, name)\n",
        "                self.rename(folder, temporary, name)\n                self.flush(handle)\n"
        "            finally:\n                self.close(handle)\n"
        "            if place is None:\n                pass\n", EVERY_MOMENT,
    ),
    Fault(
        "files are written under their own names", "files/writing.py",
        'temporary = f"{TEMPORARY}{os.urandom(6).hex()}-{stem[:40]}{suffix}"',
        "temporary = name\n        with suppress(OSError):\n            self.remove(folder, name)", CRASH,
    ),
    Fault(
        "a renamed file's folder is not flushed", "files/writing.py",
        "                place(temporary)\n            self.flush_folder(folder)\n",
        "                place(temporary)\n", CRASH,
    ),
    Fault(
        "a new folder's folder is not flushed", "files/writing.py",
        "            self.make(folder, name)\n            self.flush_folder(folder)\n",
        "            self.make(folder, name)\n", CRASH,
    ),
    Fault(
        "the journal is not flushed", "files/writing.py",
        "            self.write(handle, data)\n            self.flush(handle)\n",
        "            self.write(handle, data)\n", CRASH,
    ),
    Fault(
        "a shard's checksum is not looked at", "runs/part.py",
        'return hashlib.file_digest(file, "sha256").hexdigest() == known', "return True", DAMAGE,
    ),
    Fault(
        "a folder that is a link is followed", "files/writing.py",
        "        flags = os.O_RDONLY | _FOLDER | _AS_IT_IS\n", "        flags = os.O_RDONLY | _FOLDER\n",
        f"{HOSTILE}::test_a_folder_that_becomes_a_link_is_not_followed",
    ),
    Fault(
        "a file that is a link is followed", "files/writing.py",
        "flags | _AS_IT_IS | _AT_ONCE, 0o666", "flags | _AT_ONCE, 0o666",
        f"{HOSTILE}::test_a_file_that_becomes_a_link_is_not_followed",
    ),
    Fault(
        "a manifest is not held against what a run writes", "runs/folder.py",
        "    if facts is None:\n        raise UserError(\n            f\"{str(path / MANIFEST)!r} holds",
        "    if False:\n        raise UserError(\n            f\"{str(path / MANIFEST)!r} holds", HOSTILE,
    ),
    Fault(
        "a line's checksum is not looked at", "runs/seals.py",
        'return value if whole["sha256"] == digest(plain(value)) else None', "return value", DAMAGE,
    ),
    Fault(
        "a torn journal is written on", "runs/part.py",
        "            if not is_settled(kept):\n", "            if own.kind(JOURNAL) is None:\n", RECOVERS,
    ),
    Fault(
        "what is left of other shards stays", "runs/part.py",
        "        self._disk.drop(folder, there)\n", "", DAMAGE,
    ),
    Fault(
        "another run's shards are taken", "runs/part.py",
        "if line.run != self._run or line.shard not in self.own:", "if line.shard not in self.own:",
        DAMAGE,
    ),
    Fault(
        "an image that failed has zeros", "runs/shard_files.py",
        "np.full((size, *self.maps.shape[1:]), np.nan, np.float32)",
        "np.zeros((size, *self.maps.shape[1:]), np.float32)",
        "test_long_runs.py::test_others_read_it",
    ),
    Fault(
        "there is no lock", "runs/locks.py",
        "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass",
        "test_processes.py::test_two_runs_into_one_folder",
    ),
    Fault(
        "another model goes on", "runs/manifest.py",
        '_UNIMPORTANT = {"file of the model", "file of the data"}',
        '_UNIMPORTANT = {"file of the model", "file of the data", "sha256 of the model"}',
        "test_long_runs.py::test_another_model_other_data_or_another_plugin_do_not_go_on_in_it",
    ),
    Fault(
        "an image that failed is dropped in silence", "explain/tally.py",
        "            failure_of_image(index, failure.reason)\n", "",
        "test_long_runs.py::test_exit_codes",
    ),
    Fault(
        "batches are as large as those that were traced before", "network/compilation.py",
        "        if _now().is_settled:\n            return size\n", "",
        "../network/test_compilation.py::test_settled_batches_are_always_full",
    ),
    Fault(
        "a signal ends at once, whatever is in hand", "runs/interrupts.py",
        "    if not _gentle:\n        raise Stopped(number)\n", "    raise Stopped(number)\n",
        "test_processes.py::test_a_signal_ends_after_the_shard_in_hand_and_says_how_to_go_on",
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_is_found(fault: Fault, tmp_path: Path) -> None:
    shutil.copytree(Path(cnnvis.__file__).parent, tmp_path / "cnnvis")
    file = tmp_path / "cnnvis" / fault.file
    text = file.read_text()
    assert text.count(fault.old) == 1
    file.write_text(text.replace(fault.old, fault.new))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-m", "slow or not slow",
         "-p", "no:cacheprovider", HERE / fault.found_by],
        capture_output=True, text=True, cwd=HERE, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout[-3000:]
    assert "1 failed" in done.stdout, done.stdout[-3000:]
