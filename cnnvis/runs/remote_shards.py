"""Shards of a run that another process computes, perhaps on another machine: the worker's side.

A worker gets the path of a run folder, the hash of its manifest and a shard's number. It loads the
model and opens the data once, compares its own manifest with that of the folder, and writes the
files of shards; whoever gave it the work writes the journal.
"""

from __future__ import annotations

import functools
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from cnnvis.data.batches import Piece, read_ahead
from cnnvis.data.class_names import names_in_order
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.data.stream import Summed
from cnnvis.errors import UserError
from cnnvis.execution.read_only import read_only
from cnnvis.explain.keeping import Keeper, Making
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task
from cnnvis.files.writing import DISK, Folder, trouble_with
from cnnvis.network import compilation
from cnnvis.registry.discovery import registry
from cnnvis.registry.failures import as_plugin_error
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import notes_kept
from cnnvis.runs import manifest
from cnnvis.runs.folder import MANIFEST, manifest_in, part_name, part_of
from cnnvis.runs.part import Part
from cnnvis.runs.schema import LONGEST_MANIFEST
from cnnvis.runs.seals import digest
from cnnvis.runs.shard_files import without_frames


class _Captured(Exception):
    """End of a stream of which no piece is wanted, but only what computes its pieces."""


@dataclass
class _Computing(Keeper):
    """Keeper that keeps the samples of a part and how its pieces are made.

    Attributes
    ----------
    summing
        Function of a shard's maps that returns what the next transform needs of them, if that is
        sums alone.
    """

    samples: Samples | None = None
    making: Making | None = None
    summing: Callable[[Explanation], Any] | None = None

    def pieces(
        self, samples: Samples, making: Making, *, outlines: bool = False
    ) -> Iterator[Piece]:
        self.samples, self.making = samples, making
        raise _Captured

    def summed(self, piece: Piece) -> bytes | None:
        """Return what the next transform needs of a piece's maps, as `Sums.put` takes it.

        None where that fails: then the maps are read where the transform runs, which says why.
        """
        if self.summing is None or self.making is None:
            return None
        if piece.found is None:
            return b""
        try:
            with notes_kept() as notes:
                sums = self.summing(self.making.completed(without_frames(piece.found)))
            packed = pickle.dumps((notes, sums))
            pickle.loads(packed)
        except Exception:  # of pickling, too, which is a plugin's code
            return None
        return packed


@dataclass
class _Run:
    """Run whose folder, model and data are open: its manifest, and what computes each of its parts."""

    facts: Mapping[str, Any]
    parts: Mapping[str, tuple[Part, _Computing]]


@dataclass
class Shards:
    """Shards of a run whose folder holds its manifest, which this process computes.

    Attributes
    ----------
    folder
        The path of the run folder.
    manifest
        The SHA-256 of the manifest's file.
    request
        The model and data, as paths.
    techniques
        The names of the techniques with maps of images, and all options of each.
    sums
        By the number of a technique, the transform that needs sums of its maps alone.
    predicts
        See `cnnvis.explain.task.Task`.
    """

    folder: str
    manifest: str
    request: Request
    techniques: tuple[tuple[str, Mapping[str, Any]], ...]
    sums: Mapping[int, Summed] = field(default_factory=dict)
    predicts: bool = False

    def computed(self, part: str, number: int) -> Any:
        """Compute a shard of a part, and write its files.

        Returns
        -------
        dict
            ``line``, the shard's line for the journal, as plain values; ``sizes``, the number of
            bytes of each file; and ``sums``, pickled, what the next transform needs of the maps, or
            None.

        Raises
        ------
        UserError, PluginError
            If the shard cannot be computed here, or this process would compute another run.
        """
        own_part, own = self._run.parts[part]
        assert own.samples is not None and own.making is not None
        settled = self._run.facts["computed"]
        with compilation.settled(settled["compile"], settled["batch_size"]):
            (read,) = read_ahead(own.samples, [own_part.places[number]])
            piece = own.making.compute(read)
            line, sizes = own_part.put(number, piece, own.samples)
            sums = own.summed(piece)
        return {"line": msgspec.to_builtins(line), "sizes": sizes, "sums": sums}

    @functools.cached_property
    def _run(self) -> _Run:
        """The run, opened for its first shard."""
        with trouble_with(Path(self.folder), what="read"):
            folder = Folder.opened(Path(self.folder))  # for as long as the process lives
            try:
                facts = _facts_in(folder, self)
                return _Run(facts, _parts(folder, self, facts))
            except BaseException:
                folder.close()
                raise


def _facts_in(folder: Folder, run: Shards) -> Mapping[str, Any]:
    """Read the manifest in a folder, which must be that of the run.

    Raises
    ------
    UserError
        If it is another one, or none.
    """
    with suppress(FileNotFoundError):
        if digest(folder.read(MANIFEST, LONGEST_MANIFEST)) == run.manifest:
            found = manifest_in(folder)
            if found is not None:
                return found
    raise UserError(
        f"the run folder {run.folder!r} is another one on the worker's machine: it must be on a disk "
        "that all workers share"
    )


def _parts(
    folder: Folder, run: Shards, facts: Mapping[str, Any]
) -> dict[str, tuple[Part, _Computing]]:
    """Load the model, open the data, and return each part with what computes it.

    Raises
    ------
    UserError
        If this process would compute another run than its manifest says.
    """
    plugins: list[tuple[Plugin, Mapping[str, Any]]] = [
        (registry().get("technique", name), options) for name, options in run.techniques
    ]
    request = run.request
    task = replace(Task.of(request, [plugin for plugin, _ in plugins]), predicts=run.predicts)
    assert task.model is not None
    one = next(iter(task.samples.values()))
    loading = manifest.loading_of(request.plugin_options, vars(request.loading))
    now = manifest.facts(
        plugins, task.model, task.samples, task.explained_inputs, loading,
        names_in_order(request.data.class_names), task.targets, task.orders,
    )  # fmt: skip
    now["part"] = facts["part"]
    now["computed"] = manifest.computed(task.model, one, None, facts["computed"])
    manifest.require_same(facts, now)
    found = {}
    for step, (plugin, options) in enumerate(plugins):
        computing = functools.partial(_Computing, summing=_summing(run.sums.get(step)))
        own: dict[str | None, _Computing] = defaultdict(computing)
        for name, stream in task.explained(plugin, options, kept=own.__getitem__).items():
            with suppress(_Captured):
                for _ in stream:
                    pass
            part = part_name(facts, step, name)
            found[part] = part_of(folder, facts, part, step, DISK), own[name]
    return found


def _summing(asked: Summed | None) -> Callable[[Explanation], Any] | None:
    """Return the function that adds up the maps of a shard for a transform."""
    if asked is None:
        return None
    name, options = asked
    plugin = registry().get("transform", name)
    assert plugin.sums is not None
    make = functools.cache(functools.partial(plugin.sums, **options))

    def summed(found: Explanation) -> Any:
        with as_plugin_error(plugin):
            return make()(read_only(found))

    return summed
