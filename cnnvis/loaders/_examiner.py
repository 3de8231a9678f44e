"""The first look at a model's file, in a process of its own: a script that is run, not imported.

libhdf5 can crash, loop or ask for any amount of memory on a file that is damaged or made to do so,
so nobody opens one before this process has gone through all of it, with limits on its memory and
time. It imports neither TensorFlow nor cnnvis, and prints one line of JSON: what the file holds, or
why it is refused.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMORY = 2**30
"""Bytes of memory that looking may take."""

SECONDS, BYTES_A_SECOND = 6, 50 * 2**20
"""Seconds of a processor that looking may take, and one more for so many bytes of the file."""

OBJECTS, DEPTH, ATTRIBUTES = 50_000, 64, 1_000
"""How many groups and arrays a file may hold, how deep, and how many attributes each may have."""

ATTRIBUTE_BYTES = 64 * 2**20
RATIO, SLACK = 100, 2**20
"""Compressed data may become so many times as large, and so many bytes more."""

TEXTS = {"config.json": 32 * 2**20, "metadata.json": 2**20}
WEIGHTS = "model.weights.h5"
COMPRESSED_WEIGHTS = 512 * 2**20
"""The members of an archive that are read, and how large they may be."""

FILTERS = {1, 2, 3, 32000}
"""Deflate, shuffle, Fletcher's checksum and LZF: what comes with h5py itself."""

DIMENSIONS = 32


class Refused(Exception):
    """The file is not one to be opened; the message says why."""


def main(path: Path) -> None:
    """Look through a file and print what is in it."""
    import h5py  # noqa: F401  # before the limits, since its libraries take what they take

    _limit(path.stat().st_size)
    found: dict[str, Any] = {}
    try:
        look_through(path, found)
    except Refused as error:
        found["refused"] = str(error)
    except MemoryError:
        found["refused"] = f"reading it takes more than {MEMORY // 2**20:,} MB of memory"
    except RecursionError:
        found["refused"] = "it is nested too deeply"
    except Exception as error:  # whatever h5py makes of damage
        said = str(error.args[0] if error.args else error)
        found["damaged"] = said.splitlines()[0][:300] if said else repr(error)
    print(json.dumps(found), flush=True)
    os._exit(0)  # whatever a damaged file has left behind is not cleared up


def _limit(size: int) -> None:
    try:
        import resource
    except ImportError:  # no such thing on Windows
        return
    seconds = SECONDS + size // BYTES_A_SECOND
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        taken = 0
    for which, limit in (
        (resource.RLIMIT_AS, taken + MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 2**27),
    ):
        hard = resource.getrlimit(which)[1]
        within = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        try:
            resource.setrlimit(which, (within, hard))
        except (OSError, ValueError):
            continue  # a system that knows no such limit


def look_through(path: Path, found: dict[str, Any]) -> None:
    """Go through all that a file holds, and put down what it is; as much as there was if it fails."""
    import h5py

    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            _archive(file, path.stat().st_size, found)
            return
    with h5py.File(path, "r") as opened:
        _hdf5(opened, path.stat().st_size, found)


# Archives


def _archive(file: io.BufferedReader, size: int, found: dict[str, Any]) -> None:
    import h5py

    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        known = {member.filename: member for member in members}
        _require_sound(members, size)
        for name, most in TEXTS.items():
            if name not in known:
                raise Refused(f"it is an archive without {name}")
            if known[name].file_size > most:
                raise Refused(f"its {name} is {known[name].file_size:,} bytes long")
            found[name] = archive.read(name).decode("utf-8")
        if WEIGHTS not in known:
            raise Refused(f"it is an archive without {WEIGHTS}")
        weights = known[WEIGHTS]
        if weights.compress_type != zipfile.ZIP_STORED:
            if weights.file_size > COMPRESSED_WEIGHTS:
                raise Refused(
                    f"its compressed weights unpack to {weights.file_size:,} bytes; "
                    "store them uncompressed, as Keras does"
                )
            content: Any = io.BytesIO(archive.read(weights))
        else:
            content = _Part(file, *_place_of(archive, weights, file, size))
        with h5py.File(content, "r") as opened:
            _hdf5(opened, weights.file_size, found)


def _require_sound(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse archives that unpack to more than they seem to, or that name places elsewhere."""
    names: set[str] = set()
    ends = 0
    for member in sorted(members, key=lambda one: one.header_offset):
        name = member.filename
        shown = repr(name[:80])
        if name in names:
            raise Refused(f"its member {shown} is there twice")
        names.add(name)
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            raise Refused(f"its member {shown} names a place outside of the archive")
        if parts[0] == "assets" and not member.is_dir():
            raise Refused(
                f"it holds assets ({shown}), files that only layers which look words up need, and "
                "these are not loaded"
            )
        if member.flag_bits & 0x41:
            raise Refused(f"its member {shown} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(f"its member {shown} is compressed in a way that Keras does not write")
        stored = member.compress_type == zipfile.ZIP_STORED
        most = member.compress_size * (1 if stored else RATIO) + (0 if stored else SLACK)
        if member.file_size > most:
            raise Refused(
                f"its member {shown} of {member.compress_size:,} bytes claims to unpack to "
                f"{member.file_size:,}"
            )
        if member.header_offset < ends or member.header_offset + member.compress_size > size:
            raise Refused(f"its member {shown} lies over others or beyond the end of the file")
        ends = member.header_offset + member.compress_size
        if member.external_attr >> 28 == 0xA:
            raise Refused(f"its member {shown} is a symbolic link")


def _place_of(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: io.BufferedReader, size: int
) -> tuple[int, int]:
    """Where in the file a member's bytes begin, and how many they are."""
    archive.open(member).close()  # zipfile compares the two headers of a member
    file.seek(member.header_offset)
    header = file.read(30)
    start = member.header_offset + 30
    start += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if len(header) < 30 or start + member.file_size > size:
        raise Refused(f"its member {member.filename!r} ends beyond the end of the file")
    return start, member.file_size


class _Part(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, file: io.BufferedReader, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        content = self._file.read(max(min(len(buffer), self._size - self._at), 0))
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)


# HDF5


def _hdf5(file: Any, size: int, found: dict[str, Any]) -> None:
    """Go through all that a file holds: its groups, its arrays, and what is said of each."""
    import h5py

    seen: set[int] = set()
    root = h5py.h5o.open(file.id, b"/")
    _attributes(root, "'/'", size)
    found["config"] = _text(file.attrs.get("model_config"))
    found["version"] = _text(file.attrs.get("keras_version"))
    todo: list[tuple[Any, str, int]] = [(root, "", 0)]
    attributes = values = whole = plain = 0
    while todo:
        one, name, depth = todo.pop()
        shown = repr(name[-80:] or "/")
        address = h5py.h5o.get_info(one).addr
        if address in seen:
            raise Refused(f"what {shown} names stands there under another name, too")
        seen.add(address)
        if len(seen) > OBJECTS:
            raise Refused(f"it holds more than {OBJECTS:,} groups and arrays")
        attributes += _attributes(one, shown, size)
        if attributes > ATTRIBUTE_BYTES:
            raise Refused(f"its attributes take more than {ATTRIBUTE_BYTES:,} bytes")
        if isinstance(one, h5py.h5g.GroupID):
            if depth >= DEPTH:
                raise Refused(f"its groups are nested more than {DEPTH} deep")
            todo += [(h5py.h5o.open(one, key), f"{name}/{_text(key)}", depth + 1)
                     for key in _links(one, shown)]  # fmt: skip
        elif isinstance(one, h5py.h5d.DatasetID):
            count, taken, packed = _array(one, shown, size)
            values, whole = values + count, whole + taken
            plain += 0 if packed else taken
            if whole > RATIO * size + SLACK or plain > size:
                raise Refused(f"its arrays are {whole:,} bytes long, and the file {size:,}")
        else:
            raise Refused(f"{shown} is neither a group nor an array")
    weights = file.get("model_weights", file)
    found["version"] = found["version"] or _text(weights.attrs.get("keras_version"))
    found["is_by_layers"] = any(str(key).startswith("layer_names") for key in weights.attrs)
    found["values"] = values


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _links(group: Any, shown: str) -> Iterator[bytes]:
    """The names in a group, none of which leads out of it."""
    import h5py

    for count, name in enumerate(group):
        if count >= OBJECTS:
            raise Refused(f"the group {shown} holds more than {OBJECTS:,} names")
        kind = group.links.get_info(name).type
        if kind != h5py.h5l.TYPE_HARD:
            what = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link"}
            where = group.links.get_val(name) if kind in what else b""
            place = b":".join(where) if isinstance(where, tuple) else where
            raise Refused(
                f"{_text(name)!r} in the group {shown} is {what.get(kind, 'a link')} to "
                f"{_text(place[:100])!r}, and Keras writes none"
            )
        yield name


def _attributes(one: Any, shown: str, size: int) -> int:
    """Read all that is said of a group or an array; how many bytes that takes."""
    import h5py

    count = h5py.h5a.get_num_attrs(one)
    if count > ATTRIBUTES:
        raise Refused(f"{shown} has {count:,} attributes")
    whole = 0
    for index in range(count):
        attribute = h5py.h5a.open(one, index=index)
        kind = attribute.get_type()
        known = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
        if kind.get_class() not in known:
            raise Refused(f"an attribute of {shown} is of a kind that Keras does not write")
        taken = math.prod(attribute.shape or ()) * kind.get_size()
        if taken > min(size, ATTRIBUTE_BYTES):
            raise Refused(f"an attribute of {shown} claims to be {taken:,} bytes long")
        owner = (h5py.Group if isinstance(one, h5py.h5g.GroupID) else h5py.Dataset)(one)
        value = owner.attrs[_text(attribute.name)]
        items = value.ravel().tolist() if hasattr(value, "ravel") else [value]
        whole += sum(len(item) if isinstance(item, str | bytes) else 8 for item in items)
    return whole


def _array(array: Any, shown: str, size: int) -> tuple[int, int, bool]:
    """How many values an array holds, how many bytes they take, and whether they are packed."""
    import h5py

    made = array.get_create_plist()
    layout = made.get_layout()
    if layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):
        raise Refused(f"the array {shown} is a virtual one, whose data lie in other files")
    if made.get_external_count():
        where = _text(made.get_external(0)[0])
        raise Refused(f"the data of the array {shown} lie in the file {where!r}")
    filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
    if filters - FILTERS:
        raise Refused(f"the array {shown} goes through the filter {min(filters - FILTERS)}")
    kind = array.get_type()
    plain = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.OPAQUE)
    is_text = kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str()
    if not is_text and (kind.get_class() not in plain or kind.get_size() > 16):
        raise Refused(f"the array {shown} holds no numbers")
    shape = array.shape
    if shape is None:  # nothing at all, not even a zero
        return 0, 0, False
    if len(shape) > DIMENSIONS:
        raise Refused(f"the array {shown} has {len(shape)} axes")
    count = math.prod(shape)
    taken = count * kind.get_size()
    stored = array.get_storage_size()
    most = RATIO * stored + SLACK if filters else stored
    if stored > size or taken > most:
        raise Refused(
            f"the array {shown} claims to hold {taken:,} bytes, and {stored:,} are stored for it"
        )
    if layout == h5py.h5d.CONTIGUOUS and taken:
        offset = array.get_offset()
        if offset is None or offset + taken > size:
            raise Refused(f"the array {shown} ends beyond the end of the file")
    elif layout == h5py.h5d.CHUNKED and taken:
        _read_in_parts(h5py.Dataset(array), shown, kind.get_size())
    return count, taken, bool(filters)


def _read_in_parts(array: Any, shown: str, itemsize: int) -> None:
    """Read an array that lies in pieces, which are found and unpacked only when they are read."""
    if math.prod(array.chunks) * itemsize > MEMORY // 4:
        raise Refused(f"the array {shown} lies in pieces of {math.prod(array.chunks):,} values")
    pieces = math.prod(-(-n // m) for n, m in zip(array.shape, array.chunks, strict=True))
    if pieces > OBJECTS:
        raise Refused(f"the array {shown} lies in {pieces:,} pieces")
    for piece in array.iter_chunks():
        array[piece]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
