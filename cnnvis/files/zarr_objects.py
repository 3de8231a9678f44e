"""Store for zarr of the objects below an address, as they were listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

from cnnvis.files.objects import HeldObjects


class ObjectStore(Store):
    """Store of listed objects: what was not listed is not there, and is not asked for."""

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, held: HeldObjects) -> None:
        super().__init__(read_only=True)
        self._held = held

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Store.__hash__

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        data = await self._held.part(key, *_ends(byte_range))
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> list[Any]:
        return await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges))

    async def exists(self, key: str) -> bool:
        return key in self._held.known

    async def getsize(self, key: str) -> int:
        return self._held.known[key].size

    async def list(self) -> AsyncIterator[str]:
        for key in self._held.known:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        for key in self._held.known:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        within = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        for name in dict.fromkeys(
            key.removeprefix(within).partition("/")[0]
            for key in self._held.known
            if key.startswith(within)
        ):
            yield name

    async def set(self, key: str, value: Any) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError


def _ends(part: Any) -> tuple[int | None, int | None]:
    """Return the first byte of a request, perhaps counted from the end, and the end."""
    match part:
        case RangeByteRequest():
            return part.start, part.end
        case OffsetByteRequest():
            return part.offset, None
        case SuffixByteRequest():
            return -part.suffix or None, None
    return None, None
