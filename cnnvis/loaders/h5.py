"""Loads networks that Keras wrote as HDF5, from 2015's to today's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cnnvis


@cnnvis.loader("h5", suffixes=(".h5", ".hdf5"))
def h5(
    path: Path,
    *,
    custom: tuple[str, ...] = (),
    input_shape: tuple[int, ...] | None = None,
    architecture: str | None = None,
) -> cnnvis.LoadedNetwork:
    """Load a Keras model saved as HDF5, repaired where an old version wrote it.

    Code in the file is never run: a Lambda layer is cut off, with all that comes after it.

    Parameters
    ----------
    custom
        Classes of your own that the file names, each module:Class, or NAME=module:Class for a
        layer's kind or name. The module is imported, and so runs.
    input_shape
        The shape of one input, for a file that lost it; 0 for an axis of any length.
    architecture
        The JSON file that describes the network, for a file that holds its weights alone.
    """
    import h5py

    from cnnvis.loaders.building import network_of

    if not h5py.is_hdf5(path):
        raise cnnvis.UserError(
            f"{str(path)!r} is not a model that Keras saved as HDF5: {_beginning(path)}"
        )
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            config = None if text is None else json.loads(text)
            version = file.attrs.get("keras_version")
            if version is None and "model_weights" in file:
                version = file["model_weights"].attrs.get("keras_version")
    except (OSError, ValueError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is damaged: {error}") from error
    origin = f"HDF5, written by {_keras(version)}"
    if architecture is not None:
        if config is not None:
            raise cnnvis.UserError(
                f"{str(path)!r} describes its own network; leave out --architecture"
            )
        config = _described(Path(architecture))
        origin = f"weights as {origin}, with the network of {Path(architecture).name}"
    if config is None:
        beside = path.with_suffix(".json")
        hint = f", perhaps {str(beside)!r}" if beside.is_file() else ""
        raise cnnvis.UserError(
            f"{str(path)!r} holds weights without the network they belong to; name the JSON file "
            f"that describes it with --architecture{hint}, or save the whole model with model.save"
        )
    return network_of(config, path, origin, custom=custom, input_shape=input_shape)


def _keras(version: Any) -> str:
    if isinstance(version, bytes):
        version = version.decode("utf-8", "replace")
    return f"Keras {version}" if isinstance(version, str) else "an unknown Keras version"


def _described(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise cnnvis.UserError(
            f"the architecture {str(path)!r} cannot be read as JSON: {error}"
        ) from error


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(40)
    if not start:
        return "the file is empty"
    if all(32 <= byte < 127 or byte in b"\r\n\t" for byte in start):
        return f"it is a text file that begins with {start.decode()!r}"
    return f"it begins with the bytes {start[:8].hex(' ')}"
