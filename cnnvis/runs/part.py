"""The maps of one technique for one of a network's inputs, kept shard by shard.

::

    maps/c.3.0.0         shard 3 of the array of maps, as Zarr stores it
    shards/3.json        the targets and what else there is to know of its images
    journal.jsonl        one line a shard: the SHA-256 of its files, and which images failed, and why

A shard counts once its line is on the disk, and that is written last. The other files of the Zarr
group, index, label, score, class and status, are written once all shards are there.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import Any, Protocol

import msgspec
import numpy as np

from cnnvis.data.batches import Failure, Piece, Pieces, read_ahead
from cnnvis.data.beside import Beside
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.data.stream import Summed
from cnnvis.data.voxel_grid import common_grid
from cnnvis.errors import DiskError, UserError
from cnnvis.explain.keeping import Keeper, Making
from cnnvis.explain.tally import constant_maps, stopped_by
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
    decoded,
    facts_limit,
    held,
    places_of,
)
from cnnvis.runs.seals import digest, plain, sealed, unsealed
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

    def _facts_of(self, number: int) -> ShardFacts:
        """Return the facts about a shard's images.

        Raises
        ------
        DiskError
            If the shard is no longer what was written.
        """
        name = _facts_name(number)
        data = self._bytes(number, name, facts_limit(len(self.places[number])))
        facts = read_facts(data, self.places[number])
        if facts is None:
            raise self._changed(name)
        return facts

    def _files_of(self, number: int, facts: ShardFacts) -> dict[str, int]:
        """Return the files of a shard with these facts, and the maximum length of each."""
        files = {_facts_name(number): facts_limit(len(self.places[number]))}
        if (shape := facts.shape) is not None:
            files[_maps_name(number, shape)] = array_limit(self._size, shape, 4)
        if (label := facts.labels_of_positions) is not None:
            size = np.dtype(label.dtype).itemsize
            name = f"label/c.{number}{'.0' * len(label.shape)}"
            files[name] = array_limit(self._size, label.shape, size)
        return files

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
        places, name = self.places[line.shard], _facts_name(line.shard)
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
        files = self._files_of(line.shard, facts)
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
        there = map(self._facts_of, self.done)
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
        make = self._made(number, piece, samples)

        def write() -> None:
            files, failed = make()
            self.record(self._put_all(number, files, failed))

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
        files, failed = self._made(number, piece, samples)()
        sizes = {name: len(data) for name, data in files.items()}
        return self._put_all(number, files, failed), sizes

    def _made(
        self, number: int, piece: Piece, samples: Samples
    ) -> Callable[[], tuple[dict[str, bytes], dict[str, str]]]:
        """Return a function that makes the files of a shard, and says which images failed and why.

        All that is read of the samples is read here, and the function may run in another thread.

        The function raises a `UserError` if the shard does not fit to those before it, or a file is too
        large.
        """
        facts, maps = _facts(piece, samples)
        labels = None
        if samples.labels is not None and samples.label_kind == "positions":
            labels = samples.labels[list(piece.places)]
        failed = {str(place): one.reason for place, one in piece.failed.items()}
        good = [place - piece.places.start for place in piece.places if place not in piece.failed]

        def make() -> tuple[dict[str, bytes], dict[str, str]]:
            files = {_facts_name(number): self._written_facts(facts, piece.places)}
            if maps is not None:
                # Where an image failed, there is NaN.
                rows = np.full((self._size, *maps.shape[1:]), np.nan, np.float32)
                rows[good] = maps
                name, data = arrays.encoded_maps(rows, number)
                files[name] = data
            if labels is not None:
                rows = np.zeros((self._size, *labels.shape[1:]), labels.dtype)
                rows[: len(labels)] = labels
                name, data = arrays.encoded_labels(rows, number)
                files[name] = data
            self._require_short(number, files)
            return files, failed

        return make

    def _written_facts(self, facts: Mapping[str, Any], places: range) -> bytes:
        """Write the facts about a shard's images as a file has them.

        Raises
        ------
        UserError
            If they are not such as can be read again, or do not fit to those before them.
        """
        written = plain(facts) + b"\n"
        known = read_facts(written, places)
        if known is None:
            raise UserError(
                f"a run folder cannot keep the result of the images from place {places.start} on: it must "
                "hold numbers and text, one for each map"
            )
        self._require_like(known)
        return written

    def _require_short(self, number: int, files: Mapping[str, bytes]) -> None:
        """Refuse files that are longer than those of a shard may be."""
        for name, data in files.items():
            is_facts = name == _facts_name(number)
            if len(data) > (facts_limit(len(self.places[number])) if is_facts else LARGEST_ARRAY):
                raise UserError(
                    f"a shard of {self._size} images takes {len(data)} bytes for {name}, which is "
                    "more than a run folder keeps: name a smaller --shard-size"
                )

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

    def _put_all(self, number: int, files: Mapping[str, bytes], failed: Mapping[str, str]) -> Line:
        for name, data in files.items():
            self._put(name, data)
        places = self.places[number]
        digests = {name: digest(data) for name, data in files.items()}
        return Line(self._run, number, (places.start, places.stop), digests, dict(failed))

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
        facts = part._facts_of(number)
        self._require_like(facts)
        files = part._files_of(number, facts)
        data = {name: part._bytes(number, name, most) for name, most in files.items()}
        self.record(self._put_all(number, data, part.done[number].failed))

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

    def facts_of(self, number: int) -> ShardFacts:
        """Return the facts about a shard's images; see `read`."""
        return self._facts_of(number)

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
        facts = self._facts_of(number)
        self._require_like(facts)
        places = self.places[number]
        # In JSON they are in the order of text.
        failed = {place: Failure(*facts.failed[str(place)]) for place in _in_order(facts.failed)}
        found = None
        if facts.shape is not None:
            good = [place for place in places if place not in failed]
            if outlines and facts.constant is not None:
                maps = np.broadcast_to(np.float32(0), (len(good), *facts.shape))  # without memory
            else:
                maps = self._maps(number, facts)[[place - places.start for place in good]]
            found = Explanation(
                maps,
                samples(facts, good),
                tuple(facts.axes),
                tuple(facts.titles),
                tuple(facts.targets),
                facts.signed,
                facts.are_inputs,
                notes=tuple(facts.result_notes),
                measures={name: np.array(one) for name, one in facts.measures.items()},
                predictions=None if facts.prediction is None else np.array(facts.prediction),
                curves={name: np.array(one) for name, one in facts.curves.items()},
            )
        constant = None
        if facts.constant is not None:
            constant = {place: facts.constant[str(place)] for place in _in_order(facts.constant)}
        return Piece(places, found, failed, tuple(facts.notes), tuple(facts.blank), constant)

    def _maps(self, number: int, facts: ShardFacts) -> Array:
        assert facts.shape is not None
        shape = (self._size, *facts.shape)
        name, most = _maps_name(number, facts.shape), array_limit(self._size, facts.shape, 4)
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
        every = map(self._facts_of, sorted(self.done))
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


def read_facts(data: bytes, places: range) -> ShardFacts | None:
    """Parse the facts about a shard's images from its file; None if the file is not valid."""
    found: ShardFacts | None = decoded(data, ShardFacts)
    return found if found is not None and found.fits(places) else None


def without_frames(found: Explanation) -> Explanation:
    """Return a result as a run folder keeps it."""
    if found.frames is None:
        return found
    lost = "a run folder keeps no frames of the steps in which maps were made; without a folder, gif shows them"
    return replace(found, frames=None, notes=(*found.notes, lost))


def _in_order(places: Iterable[str]) -> list[int]:
    return sorted(map(int, places))


def _constant(piece: Piece) -> dict[str, float]:
    if piece.found is None:
        return {}
    known = constant_maps(piece.found) if piece.constant is None else piece.constant
    return {str(place): value for place, value in known.items()}


def _facts_name(number: int) -> str:
    return f"shards/{number}.json"


def _maps_name(number: int, shape: Sequence[int]) -> str:
    return f"maps/c.{number}{'.0' * len(shape)}"


def _facts(piece: Piece, samples: Samples) -> tuple[dict[str, Any], Array | None]:
    """Return the facts about a shard's images besides their maps, and the maps."""
    found = piece.found
    places = list(piece.places)
    labels, positions = samples.labels, samples.label_kind == "positions"
    more: dict[str, Any] = {}
    if labels is not None and positions:
        more["label of positions"] = {"shape": labels.shape[1:], "dtype": str(labels.dtype)}
    if samples.grids is not None and common_grid(samples.grids) is None:
        every = [samples.grids[place] for place in places]
        more["grids"] = [None if grid is None else grid.as_dict() for grid in every]
    if found is not None and found.predictions is not None:
        more["prediction"] = found.predictions
    if found is not None and found.curves:
        more["curves"] = {name: one.tolist() for name, one in found.curves.items()}
    known = None if samples.places is None else places_of(samples.places.picked(places))
    if known is not None:
        more["places"] = known
    return {
        **more,
        "index": samples.indices[places].tolist(),
        "label": None if labels is None or positions else labels[places].tolist(),
        "failed": {str(place): [one.kind, one.reason] for place, one in piece.failed.items()},
        "notes": piece.notes,
        "blank": piece.blank,
        "constant": _constant(piece),
        "shape": None if found is None else found.array.shape[1:],
        "axes": () if found is None else found.axes,
        "titles": () if found is None else found.titles,
        "targets": [] if found is None else [vars(target) for target in found.targets],
        "signed": None if found is None else found.signed,
        "are_inputs": False if found is None else found.are_inputs,
        "notes of the result": () if found is None else without_frames(found).notes,
        "measures": {}
        if found is None
        else {name: one.tolist() for name, one in found.measures.items()},
    }, None if found is None else found.array
