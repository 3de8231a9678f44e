"""First look at a model's file: its contents, found where they can do no harm.

It runs in a limited process of its own, which `cnnvis.begin_look` starts, and imports no TensorFlow.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.file_kinds import kind_of

RATIO, SLACK = 100, 2**20
"""Maximum ratio of unpacked to packed size, and number of bytes that are allowed besides."""

TEXTS = {"config.json": 32 * 2**20, "metadata.json": 2**20}
WEIGHTS = "model.weights.h5"
COMPRESSED_WEIGHTS = 512 * 2**20
"""Members of an archive that are read, with their maximum sizes."""

PIECES = 50_000
"""Maximum number of pieces of an array."""


def look_at_model(path: str) -> dict[str, Any]:
    """Examine a file, and return its contents, by the names of `examined.Contents`.

    Raises
    ------
    UserError
        If the file is damaged, or holds what no model needs; `found` of the error holds all that
        was found.
    """
    found: dict[str, Any] = dict.fromkeys(("config", "version", "training"))
    found["is_archive"] = False
    try:
        _look(Path(path), found)
        return found
    except cnnvis.UserError as error:
        wrong = cnnvis.UserError(f"is not loaded: {error}")
    except MemoryError:
        wrong = cnnvis.UserError("is not loaded: the check takes too much memory")
    except Exception as error:  # whatever h5py makes of damage
        said = str(error.args[0] if error.args else error)
        what = "is not a model that Keras saved" if found["is_archive"] else "is damaged"
        wrong = cnnvis.UserError(f"{what}: {said.splitlines()[0][:300] if said else repr(error)}")
    wrong.found = found
    raise wrong


def _look(path: Path, found: dict[str, Any]) -> None:
    size = path.stat().st_size
    if kind_of(path) == "keras":
        found["is_archive"] = True
        with path.open("rb") as file:
            _archive(file, size, found)
    else:
        with cnnvis.open_hdf5(path) as opened:
            _weights(opened, size, found, "it")


# Archives


def _archive(file: io.BufferedReader, size: int, found: dict[str, Any]) -> None:
    import h5py

    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        known = {member.filename: member for member in members}
        _require_sound(members, size)
        for name, most in TEXTS.items():
            if name not in known:
                raise cnnvis.UserError(f"it is an archive without {name}")
            if known[name].file_size > most:
                raise cnnvis.UserError(f"its {name} is {known[name].file_size:,} bytes long")
        found["config"] = archive.read("config.json").decode("utf-8")
        found["version"] = _version(archive.read("metadata.json"))
        if WEIGHTS not in known:
            raise cnnvis.UserError(f"it is an archive without {WEIGHTS}")
        weights = known[WEIGHTS]
        if weights.compress_type != zipfile.ZIP_STORED:
            if weights.file_size > COMPRESSED_WEIGHTS:
                raise cnnvis.UserError(
                    f"its compressed weights unpack to {weights.file_size:,} bytes; "
                    "store them uncompressed, as Keras does"
                )
            content: Any = io.BytesIO(archive.read(weights))
        else:
            content = _Part(file, *_place_of(archive, weights, file, size))
        with h5py.File(content, "r") as opened:
            _weights(opened, weights.file_size, found, f"its {WEIGHTS}")


def _version(metadata: bytes) -> str:
    try:
        return str(json.loads(metadata)["keras_version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"its metadata.json does not say which Keras wrote it: {error!r}"
        ) from error


def _require_sound(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse archives that unpack to more than they seem to, or that name places elsewhere."""
    names: set[str] = set()
    ends = 0
    for member in sorted(members, key=lambda one: one.header_offset):
        name = member.filename
        shown = repr(name[:80])
        if name in names:
            raise cnnvis.UserError(f"it holds the member {shown} twice")
        names.add(name)
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
            raise cnnvis.UserError(f"its member {shown} has a path outside the archive")
        if parts[0] == "assets" and not member.is_dir():
            raise cnnvis.UserError(
                f"it holds assets ({shown}), files for layers that look words up, and cnnvis does "
                "not load these layers"
            )
        if member.flag_bits & 0x41:
            raise cnnvis.UserError(f"its member {shown} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise cnnvis.UserError(
                f"its member {shown} is compressed in a way that Keras does not write"
            )
        stored = member.compress_type == zipfile.ZIP_STORED
        most = member.compress_size * (1 if stored else RATIO) + (0 if stored else SLACK)
        if member.file_size > most:
            raise cnnvis.UserError(
                f"its member {shown} of {member.compress_size:,} bytes claims to unpack to "
                f"{member.file_size:,}"
            )
        if member.header_offset < ends or member.header_offset + member.compress_size > size:
            raise cnnvis.UserError(
                f"its member {shown} lies over others or beyond the end of the file"
            )
        ends = member.header_offset + member.compress_size
        if member.external_attr >> 28 == 0xA:
            raise cnnvis.UserError(f"its member {shown} is a symbolic link")


def _place_of(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: io.BufferedReader, size: int
) -> tuple[int, int]:
    """Return the offset of a member's bytes in the file, and their number."""
    archive.open(member).close()  # zipfile compares the two headers of a member
    file.seek(member.header_offset)
    header = file.read(30)
    start = member.header_offset + 30
    start += int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if len(header) < 30 or start + member.file_size > size:
        raise cnnvis.UserError(f"its member {member.filename!r} ends beyond the end of the file")
    return start, member.file_size


class _Part(io.RawIOBase):
    """Part of a file as a separate file."""

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


def _weights(file: Any, size: int, found: dict[str, Any], it: str) -> None:
    """Examine all that a file holds: its groups, its arrays, and their attributes."""
    import h5py

    is_archive = found["is_archive"]
    seen: set[int] = set()
    values = whole = 0
    try:
        for name, one in cnnvis.sound_objects(file, size, reads_all=True):
            if name == "/" and not is_archive:
                found["config"] = _text(file.attrs.get("model_config"))
                found["training"] = _text(file.attrs.get("training_config"))
                found["version"] = _text(file.attrs.get("keras_version"))
            shown = repr(name[-80:])
            address = h5py.h5o.get_info(one).addr
            if address in seen:
                raise cnnvis.UserError(f"holds {shown}, which has another name in the file, too")
            seen.add(address)
            _require_plain_attributes(one, shown)
            if isinstance(one, h5py.h5d.DatasetID):
                count, taken = _array(one, shown)
                values, whole = values + count, whole + taken
                if whole > RATIO * size + SLACK:
                    raise cnnvis.UserError(
                        f"holds arrays of {whole:,} bytes in a file of {size:,} bytes"
                    )
            elif not isinstance(one, h5py.h5g.GroupID):
                raise cnnvis.UserError(f"holds {shown}, which is neither a group nor an array")
    except cnnvis.UserError as error:
        raise cnnvis.UserError(f"{it} {error}") from error
    weights = file.get("model_weights", file)
    found["version"] = found["version"] or _text(weights.attrs.get("keras_version"))
    found["is_by_layers"] = any(str(key).startswith("layer_names") for key in weights.attrs)
    found["values"] = values


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None


def _require_plain_attributes(one: Any, shown: str) -> None:
    import h5py

    plain = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM)
    for index in range(h5py.h5a.get_num_attrs(one)):
        if h5py.h5a.open(one, index=index).get_type().get_class() not in plain:
            raise cnnvis.UserError(
                f"describes {shown} with an attribute of a kind that Keras does not write"
            )


def _array(array: Any, shown: str) -> tuple[int, int]:
    """Return the number of values of an array, and the number of their bytes; all are stored."""
    import h5py

    kind, made = array.get_type(), array.get_create_plist()
    plain = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.OPAQUE)
    is_text = kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str()
    if not is_text and (kind.get_class() not in plain or kind.get_size() > 16):
        raise cnnvis.UserError(f"holds the array {shown}, which is not of numbers")
    if array.shape is None:  # nothing at all, not even a zero
        return 0, 0
    count = math.prod(array.shape)
    taken = count * kind.get_size()
    stored = array.get_storage_size()
    if taken > (RATIO * stored + SLACK if made.get_nfilters() else stored):
        raise cnnvis.UserError(
            f"declares {shown} to hold {taken:,} bytes, of which it stores {stored:,}"
        )
    if made.get_layout() == h5py.h5d.CHUNKED and taken:
        sizes = zip(array.shape, made.get_chunk(), strict=True)
        pieces = math.prod(-(-length // piece) for length, piece in sizes)
        if pieces > PIECES:
            raise cnnvis.UserError(f"holds the array {shown} in {pieces:,} pieces")
    return count, taken
