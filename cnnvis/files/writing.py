"""Writing of files: complete or not at all at any power failure, and in the intended folder.

A file's bytes are on the disk once the file is flushed, and its name once its folder is flushed: a
rename that was not flushed may be undone, and a file that was not flushed may be empty or torn.
Every step is a separate method, so that a test can stop before and after each step, and lose what
was not flushed.

Files in a folder are named relative to the folder, while it is held open, and no link in it is
followed: a folder from a stranger leads to nothing outside of it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, EINVAL, EIO, ENODEV, ENOSPC, ENOTSUP, ESTALE
from io import BufferedReader
from pathlib import Path
from types import TracebackType

from cnnvis.errors import DiskError, UserError

TEMPORARY = ".tmp-"
"""Prefix of the names of unfinished files."""

HAS_HANDLES = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""True where the system opens files relative to an open folder; Windows does not."""

_KEPT_CLOSED = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_AS_IT_IS = _KEPT_CLOSED | getattr(os, "O_NOFOLLOW", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes to would be waited for
_FOLDER = _KEPT_CLOSED | getattr(os, "O_DIRECTORY", 0)

_CLOSED = -1

KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Strange(UserError):
    """Error for an entry of a folder of a wrong kind, such as a link."""


class Folder:
    """A folder that is held open, with links in it never followed; a context that closes it.

    Attributes
    ----------
    path
        The path of the folder, for sentences; operations in the folder use the path only where
        `HAS_HANDLES` is False.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self.path, self.handle = path, handle

    @classmethod
    def opened(cls, path: Path) -> Folder:
        """Open a folder by a path that a person gave, through whatever links there are.

        Raises
        ------
        OSError
            If there is none, or it may not be read.
        """
        if HAS_HANDLES:
            return cls(path, os.open(path, os.O_RDONLY | _FOLDER))
        os.scandir(path).close()
        return cls(path, None)

    def is_at_its_path(self) -> bool:
        """Tell whether the folder is still the one at its path."""
        if self.handle is None:
            return self.path.is_dir()
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self.handle))
        except OSError:
            return False

    def inner(self, name: str) -> Folder:
        """Open a folder that lies in this one.

        Raises
        ------
        Strange
            If it is a link, or no folder.
        OSError
            If there is none, or it may not be read.
        """
        self._require(name, "a folder")
        if self.handle is None:
            return Folder.opened(self.path / name)
        flags = os.O_RDONLY | _FOLDER | _AS_IT_IS
        return Folder(self.path / name, os.open(name, flags, dir_fd=self.handle))

    def open(self, name: str, flags: int) -> int:
        """Open a regular file in the folder, or make one, and return its handle.

        Raises
        ------
        Strange
            If it is a link, a pipe, a device or a folder.
        OSError
            If it cannot be opened.
        """
        self._require(name, "a file")
        handle = os.open(self._at(name), flags | _AS_IT_IS | _AT_ONCE, 0o666, dir_fd=self.handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):  # it has just been put there
            os.close(handle)
            raise Strange(f"{str(self.path / name)!r} is no file")
        return handle

    def _require(self, name: str, kind: str) -> None:
        """Refuse an entry that exists and is of another kind."""
        found = self.kind(name)
        if found not in (None, kind):
            raise Strange(f"{str(self.path / name)!r} is {found}, and has to be {kind}")

    def reading(self, name: str, most: int) -> BufferedReader:
        """Open a regular file of no more than so many bytes.

        Raises
        ------
        Strange
            If it is no regular file, or a longer one.
        OSError
            If it cannot be opened.
        """
        file = os.fdopen(self.open(name, os.O_RDONLY), "rb")
        size = os.fstat(file.fileno()).st_size
        if size > most:
            file.close()
            raise Strange(
                f"{str(self.path / name)!r} has {size} bytes, and a file of its kind has at most "
                f"{most}"
            )
        return file

    def read(self, name: str, most: int) -> bytes:
        """Read a regular file of no more than so many bytes; see `reading`."""
        with self.reading(name, most) as file:
            return all_of(file)

    def kind(self, name: str) -> str | None:
        """Return the kind of an entry, ``a file`` or ``a link``; None if it does not exist.

        Raises
        ------
        OSError
            If the kind cannot be found out.
        """
        try:
            mode = os.stat(self._at(name), dir_fd=self.handle, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None
        return KINDS.get(stat.S_IFMT(mode), "something else")

    def entries(self) -> list[str]:
        """Return the names of all entries of the folder, in order.

        Raises
        ------
        OSError
            If the names cannot be read.
        """
        where = self.path if self.handle is None else self.handle
        return sorted(os.listdir(where))  # noqa: PTH208

    def _at(self, name: str) -> str | Path:
        """Return the system's name of an entry, to be used with the folder's handle."""
        return self.path / name if self.handle is None else name

    def close(self) -> None:
        """Close the folder; a second call does nothing."""
        if self.handle is not None and self.handle != _CLOSED:
            handle, self.handle = self.handle, _CLOSED
            os.close(handle)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def all_of(file: BufferedReader) -> bytes:
    """Read the bytes that a file has, and none that are appended meanwhile."""
    return file.read(os.fstat(file.fileno()).st_size)


class Disk:
    """Disk: the single steps of writing, and the operations made of them."""

    # One step each.

    def create(self, folder: Folder, name: str) -> int:
        """Create and open a new file; an existing file of that name stays, and is an error."""
        return folder.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def reopen(self, folder: Folder, name: str) -> int:
        """Open an existing file at its end."""
        return folder.open(name, os.O_RDWR | os.O_APPEND)

    def write(self, handle: int, data: bytes) -> None:
        """Append bytes to those that were written."""
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]

    def flush(self, handle: int) -> None:
        """Wait until the disk has all bytes of a file."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, folder: Folder, old: str, new: str) -> None:
        """Give a file another name, also that of an existing file."""
        at = folder.handle
        os.replace(folder._at(old), folder._at(new), src_dir_fd=at, dst_dir_fd=at)

    def link(self, folder: Folder, old: str, new: str) -> None:
        """Give a file a second name, unless the name is taken."""
        at = folder.handle
        os.link(folder._at(old), folder._at(new), src_dir_fd=at, dst_dir_fd=at)

    def remove(self, folder: Folder, name: str) -> None:
        os.unlink(folder._at(name), dir_fd=folder.handle)

    def make(self, folder: Folder, name: str) -> None:
        os.mkdir(folder._at(name), dir_fd=folder.handle)

    def flush_folder(self, folder: Folder) -> None:
        """Wait until the disk has all names of a folder."""
        if folder.handle is None:  # Windows opens no folders, and writes their entries by itself
            return
        try:
            os.fsync(folder.handle)
        except OSError as error:
            if error.errno not in (EINVAL, ENOTSUP):  # a file system that flushes no folders
                raise

    # What is made of them; each raises the `OSError` of the step that fails.

    @contextmanager
    def whole(
        self, folder: Folder, name: str, place: Callable[[str], object] | None = None
    ) -> Iterator[tuple[str, int]]:
        """Write a file whole or not at all inside the block, and wait until it is on the disk.

        Yields a temporary name in the folder, and the new file's handle: when the block ends
        without an error, the file gets its final name, and takes the place of any entry of that
        name, be it a link.

        Parameters
        ----------
        place
            Function that gives the temporary file its final name, in another way.
        """
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        # The same ending as the real name, since writers choose their format by it; and not all of
        # a long name, which would be too long with what is added to it.
        temporary = f"{TEMPORARY}{os.urandom(6).hex()}-{stem[:40]}{suffix}"
        try:
            handle = self.create(folder, temporary)
            try:
                yield temporary, handle
            finally:
                self.close(handle)
            # By its name: what writes it may have put another file in the place of the first.
            handle = self.reopen(folder, temporary)
            try:
                self.flush(handle)
            finally:
                self.close(handle)
            if place is None:
                self.rename(folder, temporary, name)
            else:
                place(temporary)
            self.flush_folder(folder)
        except BaseException:
            with suppress(OSError):
                self.remove(folder, temporary)
            raise

    def put(self, folder: Folder, name: str, data: bytes) -> None:
        """Write a file whole or not at all, and wait until it is on the disk."""
        with self.whole(folder, name) as (_, handle):
            self.write(handle, data)

    def append(self, folder: Folder, name: str, data: bytes) -> None:
        """Append bytes to an existing file, and wait until they are on the disk.

        Where a step fails, a part of the bytes may be there.
        """
        handle = self.reopen(folder, name)
        try:
            require_only_name(folder, name, handle)
            self.write(handle, data)
            self.flush(handle)
        finally:
            self.close(handle)

    def require_folder(self, path: Path) -> list[Path]:
        """Make a folder, and all folders above it, where they do not exist.

        Returns
        -------
        list of Path
            Those that were made, the outermost first; none is left where a step fails.
        """
        made: list[Path] = []
        try:
            for one in reversed((path, *path.parents)):
                if one.is_dir():
                    continue
                with Folder.opened(one.parent) as above:
                    try:
                        self.make(above, one.name)
                    except FileExistsError:  # another process was faster
                        if not one.is_dir():
                            raise
                        continue
                    made.append(one)
                    self.flush_folder(above)
        except OSError:
            remove_empty(made)
            raise
        return made

    def require_inner(self, folder: Folder, name: str) -> Folder:
        """Open a folder that lies in another, and make it if it does not exist.

        Raises
        ------
        Strange
            If it is a link, or no folder.
        """
        if folder.kind(name) is None:
            with suppress(FileExistsError):  # another process was faster
                self.make(folder, name)
            self.flush_folder(folder)
        return folder.inner(name)

    def drop(self, folder: Folder, names: Sequence[str]) -> None:
        """Remove files and links, and wait until the disk has recorded it."""
        for name in names:
            self.remove(folder, name)
        if names:
            self.flush_folder(folder)


DISK = Disk()


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that were made for work that then failed, unless they hold anything."""
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


def require_only_name(folder: Folder, name: str, handle: int) -> None:
    """Refuse to change a file that has other names, under which it may belong to something else.

    Raises
    ------
    Strange
        If it has.
    """
    if os.fstat(handle).st_nlink > 1:
        raise Strange(
            f"{str(folder.path / name)!r} is a hard link, and a change would also change the file "
            "of the other name: replace the link by a copy"
        )


_FAULTS = (ENOSPC, EDQUOT, EIO, EFBIG, ESTALE, ENODEV)
"""Error numbers of the system for a disk that is full, broken or gone."""


def fault_of_disk(error: BaseException) -> str | None:
    """Return the disk's reason for an error in writing, if the disk caused the error; else None.

    Libraries report it in their own ways: HDF5 in a text, NumPy by the number of bytes written.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FAULTS:
            return seen.strerror or os.strerror(seen.errno)
        text = ""
        with suppress(Exception):  # an exception of somebody else's may have no text
            text = str(seen)
        found = re.search(r"errno = (\d+)", text)
        if found is not None and int(found[1]) in _FAULTS:
            return os.strerror(int(found[1]))
        if re.search(r"^\d+ requested and \d+ written$", text):
            return os.strerror(ENOSPC)
        for reason in map(os.strerror, (ENOSPC, EDQUOT)):
            if reason in text:
                return reason
        hidden = seen.__suppress_context__
        seen = seen.__cause__ or (None if hidden else seen.__context__)
    return None


@contextmanager
def trouble_with(path: Path, advice: str = "", what: str = "written") -> Iterator[None]:
    """Add the name of the file that cannot be written to an error inside the block.

    Parameters
    ----------
    advice
        Further advice to the user; a sentence without its end.
    what
        The participle for the failed operation on the file, as in "cannot be written".

    Raises
    ------
    DiskError
        If the disk is full, or broken.
    UserError
        If it is not the disk that refuses: there is no such folder, it may not be written to.
    """
    more = f". {advice}" if advice else ""
    try:
        yield
    except DiskError:
        raise
    except Exception as error:
        fault = fault_of_disk(error)
        if fault is not None:
            raise DiskError(f"{str(path)!r} cannot be {what}: {fault}{more}") from error
        if isinstance(error, FileNotFoundError) and not path.parent.exists():
            raise DiskError(
                f"{str(path)!r} cannot be {what}: the folder {str(path.parent)!r} is gone"
            ) from error
        if isinstance(error, OSError):
            reason: object = error.strerror or error
            if isinstance(error, IsADirectoryError):
                reason = "a folder has its name; move the folder away"
            raise UserError(f"{str(path)!r} cannot be {what}: {reason}{more}") from error
        raise
