"""The maps of one technique for one of a network's inputs, kept shard by shard.

A shard is in files of its own, which `cnnvis.runs.shard_files` describes, and in a line of
``journal.jsonl``: the SHA-256 of its files, and which images failed, and why. It counts once its line
is on the disk, and that is written last. The other files of the Zarr group, index, label, score, class
and status, are written once all shards are there.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, Protocol

import msgspec
import numpy as np

from cnnvis.data.batches import Piece, Pieces, read_ahead
from cnnvis.data.beside import Beside
from cnnvis.data.samples import Array, Samples
from cnnvis.data.stream import Summed
from cnnvis.errors import DiskError, UserError
from cnnvis.explain.keeping import Keeper, Making
from cnnvis.explain.tally import stopped_by
from cnnvis.files.writing import DISK, TEMPORARY, Disk, Folder, Strange, all_of, trouble_with
from cnnvis.host import available_memory
from cnnvis.reporting import progress
from cnnvis.runs import arrays, interrupts
from cnnvis.runs.schema import (
    LARGEST_ARRAY,
    LONGEST_LINE,
    NAMES,
    End,
    Line,
    ShardFacts,
    array_limit,
    facts_limit,
    held,
)
from cnnvis.runs.seals import digest, sealed, unsealed
from cnnvis.runs.shard_files import (
    Content,
    facts_name,
    good_places,
    limits,
    maps_name,
    piece_of,
    read_facts,
)
from cnnvis.runs.sums import Sums

JOURNAL = "journal.jsonl"

ADVICE = "Finished shards are kept; when the folder can be written again, --resume goes on"

_FOR_ALL = ("titles", "targets")

SEEN = 10.0
"""Seconds until files that another machine wrote must be seen here: some disks are late."""

ATTEMPTS = 3
"""Maximum number of lines of a journal for one shard; each is as slow to check as to read."""


@dataclass(frozen=True)
class Share:
    """Share of a run's shards that is computed here: one of every `of` shards, counted from 1.

    The whole run is the first of one share.
    """

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def is_whole(self) -> bool:
        return self.of == 1

    def shards(self, count: int) -> range:
        """Return the shards of this share, of `count` shards."""
        return range(self.number - 1, count, self.of)


WHOLE = Share()


class Workers(Protocol):
    """Processes that compute shards, and write their files."""

    @property
    def strict(self) -> bool: ...

    def lines(self, part: str, numbers: Sequence[int]) -> Iterator[Any]: ...


class Part(Keeper):
    """Shards on the disk, and the addition of more shards.

    Parameters
    ----------
    above, name
        The folder around the part, open for as long as the part is used, and the name of the part's
        own folder, which `recovered` examines.
    run
        The identity of the run and the part, so that no shard of another part is taken for a shard
        of this part.
    count, size
        The number of all images, and of the images in a shard.
    share
        The shards that are computed here.
    facts
        The provenance of the maps, for readers of the Zarr group.
    """

    def __init__(
        self,
        above: Folder,
        name: str,
        run: str,
        count: int,
        size: int,
        share: Share = WHOLE,
        facts: Mapping[str, Any] | None = None,
        disk: Disk = DISK,
    ) -> None:
        self.share, self.path = share, above.path / name
        self.places = Pieces(count, size)
        self.own = share.shards(len(self.places))
        self.done: dict[int, Line] = {}  # the journal's lines, by shard
        self._above, self._name = above, name
        self._run, self._count, self._size = run, count, size
        self._facts, self._disk = facts or {}, disk
        self.workers: Workers | None = None  # else this process computes all shards
        self.summed: Summed | None = None  # the transform for which workers add up the maps
        self._sums = Sums()
        self._finished: End | None = None
        self._like: ShardFacts | None = None  # what is known of a shard that has maps

    # The files

    @contextmanager
    def _folder(self, inner: str = "") -> Iterator[Folder]:
        """Open the part's folder, or a folder in it, and make it if it does not exist."""
        with self._disk.require_inner(self._above, self._name) as own:
            if not inner:
                yield own
                return
            with self._disk.require_inner(own, inner) as folder:
                yield folder

    def _put(self, name: str, data: bytes) -> None:
        inner, _, last = name.rpartition("/")
        with trouble_with(self.path / name, ADVICE), self._folder(inner) as folder:
            self._disk.put(folder, last, data)

    def _reading(self, name: str, most: int) -> BufferedReader:
        """Open a written file of a limited number of bytes."""
        inner, _, last = name.rpartition("/")
        with self._above.inner(self._name) as own:
            if not inner:
                return own.reading(last, most)
            with own.inner(inner) as folder:
                return folder.reading(last, most)

    def _is_as_written(self, name: str, known: str, most: int) -> bool:
        """Tell whether a file exists, and holds what was written."""
        try:
            with self._reading(name, most) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == known
        except (OSError, Strange):
            return False

    def _bytes(self, number: int, name: str, most: int) -> bytes:
        """Read a file of a shard.

        Raises
        ------
        DiskError
            If it does not hold any more what was written.
        """
        try:
            with self._reading(name, most) as file:
                found = all_of(file)
        except (OSError, Strange):
            found = b""
        if digest(found) != self.done[number].files[name]:
            raise self._changed(name)
        return found

    def _changed(self, name: str) -> DiskError:
        return DiskError(
            f"{str(self.path / name)!r} is damaged: it differs from the written data; "
            "--resume computes this shard again"
        )

    def facts_of(self, number: int) -> ShardFacts:
        """Return the facts about a shard's images.

        Raises
        ------
        DiskError
            If the shard is no longer what was written.
        """
        name = facts_name(number)
        data = self._bytes(number, name, facts_limit(len(self.places[number])))
        facts = read_facts(data, self.places[number])
        if facts is None:
            raise self._changed(name)
        return facts

    def _limits(self, number: int, facts: ShardFacts) -> dict[str, int]:
        return limits(number, self.places[number], self._size, facts)

    # What is on the disk

    def recovered(self) -> Part:
        """Find the whole shards, and remove all else.

        Raises
        ------
        Strange
            If a folder, or the journal, is a link or something else that no run makes.
        DiskError
            If the disk refuses.
        """
        with trouble_with(self.path, ADVICE), self._folder() as own:
            with trouble_with(self.path / JOURNAL, what="read"):
                is_settled = self._read_journal(own)
            kept = b"".join(self._lines())
            self._remove_strays(own)
            if not is_settled(kept):
                self._disk.put(own, JOURNAL, kept)
        return self

    def found(self) -> Part:
        """Find the whole shards, and change nothing, as somebody does who only looks.

        Raises
        ------
        Strange
            If the folder, or the journal, is a link or something else that no run makes.
        DiskError
            If the disk refuses.
        """
        with trouble_with(self.path / JOURNAL, what="read"), self._above.inner(self._name) as own:
            self._read_journal(own)
        return self

    def _read_journal(self, own: Folder) -> Callable[[bytes], bool]:
        """Read the journal, and return a function that compares it with its intended content."""
        if own.kind(JOURNAL) is None:
            return lambda kept: False
        last: Any = None
        whole, attempts = hashlib.sha256(), Counter[int]()
        with (
            own.reading(JOURNAL, 2**63) as journal,
            progress("checking finished images", len(self.own)) as advance,
        ):
            is_ours_alone = os.fstat(journal.fileno()).st_nlink == 1
            while text := journal.readline(LONGEST_LINE):
                whole.update(text)
                if len(text) == LONGEST_LINE:  # nothing behind it is a line
                    break
                last = unsealed(text)
                line = held(last, Line)
                if line is None or line.shard in self.done or attempts[line.shard] == ATTEMPTS:
                    continue
                attempts[line.shard] += 1
                if self._facts_if_whole(line) is not None:
                    self.done[line.shard] = line
                    advance(1)
        if len(self.done) == len(self.places) and self._is_end(end := held(last, End)):
            self._finished = end
        return lambda kept: is_ours_alone and whole.hexdigest() == digest(kept)

    def _has_size(self, name: str, size: int | None, most: int) -> bool:
        """Tell whether a file exists, and has this number of bytes."""
        try:
            with self._reading(name, most) as file:
                return os.fstat(file.fileno()).st_size == size
        except (OSError, Strange):
            return False

    def _facts_if_whole(
        self, line: Line, sizes: Mapping[str, int] | None = None
    ) -> ShardFacts | None:
        """Return the facts of a shard, if a line of the journal is of this run, and is correct.

        Parameters
        ----------
        sizes
            The number of bytes of each file, where its writer has just told them: then maps and
            labels are not read.
        """
        if line.run != self._run or line.shard not in self.own:
            return None
        places, name = self.places[line.shard], facts_name(line.shard)
        if line.images != (places.start, places.stop) or name not in line.files:
            return None
        try:
            with self._reading(name, facts_limit(len(places))) as file:
                data = all_of(file)
        except (OSError, Strange):
            return None
        facts = read_facts(data, places)
        if facts is None or digest(data) != line.files[name]:
            return None
        files = self._limits(line.shard, facts)
        reasons = {place: reason for place, (_, reason) in facts.failed.items()}
        is_whole = (
            reasons == line.failed
            and files.keys() == line.files.keys()
            and all(
                self._is_as_written(name, line.files[name], most)
                if sizes is None
                else self._has_size(name, sizes.get(name), most)
                for name, most in files.items()
            )
        )
        return facts if is_whole else None

    def _is_end(self, line: End | None) -> bool:
        most = min(2**27 + 2**13 * self._count, LARGEST_ARRAY)
        return (
            line is not None
            and line.run == self._run
            and all(self._is_as_written(name, known, most) for name, known in line.files.items())
        )

    def _remove_strays(self, own: Folder) -> None:
        """Remove the rest of unfinished shards and files, which the journal does not name."""
        names = {name for line in self._every() for name in line.files}
        others = [name for name in own.entries() if name.startswith(TEMPORARY)]
        self._drop(own, [*others, *{"zarr.json"}.difference(names)])
        for inner in ("shards", *NAMES):
            if own.kind(inner) is not None:
                with own.inner(inner) as folder:
                    strays = [one for one in folder.entries() if f"{inner}/{one}" not in names]
                    self._drop(folder, strays)

    def _drop(self, folder: Folder, names: Iterable[str]) -> None:
        """Remove entries of these names, except for folders, which no run made."""
        there = [name for name in names if folder.kind(name) not in (None, "a folder")]
        self._disk.drop(folder, there)

    # What comes to it

    def pieces(
        self, samples: Samples, making: Making, *, outlines: bool = False
    ) -> Iterator[Piece]:
        """Yield all shards of this share in order: read from the disk, or computed and written.

        Parameters
        ----------
        outlines
            Have zeros in the place of the maps on the disk, which are not read.

        Raises
        ------
        DiskError
            If the disk fails.
        Stopped
            Between two shards, if somebody asked for it.
        """
        there = map(self.facts_of, self.done)
        self._like = next((one for one in there if one.shape is not None), None)
        if self.workers is not None and self.missing:
            for line in self.workers.lines(self._name, self.missing):
                self.accept(line, samples)
                interrupts.check()
            with trouble_with(self.path, ADVICE), self._folder() as own:
                self._remove_strays(own)  # of workers that ended while they wrote
        missing = [self.places[number] for number in self.own if number not in self.done]
        # A shard is written while the next is computed, and given out when it is on the disk.
        written: _Written | None = None
        try:
            with closing(read_ahead(samples, missing)) as coming:
                for number in self.own:
                    if number in self.done:
                        if written is not None:
                            yield written.piece()
                            written = None
                        yield self.read(number, samples, outlines=outlines)
                        continue
                    piece = making.compute(next(coming))
                    done = None if written is None else written.piece()
                    written = _Written(self._writer(number, piece, samples), piece)
                    if done is not None:
                        yield done
                    if interrupts.is_asked():
                        written.piece()
                    interrupts.check()
            if written is not None:
                yield written.piece()
        finally:
            if written is not None:
                written.wait()
        self.finish()

    def _writer(self, number: int, piece: Piece, samples: Samples) -> Callable[[], None]:
        """Return a function that writes a shard to the disk, and then its line to the journal."""
        content = Content.of(piece, samples)

        def write() -> None:
            self.record(self._put_all(number, content)[0])

        return write

    def put(self, number: int, piece: Piece, samples: Samples) -> tuple[Line, dict[str, int]]:
        """Write the files of a shard to the disk.

        Returns
        -------
        line, sizes
            The line that records the files, and the number of bytes of each.

        Raises
        ------
        UserError
            If it does not fit to the shards before it, or is too large.
        DiskError
            If the disk refuses.
        """
        return self._put_all(number, Content.of(piece, samples))

    def _put_all(self, number: int, content: Content) -> tuple[Line, dict[str, int]]:
        written, known = content.written_facts()
        self._require_like(known)
        files = content.files(number, self._size, written)
        return self._put_files(number, files, content.failed)

    def _require_like(self, facts: ShardFacts) -> None:
        """Refuse maps that do not fit into one array with the maps before them."""
        if facts.shape is None:
            return
        self._like = like = self._like or facts
        if (like.shape, like.axes) != (facts.shape, facts.axes):
            raise UserError(
                "a run folder keeps maps of one shape and one kind of axes, and this run has maps "
                f"of {facts.shape} along {facts.axes} and of {like.shape} along {like.axes}"
            )
        if any(bool(getattr(like, one)) != bool(getattr(facts, one)) for one in _FOR_ALL):
            raise UserError(
                "a run folder keeps titles and targets for all maps or for no map, and in this "
                "run some maps have them"
            )

    def _put_files(
        self, number: int, files: Mapping[str, bytes], failed: Mapping[str, str]
    ) -> tuple[Line, dict[str, int]]:
        for name, data in files.items():
            self._put(name, data)
        places = self.places[number]
        digests = {name: digest(data) for name, data in files.items()}
        line = Line(self._run, number, (places.start, places.stop), digests, dict(failed))
        return line, {name: len(data) for name, data in files.items()}

    def record(self, line: Line) -> None:
        """Write the line of a shard whose files are written to the journal: now the shard counts.

        Raises
        ------
        DiskError
            If the disk refuses.
        """
        with trouble_with(self.path / JOURNAL, ADVICE), self._folder() as own:
            self._disk.append(own, JOURNAL, _sealed(line))
        self.done[line.shard] = line

    def accept(self, value: Any, samples: Samples) -> None:
        """Record a shard whose files a worker wrote.

        Parameters
        ----------
        value
            The worker's answer; see `cnnvis.runs.remote_shards.Shards.computed`.
        samples
            The samples of the part.

        Raises
        ------
        UserError
            If the files are not what the worker says, or maps do not fit those before them.
        DiskError
            If the disk refuses.
        """
        line = held(value["line"], Line)
        end = time.monotonic() + SEEN
        # The worker has just written the maps. Whoever reads them compares them with their digest.
        while line is None or (facts := self._facts_if_whole(line, value["sizes"])) is None:
            if line is None or time.monotonic() > end:
                raise DiskError(
                    f"a worker wrote a shard that cannot be read in {str(self.path)!r}: the run folder "
                    "must be on a disk that all workers and this machine share"
                )
            time.sleep(0.2)
        self._require_like(facts)
        self.record(line)
        if value["sums"] is not None:
            self._sums.put(line.shard, value["sums"])
        for place, reason in line.failed.items() if self.workers and self.workers.strict else ():
            raise stopped_by(int(samples.indices[int(place)]), reason)

    def take(self, number: int, part: Part) -> None:
        """Write a shard to the disk that another part holds.

        Raises
        ------
        UserError
            If its maps do not fit those of the shards before it.
        DiskError
            If its files are not any more what was written, or the disk refuses.
        """
        facts = part.facts_of(number)
        self._require_like(facts)
        files = part._limits(number, facts)
        data = {name: part._bytes(number, name, most) for name, most in files.items()}
        self.record(self._put_files(number, data, part.done[number].failed)[0])

    def sums(self, asked: Summed) -> Sums | None:
        """Return what a transform needs of each shard, if workers have told it of all shards."""
        is_known = self.summed == asked and all(i in self._sums for i in range(len(self.places)))
        return self._sums if is_known else None

    def read(self, number: int, samples: Samples, *, outlines: bool = False) -> Piece:
        """Read a shard from the disk; its images are read when they are used.

        Parameters
        ----------
        outlines
            Have zeros in the place of the maps, which are not read.

        Raises
        ------
        UserError
            If the shard does not fit to the shards before it.
        DiskError
            If the shard's files are no longer what was written.
        """
        return self.piece(number, lambda _, good: samples.picked(good), outlines=outlines)

    def piece(
        self,
        number: int,
        samples: Callable[[ShardFacts, list[int]], Samples],
        *,
        outlines: bool = False,
    ) -> Piece:
        """Read a shard from the disk, as `read` does.

        Parameters
        ----------
        samples
            Function of the facts about the shard and of places that returns the samples there.
        """
        facts = self.facts_of(number)
        self._require_like(facts)
        places = self.places[number]
        if facts.shape is None:
            return piece_of(places, facts, None, None)
        good = good_places(places, facts.failed)
        if outlines and facts.constant is not None:
            maps = np.broadcast_to(np.float32(0), (len(good), *facts.shape))  # without memory
        else:
            maps = self._maps(number, facts)[[place - places.start for place in good]]
        return piece_of(places, facts, maps, samples(facts, good))

    def _maps(self, number: int, facts: ShardFacts) -> Array:
        assert facts.shape is not None
        shape = (self._size, *facts.shape)
        name, most = maps_name(number, facts.shape), array_limit(self._size, facts.shape, 4)
        if 4 * math.prod(shape) > available_memory():
            raise DiskError(
                f"{str(self.path / name)!r} holds maps of {facts.shape}, which do not fit into "
                "memory"
            )
        try:
            return arrays.decoded_maps(self._bytes(number, name, most), name, shape)
        except ValueError as error:
            raise DiskError(
                f"{str(self.path / name)!r} differs from the written data: {error}"
            ) from error

    @property
    def missing(self) -> list[int]:
        """Shards of this share that are missing."""
        return [number for number in self.own if number not in self.done]

    def finish(self) -> None:
        """Write the facts about all images together, once all shards exist.

        Raises
        ------
        UserError
            If the shards do not fit together.
        DiskError
            If the disk fails, or a shard is no longer what was written.
        """
        if len(self.done) < len(self.places) or self._finished is not None:
            return
        every = map(self.facts_of, sorted(self.done))
        try:
            files = arrays.of_all(every, self._count, self._size, self._facts)
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(
                f"the shards in {str(self.path)!r} do not fit together: {error}"
            ) from error
        if files is None:  # there is not one map
            return
        for name, data in files.items():
            self._put(name, data)
        digests = {name: digest(data) for name, data in files.items()}
        self._finished = End(self._run, digests)
        # Shards that were computed again stand behind others; whoever compares sees no difference.
        self._put(JOURNAL, b"".join(self._lines()))

    def _every(self) -> list[Line | End]:
        """Return the lines of the final journal: the shards in order, and the end if reached."""
        lines: list[Line | End] = [self.done[number] for number in sorted(self.done)]
        return lines if self._finished is None else [*lines, self._finished]

    def _lines(self) -> Iterator[bytes]:
        return map(_sealed, self._every())


class _Written:
    """Shard that is written beside the computation of the next."""

    def __init__(self, write: Callable[[], None], piece: Piece) -> None:
        self._piece = piece
        self._writing = Beside(write, "writing")
        self.wait = self._writing.wait

    def piece(self) -> Piece:
        """Return the piece when the shard is on the disk; raise what writing raised."""
        self._writing.result()
        return self._piece


def _sealed(line: Line | End) -> bytes:
    return sealed(msgspec.to_builtins(line))
