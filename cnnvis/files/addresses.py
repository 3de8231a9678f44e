"""Addresses of data in object stores, such as ``s3://bucket/images.zarr``, as a person types them.

An `Address` is made of typed words alone, by `place_of`: what a file says, be it settings, a chain, a
manifest or metadata, is only ever made into a `Path`, and so leads to no other machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from cnnvis.errors import UserError
from cnnvis.text import printable

PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs", "memory": ""}
"""Protocols of addresses, and the module that each needs beside fsspec."""

EXTRA = {"s3fs": "pip install 'cnnvis[remote]'", "gcsfs": "pip install 'cnnvis[remote]' gcsfs"}
"""Command that installs a module of a protocol, and fsspec."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.:-]+:/")
_LONGEST = 2_000


@dataclass(frozen=True)
class Address:
    """Address of data in an object store; readers and renderers that say ``remote`` take it for a path.

    Attributes
    ----------
    protocol
        ``s3``, ``gs``, or ``memory`` for the memory of this process.
    place
        The bucket and the beginning of the objects' names: ``bucket/images.zarr``.
    """

    protocol: str
    place: str

    def __str__(self) -> str:
        return f"{self.protocol}://{self.place}"

    @property
    def name(self) -> str:
        """Last part of the address: ``images.zarr``."""
        return PurePosixPath(self.place).name

    @property
    def suffix(self) -> str:
        """Ending of the name: ``.zarr``."""
        return PurePosixPath(self.place).suffix

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.place.partition("/")[0]

    def with_name(self, name: str) -> Address:
        """Return the address with another name in its last part."""
        return Address(self.protocol, str(PurePosixPath(self.place).with_name(name)))

    def __truediv__(self, name: str) -> Address:
        return Address(self.protocol, f"{self.place}/{name}")


Place = Path | Address
"""Where data are, or where results are written: on a disk, or in an object store."""


def is_address(text: object) -> bool:
    """Tell whether typed words are an address and no path of this machine."""
    return isinstance(text, Address) or (
        isinstance(text, str) and _ADDRESS.match(text) is not None and "://" in text
    )


def looks_like_address(path: Path) -> bool:
    """Tell whether a path was an address before it was taken for a path: ``s3:/bucket``."""
    return _ADDRESS.match(str(path)) is not None


def place_of(typed: str | PathLike[str] | Address) -> Place:
    """Return the place that a person typed; of ``file://``, the path.

    Raises
    ------
    UserError
        If it is an address of a protocol that is not read, or one that holds a password, a
        signature or another address.
    """
    if isinstance(typed, Address):
        return typed
    if not isinstance(typed, str) or not is_address(typed):
        return Path(typed)
    protocol, _, rest = typed.partition("://")
    name = protocol.lower()
    if "::" in typed:
        raise UserError(
            f"{_shown(typed)!r} is an address in another address, which cnnvis does not follow: name the "
            "store itself"
        )
    if name == "file":
        return _local(typed)
    if name not in PROTOCOLS:
        raise UserError(
            f"{_shown(typed)!r} is an address of a kind that cnnvis does not know; it takes s3:// and gs://. "
            "Download the data first, and name the file or folder"
        )
    if "@" in rest.partition("/")[0]:
        raise UserError(
            f"{_shown(typed)!r} holds a name or password, which other people of this machine could see: "
            "leave out what stands before @. Credentials come from variables such as AWS_PROFILE, or from "
            "the files of the store's own tools (~/.aws)"
        )
    if "?" in rest:
        raise UserError(
            f"{_shown(typed)!r} has a part behind ?, such as a signature, which cnnvis does not pass on: leave "
            "it out. Credentials come from variables such as AWS_PROFILE, or from the files of the store's "
            "own tools (~/.aws)"
        )
    parts = rest.strip("/").split("/")
    is_enough = len(parts) > 1 or name == "memory"
    if (
        not is_enough
        or not all(parts)
        or {".", ".."} & set(parts)
        or printable(rest) != rest
        or len(rest) > _LONGEST
    ):
        raise UserError(
            f"{_shown(typed)!r} is no address: it has to name a bucket and what is in it, such as "
            "s3://bucket/images.zarr"
        )
    return Address(name, "/".join(parts))


def _local(typed: str) -> Path:
    try:
        parts = urlsplit(typed)
    except ValueError as error:
        raise UserError(f"{_shown(typed)!r} is no address of a file: {error}") from error
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise UserError(
            f"{_shown(typed)!r} names a file of another machine; name a file of this one, file:///folder/name"
        )
    return Path(unquote(parts.path))


def _shown(typed: str) -> str:
    """Return an address without what may be secret in it."""
    protocol, _, rest = typed.partition("://")
    host, slash, path = rest.partition("/")
    return f"{protocol}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"[:200]


def require_path(place: Place, what: str) -> Path:
    """Return a place that is a path of this machine.

    Parameters
    ----------
    what
        What needs a path, to begin a sentence: ``a run folder``.

    Raises
    ------
    UserError
        If it is an address, or was one before it was taken for a path.
    """
    if isinstance(place, Address) or (looks_like_address(place) and not place.parent.is_dir()):
        raise UserError(
            f"{what} has to be on a disk, and {str(place)!r} is an address; maps are written to addresses by "
            "the renderer zarr-maps: -r zarr-maps -o s3://bucket/maps.zarr"
        )
    return place
