"""Arrays in ``.npy`` and ``.npz`` files, whose headers are checked against the stored bytes.

A header of a hundred bytes can ask for any memory, and an archive can unpack to a thousand times its
size; NumPy's own reader believes both. Here nothing is unpacked or allocated before it is known to
fit, and pickles in such files are never read.
"""

from __future__ import annotations

import io
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cnnvis.errors import UserError
from cnnvis.files.snapshots import HeldPath, held

_LONGEST_HEADER = 10_000  # Characters, as NumPy has it
_MOST_ARRAYS = 10_000
_SMALL = 2**28  # Bytes that an archive may unpack to however small it is.
_RATIO = 100  # How many times its size a larger one may unpack to.
_CHECKED = 2**28  # Bytes of an archive that are held against their checksums as it is opened.
_PIECE = 2**20
_LONGEST_EMPTY = 10_000_000  # Rows that an array without elements can claim to have.
_DAMAGES = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, SyntaxError, OverflowError),
    *(RuntimeError, NotImplementedError, RecursionError, MemoryError),  # of literals, of zipfile
    *(zlib.error, zipfile.BadZipFile, tokenize.TokenError),
)


@dataclass(frozen=True)
class StoredArray:
    """Array in a file, read when a part of it is copied.

    The array is mapped to memory only during a copy, since a permanent memory map keeps all parts
    that were ever read; a packed array is unpacked as a whole.

    Attributes
    ----------
    path
        The file.
    member
        The array's member of an archive; empty for a separate file.
    dtype, shape
        The type and shape, as NumPy has them.
    is_fortran
        True where the first axis changes fastest.
    offset
        The offset of the elements in the file, or in the packed member.
    is_packed
        True where the member is compressed.
    held
        The open file.
    """

    path: Path
    member: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    is_fortran: bool
    offset: int
    is_packed: bool
    held: HeldPath = field(repr=False, compare=False)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        self.require_plain()
        try:
            with self.held.open(self.path) as file:
                elements = self._elements(file)
                if self.dtype.kind == "U":  # text that nothing could print is found out here
                    _require_unicode(elements)
                return np.array(elements[index])
        except _DAMAGES as error:
            raise UserError(f"{self._named()} is damaged: {error}") from error

    def require_plain(self) -> None:
        """Refuse arrays that hold no plain values, or fewer bytes than they claim.

        Raises
        ------
        UserError
            If the array holds Python objects, records or dates.
        """
        if self.dtype.hasobject:
            raise UserError(
                f"{self._named()} is an array of Python objects, a pickle, which could run code. "
                "Save it as a plain array: np.savez('data.npz', X=np.stack(list(X)), y=y)"
            )
        if self.dtype.kind not in "biufcSU":
            raise UserError(
                f"{self._named()} is an array of {str(self.dtype)[:80]}, and cnnvis reads numbers "
                "and text"
            )

    def _named(self) -> str:
        return f"{self.member!r} in {str(self.path)!r}" if self.member else repr(str(self.path))

    def _elements(self, file: BinaryIO) -> npt.NDArray[Any]:
        order: Any = "F" if self.is_fortran else "C"
        needed = math.prod(self.shape) * self.dtype.itemsize
        if not needed:
            return np.zeros(self.shape, self.dtype)
        if not self.is_packed:
            return np.memmap(file, self.dtype, "r", self.offset, self.shape, order)
        with zipfile.ZipFile(file) as archive, archive.open(self.member) as member:
            member.read(self.offset)
            found = member.read(needed)
            if len(found) != needed or member.read(1):  # reading to the end checks its sum, too
                raise ValueError(f"it holds {len(found)} bytes instead of {needed}")
        return np.frombuffer(found, self.dtype).reshape(self.shape, order=order)


def _require_unicode(elements: npt.NDArray[Any]) -> None:
    codes = np.ascontiguousarray(elements).view(f"{elements.dtype.str[0]}u4")
    if codes.max(initial=0) > 0x10FFFF or ((codes >= 0xD800) & (codes < 0xE000)).any():
        raise ValueError("it holds text that is not Unicode")


def stored_arrays(path: Path) -> dict[str, StoredArray]:
    """Return the arrays of an ``.npz`` file by name, or the array of an ``.npy`` file under ``""``.

    Parameters
    ----------
    path
        The file; its content decides between the two formats.

    Raises
    ------
    UserError
        If the file has neither format, or is damaged; if it would unpack to far more than it
        stores, or an array claims to be larger than the stored bytes.
    """
    source = held(path)
    try:
        with source.open(path) as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(2) == b"PK":
                return _arrays(path, source, file, size)
            file.seek(0)
            return {"": _array(path, source, "", file, size, 0)}
    except UserError as error:
        raise UserError(f"{str(path)!r} cannot be read: {error}") from error
    except _DAMAGES as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{str(path)!r} is damaged, or no NumPy file: {reason[:200]}") from error


def _arrays(path: Path, source: HeldPath, file: IO[bytes], size: int) -> dict[str, StoredArray]:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _require_bounded(members, size)
        found = {}
        left = _CHECKED
        for one in members:
            if not one.filename.endswith(".npy"):
                continue
            is_packed = one.compress_type != zipfile.ZIP_STORED
            with archive.open(one) as opened:
                start = 0 if is_packed else _place(file, one)
                array = _array(path, source, one.filename, opened, one.file_size, start, is_packed)
                left -= one.file_size
                if not is_packed and left >= 0:  # what is packed is checked when it is unpacked
                    while opened.read(_PIECE):
                        pass
            found[one.filename.removesuffix(".npy")] = array
    return found


def _require_bounded(members: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse an archive by its table of contents, before anything in it is unpacked."""
    if len(members) > _MOST_ARRAYS:
        raise UserError(f"it holds {len(members)} arrays, and at most {_MOST_ARRAYS} are read")
    names = {one.filename for one in members}
    if len(names) < len(members):
        raise UserError("it holds two arrays of one name")
    if sum(one.compress_size for one in members) > size:
        raise UserError(f"its members claim more bytes than its {size} bytes")
    for one in members:
        if one.flag_bits & 1:
            raise UserError(f"its member {one.filename[:80]!r} is encrypted")
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"its member {one.filename[:80]!r} is packed in a way NumPy never uses")
        if one.compress_type == zipfile.ZIP_STORED and one.compress_size != one.file_size:
            raise UserError(f"its member {one.filename[:80]!r} claims two sizes")
    unpacked = sum(one.file_size for one in members)
    if unpacked > max(_SMALL, _RATIO * size):
        raise UserError(
            f"its {size} bytes would unpack to {unpacked} bytes; cnnvis reads up to {_RATIO} "
            "times as many, so save the arrays without compression, with np.savez"
        )


def _place(file: IO[bytes], member: zipfile.ZipInfo) -> int:
    """Return the offset of a member's own bytes in the archive, as its local header tells."""
    file.seek(member.header_offset + 26)
    lengths = np.frombuffer(file.read(4), "<u2")
    return member.header_offset + 30 + int(lengths.sum())


def _array(
    path: Path,
    source: HeldPath,
    member: str,
    file: IO[bytes],
    size: int,
    start: int,
    is_packed: bool = False,
) -> StoredArray:
    """Return the array of a header, once `size` bytes are known to be enough for the array."""
    head = io.BytesIO(file.read(_LONGEST_HEADER + 12))
    version = np.lib.format.read_magic(head)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
        (3, 0): np.lib.format.read_array_header_2_0,  # the same in UTF-8, for names of fields
    }.get(version)
    if read is None:
        raise UserError(f"it is of an unknown version, {version[0]}.{version[1]}")
    shape, is_fortran, dtype = read(head, _LONGEST_HEADER)
    if not all(type(length) is int and 0 <= length < 2**63 for length in shape):
        raise UserError(f"it claims the impossible shape {str(shape)[:80]}")
    if len(shape) > 64 or math.prod(filter(None, shape)) > max(_LONGEST_EMPTY, size):
        raise UserError(f"it claims the shape {str(shape)[:80]}, and has {size} bytes")
    needed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and needed > size - head.tell():  # objects are of any size
        raise UserError(
            f"it is cut short, or no NumPy array: the shape {str(shape)[:80]} needs {needed} "
            f"bytes, and the file holds {size - head.tell()}"
        )
    offset = head.tell() + start
    order = bool(is_fortran)
    return StoredArray(path, member, dtype, tuple(shape), order, offset, is_packed, source)
