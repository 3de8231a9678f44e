"""Format of a model's file by its first bytes, whatever its name."""

from __future__ import annotations

from pathlib import Path

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"


def kind_of(path: Path) -> str | None:
    """Return a file's format by its first bytes: ``hdf5``, ``keras`` for a zip archive, or None."""
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    return "hdf5" if start == HDF5 else "keras" if start[:4] == ZIP else None


def is_hdf5(path: Path) -> bool:
    """Tell whether a file is HDF5, whatever its name."""
    return path.is_file() and kind_of(path) == "hdf5"


def is_archive(path: Path) -> bool:
    """Tell whether a file is a zip archive that seems to hold a network, whatever its name."""
    if not path.is_file() or kind_of(path) != "keras":
        return False
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2**16, 0))
        return b"config.json" in file.read(2**16)
