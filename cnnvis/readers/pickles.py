"""Reads pickled inputs and labels, without running anything that the pickle names."""

from __future__ import annotations

from pathlib import Path

import cnnvis
from cnnvis.readers._parts import samples_of


@cnnvis.reader("pickle", suffixes=(".pkl", ".pickle", ".p"))
def pickles(path: Path) -> cnnvis.Samples:
    """Read a pickle of (X, y), (X,), X or a dict with these.

    Only plain values and NumPy arrays are read; nothing that the file names is imported or called.
    """
    import mmap

    from cnnvis.readers._unpickle import unpickle

    with path.open("rb") as file:
        if not path.stat().st_size:
            raise cnnvis.UserError(f"{str(path)!r} is empty")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        held = unpickle(memoryview(data))
    except cnnvis.UserError as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read: {error}") from error
    return samples_of(held, str(path))
