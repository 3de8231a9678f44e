"""Loads networks in Keras 3's own ``.keras`` format."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cnnvis


@cnnvis.loader("keras", suffixes=(".keras",))
def keras_archive(path: Path) -> cnnvis.LoadedNetwork:
    """Load a .keras file.

    Code in the file is never run: a Lambda layer is cut off, with all that comes after it.
    """
    from cnnvis.loaders.config import network_of

    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            version = json.loads(archive.read("metadata.json"))["keras_version"]
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} is not a model that Keras saved: {error}") from error
    if version.split(".")[0] == "2":
        raise cnnvis.UserError(
            f"{str(path)!r} was written by Keras {version}, whose .keras files Keras 3 does not "
            "read; load it where it was written and save it as .h5"
        )
    return network_of(config, path)
