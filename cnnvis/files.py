"""Files written whole or not at all, and what identifies a file that was read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnvis.errors import UserError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, which becomes `path` once the block ends without an error.

    Raises
    ------
    UserError
        If the folder cannot be made or written to, or the disk refuses the bytes.
    """
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
        temporary.replace(path)
        made = []
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        for folder in made:  # nothing is left behind, not even an empty folder
            with suppress(OSError):
                folder.rmdir()


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, or of a folder's files with their names, in hexadecimal."""
    if not path.exists():
        raise UserError(f"{str(path)!r} is not there any more")
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{file_path.relative_to(path)} {sha256(file_path)}\n".encode())
    return whole.hexdigest()
