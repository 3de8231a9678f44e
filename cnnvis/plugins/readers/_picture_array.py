"""Picture files as an array that reads only the requested pictures."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cnnvis
from cnnvis.plugins.readers._preprocess import Way, others, prepared

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
_SEVERAL = ("PNG", "TIFF", "GIF", "WEBP")  # Formats of which a file may hold several pictures.
_SMALL = 2**26  # Bytes that a picture may unpack to however small its file is.
_RATIO = 100  # How many times its file's size a larger one may unpack to.
_HEADS = 200  # How many files' heads are looked at, evenly spread, for what all are read as.
_ORIENTATION = 0x0112  # The tag of EXIF that says how a picture is to be turned.
_GREY = ("1", "L", "LA", "La")


@dataclass(frozen=True)
class _Head:
    """Facts from the head of a picture's file."""

    mode: str
    size: tuple[int, int]  # rows and columns


class Pictures:
    """Picture files as an array (n, rows, columns[, channels]) that reads only requested pictures.

    Parameters
    ----------
    held
        The picture or the folder, held open.
    files
        The pictures; at least one must be readable.
    mode
        Pillow's mode to which all pictures are converted; None for the fitting mode.
    size
        The rows and columns to which all pictures are resized; None for the most frequent size.
    scale, offset
        The factor of the values, and the number that is then added.
    way
        The way in which Keras prepares pictures, instead of factor and offset.
    """

    def __init__(
        self,
        held: Any,
        files: list[Path],
        mode: str | None,
        size: tuple[int, int] | None,
        scale: float,
        offset: float,
        way: Way | None,
    ) -> None:
        self._held, self._files, self._size = held, files, size
        self._scale, self._offset, self._way = scale, offset, way
        self._asked_mode = mode
        heads = self._heads(1 if mode is not None and size is not None else _HEADS)
        self._mode = mode or _fitting_mode([head.mode for head in heads.values()])
        sizes = Counter(head.size for head in heads.values())
        self._common = size or sizes.most_common(1)[0][0]
        if size is None and len(sizes) > 1:
            cnnvis.note(
                f"pictures have at least {len(sizes)} sizes, and cnnvis uses only the pictures "
                f"with {_sized(self._common)}; --pictures.size ROWS COLUMNS resizes all pictures "
                "to one size"
            )
        example = self._example(
            [file for file, head in heads.items() if size or head.size == self._common]
        )
        self.dtype, self._one_shape = example.dtype, example.shape
        self.shape = (len(files), *self._one_shape)

    def _heads(self, most: int) -> dict[Path, _Head]:
        """Read the heads of the first picture and of others evenly spread, if they are readable.

        Raises
        ------
        UserError
            If no head is readable, with the reason of the first.
        """
        import numpy as np

        count = len(self._files)
        places = np.linspace(0, count - 1, min(count, most)).astype(int).tolist()
        found: dict[Path, _Head] = {}
        first_error: cnnvis.UserError | None = None
        for place in [*places, *(range(count) if most == 1 else ())]:
            try:
                with self._opened(self._files[place]) as picture:
                    columns, rows = picture.size
                    found[self._files[place]] = _Head(picture.mode, (rows, columns))
            except cnnvis.UserError as error:
                first_error = first_error or error
            if found and most == 1:
                break
        if not found:
            found = self._heads(1) if most > 1 and count > len(places) else {}
        if not found:
            assert first_error is not None  # there are files
            raise first_error
        return found

    @contextmanager
    def _opened(self, file: Path) -> Iterator[Image.Image]:
        try:
            with self._held.open(file) as opened, _head_of(opened, file) as picture:
                yield picture
        except OSError as error:
            raise cnnvis.UserError(f"{str(file)!r} cannot be read: {error}") from error

    def _example(self, files: Sequence[Path]) -> npt.NDArray[Any]:
        """Return the first of these pictures that is sound: a damaged picture costs no other."""
        first_error: cnnvis.UserError | None = None
        for file in dict.fromkeys([*files, *self._files]):
            try:
                read = self._read(file)
            except cnnvis.UserError as error:
                first_error = first_error or error
            else:
                if read.shape[:2] == self._common:
                    return read
        assert first_error is not None
        raise first_error

    def __getitem__(self, index: slice | Sequence[int]) -> npt.NDArray[Any]:
        import numpy as np

        positions = np.arange(len(self._files))[index]
        with cnnvis.progress("reading pictures", len(positions)) as advance:
            read = []
            for position in positions:
                read.append(self._read(self._files[position]))
                if read[-1].shape != self._one_shape:
                    raise cnnvis.UserError(
                        f"{str(self._files[position])!r} has {_sized(read[-1].shape)}, and other "
                        f"pictures have {_sized(self._one_shape)}; resize all pictures to one "
                        "size with --pictures.size ROWS COLUMNS"
                    )
                advance(1)
        return np.stack(read) if read else np.empty((0, *self._one_shape), self.dtype)

    def _read(self, file: Path) -> npt.NDArray[Any]:
        import numpy as np

        with self._opened(file) as picture:
            self._require_mode(file, picture)
            try:
                _say_what_is_left_out(picture)
                shown = _converted(picture, self._mode)
            except cnnvis.UserError:
                raise
            except Exception as error:  # whatever Pillow's decoders make of what they find
                raise cnnvis.UserError(f"{str(file)!r} is damaged: {error}") from error
        if self._size is not None:
            rows, columns = self._size
            shown = shown.resize((columns, rows))
        values = np.asarray(shown)
        if self._way is not None:
            return values if self._way == "plain" else prepared(values, self._way)
        if self._scale == 1 and self._offset == 0:
            return values
        return values.astype(np.float32) * np.float32(self._scale) + np.float32(self._offset)

    def _require_mode(self, file: Path, picture: Image.Image) -> None:
        """Refuse a picture that cannot be converted to the common mode without losses."""
        is_grey = picture.mode in _GREY or picture.mode[0] in "IF"
        if self._asked_mode is None and self._mode in ("L", "I", "F") and not is_grey:
            raise cnnvis.UserError(
                f"{str(file)!r} is in colour, and the pictures before it are grey; "
                "--pictures.mode RGB reads all pictures in colour, and L all in grey"
            )
        if picture.mode in ("I", "F") and self._mode not in ("I", "F"):
            raise cnnvis.UserError(
                f"{str(file)!r} holds numbers of 32 bits, which the mode {self._mode} would cut off "
                "at 255; convert the file to 8 or 16 bits first"
            )

    def remedy(self, wanted: tuple[int | None, ...]) -> str:
        """Return the words to type so that pictures get a network's shape; may be empty."""
        if len(wanted) not in (2, 3):
            return ""
        rows, columns, channels = (*wanted, 1)[:3]
        options = []
        if rows is not None and columns is not None and (rows, columns) != self._one_shape[:2]:
            options.append(f"--pictures.size {rows} {columns}")
        mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels or 0)
        if mode is not None and channels != (*self._one_shape, 1)[2]:
            options.append(f"--pictures.mode {mode}")
        if mode is None and channels is not None:
            return ""  # no picture has so many channels
        return f"{' '.join(options)} reads the pictures in that shape" if options else ""

    def others(self) -> dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]]:
        """Return other ways to read the values; see `cnnvis.Reading`."""
        return others(
            self._scale,
            self._offset,
            self._way,
            in_colour=self._mode == "RGB",
            deep=self._mode in ("I", "F"),
        )


def _fitting_mode(modes: Sequence[str]) -> str:
    """Return the mode in which pictures of these modes lose nothing."""
    plain = {_plain_mode(mode) for mode in modes}
    if plain == {"RGBA"}:
        return "RGBA"
    coloured = {
        mode for mode in modes if _plain_mode(mode) in ("RGB", "RGBA") and mode not in _GREY
    }
    if coloured:
        return "RGB"
    return Counter(_plain_mode(mode) if mode not in _GREY else "L" for mode in modes).most_common(
        1
    )[0][0]


def _plain_mode(mode: str) -> str:
    if mode[0] in "IF":  # 16 bits and more, which L would cut down to 8
        return mode[0]
    if mode in ("1", "L"):
        return "L"
    return "RGBA" if mode in ("RGBA", "LA", "PA") else "RGB"


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    is_deep = picture.mode.startswith("I;16")
    if not is_deep or mode in ("I", "F"):
        return picture.convert(mode)
    import numpy as np
    from PIL import Image

    # Pillow would cut values off at 255.
    cnnvis.note(
        "pictures with 16 bits a value are read with 8 bits, like the other pictures or by the mode"
    )
    return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert(mode)


def _say_what_is_left_out(picture: Image.Image) -> None:
    if picture.format in _SEVERAL and _holds_several(picture):
        cnnvis.note("of pictures with several frames or pages, the first frame is read")
    turned = None
    with suppress(Exception):  # damage there costs nothing of the picture
        turned = picture.getexif().get(_ORIENTATION)
    if turned not in (None, 0, 1):
        cnnvis.note(
            "the EXIF data of some pictures ask for a rotation; cnnvis does not rotate these "
            "pictures, as Keras does not"
        )


def _head_of(opened: BinaryIO, file: Path) -> Image.Image:
    """Open a picture of which only the head is read, once its size is known to be no attack."""
    from PIL import Image

    size = os.fstat(opened.fileno()).st_size
    try:
        picture = Image.open(opened, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise cnnvis.UserError(f"{str(file)!r} is too large a picture: {error}") from error
    except Exception as error:  # whatever Pillow makes of what it finds
        raise cnnvis.UserError(
            f"{str(file)!r} is not a picture, or has an unknown format"
        ) from error
    columns, rows = picture.size
    unpacked = columns * rows * (4 if picture.mode[0] in "IF" else len(picture.getbands()))
    # Pillow itself only warns of the first, and of the second not at all.
    if columns * rows > (Image.MAX_IMAGE_PIXELS or math.inf) or (
        unpacked > max(_SMALL, _RATIO * size)
    ):
        raise cnnvis.UserError(
            f"{str(file)!r} is too large a picture: {columns} columns and {rows} rows in a file of "
            f"{size} bytes"
        )
    return picture


def _holds_several(picture: Image.Image) -> bool:
    """Tell whether a second frame or page exists; counting all of them could take long."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    picture.seek(0)
    return True


def _sized(shape: Sequence[int]) -> str:
    return f"{shape[0]} rows and {shape[1]} columns"
