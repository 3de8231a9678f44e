"""Reader of inputs and labels that NumPy wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.readers._parts import chosen_of, is_large, samples_of


@cnnvis.reader("npz", suffixes=(".npz",))
def npz(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read arrays that numpy.savez wrote: inputs X, labels y, class_names.

    For a network with several inputs, the file holds an array for each input, with the name of the
    input. Arrays without compression are read as they are needed.

    Parameters
    ----------
    x
        The name of the array of inputs. By default X, x, images, inputs, data, or the only array.
    y
        The name of the array of labels. By default y, Y, labels or targets, if there is one.
    """
    parts = chosen_of(cnnvis.stored_arrays(path), x, y, str(path), "--npz.x")
    for name, stored in parts.items():
        if isinstance(stored, dict):
            parts[name] = {one: _read(array) for one, array in stored.items()}
        else:
            parts[name] = _read(stored) if is_large(name, stored.shape) else stored[...]
    return samples_of(parts, str(path))


@cnnvis.reader("npy", suffixes=(".npy",))
def npy(path: Path) -> cnnvis.Samples:
    """Read an array that numpy.save wrote: inputs without labels, read as they are needed."""
    held = cnnvis.stored_arrays(path)
    if list(held) != [""]:
        raise cnnvis.UserError(f"{str(path)!r} is an archive of arrays: give it the ending .npz")
    return samples_of(_read(held[""]), str(path))


def _read(stored: Any) -> Any:
    """Return an array as it lies in the file, if it can be read in pieces; else as a whole."""
    stored.require_plain()
    return stored[...] if stored.is_packed or not stored.shape else stored
