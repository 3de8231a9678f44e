"""Files that may be read, files written whole or not at all, and what identifies a file."""

from __future__ import annotations

import functools
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EIO, ENOSPC
from pathlib import Path
from typing import Any

from cnnvis.errors import DiskError, UserError

_FRESH = 2 * 10**9  # Nanoseconds, longer than any clock of a file system takes for a tick.
_LONGEST_TEXT = 2**26  # Bytes; a network's description takes a hundredth of that.


def require_regular(path: Path) -> None:
    """Refuse what is no regular file: a pipe or a device may never end, a folder cannot be read.

    Raises
    ------
    UserError
        If there is nothing at the path, or no regular file, or it may not be read.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{str(path)!r} cannot be read: {reason}") from error
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise UserError(f"{str(path)!r} is {what}, not a file")
    if not os.access(path, os.R_OK):
        raise UserError(f"{str(path)!r} may not be read: its permissions do not allow it")


def read_text(path: Path, longest: int = _LONGEST_TEXT) -> str:
    """The text of a file that a person wrote, in UTF-8 with or without a mark at its start.

    Raises
    ------
    UserError
        If it is no regular file, may not be read, is longer than so many bytes, or no such text.
    """
    require_regular(path)
    try:
        size = path.stat().st_size
        if size > longest:
            raise UserError(
                f"{str(path)!r} is of {size} bytes, and a file of its kind has at most {longest}"
            )
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{str(path)!r} is no text in UTF-8: {error}") from error


_LONGEST_SETTINGS = 2**20  # Bytes of a TOML file; it is read anew by every command.
_DEEPEST_SETTINGS = 20
_LONGEST_KEY = 100


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file that a person wrote holds.

    Raises
    ------
    UserError
        If it is no regular file, may not be read, is far too long or nested, or is no TOML.
    """
    import tomllib

    text = read_text(path, _LONGEST_SETTINGS)
    # The parser takes the square of a dotted key's length, and there are none of so many parts.
    if max(part.count(".") for part in re.split(r"[,={\[\n]", text)) > _LONGEST_KEY:
        raise UserError(f"{str(path)!r} has a key of more than {_LONGEST_KEY} parts")
    try:
        held = tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{str(path)!r} nests its values far too deeply") from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise UserError(f"{str(path)!r} is not TOML: {error}") from error
    level: list[Any] = [held]
    for _ in range(_DEEPEST_SETTINGS):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
    if level:
        raise UserError(f"{str(path)!r} nests its values more than {_DEEPEST_SETTINGS} deep")
    return held


def editable(path: Path) -> Any:
    """A TOML file as a tomlkit document, whose comments stay; an empty one if there is none.

    Raises
    ------
    UserError
        As `read_toml` does.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if not is_there(path):
        return tomlkit.document()
    read_toml(path)
    try:
        return tomlkit.parse(read_text(path))
    except (TOMLKitError, ValueError, RecursionError) as error:  # as it is stricter in places
        raise UserError(f"{str(path)!r} is not TOML: {error}") from error


def is_there(path: Path) -> bool:
    """Whether there is anything but a folder at a path, as far as one may look."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


@contextmanager
def written_whole(
    path: Path, place: Callable[[Path, Path], object] = Path.replace
) -> Iterator[Path]:
    """A temporary name beside `path`, which becomes `path` once the block ends without an error.

    Parameters
    ----------
    place
        Gives what was written, under its temporary name, the name that it is to have. By default it
        takes the place of what has that name.

    Raises
    ------
    UserError
        If the folder cannot be made or written to.
    DiskError
        If the disk is full, or broken.
    """
    import tempfile

    temporary: Path | None = None
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The same ending as the real name, since writers choose their format by it; and not all of
        # a long name, which would be too long with what is added to it.
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem[:40]}-", path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as whole:
            os.fsync(whole.fileno())
        place(temporary, path)
        made = []
    except OSError as error:
        kind = DiskError if error.errno in (ENOSPC, EDQUOT, EIO) else UserError
        raise kind(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        for folder in made:  # nothing is left behind, not even an empty folder
            with suppress(OSError):
                folder.rmdir()


def put_beside(temporary: Path, path: Path) -> Path:
    """Give a file a name, or the same with a number where another file has it: none is lost.

    Returns
    -------
    Path
        The name; that of a file with the very same bytes, if there is one.
    """
    stem, number = path.stem, 1
    while True:
        try:
            os.link(temporary, path)  # unlike a renaming, never takes the place of anything
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            if not os.path.lexists(path):
                temporary.replace(path)
                return path
        else:
            temporary.unlink()
            return path
        if _is_same(temporary, path):
            temporary.unlink()
            return path
        number += 1
        path = path.with_stem(f"{stem}_{number}")


def _is_same(one: Path, other: Path) -> bool:
    import filecmp

    return not other.is_symlink() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, or of a folder's files with their names, in hexadecimal."""
    import hashlib

    if not path.exists():
        raise UserError(f"{str(path)!r} is not there any more")
    if path.is_file():
        state = path.stat()
        known = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        # A run asks several times for that of its data, which may take a minute to read. A file
        # that was just written could be written again with the same times.
        is_fresh = time.time_ns() - max(known[2:]) < _FRESH
        return (_sha256.__wrapped__ if is_fresh else _sha256)(path.resolve(), *known)
    whole = hashlib.sha256()
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{file_path.relative_to(path)} {sha256(file_path)}\n".encode())
    return whole.hexdigest()


@functools.lru_cache(1024)
def _sha256(path: Path, *_: int) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
