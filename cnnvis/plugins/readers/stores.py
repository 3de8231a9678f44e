"""Reader of inputs and labels from HDF5 files and Zarr stores, as they are needed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.readers._parts import chosen_of, is_large, samples_of

_SMALL = 2**26  # Bytes that an array may unpack to however little of it is stored.
_RATIO = 100  # How many times what is stored a larger one may unpack to.
_LARGEST_CHUNK = 2**28  # Bytes; reading one value of a chunk takes memory for all of it.
_READ = 2**28  # Bytes of a store that are read to see that they can be.
_READ_PIECES = 1_000  # Pieces of each of its arrays that are read for that; each is a file.
_MOST_PIECES = 10_000  # of one image, which is read as a whole
_MOST_OF_LABELS = 100_000  # Pieces of all labels.
_CODECS = {
    *("zlib", "gzip", "zstd", "blosc", "lz4", "bz2", "lzma", "shuffle", "delta", "crc32c"),
    *("bytes", "transpose", "sharding_indexed", "vlen-utf8"),
}


class _Lazy:
    """A stored array that is read piece by piece, in any order of samples."""

    def __init__(self, stored: Any, path: Path) -> None:
        self._stored, self._path = stored, path
        self.shape: tuple[int, ...] = tuple(stored.shape)
        self.dtype = stored.dtype

    def __getitem__(self, index: Any) -> Any:
        try:
            return self._read(index)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise cnnvis.UserError(f"{str(self._path)!r} cannot be read: {error}") from error

    def _read(self, index: Any) -> Any:
        import numpy as np

        if isinstance(index, slice):
            return np.asarray(self._stored[index])
        places = np.arange(self.shape[0])[index]
        if places.ndim == 0 or not places.size:
            return (
                np.asarray(self._stored[places])
                if places.size
                else np.empty((0, *self.shape[1:]), self.dtype)
            )
        if np.array_equal(places, np.arange(places[0], places[0] + len(places))):
            return np.asarray(self._stored[int(places[0]) : int(places[-1]) + 1])
        # HDF5 gives rows in rising order only, and each but once.
        rising, back = np.unique(places, return_inverse=True)
        return np.stack([np.asarray(self._stored[int(place)]) for place in rising])[back]


@cnnvis.reader("hdf5", suffixes=(".h5", ".hdf5", ".hdf"))
def hdf5(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read datasets of an HDF5 file, piece by piece: inputs X, labels y, class_names.

    For a network with several inputs, the file holds a dataset for each input, with the name of the
    input.

    Parameters
    ----------
    x
        The dataset of inputs, by its path in the file. By default X, x, images, inputs or data.
    y
        The dataset of labels. By default y, Y, labels or targets, if there is one.
    """
    import h5py

    source = cnnvis.held(path)
    cnnvis.require_sound_hdf5(path)
    try:
        file = cnnvis.open_hdf5(source.place)
        held: dict[str, Any] = {}
        file.visititems(lambda name, one: _keep(held, name, one, h5py.Dataset))
        parts = chosen_of(held, x, y, str(path), "--hdf5.x")
        return _samples(parts, path, lambda one: h5py.check_string_dtype(one.dtype) is not None)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as HDF5: {error}") from error


def _keep(held: dict[str, Any], name: str, one: Any, kind: type) -> None:
    if isinstance(one, kind):
        held[name] = one


def _is_zarr(path: Path) -> bool:
    if (path / "call_genotype").is_dir():  # of VCF Zarr, which another reader takes
        return False
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


@cnnvis.reader("zarr", suffixes=(".zarr",), accepts=_is_zarr)
def zarr(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read arrays of a Zarr store, piece by piece: inputs X, labels y, class_names.

    Parameters
    ----------
    x
        The array of inputs. By default X, x, images, inputs or data, or the only array.
    y
        The array of labels. By default y, Y, labels or targets, if there is one.
    """
    held = cnnvis.held(path)
    cnnvis.first_look(look_at_zarr, path)
    held.record()
    try:
        every = arrays_in(path, held)
        if x is None and "call_genotype" in every:
            raise cnnvis.UserError(
                f"{str(path)!r} is a VCF Zarr store: give it the ending .vcz, and cnnvis reads windows of its "
                "genotypes (cnnvis show vcz)"
            )
        parts = chosen_of(every, x, y, str(path), "--zarr.x")
        return _samples(parts, path, lambda one: one.dtype.kind == "O")
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as Zarr: {error}") from error


def arrays_in(path: Path, held: Any) -> dict[str, Any]:
    """Return the arrays of a store by name, read from the files as they were recorded."""
    return _arrays(path, _held_store(path, held))


def look_at_zarr(path: str) -> None:
    """Examine a Zarr store: its codecs, its sizes, and whether its beginning is readable.

    Raises
    ------
    UserError
        If any array of the store is packed by other codecs than plain compression, or would unpack
        to far more than its stored size, or cannot be read.
    """
    left = _READ
    try:
        for file in _files(path):
            # Pipes and devices could be read for ever, and links lead to one's own files.
            if file.is_symlink() or not file.is_file():
                raise cnnvis.UserError(f"holds {file.name!r}, which is no file but a link or pipe")
        for name, array in _arrays(Path(path), _store(path)).items():
            _require_plain(name, _codecs(array.metadata.to_dict()))
            item = array.dtype.itemsize or 1
            declared, chunk = math.prod(array.shape) * item, math.prod(array.chunks) * item
            if chunk > _LARGEST_CHUNK:
                raise cnnvis.UserError(f"stores {name!r} in pieces of {chunk} bytes, far too large")
            pieces = _pieces(array.shape[1:], array.chunks[1:])
            if pieces > _MOST_PIECES:
                raise cnnvis.UserError(
                    f"stores each image of {name!r} in {pieces} pieces, and at most {_MOST_PIECES} are "
                    "read; store it with larger chunks"
                )
            if declared > _SMALL and declared > _RATIO * _stored(path, name, declared):
                raise cnnvis.UserError(
                    f"declares {name!r} to hold {declared} bytes, more than {_RATIO} times its "
                    "stored bytes"
                )
            left -= _read(array, left)
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever zarr and its codecs make of what they find
        raise cnnvis.UserError(f"is damaged, or no Zarr store: {error}") from error


def _store(path: str) -> Any:
    from zarr.storage import LocalStore

    return LocalStore(path, read_only=True)


def _held_store(path: Path, held: Any) -> Any:
    """Return a store whose files are compared with their state at the examination."""
    from zarr.storage import LocalStore

    class HeldStore(LocalStore):
        async def get(self, key: str, *arguments: Any, **more: Any) -> Any:
            held.require_recorded(self.root / key)
            found = await super().get(key, *arguments, **more)
            held.require_recorded(self.root / key)
            return found

        def get_sync(self, key: str, **more: Any) -> Any:
            held.require_recorded(self.root / key)
            found = super().get_sync(key, **more)
            held.require_recorded(self.root / key)
            return found

        async def get_partial_values(self, prototype: Any, key_ranges: Any) -> list[Any]:
            return [await self.get(key, prototype, part) for key, part in key_ranges]

    return HeldStore(path, read_only=True)


def _arrays(path: Path, store: Any) -> dict[str, Any]:
    """Return the arrays of a store by name, as their own metadata describe them."""
    import zarr as package

    is_array = (path / ".zarray").is_file()
    if (path / "zarr.json").is_file():
        is_array = json.loads(cnnvis.read_text(path / "zarr.json"))["node_type"] == "array"
    if is_array:
        return {"X": package.open_array(store, mode="r")}
    return dict(package.open_group(store, mode="r", use_consolidated=False).arrays())


def _files(folder: str | os.PathLike[str], depth: int = 1) -> Iterator[os.DirEntry[str]]:
    if depth > 50:
        raise cnnvis.UserError("nests its folders more than 50 deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, depth + 1)
            else:
                yield entry


def _stored(folder: str, name: str, declared: int) -> int:
    """Return the stored bytes of an array, counted until they are enough for its declared size."""
    within = os.path.join(folder, name)  # noqa: PTH118
    stored = 0
    for file in _files(within if Path(within).is_dir() else folder):
        stored += file.stat().st_size
        if declared <= _RATIO * stored:
            break
    return stored


def _codecs(held: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all codecs in an array's metadata, those within others included."""
    listed = [held.get(key) or () for key in ("filters", "codecs", "index_codecs")]
    for one in [*(one for some in listed for one in some), held.get("compressor")]:
        if one is not None:
            yield str(one.get("id", one.get("name")))
            yield from _codecs(one.get("configuration", {}))


def _require_plain(name: str, codecs: Iterator[str]) -> None:
    for codec in codecs:
        if codec not in _CODECS:
            raise cnnvis.UserError(
                f"packs {name!r} with the codec {codec!r}; cnnvis reads codecs that only "
                f"compress: {', '.join(sorted(_CODECS))}"
            )


def _read(array: Any, left: int) -> int:
    """Read the beginning of an array, in pieces, and return the number of bytes read."""
    read = pieces = 0
    rows = array.chunks[0] if array.chunks else 1
    of_row = _pieces(array.shape[1:], array.chunks[1:])
    for start in range(0, array.shape[0] if array.shape else 0, max(rows, 1)):
        declared = rows * math.prod(array.shape[1:]) * (array.dtype.itemsize or 1)
        pieces += of_row
        if read + declared > left or pieces > max(_READ_PIECES, of_row):
            break
        array[start : start + rows]
        read += declared
    return read


def _pieces(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """Return the number of pieces of an array."""
    pairs = zip(shape, chunks, strict=True)
    return math.prod(-(-length // max(chunk, 1)) for length, chunk in pairs)


def _samples(
    parts: Mapping[str, Any],
    path: Path,
    is_text: Callable[[Any], bool],
) -> cnnvis.Samples:
    """Return samples from stored arrays: inputs stay in the store, labels are read.

    Parameters
    ----------
    is_text
        Function that tells whether an array of objects holds words.
    """

    def read(part: str, stored: Any) -> Any:
        if isinstance(stored, Mapping):
            return {name: read(part, one) for name, one in stored.items()}
        is_words = stored.dtype.kind in "SUT" or is_text(stored)
        if (is_words or part != "X") and _pieces(stored.shape, stored.chunks or stored.shape) > (
            _MOST_OF_LABELS
        ):
            raise cnnvis.UserError(
                f"{str(path)!r} stores {part!r} in more than {_MOST_OF_LABELS} pieces; store it with "
                "larger chunks"
            )
        if is_words:
            return stored[...].tolist()  # text, or its bytes in UTF-8
        return _Lazy(stored, path) if stored.shape and is_large(part, stored.shape) else stored[...]

    return samples_of({part: read(part, stored) for part, stored in parts.items()}, str(path))
