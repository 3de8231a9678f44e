"""The maps of one technique for one of a network's inputs, kept shard by shard.

::

    maps/c.3.0.0         shard 3 of the array of maps, as Zarr stores it
    shards/3.json        the targets and what else there is to know of its images
    journal.jsonl        one line a shard: the SHA-256 of its files, and which images failed, and why

A shard counts once its line is on the disk, and that is written last. The other files of the Zarr
group, index, label, score, class and status, are written once all shards are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import stopping
from cnnvis.errors import DiskError, UserError
from cnnvis.explanation import Explanation, Target
from cnnvis.pieces import Failure, Piece, Read, pieces_of, read_ahead
from cnnvis.reporting import progress
from cnnvis.runs import arrays
from cnnvis.runs.disk import DISK, TEMPORARY, Disk
from cnnvis.runs.seals import digest, plain, sealed, unsealed
from cnnvis.samples import Array, Samples

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Share:
    """Which of a run's shards are computed here: of every so many one, counted from 1.

    The whole run is the first of one.
    """

    number: int = 1
    of: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def is_whole(self) -> bool:
        return self.of == 1

    def shards(self, count: int) -> range:
        """Those of so many shards that are computed here."""
        return range(self.number - 1, count, self.of)


WHOLE = Share()


class Part:
    """Shards on the disk, and how more come to them.

    Parameters
    ----------
    folder
        Where they are; its files are looked at by `recovered`.
    run
        What identifies the run and the part, so that no other's shard is taken for one of this.
    count, size
        How many images there are, and how many of them a shard holds.
    share
        Which shards are computed here.
    facts
        How the maps are made, for whoever reads the Zarr group.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        count: int,
        size: int,
        share: Share = WHOLE,
        facts: Mapping[str, Any] | None = None,
        disk: Disk = DISK,
    ) -> None:
        self.folder, self.share = folder, share
        self.places = pieces_of(count, size)
        self.own = share.shards(len(self.places))
        self.done: dict[int, dict[str, Any]] = {}  # the journal's lines, by shard
        self._run, self._count, self._size = run, count, size
        self._facts, self._disk = facts or {}, disk
        self._finished: dict[str, Any] | None = None
        self._like: Mapping[str, Any] | None = None  # what is known of a shard that has maps

    # What is on the disk

    def recovered(self) -> Part:
        """Find out which shards are whole, and clear away all else.

        Raises
        ------
        DiskError
            If the disk refuses.
        """
        self._disk.require_folder(self.folder)
        journal = self.folder / JOURNAL
        written = journal.read_bytes() if journal.is_file() else b""
        lines = [
            value for line in written.splitlines() if isinstance(value := unsealed(line), dict)
        ]
        with progress("checking what is there", len(lines)) as advance:
            for line in lines:
                if self._is_whole(line):
                    self.done[line["shard"]] = line
                advance(1)
        last = lines[-1] if lines else {}
        if len(self.done) == len(self.places) and self._is_end(last):
            self._finished = last
        kept = self._lines()
        self._remove_all_but({name for line in kept for name in line["files"]})
        if not journal.is_file() or written != b"".join(map(sealed, kept)):
            self._disk.put(journal, b"".join(map(sealed, kept)))
        return self

    def _is_whole(self, line: Mapping[str, Any]) -> bool:
        """Whether the journal's line is of a shard of this run, and the shard as it says."""
        number = line.get("shard")
        if not isinstance(number, int) or number in self.done or number not in self.own:
            return False
        if line.get("run") != self._run:
            return False
        (*chunks,) = (name for name in line["files"] if name != _facts_name(number))
        found = [re.fullmatch(rf"(maps|label)/c\.{number}(\.0)*", name) for name in chunks]
        arrays_of = [one[1] for one in found if one is not None]
        is_its_own = len(line["files"]) > len(chunks) == len(arrays_of) == len(set(arrays_of))
        return is_its_own and self._is_there(line)

    def _is_end(self, line: Mapping[str, Any]) -> bool:
        return line.get("run") == self._run and "shard" not in line and self._is_there(line)

    def _is_there(self, line: Mapping[str, Any]) -> bool:
        return all(self._bytes(name, known) is not None for name, known in line["files"].items())

    def _bytes(self, name: str, known: str) -> bytes | None:
        """A file's bytes if they are those that were written."""
        try:
            found = (self.folder / name).read_bytes()
        except OSError:
            return None
        return found if digest(found) == known else None

    def _remove_all_but(self, names: set[str]) -> None:
        """Remove what is left of shards that did not get whole, and of files that did not."""
        ours = ("shards", *arrays.NAMES, "zarr.json")
        there = [
            path
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() or path.is_symlink()
            if path.relative_to(self.folder).parts[0] in ours or path.name.startswith(TEMPORARY)
        ]
        stray = [path for path in there if path.relative_to(self.folder).as_posix() not in names]
        self._disk.drop(stray)

    # What comes to it

    def pieces(self, samples: Samples, compute: Callable[[Read], Piece]) -> Iterator[Piece]:
        """All shards of this share in order: taken from the disk, or computed and put there.

        Raises
        ------
        DiskError
            If the disk refuses.
        Stopped
            Between two shards, if somebody asked for it.
        """
        there = (json.loads(self._file(number, _facts_name(number))) for number in self.done)
        self._like = next((one for one in there if one["shape"] is not None), None)
        missing = [self.places[number] for number in self.own if number not in self.done]
        with closing(read_ahead(samples, missing)) as coming:
            for number in self.own:
                if number in self.done:
                    yield self.read(number, samples)
                    continue
                piece = compute(next(coming))
                self.write(number, piece, samples)
                yield piece
                stopping.check()
        self.finish()

    def write(self, number: int, piece: Piece, samples: Samples) -> None:
        """Put a shard on the disk, and then its line into the journal."""
        facts, maps = _facts(piece, samples)
        self._require_like(facts)
        files = {_facts_name(number): plain(facts) + b"\n"}
        if maps is not None:
            # Where an image failed, there is NaN.
            rows = np.full((self._size, *maps.shape[1:]), np.nan, np.float32)
            good = [
                place - piece.places.start for place in piece.places if place not in piece.failed
            ]
            rows[good] = maps
            name, data = arrays.encoded_maps(rows, number)
            files[name] = data
        if samples.labels is not None and samples.label_kind == "positions":
            labels = samples.labels[list(piece.places)]
            rows = np.zeros((self._size, *labels.shape[1:]), labels.dtype)
            rows[: len(labels)] = labels
            name, data = arrays.encoded_labels(rows, number)
            files[name] = data
        self.put(number, files, {str(place): one.reason for place, one in piece.failed.items()})

    def _require_like(self, facts: Mapping[str, Any]) -> None:
        """Refuse maps that do not fit into one array with those before them."""
        if facts["shape"] is None:
            return
        self._like = like = self._like or facts
        if [*like["shape"]] != [*facts["shape"]] or [*like["axes"]] != [*facts["axes"]]:
            raise UserError(
                f"a run folder keeps maps of one shape, and here there are maps of {facts['shape']} "
                f"and of {like['shape']}"
            )

    def put(self, number: int, files: Mapping[str, bytes], failed: Mapping[str, str]) -> None:
        """Put a shard's files on the disk, and then its line into the journal."""
        for name, data in files.items():
            path = self.folder / name
            self._disk.require_folder(path.parent)
            self._disk.put(path, data)
        line = {
            "run": self._run,
            "shard": number,
            "images": [self.places[number].start, self.places[number].stop],
            "files": {name: digest(data) for name, data in files.items()},
            "failed": dict(failed),
        }
        self._disk.append(self.folder / JOURNAL, sealed(line))
        self.done[number] = line

    def files(self, number: int) -> dict[str, bytes]:
        """The bytes of a shard's files.

        Raises
        ------
        DiskError
            If they are not any more what was written.
        """
        return {name: self._file(number, name) for name in self.done[number]["files"]}

    def _file(self, number: int, name: str) -> bytes:
        data = self._bytes(name, self.done[number]["files"][name])
        if data is None:
            raise DiskError(
                f"{str(self.folder / name)!r} is not what was written; --resume computes that "
                "shard again"
            )
        return data

    def read(self, number: int, samples: Samples) -> Piece:
        """A shard from the disk; its images are read if somebody looks at them.

        Raises
        ------
        DiskError
            If its files are not any more what was written.
        """
        held = self.files(number)
        import msgspec

        facts = json.loads(held[_facts_name(number)])
        places = self.places[number]
        failed = {int(place): Failure(*one) for place, one in facts["failed"].items()}
        found = None
        if facts["shape"] is not None:
            name = next(name for name in held if name.startswith("maps/"))
            rows = arrays.decoded_maps(held[name], name, (self._size, *facts["shape"]))
            good = [place for place in places if place not in failed]
            found = Explanation(
                rows[[place - places.start for place in good]],
                samples.picked(good),
                tuple(facts["axes"]),
                tuple(facts["titles"]),
                msgspec.convert(facts["targets"], tuple[Target, ...]),
                facts["signed"],
                facts["are_inputs"],
                notes=tuple(facts["notes of the result"]),
                measures=facts.get("measures", {}),
                predictions=facts.get("prediction"),
            )
        return Piece(places, found, failed, tuple(facts["notes"]), tuple(facts["blank"]))

    @property
    def missing(self) -> list[int]:
        """The shards of this share that are not there."""
        return [number for number in self.own if number not in self.done]

    def finish(self) -> None:
        """Once all shards are there: write what is known of all images together."""
        if len(self.done) < len(self.places) or self._finished is not None:
            return
        every = (
            json.loads(self._file(number, _facts_name(number))) for number in sorted(self.done)
        )
        files = arrays.of_all(every, self._count, self._size, self._facts)
        if files is None:  # there is not one map
            return
        for name, data in files.items():
            self._disk.require_folder((self.folder / name).parent)
            self._disk.put(self.folder / name, data)
        end = {"run": self._run, "files": {name: digest(data) for name, data in files.items()}}
        self._finished = end
        # Shards that were computed again stand behind others; whoever compares sees no difference.
        self._disk.put(self.folder / JOURNAL, b"".join(map(sealed, self._lines())))

    def _lines(self) -> list[Mapping[str, Any]]:
        """The journal as it is to be: the shards in order, and the end if it is reached."""
        lines: list[Mapping[str, Any]] = [self.done[number] for number in sorted(self.done)]
        return lines if self._finished is None else [*lines, self._finished]


def _facts_name(number: int) -> str:
    return f"shards/{number}.json"


def _facts(piece: Piece, samples: Samples) -> tuple[dict[str, Any], Array | None]:
    """What is to be known of a shard's images beside their maps, and the maps."""
    found = piece.found
    places = list(piece.places)
    labels, positions = samples.labels, samples.label_kind == "positions"
    more: dict[str, Any] = {}
    if labels is not None and positions:
        more["label of positions"] = {"shape": labels.shape[1:], "dtype": str(labels.dtype)}
    if found is not None and found.predictions is not None:
        more["prediction"] = found.predictions
    return {
        **more,
        "index": samples.indices[places].tolist(),
        "label": None if labels is None or positions else labels[places].tolist(),
        "failed": {str(place): [one.kind, one.reason] for place, one in piece.failed.items()},
        "notes": piece.notes,
        "blank": piece.blank,
        "shape": None if found is None else found.array.shape[1:],
        "axes": () if found is None else found.axes,
        "titles": () if found is None else found.titles,
        "targets": [] if found is None else [vars(target) for target in found.targets],
        "signed": None if found is None else found.signed,
        "are_inputs": False if found is None else found.are_inputs,
        "notes of the result": () if found is None else found.notes,
        "measures": {}
        if found is None
        else {name: one.tolist() for name, one in found.measures.items()},
    }, None if found is None else found.array
