"""What is small and unpacks to much, or holds much, made without much work."""

from __future__ import annotations

import struct
import zlib
from typing import Any

_PIECE = 2**20


def zeros(count: int) -> bytes:
    """`zlib.compress(bytes(count))` for a multiple of a MB: one is packed, and that is repeated."""
    assert count % _PIECE == 0
    packer = zlib.compressobj()
    first, piece = (
        packer.compress(bytes(_PIECE)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    end = b"\x03\0" + struct.pack(">HH", count % 65521, 1)  # an empty block, and the checksum
    return first + piece * (count // _PIECE - 1) + end


def links(file: Any, name: bytes, count: int) -> None:
    """Give an object of an HDF5 file so many names more: `file[str(index)] = file[name]`."""
    for index in range(count):
        file.id.links.create_hard(str(index).encode(), file.id, name)
