"""Reads picture files, one or a folder of them."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_SEVERAL = ("PNG", "TIFF", "GIF", "WEBP")  # Formats of which a file may hold several pictures.
_SMALL = 2**26  # Bytes that a picture may unpack to however small its file is.
_RATIO = 100  # How many times its file's size a larger one may unpack to.


@cnnvis.reader("pictures", suffixes=SUFFIXES, accepts=Path.is_dir)
def pictures(
    path: Path,
    *,
    mode: Literal["L", "RGB", "RGBA"] | None = None,
    size: tuple[cnnvis.Count, cnnvis.Count] | None = None,
    scale: float = 1.0,
) -> cnnvis.Samples:
    """Read a picture, or all pictures in a folder; folders in it are classes, by their names.

    Pictures of a folder are read when they are needed, not before.

    Parameters
    ----------
    mode
        Turn pictures into grey (L), colour (RGB) or colour with transparency (RGBA). By default
        that of the first picture that can be read.
    size
        Resize pictures to this many rows and columns. By default they must all have one size.
    scale
        Multiply values, 0 to 255, by this: 0.00392157 for a network trained on 0 to 1.
    """
    import numpy as np

    files = _pictures_in(path) if path.is_dir() else [path]
    if not files:
        raise cnnvis.UserError(f"there are no pictures in {str(path)!r} ({' '.join(SUFFIXES)})")
    folders = sorted({file.parent.name for file in files if file.parent != path})
    is_sorted = path.is_dir() and all(file.parent != path for file in files)
    labels = np.array([folders.index(f.parent.name) for f in files]) if is_sorted else None
    return cnnvis.Samples(
        _Pictures(files, mode, size, scale),
        labels,
        names=tuple(_text(file.name) for file in files),
        class_names=tuple(map(_text, folders)) if is_sorted else None,
    )


def _pictures_in(folder: Path) -> list[Path]:
    found = [*folder.glob("*"), *folder.glob("*/*")]
    named = [file for file in found if file.suffix.lower() in SUFFIXES and not file.is_dir()]
    files = sorted(file for file in named if file.is_file())
    if others := sorted(set(named) - set(files)):
        cnnvis.note(
            f"{len(others)} in {str(folder)!r} are left out, since they are pipes, devices or links "
            f"to nothing: {', '.join(repr(file.name) for file in others[:3])}"
        )
    return files


def _text(name: str) -> str:
    """A file's name with what is no text in it replaced, so that it can be written down."""
    return os.fsencode(name).decode("utf-8", "replace")


class _Pictures:
    """Picture files as an array (n, rows, columns[, channels]) that reads what is asked of it."""

    def __init__(
        self, files: list[Path], mode: str | None, size: tuple[int, int] | None, scale: float
    ) -> None:
        self._files, self._size, self._scale = files, size, scale
        self._example, self._mode, example = self._first_sound(mode)
        self.dtype, self._one_shape = example.dtype, example.shape
        self.shape = (len(files), *self._one_shape)

    def _first_sound(self, wanted: str | None) -> tuple[Path, str, npt.NDArray[Any]]:
        """The first picture that can be read, and its mode: a damaged one costs no other."""
        first_error: cnnvis.UserError | None = None
        for file in self._files:
            try:
                with _opened(file) as picture:
                    mode = wanted or _plain_mode(picture.mode)
                return file, mode, self._read(file, mode)
            except cnnvis.UserError as error:
                first_error = first_error or error
        assert first_error is not None  # there are files
        raise first_error

    def __getitem__(self, index: slice | Sequence[int]) -> npt.NDArray[Any]:
        import numpy as np

        positions = np.arange(len(self._files))[index]
        with cnnvis.progress("reading pictures", len(positions)) as advance:
            read = []
            for position in positions:
                read.append(self._read(self._files[position], self._mode))
                if read[-1].shape != self._one_shape:
                    raise cnnvis.UserError(
                        f"{str(self._files[position])!r} has {_sized(read[-1].shape)}, and "
                        f"{str(self._example)!r} has {_sized(self._one_shape)}; "
                        "give one size to all with --pictures.size ROWS COLUMNS"
                    )
                advance(1)
        return np.stack(read)

    def _read(self, file: Path, mode: str) -> npt.NDArray[Any]:
        import numpy as np

        with _opened(file) as picture:
            try:
                if picture.format in _SEVERAL and _holds_several(picture):
                    cnnvis.note("of pictures with several frames or pages, the first is read")
                shown = picture.convert(mode)
            except Exception as error:  # whatever Pillow's decoders make of what they find
                raise cnnvis.UserError(f"{str(file)!r} is damaged: {error}") from error
        if self._size is not None:
            rows, columns = self._size
            shown = shown.resize((columns, rows))
        values = np.asarray(shown)
        return values if self._scale == 1 else values.astype(np.float32) * np.float32(self._scale)


def _opened(file: Path) -> Image.Image:
    """A picture whose head alone has been read, once its size is known to be no attack."""
    from PIL import Image

    cnnvis.require_regular(file)
    try:
        picture = Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise cnnvis.UserError(f"{str(file)!r} is too large a picture: {error}") from error
    except Exception as error:  # whatever Pillow makes of what it finds
        raise cnnvis.UserError(f"{str(file)!r} is not a picture that can be read") from error
    columns, rows = picture.size
    unpacked = columns * rows * (4 if picture.mode[0] in "IF" else len(picture.getbands()))
    # Pillow itself only warns of the first, and of the second not at all.
    if columns * rows > (Image.MAX_IMAGE_PIXELS or math.inf) or (
        unpacked > max(_SMALL, _RATIO * file.stat().st_size)
    ):
        picture.close()
        raise cnnvis.UserError(
            f"{str(file)!r} is too large a picture: {columns} columns and {rows} rows in a file of "
            f"{file.stat().st_size} bytes"
        )
    return picture


def _holds_several(picture: Image.Image) -> bool:
    """Whether there is a second frame or page; how many there are could take long to find out."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    picture.seek(0)
    return True


def _plain_mode(mode: str) -> str:
    if mode[0] in "IF":  # 16 bits and more, which L would cut down to 8
        return mode[0]
    if mode in ("1", "L"):
        return "L"
    return "RGBA" if mode in ("RGBA", "LA", "PA") else "RGB"


def _sized(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} rows and {shape[1]} columns"
