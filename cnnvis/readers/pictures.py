"""Reads picture files, one or a folder of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")


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

    files = [path] if path.is_file() else _pictures_in(path)
    if not files:
        raise cnnvis.UserError(f"there are no pictures in {str(path)!r} ({' '.join(SUFFIXES)})")
    folders = sorted({file.parent.name for file in files if file.parent != path})
    is_sorted = path.is_dir() and all(file.parent != path for file in files)
    labels = np.array([folders.index(f.parent.name) for f in files]) if is_sorted else None
    return cnnvis.Samples(
        _Pictures(files, mode, size, scale),
        labels,
        names=tuple(file.name for file in files),
        class_names=tuple(folders) if is_sorted else None,
    )


def _pictures_in(folder: Path) -> list[Path]:
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return sorted(file for file in found if file.is_file() and file.suffix.lower() in SUFFIXES)


class _Pictures:
    """Picture files as an array (n, rows, columns[, channels]) that reads what is asked of it."""

    def __init__(
        self, files: list[Path], mode: str | None, size: tuple[int, int] | None, scale: float
    ) -> None:

        self._files, self._size, self._scale = files, size, scale
        self._first, first_read = self._first_of(files, mode)
        self.dtype, self._one_shape = first_read.dtype, first_read.shape
        self.shape = (len(files), *self._one_shape)

    def _first_of(self, files: list[Path], mode: str | None) -> tuple[Path, npt.NDArray[Any]]:
        """The first picture that can be read, whose mode and size are those of all."""
        damaged: cnnvis.UserError | None = None
        for file in files:
            try:
                with _opened(file) as first:
                    self._mode = mode or _plain_mode(first.mode)
                return file, self._read(file)
            except cnnvis.UserError as error:
                damaged = damaged or error
        assert damaged is not None  # there are files
        raise damaged

    def __getitem__(self, index: slice | Sequence[int]) -> npt.NDArray[Any]:
        import numpy as np

        positions = np.arange(len(self._files))[index]
        with cnnvis.progress("reading pictures", len(positions)) as advance:
            read = []
            for position in positions:
                read.append(self._read(self._files[position]))
                if read[-1].shape != self._one_shape:
                    raise cnnvis.UserError(
                        f"{str(self._files[position])!r} has {_sized(read[-1].shape)}, and "
                        f"{str(self._first)!r} has {_sized(self._one_shape)}; "
                        "give one size to all with --pictures.size ROWS COLUMNS"
                    )
                advance(1)
        return np.stack(read)

    def _read(self, file: Path) -> npt.NDArray[Any]:
        import numpy as np

        with _opened(file) as picture:
            try:
                shown = picture.convert(self._mode)
            except (OSError, ValueError, SyntaxError) as error:
                raise cnnvis.UserError(f"{str(file)!r} is damaged: {error}") from error
        if self._size is not None:
            rows, columns = self._size
            shown = shown.resize((columns, rows))
        values = np.asarray(shown)
        return values if self._scale == 1 else values.astype(np.float32) * np.float32(self._scale)


def _opened(file: Path) -> Image.Image:
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # A picture that unpacks to far more than it says is an attack, not a photograph.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file, formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise cnnvis.UserError(f"{str(file)!r} is not a picture that can be read") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise cnnvis.UserError(f"{str(file)!r} is too large a picture: {error}") from error


def _plain_mode(mode: str) -> str:
    if mode[0] in "IF":  # 16 bits and more, which L would cut down to 8
        return mode[0]
    if mode in ("1", "L"):
        return "L"
    return "RGBA" if mode in ("RGBA", "LA", "PA") else "RGB"


def _sized(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} rows and {shape[1]} columns"
