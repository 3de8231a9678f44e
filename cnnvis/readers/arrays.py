"""Reads inputs and labels that NumPy wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cnnvis
from cnnvis.readers._parts import INPUT_NAMES, LABEL_NAMES, inputs_among, samples_of


@cnnvis.reader("npz", suffixes=(".npz",))
def npz(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read arrays that numpy.savez wrote: inputs X, labels y, class_names.

    For a network with several inputs, an array for each, by the name of the input.

    Parameters
    ----------
    x
        The name of the array of inputs. By default X, x, images, inputs, data or the only one.
    y
        The name of the array of labels. By default y, Y, labels or targets, if there is one.
    """
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as archive:
            names = list(archive.files)
            wanted = _named(names, x, INPUT_NAMES) or (names[0] if len(names) == 1 else None)
            several = None
            if wanted is None and x is None:
                several = inputs_among({name: _member(path, archive, name) for name in names})
            if wanted is None and several is None:
                raise cnnvis.UserError(
                    f"{str(path)!r} holds no array named {x or 'X'!r}; it holds "
                    f"{', '.join(names) or 'nothing'}. Say which one with --npz.x NAME"
                )
            label = _named(names, y, LABEL_NAMES)
            if y is not None and label is None:
                raise cnnvis.UserError(
                    f"{str(path)!r} holds no array named {y!r}; it holds {', '.join(names)}"
                )
            parts: dict[str, Any] = {
                "X": several if wanted is None else _member(path, archive, wanted)
            }
            if label is not None:
                parts["y"] = archive[label]
            if "class_names" in names:
                parts["class_names"] = archive["class_names"]
    except (ValueError, OSError, EOFError, TypeError, zlib.error, zipfile.BadZipFile) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as .npz: {error}") from error
    return samples_of(parts, str(path))


@cnnvis.reader("npy", suffixes=(".npy",))
def npy(path: Path) -> cnnvis.Samples:
    """Read an array that numpy.save wrote: inputs without labels, read as they are needed."""
    import numpy as np

    try:
        array = _rows(path, np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, OSError, EOFError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as .npy: {error}") from error
    return samples_of(array, str(path))


def _member(path: Path, archive: Any, name: str) -> Any:
    """An array of an archive: read when it is needed where the archive holds it as it is.

    numpy.savez stores arrays uncompressed, each a .npy file at some place in the archive, and so
    they can be looked at in place; those of numpy.savez_compressed have to be unpacked.
    """
    import zipfile

    import numpy as np

    with zipfile.ZipFile(path) as zipped, path.open("rb") as file:
        info = zipped.getinfo(f"{name}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            return archive[name]
        file.seek(info.header_offset + 26)
        lengths = np.frombuffer(file.read(4), "<u2")
        file.seek(info.header_offset + 30 + int(lengths.sum()))
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
        if dtype.hasobject or not all(shape) or not shape:
            return archive[name]
        order: Any = "F" if is_fortran else "C"
        return _rows(path, np.memmap(path, dtype, "r", file.tell(), shape, order))


def _rows(path: Path, array: Any) -> Any:
    """The samples of a mapped array, copied out of the file when they are needed."""
    import numpy as np

    if not isinstance(array, np.memmap) or array.dtype.kind not in "biuf":
        return array
    order: Any = "C" if array.flags.c_contiguous else "F"
    return Rows(path, array.dtype, array.offset, array.shape, order)


@dataclass(frozen=True)
class Rows:
    """An array in a file that is mapped only while something is copied out of it.

    A map that stays takes memory for all that was ever looked at.
    """

    path: Path
    dtype: Any
    offset: int
    shape: tuple[int, ...]
    order: Literal["C", "F"]

    def __getitem__(self, index: Any) -> Any:
        import numpy as np

        try:
            mapped = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)
        except (OSError, ValueError) as error:
            raise cnnvis.UserError(
                f"{str(self.path)!r} is not what it was when it was opened: {error}"
            ) from error
        return np.array(mapped[index])


def _named(names: list[str], asked: str | None, usual: tuple[str, ...]) -> str | None:
    candidates = (asked,) if asked is not None else usual
    return next((name for name in candidates if name in names), None)
