"""A first look at a stranger's file, in a process of its own with little memory and little time.

Libraries in C crash, loop or take all memory on files that are damaged or made to do harm. Here that
happens to a child, which can write no file, and the parent says in a sentence what became of it.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from cnnvis import host
from cnnvis.errors import UserError
from cnnvis.files.child_process import child_process
from cnnvis.files.reading import require_regular
from cnnvis.files.snapshots import held_anyway

MEMORY = 2**30
"""Bytes of address space that a look may take, its libraries among them."""

SECONDS, BYTES_A_SECOND = 6, 50 * 2**20
"""Time of a processor that a look may take, and a second more for so many bytes of the file; a loop
ends there however busy the machine is."""

PATIENCE, BYTES_A_SECOND_OF_PATIENCE = 120, 10 * 2**20
"""Limits in elapsed time, for a busy machine and for systems that cannot limit processor time."""

_SMALL = 2**26  # Bytes that a dataset, and all of a file, may unpack to however small the file is.
_RATIO = 100  # How many times its stored size anything larger may unpack to.
_LARGEST_CHUNK = 2**28  # Bytes; reading one value of a chunk takes memory for all of it.
_READ = 2**28  # Bytes of a file that are read to see that they can be.
_PIECE = 2**24  # Bytes that are read at a time.
_MOST_PACKED = 1032  # How many times its size a gzip stream may unpack to, whoever made it.
_MOST_OBJECTS = 50_000
_MOST_ATTRIBUTES = 1_000  # of each object
_LARGEST_ATTRIBUTES = 2**26  # Bytes, of all of a file
_DEEPEST = 50
_TOO_LARGE = 3  # The code that the child ends with


def first_look(look: Callable[..., Any], path: Path, *arguments: Any) -> Any:
    """Call a function that examines a file in a separate process with limits.

    Returns what the function returns.

    Parameters
    ----------
    look
        A function of a module, which is imported anew in the child. The function takes a path with
        any suffix, at which it finds the file of `held`; it raises `UserError` for a file that it
        refuses, and returns a value that JSON can hold.
    path
        The file, or a folder.
    arguments
        More arguments of the function, which JSON can hold.

    Raises
    ------
    UserError
        The error of the function, its `found` included; or if the path is no regular file and no
        folder, or the child crashed, ran out of memory or time, or failed in any other way.
    """
    return begin_look(look, path, *arguments)()


def begin_look(look: Callable[..., Any], path: Path, *arguments: Any) -> Callable[[], Any]:
    """Begin a first look, which runs beside other work.

    Parameters
    ----------
    look, path, arguments
        As for `first_look`.

    Returns
    -------
    Callable
        Waits until the look is over, and then returns or raises as `first_look`.

    Raises
    ------
    UserError
        If there is no regular file and no folder.
    """
    import subprocess  # here, since the child needs none of it

    held = held_anyway(path)
    held.record()
    size = path.stat().st_size
    seconds = SECONDS + size // BYTES_A_SECOND
    called = [
        f"{look.__module__}:{look.__qualname__}",
        os.fspath(held.place.absolute()),
        str(seconds),
    ]
    settings = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    child = subprocess.Popen(
        **child_process("cnnvis.files.sandbox", *called, settings=settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=held.descriptors,
    )
    said: list[bytes] = []  # and nothing if it does not end

    def follow() -> None:
        patience = PATIENCE + size / BYTES_A_SECOND_OF_PATIENCE
        try:
            said.extend(child.communicate(json.dumps(arguments).encode(), patience))
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()

    # What the child prints is read at once, so that it never waits for this process.
    following = threading.Thread(target=follow, daemon=True)
    following.start()

    def found() -> Any:
        try:
            following.join()
        except BaseException:  # Ctrl-C
            child.kill()
            raise
        if not said:
            raise UserError(f"{str(path)!r} is damaged: reading it does not end")
        return _answer(path, child.returncode, seconds, *said)

    return found


def _answer(path: Path, code: int, seconds: int, output: bytes, complaint: bytes) -> Any:
    """Return the result of a child that has ended; see `first_look`."""
    if code:
        last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2]
        reason = {
            -9: "it takes too much memory or time to read",
            -24: f"the check takes more than {seconds} seconds",
            _TOO_LARGE: f"the check takes more than {MEMORY >> 20} MB of memory",
        }.get(code) or f"reading it crashes ({last[:200] or 'no word'})"
        raise UserError(f"{str(path)!r} is damaged, or made to do harm: {reason}")
    answer = json.loads(output)
    if "refused" not in answer:
        return answer["found"]
    refusal = UserError(f"{str(path)!r} {answer['refused']}")
    refusal.found = answer["found"]
    raise refusal


def require_sound_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that is damaged, reaches outside itself or would unpack to far too much.

    A sound file has hard links alone, and each group once; its data lie in the file itself, behind
    filters that every h5py has; and the declared sizes are bounded by the stored sizes, for each
    dataset and in all. The check reads the beginning of the data: unreadable data are no reason to
    refuse the rest, but data that crash h5py are.

    Raises
    ------
    UserError
        If the file is not sound; the error names the object in the file.
    """
    require_regular(path)
    first_look(look_at_hdf5, path)


def look_at_hdf5(path: str) -> None:
    """Examine an HDF5 file for the first time; see `require_sound_hdf5`."""
    try:
        with open_hdf5(path) as file:
            for _ in sound_objects(file, Path(path).stat().st_size):
                pass
    except UserError:
        raise
    # Whatever h5py makes of what libhdf5 reports, RecursionError among them.
    except Exception as error:
        raise UserError(f"is damaged, or no HDF5 file: {error}") from error


def open_hdf5(path: str | Path) -> Any:
    """Return an HDF5 file, open for reading, as an `h5py.File`.

    Parameters
    ----------
    path
        The `place` of an open file from `held`. HDF5 itself asks for the file's name, and so cannot
        open this path once the file is removed.

    Raises
    ------
    OSError
        If the file is no HDF5 file, or damaged.
    """
    import h5py

    if Path(os.path.realpath(path)).exists():
        return h5py.File(path, "r")
    return h5py.File(Path(path).open("rb", buffering=0), "r")


def sound_objects(file: Any, size: int, *, reads_all: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield every group, dataset and named type of an HDF5 file, each after checks.

    For use in a first look; `require_sound_hdf5` defines soundness.

    Parameters
    ----------
    file
        An open `h5py.File`, which may lie in another file.
    size
        The number of bytes of the file.
    reads_all
        Read all chunks, to check that they can be read, and not only the first ones.

    Yields
    ------
    tuple
        The path, and the object of h5py's low-level interface. A dataset that has several names is
        yielded once for each.

    Raises
    ------
    UserError
        If an object is not sound, with its path.
    """
    import h5py

    root = h5py.h5o.open(file.id, b"/")
    yield from _Hdf5(size, reads_all=reads_all).sound(root)


class _Hdf5:
    """Sizes seen so far in a file, with the limits for a file of that size."""

    def __init__(self, size: int, *, reads_all: bool) -> None:
        self.size, self.reads_all = size, reads_all
        self.stored = self.declared = self.described = self.attributes = self.read = 0
        self.unpacked = 0

    def sound(self, root: Any) -> Iterator[tuple[str, Any]]:
        import h5py

        known: set[int] = set()
        for name, one in self.objects(root):
            address = h5py.h5o.get_info(one).addr
            if address not in known:
                known.add(address)
                self.require_sound_attributes(name, one)
                if isinstance(one, h5py.h5d.DatasetID):
                    self.require_sound_dataset(name, one)
            yield name, one

    def objects(self, root: Any) -> Iterator[tuple[str, Any]]:
        """Yield every group, dataset and named type, each with its path, once for each name."""
        import h5py

        groups, known = [("/", root, 1)], {h5py.h5o.get_info(root).addr}
        count = 1
        yield "/", root
        while groups:
            within, group, depth = groups.pop()
            if depth > _DEEPEST:
                raise UserError(f"nests its groups more than {_DEEPEST} deep")
            for name, kind in self.links(group):
                path = f"{within}{_text(name)}"
                if kind != h5py.h5l.TYPE_HARD:
                    raise UserError(
                        f"holds {path!r}, {_link(group, name, kind)}; cnnvis reads the data in "
                        "the file alone, so replace the link by a copy of the data"
                    )
                if (count := count + 1) > _MOST_OBJECTS:
                    raise UserError(f"holds more than {_MOST_OBJECTS} objects")
                one = h5py.h5o.open(group, name)
                if isinstance(one, h5py.h5g.GroupID):
                    if (address := h5py.h5o.get_info(one).addr) in known:
                        raise UserError(f"holds the group {path!r} twice, or within itself")
                    known.add(address)
                    groups.append((f"{path}/", one, depth + 1))
                yield path, one

    def links(self, group: Any) -> list[tuple[bytes, int]]:
        found: list[tuple[bytes, int]] = []

        def keep(name: bytes, link: Any) -> bool | None:
            found.append((name, link.type))  # h5py fills in the same object for every link
            return True if len(found) > _MOST_OBJECTS else None

        group.links.iterate(keep, info=True)
        return found

    def require_sound_attributes(self, name: str, one: Any) -> None:
        import h5py

        count = h5py.h5a.get_num_attrs(one)
        if count > _MOST_ATTRIBUTES:
            raise UserError(f"describes {name!r} with {count} attributes")
        most = min(self.size, _LARGEST_ATTRIBUTES)
        for index in range(count):
            attribute = h5py.h5a.open(one, index=index)
            kind = attribute.get_type()
            self.attributes += math.prod(attribute.shape or ()) * kind.get_size()
            if self.attributes <= most and (
                kind.detect_class(h5py.h5t.VLEN) or kind.get_class() in _plain()
            ):
                value = h5py.AttributeManager(_Holder(one))[_text(attribute.name)]
                if kind.detect_class(h5py.h5t.VLEN) or kind.get_class() == h5py.h5t.STRING:
                    self.attributes += _length(value)
            if self.attributes > most:
                raise UserError(
                    f"describes {name!r} with attributes of more bytes than the file has, or than "
                    f"{_LARGEST_ATTRIBUTES}"
                )

    def require_sound_dataset(self, name: str, one: Any) -> None:
        import h5py

        plan, kind = one.get_create_plist(), one.get_type()
        layout = plan.get_layout()
        if layout == h5py.h5d.VIRTUAL or plan.get_external_count():
            raise UserError(
                f"keeps the data of {name!r} in other files, which cnnvis does not read; h5repack "
                "puts all data into one file"
            )
        shape = one.shape
        declared = math.prod(shape) * kind.get_size() if shape is not None else 0
        stored = one.get_storage_size()
        if layout == h5py.h5d.CHUNKED:
            self.require_sound_chunks(name, one, plan, kind.get_size())
        elif stored and layout == h5py.h5d.CONTIGUOUS:  # none is stored before any is written
            offset = one.get_offset()
            if stored < declared or offset is None or offset + declared > self.size:
                raise UserError(
                    f"declares {name!r} to hold {declared} bytes that the file does not have"
                )
        self.stored += stored
        self.declared += declared
        if self.stored > self.size:
            raise UserError(f"stores more than its {self.size} bytes, up to {name!r}")
        if declared > max(_SMALL, _RATIO * stored):
            raise UserError(
                f"declares {name!r} to hold {declared} bytes, of which it stores {stored}; cnnvis "
                f"reads data up to {_RATIO} times the stored bytes"
            )
        if self.declared > max(_SMALL, _RATIO * self.size):
            raise UserError(
                f"of {self.size} bytes declares to hold {self.declared}, more than {_RATIO} times "
                "as many"
            )
        if kind.detect_class(h5py.h5t.VLEN):
            self.require_short_words(name, h5py.Dataset(one))
        elif declared:
            self.require_readable(h5py.Dataset(one))

    def require_sound_chunks(self, name: str, one: Any, plan: Any, item: int) -> None:
        import h5py

        chunk = math.prod(plan.get_chunk()) * item
        if chunk > _LARGEST_CHUNK:
            raise UserError(f"stores {name!r} in pieces of {chunk} bytes, which is far too much")
        lzf = 32000  # h5py's own
        usual = [h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, lzf]
        filters = [plan.get_filter(index) for index in range(plan.get_nfilters())]
        for code, _, values, title in filters:
            if code not in usual or sum(other[0] == code for other in filters) > 1:
                raise UserError(
                    f"packs {name!r} with the filter {_text(title) or code}; cnnvis reads gzip, lzf, "
                    "shuffle and fletcher32, each used once, so repack it: h5repack -f GZIP=4"
                )
            if code == lzf and any(value > max(chunk, 2**16) for value in values[2:3]):
                raise UserError(
                    f"unpacks the pieces of {name!r} to more bytes than the pieces hold"
                )
        codes = [code for code, *_ in filters]
        gzip = codes.index(h5py.h5z.FILTER_DEFLATE) if h5py.h5z.FILTER_DEFLATE in codes else None
        if gzip is not None and {*codes[gzip + 1 :]} - {h5py.h5z.FILTER_FLETCHER32}:
            raise UserError(f"packs {name!r} again behind gzip, so repack it: h5repack -f GZIP=4")
        pieces = 0
        packed: list[tuple[int, ...]] = []

        def look(piece: Any) -> None:
            nonlocal pieces
            pieces += 1
            if piece.byte_offset is None or piece.byte_offset + piece.size > self.size:
                raise UserError(f"places data of {name!r} outside the file")
            # What cannot be packed lies there as it is, with a few bytes around it.
            if piece.size > 2 * chunk + 1024:
                raise UserError(
                    f"stores {piece.size} bytes in a piece of {name!r}, which holds {chunk} bytes"
                )
            is_packed = gzip is not None and not piece.filter_mask >> gzip & 1
            if is_packed and piece.size * _MOST_PACKED > max(_SMALL, 4 * chunk):
                packed.append(tuple(piece.chunk_offset))

        one.chunk_iter(look)
        for place in packed:
            if self.unpacked > _READ and not self.reads_all:
                break
            self.require_unpacking_to(name, one.read_direct_chunk(place)[1], chunk)
        lengths = zip(one.shape, plan.get_chunk(), strict=True)
        if pieces > math.prod(-(-length // piece) for length, piece in lengths):
            raise UserError(f"holds more pieces of {name!r} than it can have")

    def require_unpacking_to(self, name: str, packed: bytes, chunk: int) -> None:
        """Require that a gzip stream unpacks to no more than a piece: libhdf5 unpacks all of it."""
        stream = zlib.decompressobj()
        found = 0
        try:
            while packed and not stream.eof and found <= chunk + 1024:
                found += len(stream.decompress(packed, _PIECE))
                packed = stream.unconsumed_tail
        except zlib.error:  # which is seen when the piece is read
            return
        self.unpacked += found
        if found > chunk + 1024 or (stream.eof and len(stream.unused_data) > 1024):
            raise UserError(f"unpacks the pieces of {name!r} to more bytes than the pieces hold")

    def require_short_words(self, name: str, dataset: Any) -> None:
        """Require that texts are shorter than the file, as they are if none is used twice."""
        self.described += dataset.size * 16
        for start in range(0, len(dataset) if dataset.shape else 0, 1000):
            self.described += _length(dataset[start : start + 1000])
            if self.described > self.size + 16 * dataset.size:
                raise UserError(f"holds more text in {name!r} than the file has bytes")

    def require_readable(self, dataset: Any) -> None:
        """Read pieces, if not all of them: filters may fail, and unpack to more than they claim."""
        if dataset.chunks is None:  # data lie there as they are, and that they do has been seen
            dataset[(slice(0, 1),) * dataset.ndim]
            return
        row = max(1, dataset.nbytes // len(dataset))
        rows = _PIECE // row // dataset.chunks[0] * dataset.chunks[0]
        # Where not one row of chunks is small enough to be read, each chunk is.
        pieces = (
            (slice(start, start + rows) for start in range(0, len(dataset), rows))
            if rows
            else dataset.iter_chunks()
        )
        for piece in pieces:
            if not self.reads_all and self.read > _READ:
                return
            held = host.peak_memory()
            try:
                self.read += dataset[piece].nbytes
            except OSError:
                # Of data, a damaged piece costs the samples in it, and no others; one that unpacks to
                # far more than there is in it costs whoever reads it the memory.
                if self.reads_all or host.peak_memory() - held > _SMALL + 4 * rows * row:
                    raise


class _Holder:
    """Object of a file in the form in which h5py reads attributes."""

    def __init__(self, identifier: Any) -> None:
        self.id = identifier


def _link(group: Any, name: bytes, kind: int) -> str:
    import h5py

    if kind == h5py.h5l.TYPE_EXTERNAL:
        return f"a link to the other file {_text(group.links.get_val(name)[0])!r}"
    if kind == h5py.h5l.TYPE_SOFT:
        return f"a link to {_text(group.links.get_val(name))!r}"
    return "a link of an unknown kind"


def _plain() -> tuple[int, ...]:
    """Return the classes of HDF5 types whose values numpy has."""
    import h5py

    return h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM


def _text(name: bytes | str) -> str:
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


def _length(value: Any) -> int:
    """Return the number of bytes that HDF5 stores apart for a value, or for an array's elements."""
    if isinstance(value, str | bytes):
        return len(value)
    if getattr(value, "dtype", None) is not None and value.dtype.kind == "O":
        return sum(map(_length, value.flat))
    return int(getattr(value, "nbytes", 0))


def _limit(seconds: int) -> None:
    """Limit the resources of this process to those that a look needs."""
    try:
        import resource
    except ImportError:  # Windows has no limits; there the parent's patience ends it.
        return
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(what)
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        with suppress(OSError, ValueError):  # a system that knows no such limit
            resource.setrlimit(what, (limit, most))


def _main(name: str, path: str, seconds: str) -> None:
    """Run the child: examine, and print the findings, or the reason for a refusal, as JSON."""
    _limit(int(seconds))
    arguments = json.load(sys.stdin)
    module, _, function = name.partition(":")
    try:
        try:
            answer = {"found": getattr(import_module(module), function)(path, *arguments)}
        except UserError as error:
            answer = {"refused": str(error), "found": dict(error.found)}
        json.dump(answer, sys.stdout)
        sys.stdout.flush()
    except MemoryError:
        os._exit(_TOO_LARGE)
    os._exit(0)  # whatever a damaged file has left behind is not cleared up


if __name__ == "__main__":
    _main(*sys.argv[1:])
