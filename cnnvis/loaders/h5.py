"""Loads networks that Keras wrote as HDF5, from 2015's to today's."""

from __future__ import annotations

import json
from pathlib import Path

import cnnvis


@cnnvis.loader("h5", suffixes=(".h5", ".hdf5"))
def h5(path: Path) -> cnnvis.LoadedNetwork:
    """Load a Keras model saved as HDF5, repaired where an old version wrote it.

    Code in the file is never run: a Lambda layer is cut off, with all that comes after it.
    """
    import h5py

    from cnnvis.loaders.config import network_of
    from cnnvis.loaders.legacy import repaired

    if not h5py.is_hdf5(path):
        raise cnnvis.UserError(
            f"{str(path)!r} is not a model that Keras saved as HDF5: {_beginning(path)}"
        )
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            config = None if text is None else json.loads(text)
    except (OSError, ValueError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is damaged: {error}") from error
    if config is None:
        raise cnnvis.UserError(
            f"{str(path)!r} holds weights without the network they belong to; "
            "save the whole model with model.save"
        )
    return network_of(config, path, repaired)


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(40)
    if not start:
        return "the file is empty"
    if all(32 <= byte < 127 or byte in b"\r\n\t" for byte in start):
        return f"it is a text file that begins with {start.decode()!r}"
    return f"it begins with the bytes {start[:8].hex(' ')}"
