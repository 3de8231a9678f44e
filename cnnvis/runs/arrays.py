"""Zarr group of a part: its arrays' bytes, as zarr-python makes them, by their files' names."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.runs.schema import LabelArray, ShardFacts

STATUS = ("done", "unreadable", "not finite", "no map")
"""States of images, in the order of the numbers in the array of states."""


def _created(
    held: dict[str, Any], name: str, shape: tuple[int, ...], chunk: int, dtype: Any, **settings: Any
) -> Any:
    from zarr import create_array
    from zarr.storage import MemoryStore

    # Flat names, lest every chunk get folders of its own, each of which would need to be flushed.
    return create_array(
        MemoryStore(held),
        name=name,
        shape=shape,
        chunks=(chunk, *shape[1:]),
        dtype=dtype,
        chunk_key_encoding={"name": "default", "separator": "."},
        **settings,
    )


def _maps(
    held: dict[str, Any],
    rows: int,
    shape: tuple[int, ...],
    chunk: int,
    axes: Iterable[str] | None = None,
) -> Any:
    names = None if axes is None else ("image", *axes)
    return _created(
        held, "maps", (rows, *shape), chunk, np.float32, fill_value=np.nan, dimension_names=names,
        config={"write_empty_chunks": True},  # some map is finite: to look takes a tenth of writing
    )  # fmt: skip


def _labels(
    held: dict[str, Any], rows: int, shape: tuple[int, ...], chunk: int, dtype: Any, **settings: Any
) -> Any:
    """Create the array of labels for each position of an image."""
    # A mask of nothing but zeros is stored, too: whoever reads a shard finds its file.
    config = {"write_empty_chunks": True}
    return _created(held, "label", (rows, *shape), chunk, dtype, config=config, **settings)


def encoded_maps(rows: Array, number: int) -> tuple[str, bytes]:
    """Encode one shard's maps, with all rows of a shard, as a file's name and bytes."""
    held: dict[str, Any] = {}
    _maps(held, len(rows), rows.shape[1:], len(rows))[:] = rows
    return _chunk(held, "maps", number)


def encoded_labels(rows: Array, number: int) -> tuple[str, bytes]:
    """Encode one shard's labels of positions, with all rows, as a file's name and bytes."""
    held: dict[str, Any] = {}
    _labels(held, len(rows), rows.shape[1:], len(rows), rows.dtype)[:] = rows
    return _chunk(held, "label", number)


def _chunk(held: dict[str, Any], name: str, number: int) -> tuple[str, bytes]:
    """Return the only chunk of an array as the chunk of another number."""
    (key,) = (key for key in held if key.startswith(f"{name}/c"))
    rest = key.removeprefix(f"{name}/c.").partition(".")[2]
    return ".".join(filter(None, (f"{name}/c.{number}", rest))), held[key].to_bytes()


def decoded_maps(data: bytes, name: str, shape: tuple[int, ...]) -> Array:
    """Decode the rows of a file of `encoded_maps`.

    Raises
    ------
    ValueError
        If the file holds other rows, or more rows.
    """
    from zarr.core.buffer import default_buffer_prototype

    if not are_maps(data, shape):
        raise ValueError("it holds a wrong number of values")
    held: dict[str, Any] = {}
    maps = _maps(held, shape[0], shape[1:], shape[0])
    rest = name.removeprefix("maps/c.").partition(".")[2]
    held[".".join(filter(None, ("maps/c.0", rest)))] = default_buffer_prototype().buffer.from_bytes(
        data
    )
    try:
        return np.asarray(maps[:])
    except RuntimeError as error:  # of what unpacks it
        raise ValueError(str(error)) from error


def are_maps(head: bytes, shape: tuple[int, ...]) -> bool:
    """Tell whether a packed chunk unpacks to maps of a shape, by its first bytes.

    That much memory is requested before the content is checked. The chunk is a frame of Zstandard
    (RFC 8878, 3.1.1).
    """
    if len(head) < 5 or head[:4] != b"\x28\xb5\x2f\xfd":
        return False
    flags = head[4]
    is_single, names_dictionary, how_long = flags >> 5 & 1, flags & 3, flags >> 6
    start = 5 + (not is_single) + (0, 1, 2, 4)[names_dictionary]
    length = (is_single, 2, 4, 8)[how_long]
    stated = head[start : start + length]
    claimed = int.from_bytes(stated, "little") + 256 * (length == 2)
    return 0 < length == len(stated) and claimed == 4 * math.prod(shape)


def of_all(
    shards: Iterable[ShardFacts], count: int, size: int, facts: Mapping[str, Any]
) -> dict[str, bytes] | None:
    """Return the files about all images together; None without any map.

    Parameters
    ----------
    shards
        The facts about each shard's images, in order.
    count, size
        The number of all images, and of the images in a shard.
    facts
        The provenance of the maps.
    """
    from zarr import consolidate_metadata, create_group
    from zarr.storage import MemoryStore

    columns: dict[str, Array] = {
        "index": np.zeros(count, np.int64),
        "score": np.full(count, np.nan),
        "class": np.full(count, -1, np.int64),
        "status": np.zeros(count, np.int8),
    }
    start, labels = 0, list[Any]()
    like: ShardFacts | None = None
    positions: LabelArray | None = None
    for shard in shards:
        stop = start + len(shard.index)
        columns["index"][start:stop] = shard.index
        labels += shard.label or []
        positions = shard.labels_of_positions or positions
        for failed, (kind, _) in shard.failed.items():
            columns["status"][int(failed)] = STATUS.index(kind)
        good = np.flatnonzero(columns["status"][start:stop] == 0) + start
        _enter_targets(columns, good, shard)
        if shard.prediction is not None:
            every = columns.setdefault("prediction", np.full(count, -1, np.int64))
            every[good] = shard.prediction
        like = shard if like is None and shard.shape is not None else like
        start = stop
    if like is None or like.shape is None:
        return None
    if labels:
        found = np.array(labels)
        is_several = found.ndim > 1 and found.dtype.kind == "i"
        columns["label"] = found.astype(np.int8) if is_several else found
    held: dict[str, Any] = {}
    create_group(MemoryStore(held), attributes=dict(facts))
    _maps(held, count, tuple(like.shape), size, like.axes)
    meanings: dict[str, dict[str, Any]] = {
        "status": {"flag_values": list(range(len(STATUS))), "flag_meanings": list(STATUS)}
    }
    for name, values in columns.items():
        column = _created(
            held, name, values.shape, max(count, 1), values.dtype,
            dimension_names=("image", "of label")[: values.ndim],
            fill_value=np.nan if values.dtype.kind == "f" else _NOTHING.get(name, 0),
            attributes=meanings.get(name, {}),
        )  # fmt: skip
        column[:] = values
    if positions is not None:
        shape, dtype = tuple(positions.shape), positions.dtype
        dimensions = ("image", *(f"of label {axis}" for axis in range(len(shape))))
        _labels(held, count, shape, size, dtype, dimension_names=dimensions)
    with warnings.catch_warnings():  # others read it, and it is not in the specification yet
        warnings.simplefilter("ignore")
        consolidate_metadata(MemoryStore(held))
    # Last of all that by which others find the group.
    names = sorted(held, key=lambda name: (name == "zarr.json", name))
    return {name: held[name].to_bytes() for name in names}


def _enter_targets(columns: Mapping[str, Array], good: Array, shard: ShardFacts) -> None:
    """Enter the score and the class of each map of a shard."""
    if shard.targets:
        scores = [np.nan if one.score is None else one.score for one in shard.targets]
        columns["score"][good] = scores
        classes = [one.filters[0] if len(one.filters) == 1 else -1 for one in shard.targets]
        columns["class"][good] = classes


_NOTHING = {"label": -1, "class": -1, "prediction": -1}
"""Values that stand for missing labels, classes and predictions."""
