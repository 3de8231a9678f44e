"""NIfTI files from strangers: what a header says is checked before the voxels are read.

Only the header is nibabel's to parse. The bytes are read here, no more of them than the header
says, since a small ``.gz`` may unpack to any size.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

_LONGEST_HEADER = 2**24  # Bytes before the voxels: a header, and whatever programs add to it.
_SMALL = 2**27  # Bytes that a volume may unpack to however small its file is.
_RATIO = 100  # How many times its file's size a larger one may unpack to.
_UNITS = {"meter": "m", "micron": "um"}
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Head:
    """Facts from the header of a NIfTI file.

    Attributes
    ----------
    shape
        The lengths of all axes, those of length 1 behind the third left out.
    stored
        The lengths of all axes, as the header has them.
    has_vectors
        True where the fourth axis of `shape` is that of vectors, and can be nothing else.
    fourth
        What the header says of a fourth axis, in words; empty if it says nothing.
    dtype, offset, slope, intercept
        The type of the stored values and their place in the file, and what makes them numbers.
    grid
        The grid of voxels; None where the header has none that could be.
    two_places
        True where the header has two affine matrices that differ.
    """

    shape: tuple[int, ...]
    stored: tuple[int, ...]
    has_vectors: bool
    fourth: str
    dtype: Any
    offset: int
    slope: float
    intercept: float
    grid: cnnvis.VoxelGrid | None
    two_places: bool


@contextmanager
def unpacked(held: Any, file: Path) -> Iterator[tuple[BinaryIO | gzip.GzipFile, bool]]:
    """Open a file, unpacked if it is packed by gzip, whatever its name is; yields also if it is.

    Raises
    ------
    UserError
        If it cannot be read, or is damaged.
    """
    try:
        with held.open(file) as opened:
            is_packed = opened.read(2) == _GZIP
            opened.seek(0)
            if not is_packed:
                yield opened, False
                return
            with gzip.GzipFile(fileobj=opened) as inner:
                yield inner, True
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise cnnvis.UserError(f"{str(file)!r} cannot be read: {reason}") from error


def head_of(held: Any, file: Path) -> Head:
    """Read the header of a NIfTI file.

    Raises
    ------
    UserError
        If it is none, or what it says cannot be, or is too much for the file or the memory.
    """
    with held.open(file) as plain:
        size = os.fstat(plain.fileno()).st_size
    with unpacked(held, file) as (opened, is_packed):
        head = _parsed(opened.read(540), file)
    wanted = head.offset + math.prod(head.stored) * head.dtype.itemsize
    as_numbers = math.prod(head.stored) * 4
    if not is_packed and wanted > size:
        raise cnnvis.UserError(
            f"{str(file)!r} is cut off: its header says {wanted} bytes, and it has {size}"
        )
    if wanted > max(_SMALL, _RATIO * size) or as_numbers + wanted > cnnvis.available_memory():
        raise cnnvis.UserError(
            f"{str(file)!r} is too large a volume: its header says {wanted} bytes, in a file of "
            f"{size} bytes"
        )
    return head


def values_of(held: Any, file: Path, head: Head) -> npt.NDArray[Any]:
    """Read the voxels of a NIfTI file as numbers, float32, of the shape of its head.

    Raises
    ------
    UserError
        If the file is damaged, or unpacks to more or less than its header says.
    """
    import numpy as np

    count = math.prod(head.stored) * head.dtype.itemsize
    with unpacked(held, file) as (opened, is_packed):
        before, held_bytes = opened.read(head.offset), opened.read(count)
        if len(before) + len(held_bytes) < head.offset + count:
            raise cnnvis.UserError(
                f"{str(file)!r} is cut off: it holds {len(held_bytes)} of {count} bytes of voxels"
            )
        if is_packed and opened.read(1):
            raise cnnvis.UserError(
                f"{str(file)!r} unpacks to more than the {head.offset + count} bytes that its "
                "header says"
            )
    # The first axis runs fastest, whatever the order of the axes in space.
    stored = np.frombuffer(held_bytes, head.dtype).reshape(head.stored, order="F")
    if (head.slope, head.intercept) != (1.0, 0.0):
        stored = stored.astype(np.float64) * head.slope + head.intercept
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found later
        return np.asarray(stored, np.float32).reshape(head.shape)


def _parsed(block: bytes, file: Path) -> Head:
    import nibabel

    kinds = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
    lengths = {int.from_bytes(block[:4], order) for order in ("little", "big")} & kinds.keys()
    if not lengths or len(block) < max(lengths):
        raise cnnvis.UserError(f"{str(file)!r} is not a NIfTI file: it has no header of one")
    length = lengths.pop()
    try:
        header = kinds[length](block[:length], check=False)
        return _facts(header, file)
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever nibabel makes of what a header holds
        raise cnnvis.UserError(f"{str(file)!r} has a damaged header: {error}") from error


def _facts(header: Any, file: Path) -> Head:
    import numpy as np

    magic = bytes(header["magic"].item())
    if not magic.startswith((b"n+1", b"n+2")):
        raise cnnvis.UserError(
            f"{str(file)!r} is not a NIfTI file that holds its voxels itself: pairs of .hdr and "
            ".img have to be saved as .nii first, such as by nibabel.save"
        )
    axes = int(header["dim"][0])
    stored = tuple(int(length) for length in header["dim"][1 : axes + 1])
    if not 1 <= axes <= 7 or min(stored) < 1:
        raise cnnvis.UserError(f"{str(file)!r} has a header with the lengths {stored} of axes")
    dtype = header.get_data_dtype()
    if dtype.kind not in "biuf":
        what = "colours" if dtype.names else f"values of the type {dtype}"
        raise cnnvis.UserError(f"{str(file)!r} holds {what}, and not a number for each voxel")
    start = float(header["vox_offset"])
    if not 0 <= start <= _LONGEST_HEADER:
        raise cnnvis.UserError(f"{str(file)!r} has its voxels at the place {start:g}")
    offset = max(int(start), int(header["sizeof_hdr"]) + 4)  # 0 is common, and means this
    slope, intercept = header.get_slope_inter()
    shape = list(stored)
    while len(shape) > 3 and shape[-1] == 1:
        del shape[-1]
    has_vectors = len(shape) == 5 and shape[3] == 1
    if has_vectors:
        del shape[3]
    if len(shape) > 4:
        raise cnnvis.UserError(f"{str(file)!r} has {len(shape)} axes: {stored}")
    grid, two_places = _grid(header, (*shape, 1, 1)[:3])
    return Head(
        tuple(shape), stored, has_vectors, _fourth(header), np.dtype(dtype), offset,
        1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept),
        grid, two_places,
    )  # fmt: skip


def _fourth(header: Any) -> str:
    """Return what the header says of a fourth axis: a time, or another quantity."""
    try:
        unit = header.get_xyzt_units()[1]
    except KeyError:
        return ""
    words = {
        "sec": "time in seconds",
        "msec": "time in milliseconds",
        "usec": "time in microseconds",
    }
    return words.get(unit, "" if unit == "unknown" else f"an axis in {unit}")


def _qform(header: Any) -> tuple[Any, int]:
    """Return the qform and its code; of numbers that are none, nothing: the sform may be right."""
    try:
        qform, code = header.get_qform(coded=True)
    except Exception:
        return None, 0
    return qform, int(code)


def _grid(header: Any, shape: tuple[int, ...]) -> tuple[cnnvis.VoxelGrid | None, bool]:
    """Return the grid of voxels, by the sform or else the qform, and if these two differ."""
    import numpy as np

    try:
        unit = _UNITS.get(header.get_xyzt_units()[0], "mm")
    except KeyError:
        unit = "mm"
    try:
        sform, at_sform = header.get_sform(coded=True)
        qform, at_qform = _qform(header)
        space = header.get_value_label("sform_code" if at_sform else "qform_code")
        affine = sform if at_sform else header.get_best_affine()
        grid = cnnvis.VoxelGrid(shape, affine.tolist(), unit, str(space))
    except Exception:  # no numbers, no directions, no size of voxels, or no known space
        return None, False
    is_twice = bool(at_sform and at_qform and sform is not None and qform is not None)
    corner = np.array([*shape, 1.0])
    apart = is_twice and np.abs((sform - qform) @ corner).max() > min(grid.sizes) / 2
    return grid, bool(apart)
