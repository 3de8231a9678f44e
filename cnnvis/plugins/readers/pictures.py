"""Reader of picture files, one or a folder of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cnnvis
from cnnvis.plugins.readers._folders import PICTURE, samples_of_files
from cnnvis.plugins.readers._picture_array import Pictures
from cnnvis.plugins.readers._preprocess import COLOURED, WAYS, Preprocess


@cnnvis.reader("pictures", suffixes=PICTURE.suffixes, accepts=Path.is_dir)
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
    found = PICTURE.found(path)
    read = Pictures(cnnvis.held(path), found.files, mode, size, scale, offset, way)
    return samples_of_files(found, read, reading=cnnvis.Reading(read.remedy, read.others()))
