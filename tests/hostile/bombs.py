"""What is small and unpacks to much, or holds much, made without much work."""

from __future__ import annotations

import io
import struct
import zipfile
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


def archive_of_zeros(name: str, head: bytes, count: int, **others: bytes) -> bytes:
    """A zip archive whose first member is a head and so many zeros, for a multiple of a MB."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH) + zeros(count)[2:-4]
    checksum = zlib.crc32(head)
    for _ in range(count // _PIECE):
        checksum = zlib.crc32(bytes(_PIECE), checksum)
    sizes = checksum, len(packed), len(head) + count
    title = name.encode()
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 33, *sizes, len(title), 0) + title
    entry = (
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 33, *sizes, len(title), *[0] * 6)
        + title
    )
    where = len(local) + len(packed)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), where, 0)
    buffer = io.BytesIO(local + packed + entry + end)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for other, content in others.items():
            archive.writestr(other, content)
    return buffer.getvalue()


def links(file: Any, name: bytes, count: int) -> None:
    """Give an object of an HDF5 file so many names more: `file[str(index)] = file[name]`."""
    for index in range(count):
        file.id.links.create_hard(str(index).encode(), file.id, name)
