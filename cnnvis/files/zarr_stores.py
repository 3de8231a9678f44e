"""Zarr stores of strangers, on a disk or in an object store: looked at, then read as they were.

Only what lies in the store itself is read: each array is described by its own metadata, and not by
consolidated metadata, and no codec does anything but compress.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError
from cnnvis.files.addresses import Place
from cnnvis.files.objects import HeldObjects
from cnnvis.files.reading import read_text
from cnnvis.files.sandbox import first_look
from cnnvis.files.snapshots import Held
from cnnvis.text import printable

_SMALL = 2**26  # Bytes that an array may unpack to however little of it is stored.
_RATIO = 100  # How many times what is stored a larger one may unpack to.
_LARGEST_CHUNK = 2**28  # Bytes; reading one value of a chunk takes memory for all of it.
_READ = 2**28  # Bytes of a store that are read to see that they can be.
_READ_PIECES = 1_000  # Pieces of each of its arrays that are read for that; each is a file.
_MOST_PIECES = 10_000  # of one image, which is read as a whole
_CODECS = {
    *("zlib", "gzip", "zstd", "blosc", "lz4", "bz2", "lzma", "shuffle", "delta", "crc32c"),
    *("bytes", "transpose", "sharding_indexed", "vlen-utf8"),
}
_METADATA = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_LARGEST_METADATA = 2**26  # Bytes; as much as a text that is read
_LARGEST_FIRST = 2**25  # Bytes of an array's first object that is looked at
_MOST_ARRAYS = 1_000  # of a store behind an address
_AT_ONCE = 32  # Requests to an object store


def zarr_arrays(place: Place, held: Held) -> dict[str, Any]:
    """Return the arrays of a Zarr store by name, after a first look; an only array is called X.

    Nothing of an array is read before it is indexed.

    Parameters
    ----------
    place
        The folder, or the address.
    held
        What `cnnvis.held` gives for it: whatever is read later must be as it is now.

    Raises
    ------
    UserError
        If the store is none, or damaged, or packed by other codecs than plain compression, or an
        array would unpack to far more than its stored size.
    DiskError
        If an object store cannot be reached.
    """
    if isinstance(held, HeldObjects):
        is_array = _look_at_objects(held)
        from cnnvis.files.zarr_objects import ObjectStore  # with zarr, which takes its time

        return _arrays(ObjectStore(held), is_array=is_array)
    assert isinstance(place, Path)
    first_look(look_at_zarr, place)
    held.record()
    return _arrays(_held_store(place, held), is_array=_is_array(place))


def zarr_attributes(place: Place, held: Held) -> dict[str, Any]:
    """Return the attributes of the group of a store; none where its metadata are damaged.

    Parameters
    ----------
    place, held
        As for `zarr_arrays`, which has looked at the store.
    """
    data: str | bytes | None
    if isinstance(held, HeldObjects):
        data = held.read("zarr.json", _LARGEST_METADATA)
    else:
        assert isinstance(place, Path)
        file = place / "zarr.json"
        data = read_text(file, _LARGEST_METADATA) if file.is_file() else None
    try:
        found = json.loads(data or "{}")
    except (ValueError, RecursionError):
        return {}
    attributes = found.get("attributes") if isinstance(found, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def look_at_zarr(path: str, stored: Mapping[str, int] | None = None) -> None:
    """Examine a Zarr store: its codecs, its sizes, and whether its beginning is readable.

    Parameters
    ----------
    path
        The folder.
    stored
        The stored bytes of each array, where the folder is a sample of a larger store.

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
                raise UserError(f"holds {file.name!r}, which is no file but a link or pipe")
        for name, array in _arrays(_local_store(path), is_array=_is_array(Path(path))).items():
            _require_plain(name, _codecs(array.metadata.to_dict()))
            item = array.dtype.itemsize or 1
            # What is read at a time: of shards, the chunks in them.
            declared, chunk = math.prod(array.shape) * item, math.prod(array.chunks) * item
            if chunk > _LARGEST_CHUNK:
                raise UserError(f"stores {name!r} in pieces of {chunk} bytes, far too large")
            pieces = _pieces(array.shape[1:], array.chunks[1:])
            if pieces > _MOST_PIECES:
                raise UserError(
                    f"stores each image of {name!r} in {pieces} pieces, and at most {_MOST_PIECES} are "
                    "read; store it with larger chunks"
                )
            there = stored.get(name, 0) if stored is not None else _stored(path, name, declared)
            if declared > _SMALL and declared > _RATIO * there:
                raise UserError(
                    f"declares {name!r} to hold {declared} bytes, more than {_RATIO} times its "
                    "stored bytes"
                )
            left -= _read(array, left, _READ_PIECES if stored is None else 0)
    except UserError:
        raise
    except Exception as error:  # whatever zarr and its codecs make of what they find
        raise UserError(f"is damaged, or no Zarr store: {error}") from error


def _look_at_objects(held: HeldObjects) -> bool:
    """Examine a store behind an address, by its metadata and the first object of each array.

    These are copied into a folder, which another process with limits looks at: it needs neither the
    network nor anybody's credentials.

    Returns
    -------
    bool
        True where the store is a single array and no group of arrays.
    """
    held.record()
    roots = [name for name in _METADATA if name in held.known]
    if not roots:
        raise UserError(
            f"there is no Zarr store at {str(held.path)!r}: it has none of {', '.join(_METADATA[:3])}. Name the "
            "store itself"
        )
    with tempfile.TemporaryDirectory(prefix="cnnvis-") as name:
        folder = Path(name)
        for root in roots:
            _copy(held, root, folder, _LARGEST_METADATA)
        is_array, left = _is_array(folder), _READ
        stored: dict[str, int] = {}
        for key, known in held.known.items():
            array, slash, rest = ("X", "/", key) if is_array else key.partition("/")
            if not slash or (is_array and key in roots):
                continue
            is_metadata, is_first = rest in _METADATA, array not in stored
            if is_metadata or (is_first and known.size <= min(_LARGEST_FIRST, left)):
                _copy(held, key, folder, min(_LARGEST_METADATA, left))
                left -= known.size
            if not is_metadata:
                stored[array] = stored.get(array, 0) + known.size
            if len(stored) > _MOST_ARRAYS:
                raise UserError(f"{str(held.path)!r} holds more than {_MOST_ARRAYS} arrays")
        try:
            first_look(look_at_zarr, folder, stored)
        except UserError as error:
            raise UserError(str(error).replace(repr(name), repr(str(held.path)))) from error
    return is_array


def _copy(held: HeldObjects, key: str, folder: Path, most: int) -> None:
    """Copy an object into a folder under its own name, which must be one that leads nowhere else."""
    parts = key.split("/")
    if (
        printable(key) != key
        or len(parts) > 40
        or any(
            part in ("", ".", "..") or "\\" in part or len(part.encode()) > 200 for part in parts
        )
    ):
        raise UserError(
            f"{str(held.path)!r} holds an object with the strange name '{printable(key[:100])}'"
        )
    data = held.read(key, most)
    assert data is not None
    file = folder.joinpath(*parts)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError(
            f"{str(held.path)!r} holds an object that has others below it: {key!r}"
        ) from error


def _is_array(folder: Path) -> bool:
    """Tell whether a store is a single array."""
    if not (folder / "zarr.json").is_file():
        return (folder / ".zarray").is_file()
    try:
        found = json.loads(read_text(folder / "zarr.json", _LARGEST_METADATA))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{str(folder)!r} is damaged, or no Zarr store: {error}") from error
    return isinstance(found, dict) and found.get("node_type") == "array"


def _arrays(store: Any, *, is_array: bool) -> dict[str, Any]:
    """Return the arrays of a store by name, as their own metadata describe them."""
    import zarr

    if is_array:
        return {"X": zarr.open_array(store, mode="r")}
    return dict(zarr.open_group(store, mode="r", use_consolidated=False).arrays())


def _local_store(path: str) -> Any:
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


def zarr_rows(array: Any, rows: Sequence[int] | slice) -> Any:
    """Return rows of an array, each chunk read once, with many requests at a time.

    Parameters
    ----------
    rows
        A slice, or rising places.
    """
    import zarr

    with zarr.config.set({"async.concurrency": _AT_ONCE}):
        return array[rows] if isinstance(rows, slice) else array.oindex[rows]


def _files(folder: str | os.PathLike[str], depth: int = 1) -> Iterator[os.DirEntry[str]]:
    if depth > 50:
        raise UserError("nests its folders more than 50 deep")
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
            raise UserError(
                f"packs {name!r} with the codec {codec!r}; cnnvis reads codecs that only "
                f"compress: {', '.join(sorted(_CODECS))}"
            )


def _read(array: Any, left: int, most: int = _READ_PIECES) -> int:
    """Read the beginning of an array, `most` pieces or one row of them, and return the bytes read."""
    read = pieces = 0
    rows = array.chunks[0] if array.chunks else 1
    of_row = _pieces(array.shape[1:], array.chunks[1:])
    for start in range(0, array.shape[0] if array.shape else 0, max(rows, 1)):
        declared = rows * math.prod(array.shape[1:]) * (array.dtype.itemsize or 1)
        pieces += of_row
        if read + declared > left or pieces > max(most, of_row):
            break
        array[start : start + rows]
        read += declared
    return read


def _pieces(shape: Sequence[int], chunks: Sequence[int]) -> int:
    """Return the number of pieces of an array."""
    pairs = zip(shape, chunks, strict=True)
    return math.prod(-(-length // max(chunk, 1)) for length, chunk in pairs)
