"""Regular files for reading, files written whole or not at all, and the identity of files."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError
from cnnvis.files.addresses import require_path
from cnnvis.files.writing import DISK, TEMPORARY, Folder, fault_of_disk, remove_empty, trouble_with
from cnnvis.text import parted

_LONGEST_TEXT = 2**26  # Bytes; a network's description takes a hundredth of that.


def require_regular(path: Path) -> None:
    """Refuse irregular files: a pipe or a device may never end, a folder cannot be read.

    Raises
    ------
    UserError
        If the path holds no file, or no regular file, or permissions forbid to read the file.
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
    """Return the text of a file that a person wrote, in UTF-8 with or without a byte order mark.

    Raises
    ------
    UserError
        If the file is no regular file, may not be read, is longer than `longest` bytes, or is no
        text in UTF-8.
    """
    require_regular(path)
    try:
        size = path.stat().st_size
        if size > longest:
            raise UserError(
                f"{str(path)!r} has {size} bytes, and a file of its kind has at most {longest}"
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
    """Return the content of a TOML file that a person wrote.

    Raises
    ------
    UserError
        If the file is no regular file, may not be read, is far too long or nested, or is no TOML.
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
    if is_deeper(held, _DEEPEST_SETTINGS):
        raise UserError(f"{str(path)!r} nests its values more than {_DEEPEST_SETTINGS} deep")
    return held


def is_deeper(value: Any, most: int) -> bool:
    """Tell whether lists and tables in a plain value are nested in more than `most` levels."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(most):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def editable(path: Path) -> Any:
    """Return a TOML file as a tomlkit document, which keeps comments; an empty one without a file.

    Raises
    ------
    UserError
        As in `read_toml`.
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
    """Tell whether a path holds anything but a folder, as far as the path may be looked at."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:
        return False


def require_writable(path: Path) -> None:
    """Refuse an output that cannot be written, before the work rather than after it.

    Raises
    ------
    UserError
        If the folder that it is or lies in is a file, or may not be written to.
    """
    require_path(path, "the output")
    folder = path
    try:
        while not folder.is_dir() and (folder == path or not folder.exists()):
            folder = folder.parent
    except OSError as error:  # of a name that is too long
        raise UserError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(
            f"{str(path)!r} cannot be written: {str(folder)!r} is no folder, or permissions "
            "forbid to write there"
        )


@contextmanager
def written_whole(
    path: Path, place: Callable[[Folder, str], object] | None = None
) -> Iterator[Path]:
    """Write a file whole or not at all: yields a temporary path beside it, to be written to.

    The file gets its name once the block ends without an error, and is on the disk then. Where a link
    has that name, the file takes the link's place, and what it leads to stays as it is.

    Parameters
    ----------
    place
        Function that gives the written file, a name in a folder, its final name. By default the
        file takes the place of any file of that name.

    Raises
    ------
    UserError
        If the folder cannot be made or written to.
    DiskError
        If the disk is full, or broken.
    """
    with trouble_with(path), made_for(path) as folder:
        how = None if place is None else functools.partial(place, folder)
        with DISK.whole(folder, path.name, how) as (temporary, _):
            yield folder.path / temporary


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and wait until it is on the disk.

    Raises
    ------
    UserError, DiskError
        As `written_whole` does.
    """
    with trouble_with(path), made_for(path) as folder:
        DISK.put(folder, path.name, data)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """Write a new folder whole or not at all: yields a temporary folder beside it, to be filled.

    Raises
    ------
    UserError
        If there is something of that name, or it cannot be made or written to.
    DiskError
        If the disk is full, or broken.
    """
    import shutil

    with trouble_with(path), made_for(path) as above:
        temporary = f"{TEMPORARY}{os.urandom(6).hex()}"
        DISK.make(above, temporary)
        try:
            yield above.path / temporary
            if above.kind(path.name) is not None:
                raise UserError(f"{str(path)!r} exists already")
            DISK.rename(above, temporary, path.name)
            DISK.flush_folder(above)
        except BaseException:
            shutil.rmtree(above.path / temporary, ignore_errors=True)
            raise


@contextmanager
def made_for(path: Path) -> Iterator[Folder]:
    """Open the folder for a new file; where the block fails, folders made for it are removed."""
    made = DISK.require_folder(path.parent)
    try:
        with Folder.opened(path.parent) as folder:
            yield folder
    except BaseException:
        remove_empty(made)
        raise


def put_beside(folder: Folder, temporary: str, name: str) -> str:
    """Give a file a name, with a number if another file has the name: no file is lost.

    Returns
    -------
    str
        The name; that of a file with the very same bytes, if there is one.
    """
    (stem, ending), number = parted(name), 1
    while True:
        try:
            DISK.link(folder, temporary, name)  # unlike a renaming, takes the place of nothing
        except FileExistsError:
            pass
        except OSError as error:
            if fault_of_disk(error) is not None:
                raise
            if folder.kind(name) is None:  # a file system without links
                DISK.rename(folder, temporary, name)
                return name
        else:
            DISK.remove(folder, temporary)
            return name
        if _is_same(folder, temporary, name):
            DISK.remove(folder, temporary)
            return name
        number += 1
        name = f"{stem}_{number}{ending}"


def _is_same(folder: Folder, one: str, other: str) -> bool:
    """Tell whether two names are of files that hold the same bytes."""
    import hashlib

    def digest(name: str) -> bytes:
        with os.fdopen(folder.open(name, os.O_RDONLY), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    return folder.kind(other) == "a file" and digest(one) == digest(other)
