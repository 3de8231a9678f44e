"""Reads inputs and labels that NumPy wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.readers._parts import INPUT_NAMES, LABEL_NAMES, inputs_among, samples_of


@cnnvis.reader("npz", suffixes=(".npz",))
def npz(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read arrays that numpy.savez wrote: inputs X, labels y, class_names.

    For a network with several inputs, an array for each, by the name of the input. What is not
    compressed is read as it is needed.

    Parameters
    ----------
    x
        The name of the array of inputs. By default X, x, images, inputs, data or the only one.
    y
        The name of the array of labels. By default y, Y, labels or targets, if there is one.
    """
    held = cnnvis.stored_arrays(path)
    names = list(held)
    wanted = _named(names, x, INPUT_NAMES) or (names[0] if len(names) == 1 else None)
    several = inputs_among(held) if wanted is None and x is None else None
    if wanted is None and several is None:
        raise cnnvis.UserError(
            f"{str(path)!r} holds no array named {x or 'X'!r}; it holds "
            f"{', '.join(names) or 'nothing'}. Say which one with --npz.x NAME"
        )
    label = _named(names, y, LABEL_NAMES)
    if y is not None and label is None:
        raise cnnvis.UserError(
            f"{str(path)!r} holds no array named {y!r}; it holds {', '.join(names)}"
        )
    parts: dict[str, Any] = {
        "X": _read(held[wanted])
        if wanted is not None
        else {name: _read(one) for name, one in (several or {}).items()}
    }
    if label is not None:
        parts["y"] = held[label][...]
    if "class_names" in names:
        parts["class_names"] = held["class_names"][...]
    return samples_of(parts, str(path))


@cnnvis.reader("npy", suffixes=(".npy",))
def npy(path: Path) -> cnnvis.Samples:
    """Read an array that numpy.save wrote: inputs without labels, read as they are needed."""
    held = cnnvis.stored_arrays(path)
    if list(held) != [""]:
        raise cnnvis.UserError(f"{str(path)!r} is an archive of arrays: give it the ending .npz")
    return samples_of(_read(held[""]), str(path))


def _read(stored: Any) -> Any:
    """An array as it lies in the file, where that can be read in pieces; else as a whole."""
    stored.require_plain()
    return stored[...] if stored.is_packed or not stored.shape else stored


def _named(names: list[str], asked: str | None, usual: tuple[str, ...]) -> str | None:
    candidates = (asked,) if asked is not None else usual
    return next((name for name in candidates if name in names), None)
