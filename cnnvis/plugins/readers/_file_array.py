"""Files, each with one image or several, as an array that reads only the requested images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

Read = Callable[[Path], "npt.NDArray[Any]"]
Head = TypeVar("Head")


def heads_of(files: Sequence[Path], read: Callable[[Path], Head], what: str) -> dict[Path, Head]:
    """Read the heads of all files; a damaged file costs no other.

    Parameters
    ----------
    read
        Function of a file that returns what its head says.
    what
        What is read, for the progress: ``headers``.

    Raises
    ------
    UserError
        If no head is readable, with the reason of the first.
    """
    heads: dict[Path, Head] = {}
    first_error: cnnvis.UserError | None = None
    with cnnvis.progress(f"reading {what}", len(files)) as advance:
        for file in files:
            try:
                heads[file] = read(file)
            except cnnvis.UserError as error:
                first_error = first_error or error
            advance(1)
    if not heads:
        assert first_error is not None  # there are files
        raise first_error
    return heads


class FileArray:
    """Array (n, ...) float32 of images in files.

    Parameters
    ----------
    images
        The file of each image, and the image's place in it; None for a file with a single image.
    shape
        The shape of an image; an image of another shape is refused when it is read.
    read
        Function of a file that returns its image, or an array of its images.
    what
        What an image is called: ``volume``.
    remedy
        What would do where shapes differ.
    """

    def __init__(
        self,
        images: Sequence[tuple[Path, int | None]],
        shape: tuple[int, ...],
        read: Read,
        what: str,
        remedy: str,
    ) -> None:
        import numpy as np

        self._images, self._read, self._what, self._remedy = images, read, what, remedy
        self.shape = (len(images), *shape)
        self.dtype = np.dtype(np.float32)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        import numpy as np

        places = np.arange(len(self._images))[index]
        each = np.atleast_1d(places)
        found = np.empty((len(each), *self.shape[1:]), np.float32)
        last: tuple[Path, npt.NDArray[Any]] | None = None
        with cnnvis.progress(f"reading {self._what}s", len(each)) as advance:
            for row, place in enumerate(each):
                file, within = self._images[place]
                if last is None or last[0] != file:
                    last = file, self._read(file)
                image = last[1] if within is None else last[1][within]
                self._require_shape(file, image.shape)
                found[row] = image
                advance(1)
        return found[0] if places.ndim == 0 else found

    def _require_shape(self, file: Path, shape: tuple[int, ...]) -> None:
        if shape != self.shape[1:]:
            raise cnnvis.UserError(
                f"{str(file)!r} has the shape {sized(shape)}, and other {self._what}s have "
                f"{sized(self.shape[1:])}; {self._remedy}"
            )


def sized(shape: Sequence[int]) -> str:
    """Return a shape in words: ``16 x 16 x 12``."""
    return " x ".join(map(str, shape))
