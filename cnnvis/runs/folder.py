"""Run folder: a manifest, a lock, and a part for each technique and input.

::

    FOLDER/manifest.json         what is computed, and all that its bytes depend on
    FOLDER/lock                  held while somebody writes
    FOLDER/1-saliency/           the maps; see `cnnvis.runs.part`
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnnvis.data.explanation import Explanation
from cnnvis.data.stream import Stream, Summed
from cnnvis.errors import DiskError, UserError, shown
from cnnvis.explain.several import number_of_targets
from cnnvis.explain.task import Task
from cnnvis.files.addresses import require_path
from cnnvis.files.reading import require_writable
from cnnvis.files.writing import DISK, TEMPORARY, Disk, Folder, trouble_with
from cnnvis.network import compilation
from cnnvis.registry.arguments import RunFolderArguments
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import note
from cnnvis.runs import interrupts, manifest
from cnnvis.runs.into import NO_FOLDER, Into, asked_for, share_of
from cnnvis.runs.locks import NAME as LOCK
from cnnvis.runs.locks import locked
from cnnvis.runs.part import ADVICE, Part, Workers
from cnnvis.runs.schema import LONGEST_MANIFEST, Manifest, held, require_shards
from cnnvis.runs.seals import digest, plain, sealed, unsealed

MANIFEST = "manifest.json"

MANY = 5000
"""Number of images above which the command line keeps all results even if nobody asked for it."""


@dataclass
class RunFolder:
    """Open run folder.

    Attributes
    ----------
    folder
        The folder, open for as long as this is used.
    facts
        Its manifest.
    into
        The request for the folder.
    techniques
        The techniques that give its maps, with all their options.
    parts
        The parts in the folder, by the names of their folders.
    workers
        The workers that compute the shards; None for this process.
    sums
        By the number of a technique, the transform for which workers add up its maps.
    """

    folder: Folder
    facts: Mapping[str, Any]
    into: Into
    disk: Disk
    techniques: Sequence[tuple[Plugin, Mapping[str, Any]]] = ()
    parts: dict[str, Part] = field(default_factory=dict)
    workers: Workers | None = None
    sums: Mapping[int, Summed] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Path of the folder."""
        return self.folder.path

    def part(self, step: int, name: str | None) -> Part:
        """Return the maps of a technique, counted from 0, for one of the network's inputs."""
        own = part_name(self.facts, step, name)
        if own not in self.parts:
            self.parts[own] = part_of(self.folder, self.facts, own, step, self.disk).recovered()
            self.parts[own].workers = self.workers
            self.parts[own].summed = self.sums.get(step)
        return self.parts[own]

    def shown(self, stream: Stream) -> Explanation:
        """Compute all that is missing, and return the explanation to show.

        The explanation holds all maps, or as many as the caller needs; for a share of the shards,
        it is a table of them.

        Raises
        ------
        Stopped
            If a signal asked for it; see `cnnvis.runs.interrupts`.
        """
        self.fill(stream)
        if not self.into.share.is_whole:
            note(
                f"{str(self.path)!r} holds the shards {self.into.share} of the run: cnnvis merge "
                "puts the shares together, and renderers run after the merge"
            )
            return Explanation(table=self._table())
        if self.into.shown is None:
            return stream.whole()
        explanation, is_part = stream.first(self.into.shown)
        if is_part:
            note(f"the first {self.into.shown} maps are shown; {str(self.path)!r} holds all")
        return explanation

    def _table(self) -> dict[str, list[Any]]:
        images = sum(stop - start for start, stop in self.facts["images"])
        each = self.facts["data"]["count"] // max(images, 1)  # of several targets, a map for each
        rows = [
            (name, number, len(part.places[number]) // each, len(part.done[number].failed) // each)
            for name, part in self.parts.items()
            for number in part.own
        ]
        columns = ("part", "shard", "images", "failed")
        return {column: [row[i] for row in rows] for i, column in enumerate(columns)}

    def fill(self, stream: Stream) -> None:
        """Compute all results of a stream that are to be kept and are missing.

        Raises
        ------
        Stopped
            If a signal asked for it; see `cnnvis.runs.interrupts`.
        """
        with interrupts.gently(self._where_it_stands):
            stream.fill()

    def _where_it_stands(self) -> str:
        done = sum(len(part.done) for part in self.parts.values())
        of = sum(len(part.own) for part in self.parts.values())
        return (
            f"stopped; {done} of {of} shards are kept in {str(self.path)!r}. "
            f"{interrupts.how_to_go_on()}"
        )


def part_name(facts: Mapping[str, Any], step: int, name: str | None) -> str:
    """Return the name of the folder of a technique's maps for an input."""
    words = [str(step + 1), facts["techniques"][step]["technique"]]
    words += [name] if name is not None and len(facts["inputs"]) > 1 else []
    return re.sub(r"[^\w.+-]+", "-", "-".join(words))


def part_of(above: Folder, facts: Mapping[str, Any], name: str, step: int, disk: Disk) -> Part:
    """Return a part as its run's manifest describes it."""
    made = {one: facts[one] for one in ("model", "data", "class_names", "versions")}
    return Part(
        above,
        name,
        digest(plain([manifest.run_id(facts), name])),
        facts["data"]["count"],
        facts["computed"]["shard_size"],
        share_of(facts["part"]),
        {"cnnvis": {**made, **facts["techniques"][step]}},
        disk,
    )


@contextmanager
def kept_in(
    into: Into | None,
    task: Task,
    techniques: Sequence[tuple[Plugin, Mapping[str, Any]]],
    loading: Mapping[str, Any],
    class_names: Sequence[str] | None,
    beside: Path,
) -> Iterator[RunFolder | None]:
    """Open and lock the requested run folder inside the block; None without a request.

    Parameters
    ----------
    techniques
        The techniques that give a map for each image, with all their options.
    loading
        The options with which the model and the data were read.
    beside
        The parent of the run folder if nobody named one.

    Raises
    ------
    UserError
        If the folder cannot be used: another run writes to it, or it holds something else or
        another explanation.
    """
    one = next(iter(task.samples.values()), None)
    few = one is None or len(one) // number_of_targets(one) <= MANY or not techniques
    if into is None or (into.folder is None and into.on is None and few):
        if into is not None and into.resume:
            raise UserError("no run folder is named to go on with: add --into FOLDER")
        yield None
        return
    if task.model is None or one is None or not techniques:
        raise UserError("a run folder keeps maps of images, and this run has no maps of images")
    path = into.folder or _default(into.beside or beside, task, techniques)
    with opened(path) as folder, locked(folder):
        # Whoever types the same again, and never asked for a folder, means no other run.
        before = begun(folder, resume=into.resume or into.folder is None)
        now = manifest.facts(
            techniques,
            task.model,
            task.samples,
            task.explained_inputs,
            loading,
            class_names,
            task.targets,
            task.orders,
        )
        now["part"] = str(into.share)
        held = None if before is None else before["computed"]
        now["computed"] = manifest.computed(task.model, one, into.shard_size, held, into.on)
        require_shards(len(one), now["computed"]["shard_size"])
        if before is None:
            begin(folder, now)
        elif different := manifest.differences(before, now):
            raise UserError(_another(path, different, is_default=into.folder is None))
        if into.folder is None:
            note(
                f"the run keeps its maps in {str(path)!r}; if it stops, --resume goes on"
                if before is None
                else f"the run goes on in {str(path)!r}, with the maps that an earlier run of the same kept there"
            )
        settled = now["computed"]
        with compilation.settled(settled["compile"], settled["batch_size"]):
            yield RunFolder(folder, before or now, into, DISK, techniques)
        _require_kept(folder, before or now)


def _another(path: Path, different: Sequence[str], *, is_default: bool) -> str:
    """Say that a folder holds another run, and what would do."""
    is_long = len(different) > 4
    what = "; ".join(different[:3] if is_long else different)
    what += f"; and {len(different) - 3} more" if is_long else ""
    if is_default:
        return (
            f"this run would keep its maps in {str(path)!r}, the folder for a run of that name, which holds another "
            f"run: {what}. Name another folder with --into, or remove that folder"
        )
    return (
        f"{str(path)!r} holds another run, with which --resume cannot go on: {what}. Use the same settings, or "
        f"name another folder with --into; cnnvis show-result {shlex.quote(str(path))} shows the maps that it holds"
    )


def _require_kept(folder: Folder, facts: Mapping[str, Any]) -> None:
    """Look, once all is computed, whether the folder is where it was and says what it holds.

    Raises
    ------
    DiskError
        If another folder, or none, is at its path.
    """
    if not folder.is_at_its_path():
        raise DiskError(
            f"{str(folder.path)!r} was moved, replaced or removed during the run: the computed "
            "maps are lost"
        )
    if MANIFEST not in folder.entries():
        begin(folder, facts)
        note(f"{MANIFEST} in {str(folder.path)!r} was removed during the run, and is written again")


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open a run folder that a person named, and make it if it does not exist.

    Raises
    ------
    UserError
        If it cannot be made or opened.
    DiskError
        If the disk is full, or broken.
    """
    require_path(path, "a run folder")
    with trouble_with(path, ADVICE):
        DISK.require_folder(path)
        folder = Folder.opened(path)
    with folder:
        yield folder


def begin(folder: Folder, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a run into its folder.

    Raises
    ------
    UserError
        If it would be longer than one that is read.
    DiskError
        If the disk is full, or broken.
    """
    written = sealed(facts, indent=1)
    if len(written) > LONGEST_MANIFEST or held(facts, Manifest) is None:
        raise UserError("the description of this run is too long for a run folder")
    with trouble_with(folder.path / MANIFEST, ADVICE):
        DISK.put(folder, MANIFEST, written)


def _default(
    beside: Path, task: Task, techniques: Sequence[tuple[Plugin, Mapping[str, Any]]]
) -> Path:
    assert task.model is not None
    words = [*(plugin.name for plugin, _ in techniques), task.model.layer]
    words += [
        str(options["backprop"] or "none") for _, options in techniques[:1] if "backprop" in options
    ]
    return beside / (re.sub(r"[^\w.+-]+", "-", "_".join(words)) + ".run")


def begun(folder: Folder, *, resume: bool = True) -> Mapping[str, Any] | None:
    """Return the manifest of the run in a locked folder, or None, and remove unfinished files.

    Raises
    ------
    UserError
        As in `manifest_in`.
    DiskError
        If the disk is broken.
    """
    found = manifest_in(folder, resume=resume)
    with trouble_with(folder.path, ADVICE):
        DISK.drop(folder, [one for one in folder.entries() if one.startswith(TEMPORARY)])
    return found


def read_manifest(path: Path, *, resume: bool = True) -> Mapping[str, Any] | None:
    """Return the manifest in a folder that a person named, None without a manifest.

    Raises
    ------
    UserError
        As in `manifest_in`, or if the folder cannot be read.
    """
    if not path.is_dir():
        return None
    with trouble_with(path, what="read"), Folder.opened(path) as folder:
        return manifest_in(folder, resume=resume)


def manifest_in(folder: Folder, *, resume: bool = True) -> Mapping[str, Any] | None:
    """Return the manifest in a folder, None without a manifest.

    Raises
    ------
    UserError
        If the manifest is damaged, or holds what no run writes; if its version is unknown, if it
        exists although nobody resumes the run, or if it is missing among other files.
    DiskError
        If the disk is broken.
    """
    path = folder.path
    with trouble_with(path / MANIFEST, what="read"):
        others = folder.entries()
        if MANIFEST not in others:
            # A run that died before it could say what it is leaves no more than these.
            others = [name for name in others if name != LOCK and not name.startswith(TEMPORARY)]
            if others:
                raise UserError(
                    f"{str(path)!r} is no run folder, and not empty: it holds {others[0]!r}. Name "
                    "another folder"
                )
            return None
        if not resume:
            raise UserError(
                f"{str(path)!r} holds a run already: go on with --resume, which also shows its "
                "maps; or name another folder with --into, or remove this folder"
            )
        found = unsealed(folder.read(MANIFEST, LONGEST_MANIFEST))
    if not isinstance(found, dict):
        raise UserError(
            f"{str(path / MANIFEST)!r} is damaged, and the folder cannot be read without it: name "
            "another folder, or remove this folder"
        )
    if found.get("format") != manifest.FORMAT:
        raise UserError(
            f"{str(path)!r} was written by another version of cnnvis, in the form "
            f"{shown(found.get('format'))}; this version writes {manifest.FORMAT}"
        )
    facts = held(found, Manifest)
    if facts is None:
        raise UserError(
            f"{str(path / MANIFEST)!r} holds values that no run writes: name another folder, or "
            "remove this folder"
        )
    require_shards(facts.data.count, facts.computed.shard_size)
    return found


def asked_into(asked: RunFolderArguments) -> Into | None:
    """Return the destination of maps that are to be kept, checked as far as that costs nothing.

    Raises
    ------
    UserError
        If nothing can be written to it.
    """
    is_unwanted = asked.into == NO_FOLDER
    if is_unwanted and asked.on is not None:
        raise UserError("workers write into a run folder: leave out --into none, or leave out --on")
    if is_unwanted or (asked.into is None and asked.on is None):
        if asked.resume or asked.shard is not None or asked.shard_size is not None:
            raise UserError(
                "resume, shard and shard_size need a run folder: name it with into, or --into "
                "FOLDER"
            )
        return None
    into = asked.into if isinstance(asked.into, Into) else asked_for(asked)
    if into.folder is not None:
        require_writable(into.folder)
        if into.folder.is_file():
            raise UserError(
                f"{str(into.folder)!r} is a file, and a run folder must be a folder: name another "
                "path"
            )
        read_manifest(into.folder, resume=into.resume)
    return into
