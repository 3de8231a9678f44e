"""Files that stay unchanged after they were looked at, or are reported as changed.

A file that is looked at, loaded and identified by its name is three files if something replaces it
meanwhile, as a training job does with its checkpoint. Here it is opened once. What replaces it by name
does not concern whoever reads it further; what is written into it is found out by its size and its
times; and a model's file, of which each byte was looked at, is read from a copy of one's own.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from errno import EDQUOT, ENOSPC
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, overload

from cnnvis.errors import ChangedError, DiskError, UserError
from cnnvis.files.addresses import Address, Place
from cnnvis.files.objects import HeldObjects
from cnnvis.files.reading import require_regular

_TICK, _COARSE_TICK = 2 * 10**7, 2 * 10**9
"""Nanoseconds, longer than a file system's clock takes for a tick: the usual ones, and those that count
in seconds."""

_OPEN_FILES = Path("/proc/self/fd")
_KEPT_SUMS = 1024


class _State(NamedTuple):
    """State of a file that tells it from other files, and from itself after a change."""

    content: int
    noted: int  # when the system last noted a change of anything
    rights: int  # what else but its bytes a change can be of

    @classmethod
    def of(cls, found: os.stat_result) -> _State:
        return cls(
            hash((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)),
            found.st_ctime_ns,
            hash((found.st_nlink, found.st_mode, found.st_uid, found.st_gid)),
        )

    def is_same(self, other: _State) -> bool:
        """Tell whether nothing was written between two states; names and rights may change."""
        is_noted = self.noted != other.noted and self.rights == other.rights
        return self.content == other.content and not is_noted


_sums: dict[_State, str] = {}


class HeldFile:
    """File that is held open, so that it can be read again whatever file has its name by then.

    Attributes
    ----------
    path
        The file, as it was named.
    is_used
        True where the readers use `place` and `open`; other readers read the file that has the
        name.

    Raises
    ------
    UserError
        If there is no regular file, or it may not be read.
    """

    def __init__(self, path: Path, *, is_copied: bool = False) -> None:
        require_regular(path)
        self.path, self.is_used, self._is_copied = path, False, is_copied
        try:
            self._open = _opened(path)
        except OSError as error:
            raise UserError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
        self._close = weakref.finalize(self, os.close, self._open)
        self._was = _settled(self._open, path)
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    @cached_property
    def place(self) -> Path:
        """Name by which the file's bytes are read: of a copy, or of the open file.

        Raises
        ------
        ChangedError
            If something was written into it while it was copied.
        DiskError
            If there is no room for the copy.
        """
        return self._copied() if self._is_copied else self._own_place

    @cached_property
    def _own_place(self) -> Path:
        own = _OPEN_FILES / str(self._open)
        return own if own.exists() else self.path

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that another process needs to read the file by `place`."""
        return (self._open,) if self.place.parent == _OPEN_FILES else ()

    def _copied(self) -> Path:
        self._copy = tempfile.TemporaryDirectory(prefix="cnnvis-", ignore_cleanup_errors=True)
        copy = Path(self._copy.name) / f"copy{''.join(self.path.suffixes[-2:])}"
        try:
            shutil.copyfile(self._own_place, copy)
        except OSError as error:
            kind = DiskError if error.errno in (ENOSPC, EDQUOT) else UserError
            raise kind(
                f"{str(self.path)!r} cannot be copied to {self._copy.name!r} for reading: "
                f"{error.strerror or error}. The variable TMPDIR sets another folder for copies"
            ) from error
        self.require_unchanged()
        return copy

    @contextmanager
    def open(self, file: Path | None = None) -> Iterator[io.BufferedReader]:
        """Open the file anew, to be read from its start.

        Parameters
        ----------
        file
            Given for a file of a folder; see `HeldFolder`.

        Raises
        ------
        ChangedError
            If something was written into it.
        """
        with self.place.open("rb") as opened:
            try:
                yield opened
            finally:
                if self._copy is None:
                    self._require(_State.of(os.fstat(self._open)))

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes that are read, in hexadecimal.

        Raises
        ------
        ChangedError
            If something was written into it.
        """
        if self._was not in _sums:
            if len(_sums) >= _KEPT_SUMS:
                del _sums[next(iter(_sums))]
            with self.open() as opened:
                found = hashlib.file_digest(opened, "sha256").hexdigest()
            _sums[self._was] = found
        self.require_unchanged()
        return _sums[self._was]

    def require_unchanged(self) -> None:
        """Refuse a file into which something was written since it was opened.

        Raises
        ------
        ChangedError
            If so; or if another has its name now, and was perhaps read instead of it.
        """
        if "place" in vars(self) and self._copy is not None and self.is_used:
            return
        self._require(_State.of(os.fstat(self._open)))
        if not self.is_used:
            self.require_named()

    def require_named(self) -> None:
        """Refuse a file whose name now belongs to another file.

        Raises
        ------
        ChangedError
            If so, or if none has it.
        """
        try:
            self._require(_State.of(self.path.stat()))
        except OSError as error:
            raise changed(self.path) from error

    def _require(self, now: _State) -> None:
        if not now.is_same(self._was):
            raise changed(self.path)

    def record(self) -> None:
        """Do nothing: the state was recorded when the file was opened."""

    def end(self) -> None:
        """Delete the copy, if it exists; nothing reads the file any more after that."""
        if self._copy is not None:
            self._copy.cleanup()
            self._close()

    def __deepcopy__(self, _: object) -> HeldFile:
        return self


class HeldFolder:
    """Folder whose files must be the same as at the first look at each.

    Attributes
    ----------
    path, place
        The folder.
    is_used
        See `HeldFile`.
    """

    descriptors: tuple[int, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = self.place = path
        self.is_used = False
        self._known: dict[str, _State] = {}
        self._sums: dict[str, str] = {}
        self._is_recorded = False

    @contextmanager
    def open(self, file: Path) -> Iterator[io.BufferedReader]:
        """Open a file of the folder.

        Raises
        ------
        ChangedError
            If it is not what it was, or is changed before it is closed.
        """
        key = os.fspath(file)
        try:
            require_regular(file)
            descriptor = _opened(file)
        except (UserError, FileNotFoundError) as error:
            # Where the whole folder is gone, so is the disk that it was on, or somebody moved it.
            if key in self._known and self.path.exists():  # the file is being replaced just now
                raise changed(file) from error
            if isinstance(error.__cause__, FileNotFoundError):
                raise error.__cause__ from None
            raise
        with os.fdopen(descriptor, "rb") as opened:
            self._require(key, _settled(opened.fileno(), file, self._known.get(key)))
            try:
                yield opened
            finally:
                # Libraries close what they are given, and then its name says what it is.
                now = file.stat() if opened.closed else os.fstat(opened.fileno())
                self._require(key, _State.of(now))

    def record(self) -> None:
        """Record the states of all files, once, before they are looked at."""
        if self._is_recorded:
            return
        self._is_recorded = True
        for file in _files(self.path):
            with suppress(OSError):  # the reading of it fails, and says so
                self._require(file, _settled(None, Path(file), self._known.get(file)))

    def require_recorded(self, file: Path) -> None:
        """Refuse a file that was changed or added after all files were recorded.

        Raises
        ------
        ChangedError
            If so.
        """
        key = os.fspath(file)
        try:
            now = _State.of(file.stat())
        except (FileNotFoundError, NotADirectoryError):
            now = None
        except OSError:  # the reading of it fails, and says so
            return
        was = self._known.get(key)
        is_file = now is not None and file.is_file()
        if (was is None) == is_file or (was and now and not now.is_same(was)):
            raise changed(file)

    def _require(self, key: str, now: _State) -> None:
        if not now.is_same(self._known.setdefault(key, now)):
            raise changed(Path(key))

    def sha256(self) -> str:
        """Return the SHA-256 of the files' names and sums, in hexadecimal.

        Raises
        ------
        ChangedError
            If one of those that were read is not what it was.
        """
        whole, seen = hashlib.sha256(), set()
        start = len(os.fspath(self.path)) + 1
        for name in sorted(_files(self.path), key=lambda name: Path(name).parts):
            seen.add(name)
            whole.update(f"{name[start:]} {self._sum(name)}\n".encode("utf-8", "surrogateescape"))
        for name in self._known:
            if name not in seen:
                raise changed(Path(name))
        return whole.hexdigest()

    def _sum(self, name: str) -> str:
        try:
            with self.open(Path(name)) as opened:
                if name not in self._sums:
                    self._sums[name] = hashlib.file_digest(opened, "sha256").hexdigest()
        except PermissionError:
            return "unreadable"
        except OSError as error:
            raise UserError(f"{name!r} cannot be read: {error.strerror or error}") from error
        return self._sums[name]

    def require_unchanged(self) -> None:
        """Do nothing: each file is compared with its recorded state when it is opened."""

    def end(self) -> None:
        """Do nothing: the folder has no copy."""

    def __deepcopy__(self, _: object) -> HeldFolder:
        return self


HeldPath = HeldFile | HeldFolder
Held = HeldPath | HeldObjects

_holding: ContextVar[Mapping[Place, Held]] = ContextVar("holding", default={})  # noqa: B039


@contextmanager
def holding(path: Place, *, is_copied: bool = False) -> Iterator[Held]:
    """Hold a file, a folder or the objects at an address while a plugin reads it, which gets it from `held`.

    What is held already stays unchanged.

    Parameters
    ----------
    is_copied
        True to read a file from a copy, which is deleted at the end.
    """
    known = _holding.get().get(path)
    if known is not None:
        yield known
        return
    one = _held(path, is_copied=is_copied)
    before = _holding.set({**_holding.get(), path: one})
    try:
        yield one
    finally:
        _holding.reset(before)
        one.end()


def _held(path: Place, *, is_copied: bool = False) -> Held:
    if isinstance(path, Address):
        return HeldObjects(path)
    return HeldFolder(path) if path.is_dir() else HeldFile(path, is_copied=is_copied)


@overload
def held(path: Path) -> HeldPath: ...


@overload
def held(path: Address) -> HeldObjects: ...


@overload
def held(path: Place) -> Held: ...


def held(path: Place) -> Held:
    """Return the open file or folder that is being read; read it by its `place` and `open`.

    Parameters
    ----------
    path
        The path, or the address, that the reader or loader got.

    Raises
    ------
    UserError
        If there is no regular file and no folder, or it may not be read.
    """
    one = held_anyway(path)
    one.is_used = True
    return one


@overload
def held_anyway(path: Path) -> HeldPath: ...


@overload
def held_anyway(path: Place) -> Held: ...


def held_anyway(path: Place) -> Held:
    """Return the result of `held`, for callers that look at the file and do not read it."""
    one = _holding.get().get(path)
    return _held(path) if one is None else one


def sha256(path: Place) -> str:
    """Return the SHA-256 of a file's bytes, or of a folder's files with their names, in hexadecimal.

    Of objects at an address, it is that of their names, tags and sizes.

    Raises
    ------
    UserError
        If there is none, it may not be read, or it is changed meanwhile.
    """
    return held_anyway(path).sha256()


def changed(path: Path) -> ChangedError:
    """Return the error for a changed file."""
    return ChangedError(
        f"{str(path)!r} was changed or replaced during the reading, so a result would mix two "
        "files; try again when no program writes to the file"
    )


def _opened(path: Path) -> int:
    """Open a file and return its descriptor; a pipe is opened without waiting for its writer."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def _settled(descriptor: int | None, path: Path, known: _State | None = None) -> _State:
    """Return the state of a file, once another change would get another time.

    Parameters
    ----------
    descriptor
        The descriptor of the file, where it is open.
    known
        The state of an earlier call, if any.

    Raises
    ------
    UserError
        If the file is no regular file.
    """

    def state() -> os.stat_result:
        return path.stat() if descriptor is None else os.fstat(descriptor)

    found = state()
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{str(path)!r} is no longer a regular file")
    last = max(found.st_mtime_ns, found.st_ctime_ns)
    tick = _COARSE_TICK if found.st_ctime_ns % 10**9 == 0 else _TICK
    left = tick - abs(time.time_ns() - last)
    if left <= 0 or known is not None:
        return _State.of(found)
    time.sleep(left / 1e9)
    return _State.of(state())


_LEFTOVERS = {".DS_Store", "Thumbs.db", "desktop.ini"}
"""Files that programs make where somebody only looks at a folder; they are no data."""


def _files(folder: Path) -> Iterator[str]:
    """Yield the data files in a folder, also those in folders of classes that are links."""
    folders = [(os.fspath(folder), True)]
    while folders:
        within, follows = folders.pop()
        try:
            entries = list(os.scandir(within))
        except OSError:
            continue
        for entry in entries:
            try:
                is_folder = entry.is_dir(follow_symlinks=follows)
                is_file = not is_folder and entry.name not in _LEFTOVERS and entry.is_file()
            except OSError:  # of links that lead to each other
                continue
            if is_folder:
                folders.append((entry.path, False))
            elif is_file:
                yield entry.path
