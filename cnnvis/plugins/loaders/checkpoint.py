"""TensorFlow's checkpoints, read without TensorFlow, whose reader is not made for damaged files.

A checkpoint is an index, a table of names as LevelDB writes it, and files of numbers. Of the index
each name's entry says the type, the shape and the place of its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.wire import number

INDEX = 64 * 2**20
"""The largest size of the index, and of the graph of objects, in bytes."""

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
_TEXT = 7
"""TensorFlow's number for the type of texts."""


@dataclass(frozen=True)
class Entry:
    """Position of the numbers of a variable."""

    file: Path
    offset: int
    size: int
    shape: tuple[int, ...]
    dtype: str

    @property
    def values(self) -> int:
        """Number of values of the variable."""
        return math.prod(self.shape)


class Checkpoint:
    """Variables of a checkpoint by name, each read at the first request.

    Parameters
    ----------
    prefix
        The prefix of the files' names: ``variables/variables``.
    held
        The folder of the files, as `cnnvis.held` gives it.

    Raises
    ------
    UserError
        If a file is missing or damaged.
    """

    def __init__(self, prefix: Path, held: Any) -> None:
        from google.protobuf.message import DecodeError

        index = prefix.with_name(f"{prefix.name}.index")
        try:
            if not index.is_file():
                raise ValueError("it is no file")
            with held.open(index) as file:
                table = file.read(INDEX + 1)
            if len(table) > INDEX:
                raise ValueError(f"it has more than {INDEX:,} bytes")
            self._held = held
            self.entries: dict[str, Entry] = dict(_entries(table, prefix))
            self._objects = _objects(self.entries.pop(_OBJECTS, None), held)
            sizes = {entry.file: entry.file.stat().st_size for entry in self.entries.values()}
            if sum(entry.size for entry in self.entries.values()) > sum(sizes.values()):
                raise ValueError("its variables lie over each other")
        except (ValueError, IndexError, OSError, DecodeError) as error:
            raise cnnvis.UserError(
                f"the index of weights {str(index)!r} is damaged: {error}"
            ) from error

    @property
    def values(self) -> int:
        """Number of values in the checkpoint."""
        return sum(entry.values for entry in self.entries.values())

    def name_of(self, path: Iterable[str]) -> str:
        """Return the name of a variable, from the attributes that lead to it from the model.

        TensorFlow names a variable by the shortest path to it, which for layers within layers leads
        through a list of all variables.

        Parameters
        ----------
        path
            ``layer_with_weights-0``, ``cell``, ``kernel``.
        """
        words = list(path)
        at = 0
        for word in words:
            at = self._children(at).get(word, -1)
            if at < 0:
                break
        else:
            keys = [one.checkpoint_key for one in self._objects[at].attributes]
            if keys:
                return str(keys[0])
        return "/".join([*words, ".ATTRIBUTES/VARIABLE_VALUE"])

    def _children(self, at: int) -> dict[str, int]:
        if not 0 <= at < len(self._objects):
            return {}
        return {child.local_name: child.node_id for child in self._objects[at].children}

    def tensor(self, name: str) -> Any:
        """Return the numbers of a variable, as an array.

        Raises
        ------
        ValueError
            If the checkpoint has no variable of that name.
        """
        import numpy as np

        if name not in self.entries:
            raise ValueError(f"there are none for {name!r}")
        entry = self.entries[name]
        dtype = np.dtype(entry.dtype)
        with self._held.open(entry.file) as file:
            found = np.fromfile(file, dtype, entry.values, offset=entry.offset)
        return found.reshape(entry.shape)


_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}
"""TensorFlow's numbers for types of numbers, as NumPy calls these."""


def _entries(index: bytes, prefix: Path) -> Iterator[tuple[str, Entry]]:
    from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

    shards = 0
    for name, value in _table(index):
        if not name:
            header = BundleHeaderProto.FromString(value)
            shards = header.num_shards
            if header.endianness != BundleHeaderProto.LITTLE:
                raise ValueError("its numbers have another byte order")
            continue
        entry = BundleEntryProto.FromString(value)
        is_objects = name == _OBJECTS and entry.dtype == _TEXT
        if entry.dtype not in _DTYPES and not is_objects:
            continue
        if entry.slices:
            raise ValueError(f"{name!r} lies in several pieces")
        file = prefix.with_name(f"{prefix.name}.data-{entry.shard_id:05d}-of-{shards:05d}")
        shape = tuple(axis.size for axis in entry.shape.dim)
        found = Entry(file, entry.offset, entry.size, shape, _DTYPES.get(entry.dtype, "S"))
        itemsize = int(found.dtype[-1]) if found.dtype[-1].isdigit() else 1
        fits = is_objects or found.values * itemsize == entry.size
        if min(shape, default=0) < 0 or not fits:
            raise ValueError(f"{name!r} claims the shape {shape} for {entry.size} bytes")
        there = file.stat().st_size if file.is_file() else 0
        if entry.offset < 0 or entry.offset + entry.size > there:
            raise ValueError(f"{name!r} ends behind the end of {file.name}")
        yield name, found


def _objects(entry: Entry | None, held: Any) -> Any:
    """Return the nodes of the graph of saved objects; none without a graph."""
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    if entry is None:
        return ()
    if entry.size > INDEX:
        raise ValueError(f"it describes its objects in {entry.size:,} bytes")
    with held.open(entry.file) as file:
        file.seek(entry.offset)
        content = file.read(entry.size)
    length, at = number(content, 0)
    if at + 4 + length != len(content):  # the length of the one text, a checksum, and the text
        raise ValueError("the description of its objects has another length")
    return TrackableObjectGraph.FromString(content[at + 4 :]).nodes


def _table(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and values of a table as LevelDB writes it, without compression."""
    if content[-8:] != _MAGIC:
        raise ValueError("it does not end as an index does")
    footer = content[-_FOOTER:]
    _, at = _handle(footer, 0)
    (offset, size), _ = _handle(footer, at)
    for _, value in _block(content, offset, size):
        (offset, size), _ = _handle(value, 0)
        for name, entry in _block(content, offset, size):
            yield name.decode("utf-8"), entry


def _handle(content: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = number(content, at)
    size, at = number(content, at)
    return (offset, size), at


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; keys omit the prefix shared with the previous key."""
    block = content[offset : offset + size + 1]
    if len(block) != size + 1 or size < 4:
        raise ValueError("a block of it ends behind its end")
    if block[-1] != 0:
        raise ValueError("it is compressed")
    restarts = int.from_bytes(block[size - 4 : size], "little")
    end = size - 4 - 4 * restarts
    at, key = 0, b""
    while at < end:
        shared, at = number(block, at)
        own, at = number(block, at)
        length, at = number(block, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("an entry of it ends behind its block")
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length
