"""Disks on which things go wrong: that crash at a step, lose what was not flushed, or are full."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnvis.files.writing import Disk, Folder


class Crash(BaseException):
    """The power fails."""


STEPS = (
    *("create", "reopen", "write", "flush", "close"),
    *("rename", "link", "remove", "make", "flush_folder"),
)


class Quick(Disk):
    """A disk that is not waited for: what a test does to it needs no power to fail."""

    def flush(self, handle: int) -> None:
        pass

    def flush_folder(self, folder: Folder) -> None:
        pass


class Counting(Quick):
    """A disk that counts its steps, and does something before and after each of them."""

    def __init__(self) -> None:
        self.count = 0
        self.steps: list[str] = []

    def reached(self, moment: str) -> None:
        """Called before and after each step, and in the middle of one that writes."""
        self.count += 1
        self.steps.append(moment)


def _counted(name: str) -> Callable[..., Any]:
    def step(self: Counting, *arguments: Any) -> Any:
        self.reached(f"before {name}")
        answer = getattr(Quick, name)(self, *arguments)
        self.reached(f"after {name}")
        return answer

    return step


for _name in STEPS:
    setattr(Counting, _name, _counted(_name))


@dataclass
class Bytes:
    """What a file holds: now, and on the disk whatever happens; None where it was never flushed."""

    now: bytes = b""
    flushed: bytes | None = None


class Losing(Counting):
    """A disk that crashes at a moment and then has lost what was not flushed.

    Parameters
    ----------
    root
        The folder that it holds; what is there is on the disk.
    crash_at
        At which moment, counted from 1; None for never.
    """

    def __init__(self, root: Path, crash_at: int | None = None) -> None:
        super().__init__()
        self.root, self.crash_at, self.is_dead = root, crash_at, False
        self.names = {
            path: Bytes(path.read_bytes(), path.read_bytes())
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        self.flushed_names = dict(self.names)
        self.folders = {root, *(path for path in root.rglob("*") if path.is_dir())}
        self.flushed_folders = set(self.folders)
        self.handles: dict[int, Bytes] = {}

    def reached(self, moment: str) -> None:
        super().reached(moment)
        if self.count == self.crash_at:
            self.is_dead = True
            raise Crash(moment)

    def create(self, folder: Folder, name: str) -> int:
        self._require_power()
        handle = super().create(folder, name)
        self.handles[handle] = self.names[folder.path / name] = Bytes()
        return handle

    def reopen(self, folder: Folder, name: str) -> int:
        self._require_power()
        handle = super().reopen(folder, name)
        self.handles[handle] = self.names[folder.path / name]
        return handle

    def write(self, handle: int, data: bytes) -> None:
        self._require_power()
        half = len(data) // 2
        for part in (data[:half], data[half:]):  # a crash in between leaves one half
            self.handles[handle].now += part
            super().write(handle, part)

    def flush(self, handle: int) -> None:
        self._require_power()
        self.reached("before flush")
        self.handles[handle].flushed = self.handles[handle].now
        self.reached("after flush")

    def close(self, handle: int) -> None:
        os.close(handle)
        self.handles.pop(handle)

    def rename(self, folder: Folder, old: str, new: str) -> None:
        self._require_power()
        self.reached("before rename")
        Disk.rename(self, folder, old, new)
        self.names[folder.path / new] = self.names.pop(folder.path / old)
        self.reached("after rename")

    def remove(self, folder: Folder, name: str) -> None:
        self._require_power()
        self.reached("before remove")
        Disk.remove(self, folder, name)
        del self.names[folder.path / name]
        self.reached("after remove")

    def make(self, folder: Folder, name: str) -> None:
        self._require_power()
        self.reached("before make")
        Disk.make(self, folder, name)
        self.folders.add(folder.path / name)
        self.reached("after make")

    def flush_folder(self, folder: Folder) -> None:
        self._require_power()
        self.reached("before flush_folder")
        own = folder.path
        for path in [path for path in self.flushed_names if path.parent == own]:
            del self.flushed_names[path]
        self.flushed_names |= {p: held for p, held in self.names.items() if p.parent == own}
        self.flushed_folders |= {one for one in self.folders if one.parent == own}
        self.reached("after flush_folder")

    def _require_power(self) -> None:
        if self.is_dead:  # whatever is tidied up on the way out is not any more
            raise Crash("off")

    # What is there when the power is back

    def lose(self, names: str, data: str, rng: random.Random) -> None:
        """Leave in the folder what the crash left.

        Parameters
        ----------
        names
            Which names are there: those that were ``flushed``, all (``kept``), or by chance (``mixed``).
        data
            What they hold: likewise; of what was not flushed perhaps a part.
        """
        left: dict[Path, bytes] = {}
        for path in {**self.names, **self.flushed_names}:
            holders = {"flushed": self.flushed_names, "kept": self.names}
            holder = holders.get(names) or rng.choice([self.names, self.flushed_names])
            held = holder.get(path)
            if held is not None:
                left[path] = _left(held, data, rng)
        folders = self.folders if names == "kept" else self.flushed_folders
        for path in sorted(self.root.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for folder in sorted(folders):
            if folder.parent.is_dir():
                folder.mkdir(exist_ok=True)
        for path, held_bytes in left.items():
            if path.parent.is_dir():
                path.write_bytes(held_bytes)


def _left(held: Bytes, data: str, rng: random.Random) -> bytes:
    flushed = held.flushed or b""
    if data == "flushed":
        return flushed
    if data == "kept":
        return held.now
    rest = held.now[len(flushed) :] if held.now.startswith(flushed) else b""
    return flushed + rest[: rng.randint(0, len(rest))]


class Full(Counting):
    """A disk that refuses one of its steps, the way full ones and broken ones do."""

    def __init__(self, refuse_at: int, number: int = errno.ENOSPC) -> None:
        super().__init__()
        self.refuse_at, self.number = refuse_at, number

    def reached(self, moment: str) -> None:
        super().reached(moment)
        if self.count == self.refuse_at:
            raise OSError(self.number, os.strerror(self.number))
