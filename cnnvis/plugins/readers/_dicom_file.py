"""DICOM files from strangers: what is needed of their heads, and their pixels as numbers."""

from __future__ import annotations

import io
import logging
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

_META = 2**16  # Bytes that hold the part of a file that says how the rest is packed.
_SMALL = 2**26  # Bytes that a picture may unpack to however small its file is.
_RATIO = 100  # How many times its file's size a larger one may unpack to.
_UNPACK = "unpack the files first, such as with gdcmconv --raw or dcmdjpeg"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_TAGS = [
    "SeriesInstanceUID", "SeriesNumber", "Modality", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation", "PixelSpacing", "SliceThickness",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelRepresentation", "InstanceNumber",
]  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """Facts from the head of a DICOM file with a single picture.

    Attributes
    ----------
    series
        What all pictures of a series have in common.
    number
        The number of the series, for people; empty without one.
    shape
        The number of rows and columns.
    position, orientation, spacing
        The place of the first pixel, the directions of rows and of columns, and the distances of
        pixels along both, in the millimetres of DICOM: to the left, to the back, to the top. None
        where the file does not say them.
    thickness
        The thickness of the slice, 1 where the file does not say it.
    is_inverted
        True where larger values are darker.
    """

    series: str
    number: str
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float
    is_inverted: bool

    @property
    def is_placed(self) -> bool:
        """True where the file says where its pixels are."""
        return None not in (self.position, self.orientation, self.spacing)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what pydicom says of odd values from the screen: they are another's, and may be long."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def slice_of(held: Any, file: Path) -> Slice:
    """Read the head of a DICOM file.

    Raises
    ------
    UserError
        If it is none, holds no single picture of numbers, or cannot be unpacked here.
    """
    import pydicom

    with held.open(file) as opened, _quiet():
        size = os.fstat(opened.fileno()).st_size
        try:
            _require_decoder(opened.read(_META), file)
            opened.seek(0)
            found = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=_TAGS)
            return _facts(found, file, size)
        except cnnvis.UserError:
            raise
        except Exception as error:  # whatever pydicom makes of what it finds
            raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception, remedy: str = "") -> cnnvis.UserError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return cnnvis.UserError(f"{str(file)!r} cannot be read as DICOM: {reason}{remedy}")


def _require_decoder(beginning: bytes, file: Path) -> None:
    """Refuse files that are packed in a way that nothing here can unpack.

    Raises
    ------
    UserError
        With what would do.
    """
    from pydicom.filereader import read_partial
    from pydicom.pixels import get_decoder

    if beginning[128:132] != b"DICM":
        raise cnnvis.UserError(f"{str(file)!r} is not a DICOM file")
    # Of the beginning alone, since pydicom would unpack all of a deflated file at once.
    meta = read_partial(io.BytesIO(beginning), stop_when=lambda tag, vr, length: True).file_meta
    syntax = meta.TransferSyntaxUID
    if syntax == _DEFLATED:
        raise cnnvis.UserError(f"{str(file)!r} is deflated as a whole, and is not read; {_UNPACK}")
    if not syntax.is_compressed:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise cnnvis.UserError(
            f"{str(file)!r} is packed as {syntax.name}, for which no decoder is installed: pip install "
            f"pylibjpeg[all], or {_UNPACK}"
        )


def _facts(found: Any, file: Path, size: int) -> Slice:
    if "Rows" not in found or "Columns" not in found:
        raise cnnvis.UserError(f"{str(file)!r} is a DICOM file without a picture")
    if int(found.get("NumberOfFrames") or 1) != 1:
        raise cnnvis.UserError(
            f"{str(file)!r} holds {found.NumberOfFrames} pictures in one file; dcm2niix turns it into "
            "a NIfTI file"
        )
    colours = str(found.get("PhotometricInterpretation", "MONOCHROME2"))
    if int(found.get("SamplesPerPixel") or 1) != 1 or not colours.startswith("MONOCHROME"):
        raise cnnvis.UserError(
            f"{str(file)!r} is in colour ({colours}): save it as a picture (.png)"
        )
    shape = int(found.Rows), int(found.Columns)
    wanted = math.prod(shape) * max(int(found.get("BitsAllocated") or 16) // 8, 1)
    if min(shape) < 1 or wanted > max(_SMALL, _RATIO * size):
        raise cnnvis.UserError(f"{str(file)!r} says {shape[0]} rows and {shape[1]} columns")
    return Slice(
        str(found.get("SeriesInstanceUID", "")),
        str(found.get("SeriesNumber") or ""),
        shape,
        _numbers(found.get("ImagePositionPatient"), 3),
        _numbers(found.get("ImageOrientationPatient"), 6),
        _numbers(found.get("PixelSpacing"), 2),
        (_numbers([found.get("SliceThickness") or 1], 1) or (1.0,))[0],
        colours == "MONOCHROME1",
    )


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """Return so many finite numbers; None for anything else."""
    try:
        numbers = tuple(map(float, value))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def pixels_of(held: Any, file: Path, shape: tuple[int, int], *, rescale: bool) -> npt.NDArray[Any]:
    """Read a picture as numbers (rows, columns) float32, in the unit of its modality if asked for.

    Raises
    ------
    UserError
        If the file is damaged.
    """
    import numpy as np
    import pydicom
    from pydicom.pixels import apply_modality_lut

    with held.open(file) as opened, _quiet():
        try:
            found = pydicom.dcmread(opened)
            values = found.pixel_array
            if rescale and "ModalityLUTSequence" in found:
                values = apply_modality_lut(values, found)
            elif rescale:
                slope = float(found.get("RescaleSlope", 1) or 1)
                values = values * slope + float(found.get("RescaleIntercept", 0) or 0)
                values = values * float(found.get("DoseGridScaling", 1) or 1)
        except Exception as error:  # whatever pydicom and its decoders make of damaged bytes
            # A decoder may take some forms of a packing, and not others.
            raise _damaged(file, error, f"; if it is packed, {_UNPACK}") from error
    if values.shape != shape:
        raise cnnvis.UserError(f"{str(file)!r} is damaged: it holds {values.shape} pixels")
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)
