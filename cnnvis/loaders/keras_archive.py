"""Loads networks in Keras's own ``.keras`` format."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cnnvis


@cnnvis.loader("keras", suffixes=(".keras",))
def keras_archive(path: Path, *, custom: tuple[str, ...] = ()) -> cnnvis.LoadedNetwork:
    """Load a .keras file; those of Keras 2 need the package tf_keras.

    Code in the file is never run: a Lambda layer is cut off, with all that comes after it.

    Parameters
    ----------
    custom
        Classes of your own that the file names, each module:Class, or NAME=module:Class for a
        layer's kind or name. The module is imported, and so runs.
    """
    from cnnvis.loaders.building import network_of

    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            version = str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is not a model that Keras saved: {error}") from error
    return network_of(
        config,
        path,
        f"Keras archive, written by Keras {version}",
        custom=custom,
        is_keras_2=version.split(".")[0] == "2",
    )
