"""Reader of picture files, one or a folder of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import cnnvis
from cnnvis.plugins.readers._picture_array import Pictures
from cnnvis.plugins.readers._picture_files import SUFFIXES, Found, pictures_in
from cnnvis.plugins.readers._preprocess import COLOURED, WAYS, Preprocess


@cnnvis.reader("pictures", suffixes=SUFFIXES, accepts=Path.is_dir)
def pictures(
    path: Path,
    *,
    mode: Literal["L", "RGB", "RGBA"] | None = None,
    size: tuple[cnnvis.Count, cnnvis.Count] | None = None,
    scale: float = 1.0,
    offset: float = 0.0,
    preprocess: Preprocess | None = None,
) -> cnnvis.Samples:
    """Read a picture, or all pictures in a folder; folders in it are classes, by name.

    Pictures of a folder are read when they are needed, not before. Hidden files are left out. Of
    pictures with several frames the first frame is read. The reader ignores an EXIF orientation, as
    Keras's image_dataset_from_directory does: pixels stay as they are stored.

    Parameters
    ----------
    mode
        Turn pictures into grey (L), colour (RGB) or colour with transparency (RGBA). The default
        looks at the first pictures and at others, evenly spread through the folder: colour if any
        of these pictures is in colour, else grey.
    size
        Resize pictures to this many rows and columns. The default reads the pictures of the most
        frequent size alone.
    scale
        Multiply values, 0 to 255, by this number: 0.00392157 for a network trained on 0 to 1.
    offset
        Add this number to each value, after scale: scale 0.00784314 and offset -1 for a network
        trained on -1 to 1.
    preprocess
        Instead of scale and offset, compute preprocess_input of this module of keras.applications:
        mobilenet_v2, resnet50, ...; or one of Keras's three ways, tf, torch and caffe. The modules
        convnext, efficientnet and mobilenet_v3 change nothing, since their networks scale the
        input. For torch and caffe all pictures are read in colour.
    """
    import numpy as np

    way = None if preprocess is None else WAYS[preprocess]
    if way is not None and (scale != 1 or offset != 0):
        raise cnnvis.UserError(
            "--pictures.preprocess cannot be used together with --pictures.scale or "
            "--pictures.offset; leave out one of these options"
        )
    if way in COLOURED:
        if mode not in (None, "RGB"):
            raise cnnvis.UserError(
                f"--pictures.preprocess {preprocess} has a number for each of red, green and blue, "
                f"and --pictures.mode {mode} gives other channels: use --pictures.mode RGB"
            )
        mode = "RGB"
    found = pictures_in(path) if path.is_dir() else Found([path])
    read = Pictures(cnnvis.held(path), found.files, mode, size, scale, offset, way)
    return cnnvis.Samples(
        read,
        None if found.labels is None else np.array(found.labels),
        names=tuple(_text(file.name) for file in found.files),
        class_names=None if found.classes is None else tuple(map(_text, found.classes)),
        in_words=found.classes is not None,
        reading=cnnvis.Reading(read.remedy, read.others()),
    )


def _text(name: str) -> str:
    """Return a file's name with undecodable bytes escaped, so that no two names are equal."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
