"""Protocol buffers and tables of TensorFlow, as far as they are read without their libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

FIELDS = 100_000
"""Maximum number of fields of one message that are read."""

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def number(content: bytes, at: int) -> tuple[int, int]:
    """Decode a whole number of variable length, and return it with the position after it.

    Raises
    ------
    ValueError
        If the number does not end.
    IndexError
        If the content ends before the number.
    """
    found = 0
    for place in range(10):
        byte = content[at + place]
        found |= (byte & 127) << 7 * place
        if byte < 128:
            return found, at + place + 1
    raise ValueError("a number in it does not end")


def parts(file: BinaryIO, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield the places of a message's parts that have the wanted number, each as (start, end).

    Only these parts of the file are read.

    Parameters
    ----------
    file
        The file.
    start, end
        The start and the end of the message in the file.
    wanted
        The number of the field.

    Raises
    ------
    ValueError, IndexError
        If the bytes are no message.
    """
    for _ in range(FIELDS):
        if start >= end:
            return
        file.seek(start)
        head = file.read(min(20, end - start))
        key, at = number(head, 0)
        field, kind = key >> 3, key & 7
        if kind == _VARINT:
            size, inside = 0, number(head, at)[1]
        elif kind == _BYTES:
            size, inside = number(head, at)
        elif kind in (_FIXED_64, _FIXED_32):
            size, inside = (8 if kind == _FIXED_64 else 4), at
        else:
            raise ValueError("it holds a field of an unknown kind")
        if start + inside + size > end:
            raise ValueError("a field of it ends behind its end")
        if field == wanted and kind == _BYTES:
            yield start + inside, start + inside + size
        start += inside + size
    raise ValueError(f"it has more than {FIELDS:,} fields")
