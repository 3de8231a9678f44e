"""What a model's file is by its first bytes, whatever it is called."""

from __future__ import annotations

from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"


def kind_of(path: Path) -> str | None:
    """What a file is by its first bytes: ``hdf5``, ``keras`` for a zip archive, or neither."""
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    return "hdf5" if start == HDF5 else "keras" if start[:4] == ZIP else None


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, whatever it is called."""
    return path.is_file() and kind_of(path) == "hdf5"


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive that seems to hold a network, whatever it is called."""
    if not path.is_file() or kind_of(path) != "keras":
        return False
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2**16, 0))
        return b"config.json" in file.read(2**16)
