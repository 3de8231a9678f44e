"""Objects of an object store below an address: listed once, read as they were listed, or written.

A store has no files that can be held open. So its objects are listed once, with the tag that the store
gives to the bytes of each (ETag); whatever is read must still have its tag, which the store itself
checks with the request where it can.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from cnnvis.errors import ChangedError, DiskError, UserError, complaint
from cnnvis.files.addresses import EXTRA, PROTOCOLS, Address
from cnnvis.reporting import progress

if TYPE_CHECKING:
    import asyncio  # which every command would wait for

T = TypeVar("T")

MOST_OBJECTS = 2 * 10**6
"""Maximum number of objects of a store; a thousand are listed with one request."""

MOST_LETTERS = 2**28
"""Maximum number of letters of all their names."""

SMALL = 2**20
"""Bytes of an object that is kept once it was read: metadata are asked for again and again."""

TRIES = 4
"""How often bytes are asked for whose sending breaks off."""

PAUSE = 0.3
"""Seconds before the second try; twice as many before each further one."""

_S3 = {
    "config_kwargs": {
        "connect_timeout": 10,
        "read_timeout": 30,
        "retries": {"total_max_attempts": 4, "mode": "standard"},
        "max_pool_connections": 64,
    },
}
"""Settings of connections to S3: what fails for want of an answer, or is too much just now, is tried again."""

_TAGS = ("ETag", "etag", "generation", "md5Hash", "created", "mtime", "LastModified")
"""What stores say of an object's bytes, the best first; the first that there is becomes the tag."""

CREDENTIALS = {
    "s3": "credentials come from the variables AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
    "from ~/.aws, as for every tool of AWS; for a bucket that everybody may read, set FSSPEC_S3_ANON=true",
    "gs": "credentials come from the variable GOOGLE_APPLICATION_CREDENTIALS, or from gcloud auth; for a bucket "
    "that everybody may read, set FSSPEC_GS_TOKEN=anon",
    "memory": "",
}
"""Where each protocol has its credentials from."""


class Known(NamedTuple):
    """What the listing says of an object: the tag of its bytes, and their number."""

    tag: str
    size: int


@dataclass(frozen=True)
class Connection:
    """Connection to the store of an address; its coroutines run in fsspec's own thread."""

    address: Address
    files: Any

    @classmethod
    def to(cls, address: Address) -> Connection:
        """Return a connection; nothing is sent yet.

        Raises
        ------
        UserError
            If the package for the protocol is not installed.
        """
        module = PROTOCOLS[address.protocol]
        try:
            import fsspec

            if module:
                importlib.import_module(module)
        except ImportError as error:
            needed = module or "fsspec"
            raise UserError(
                f"{str(address)!r} needs {needed}, which {EXTRA.get(needed, EXTRA['s3fs'])} installs"
            ) from error
        settings: Mapping[str, Any] = _S3 if address.protocol == "s3" else {}
        with trouble_with(address):
            # A new connection: one that is shared in this process may have been given other settings.
            files = fsspec.filesystem(
                address.protocol, use_listings_cache=False, skip_instance_cache=True, **settings
            )
        if address.protocol == "s3":
            files.retries = 1  # each of which would be all tries of the settings
        return cls(address, files)

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        from fsspec.asyn import get_loop

        loop: asyncio.AbstractEventLoop = get_loop()
        return loop

    def now(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine of this connection gives, and wait for it."""
        from fsspec.asyn import sync

        async def found() -> T:
            return await coroutine

        answer: T = sync(self._loop, found)
        return answer

    async def elsewhere(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine of this connection gives, in another loop than the connection's."""
        import asyncio

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def listed(self) -> AsyncIterator[tuple[str, Known]]:
        """Yield the objects below the address, by their names there."""
        within = f"{self.address.place}/"
        if self.address.protocol == "s3":
            async for each in self._s3_objects(within):
                yield each
            return
        every = await self._asked("find", self.address.place, detail=True)
        for name, facts in every.items():
            key = name.lstrip("/").removeprefix(within)
            if facts.get("type") != "directory":
                yield key, Known(_tag(facts), int(facts["size"]))

    async def _s3_objects(self, within: str) -> AsyncIterator[tuple[str, Known]]:
        # s3fs keeps a large record of each object of a listing; of these there may be a million.
        bucket, _, prefix = within.partition("/")
        more: dict[str, str] = {}
        while True:
            page = await self.files._call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, **more
            )
            for one in page.get("Contents", ()):
                key = one["Key"].removeprefix(prefix)
                if key and not key.endswith("/"):  # a folder's placeholder
                    yield key, Known(_tag(one), int(one["Size"]))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def read(self, key: str, known: Known, start: int, end: int) -> bytes:
        """Return bytes of an object, which must be the listed one.

        Raises
        ------
        ChangedError
            If the object is gone, or was written anew.
        DiskError
            If the store cannot be reached.
        """
        address = self.address / key
        try:
            with trouble_with(address, is_listed=True):
                data = await self._read(key, known, start, end)
        except FileNotFoundError as error:
            raise _changed(address) from error
        if len(data) != end - start:
            raise _changed(address)
        return data

    async def _read(self, key: str, known: Known, start: int, end: int) -> bytes:
        if start == end:
            return b""
        is_whole = (start, end) == (0, known.size)
        if self.address.protocol == "s3":
            asked = {} if is_whole else {"Range": f"bytes={start}-{end - 1}"}
            return await self._of_s3(key, known, asked)
        place = f"{self.address.place}/{key}"
        data: bytes = await self._asked("cat_file", place, start=start, end=end)
        if _tag(await self._asked("info", place)) != known.tag:
            raise _changed(self.address / key)
        return data

    async def _of_s3(self, key: str, known: Known, asked: Mapping[str, str]) -> bytes:
        import asyncio

        bucket, _, prefix = self.address.place.partition("/")
        for left in reversed(range(TRIES)):
            answer = await self.files._call_s3(
                "get_object", Bucket=bucket, Key=f"{prefix}/{key}", IfMatch=known.tag, **asked
            )
            try:
                async with answer["Body"] as body:
                    data: bytes = await body.read()
                    return data
            except Exception:
                if not left:
                    raise
                await asyncio.sleep(PAUSE * 2 ** (TRIES - 1 - left))
        raise AssertionError

    async def put(self, key: str, data: bytes, *, is_new: bool = False) -> None:
        """Write an object.

        Parameters
        ----------
        is_new
            Refuse to write over another one, where the store can.

        Raises
        ------
        FileExistsError
            If there is another one.
        """
        more = {"mode": "create"} if is_new else {}
        with trouble_with(self.address / key, what="written"):
            await self._asked("pipe_file", f"{self.address.place}/{key}", data, **more)

    async def remove(self, key: str) -> None:
        """Remove an object, if there is one."""
        with suppress(FileNotFoundError):
            await self._asked("rm_file", f"{self.address.place}/{key}")

    async def _asked(self, method: str, *words: Any, **settings: Any) -> Any:
        if self.files.async_impl:
            return await getattr(self.files, f"_{method}")(*words, **settings)
        return getattr(self.files, method)(*words, **settings)


class HeldObjects:
    """Objects of a store, which must be the same as when they were listed.

    Attributes
    ----------
    path, place
        The address.
    is_used
        See `cnnvis.files.snapshots.HeldFile`.
    """

    descriptors: tuple[int, ...] = ()

    def __init__(self, address: Address) -> None:
        self.path = self.place = address
        self.is_used = False
        self._small: dict[str, bytes] = {}

    @cached_property
    def connection(self) -> Connection:
        """Connection to the store."""
        return Connection.to(self.path)

    @cached_property
    def known(self) -> dict[str, Known]:
        """Objects by their names below the address.

        Raises
        ------
        UserError
            If there is none, the store refuses, or there are far too many.
        DiskError
            If the store cannot be reached.
        """
        connection, letters = self.connection, 0
        found: dict[str, Known] = {}

        async def listed() -> None:
            nonlocal letters
            async for key, one in connection.listed():
                found[key] = one
                letters += len(key)
                if len(found) > MOST_OBJECTS or letters > MOST_LETTERS:
                    raise UserError(
                        f"{str(self.path)!r} has more than {MOST_OBJECTS:,} objects, or far too long names; store it "
                        "with larger chunks, or with many chunks in a shard"
                    )

        with progress(f"listing {self.path.name}"), trouble_with(self.path):
            connection.now(listed())
        if not found:
            raise UserError(f"there is nothing at {str(self.path)!r}")
        return dict(sorted(found.items()))

    def record(self) -> None:
        """List all objects, once, before any is looked at."""
        _ = self.known

    def read(self, key: str, most: int) -> bytes | None:
        """Return the bytes of an object, kept for the next call if it is small; None without the object.

        Raises
        ------
        UserError
            If it is larger than so many bytes.
        ChangedError, DiskError
            As in `Connection.read`.
        """
        known = self.known.get(key)
        if known is None:
            return None
        if known.size > most:
            raise UserError(
                f"{str(self.path / key)!r} has {known.size} bytes, and an object of its kind has at most "
                f"{most}"
            )
        if key in self._small:
            return self._small[key]
        data = self.connection.now(self.connection.read(key, known, 0, known.size))
        if len(data) <= SMALL:
            self._small[key] = data
        return data

    async def part(self, key: str, start: int | None, end: int | None) -> bytes | None:
        """Return bytes of an object in a loop of another library; None without the object.

        Parameters
        ----------
        start, end
            The range; `start` may count from the end, and None stands for either end.

        Raises
        ------
        ChangedError, DiskError
            As in `Connection.read`.
        """
        known = self.known.get(key)
        if known is None:
            return None
        begin, stop, _ = slice(start, end).indices(known.size)
        if key in self._small:
            return self._small[key][begin:stop]
        reading = self.connection.read(key, known, begin, max(stop, begin))
        return await self.connection.elsewhere(reading)

    def sha256(self) -> str:
        """Return the SHA-256 of the objects' names, tags and sizes, in hexadecimal."""
        whole = hashlib.sha256()
        for key, one in self.known.items():
            whole.update(f"{key} {one.tag} {one.size}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def require_unchanged(self) -> None:
        """Do nothing: each object is compared with its listing when it is read."""

    def end(self) -> None:
        """Do nothing: there is no copy."""

    def __deepcopy__(self, _: object) -> HeldObjects:
        return self


def require_nothing_at(address: Address) -> Connection:
    """Refuse an address at which there is something, and return the connection to its store.

    Raises
    ------
    UserError
        If there is something, or the store refuses to list what there is.
    DiskError
        If the store cannot be reached.
    """
    connection = Connection.to(address)

    async def first() -> str | None:
        async for key, _ in connection.listed():
            return key
        return None

    with trouble_with(address, what="written"):
        there = connection.now(first())
    if there is not None:
        raise _there(address, there)
    return connection


def _there(address: Address, key: str) -> UserError:
    return UserError(
        f"there is something at {str(address)!r} already ({key!r}), and cnnvis writes over no store: name "
        "another address, or remove it with the store's own tools if it is what a stopped upload left"
    )


CLAIM = ".cnnvis-unfinished"
"""Name of the object that is there while a store is written, so that no two are written to one place."""


@contextmanager
def written_objects(address: Address) -> Iterator[Callable[[str, bytes], None]]:
    """Write new objects below an address: yields a function of a name there and of bytes.

    Where the block fails, the objects are removed again. What a process leaves that was killed has no
    object that the block writes last.

    Raises
    ------
    UserError
        If there is something below the address already, or the store refuses.
    DiskError
        If the store cannot be reached.
    """
    connection = require_nothing_at(address)
    written: list[str] = []

    def put(key: str, data: bytes, *, is_new: bool = False) -> None:
        connection.now(connection.put(key, data, is_new=is_new))
        written.append(key)

    try:
        put(CLAIM, b"A program is writing here, or was stopped while it did.\n", is_new=True)
    except FileExistsError as error:
        raise _there(address, CLAIM) from error
    try:
        yield put
    except BaseException:
        with suppress(
            Exception
        ):  # which would hide the reason; and a store that is gone takes its time
            for key in reversed(written):
                connection.now(connection.remove(key))
        raise
    with suppress(
        Exception
    ):  # the store is whole, and whoever reads it does not ask for this object
        connection.now(connection.remove(CLAIM))


def _tag(facts: Mapping[str, Any]) -> str:
    """Return what tells the bytes of an object from others."""
    found = next((facts[name] for name in _TAGS if facts.get(name) is not None), "")
    return str(found.timestamp() if isinstance(found, datetime) else found)


def _changed(address: Address) -> ChangedError:
    return ChangedError(
        f"{str(address)!r} was changed, replaced or removed since the store was listed, so a result would "
        "mix two states of the data; try again when no program writes to the store"
    )


@contextmanager
def trouble_with(
    address: Address, what: str = "read", *, is_listed: bool = False
) -> Iterator[None]:
    """Turn errors of a store inside the block into sentences, without what may be secret in them.

    Parameters
    ----------
    what
        What is done with the address: ``read`` or ``written``.
    is_listed
        True for an object of the listing: a refusal is then the end of a permission, and a missing
        object is raised as FileNotFoundError.

    Raises
    ------
    UserError
        If the bucket does not exist, or the store refuses.
    ChangedError
        If the object is not the listed one.
    DiskError
        If the store cannot be reached, or fails.
    """
    try:
        yield
    except (UserError, FileExistsError):
        raise
    except Exception as error:
        said = _causes(error)
        if "PreconditionFailed" in said or "412" in said:
            raise (_changed(address) if is_listed else FileExistsError(str(address))) from error
        if is_listed and isinstance(error, FileNotFoundError):
            raise
        raise _sentence(address, what, said, error, is_late=is_listed) from error


_UNREACHABLE = {
    *(
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
    ),
    *(
        "HTTPClientError",
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionError",
        "TimeoutError",
    ),
    *("gaierror", "FSTimeoutError", "ProxyConnectionError", "SSLError", "IncompleteRead"),
}
"""Names of exceptions of networks."""

_WITHOUT_CREDENTIALS = re.compile(
    r"Credential|ProfileNotFound|Token(Retrieval|Load)|SSO|RefreshError"
)
"""Names of exceptions that say that there are no credentials, or none that can be read."""


def _sentence(
    address: Address, what: str, said: list[str], error: Exception, *, is_late: bool
) -> UserError:
    where, credentials = repr(str(address)), CREDENTIALS[address.protocol]
    if "NoSuchBucket" in said:
        return UserError(f"there is no bucket {address.bucket!r}, of {where}")
    if any(map(_WITHOUT_CREDENTIALS.search, said)) and not isinstance(error, PermissionError):
        return UserError(f"{where} cannot be {what}: no credentials were found; {credentials}")
    if isinstance(error, PermissionError):
        kind = (
            DiskError if is_late else UserError
        )  # a permission that ends is no mistake of the command
        code = next((one for one in said if one in _REFUSALS), "")
        return kind(
            f"{where} may not be {what}: the store refuses it{f' ({code})' if code else ''}; {credentials}"
        )
    if _UNREACHABLE & set(said):
        return DiskError(
            f"{where} cannot be {what}: the store cannot be reached ({type(error).__name__}). The same command "
            "works again when it can, and --resume goes on with a run folder"
        )
    if isinstance(error, FileNotFoundError):
        return UserError(f"there is nothing at {where}")
    if isinstance(error, OSError):
        return DiskError(f"{where} cannot be {what}: {_harmless(complaint(error))}")
    return UserError(
        f"{where} cannot be {what}: {type(error).__name__}: {_harmless(complaint(error))}"
    )


_REFUSALS = {
    *(
        "AccessDenied",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
    ),
    *("AllAccessDisabled", "RequestTimeTooSkewed", "InvalidObjectState"),
}
"""Words of stores for refusals that say more than that there is one."""


def _causes(error: BaseException) -> list[str]:
    """Return the names of the classes of an exception and of its causes, and the codes of stores."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(found) < 200:
        found += [kind.__name__ for kind in type(cause).__mro__]
        answer = getattr(cause, "response", None)
        if isinstance(answer, Mapping):
            found.append(str(answer.get("Error", {}).get("Code", "")))
        cause = cause.__cause__ or cause.__context__
    return found


def _harmless(text: str) -> str:
    """Return the words of an exception without keys, signatures and what stands behind ? in addresses."""
    text = re.sub(r"\?\S*", "", text)
    text = re.sub(r"//[^/\s@]*@", "//", text)
    return re.sub(r"\b(A[KS]IA|ASIA)[A-Z0-9]{8,}|[A-Za-z0-9/+=]{40,}", "...", text)
