"""Maps in run folders, read without the network and the data that they were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.lazy import Absent
from cnnvis.data.samples import Samples
from cnnvis.data.stream import Stream
from cnnvis.data.voxel_grid import grid_of
from cnnvis.errors import UserError
from cnnvis.files.writing import DISK, Folder, trouble_with
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import grants_of
from cnnvis.reporting import failure_of_image, note
from cnnvis.runs.folder import part_name, part_of, read_manifest
from cnnvis.runs.part import Part
from cnnvis.runs.schema import ShardFacts


def streams_in(path: Path) -> list[dict[str | None, Stream]]:
    """Return the maps in a run folder: of each technique, a stream for each input by its name.

    Nothing in the folder is changed; each shard is checked when it is read. Inputs are not kept in
    run folders, so the samples hold labels and places, and no inputs.

    Raises
    ------
    UserError
        If the folder is no run folder, or is damaged.
    """
    facts = read_manifest(path)
    if facts is None:
        raise UserError(f"{str(path)!r} is no run folder")
    return [
        {name: Stream(partial(_batches, path, facts, step, name)) for name in facts["inputs"]}
        for step in range(len(facts["techniques"]))
    ]


def _batches(
    path: Path, facts: Mapping[str, Any], step: int, name: str | None
) -> Iterator[Explanation]:
    with trouble_with(path, what="read"), Folder.opened(path) as folder:
        own = part_name(facts, step, name)
        if folder.kind(own) is None:
            raise UserError(f"{str(path / own)!r} is missing: the run did not get there")
        part = part_of(folder, facts, own, step, DISK).found()
        if part.missing:
            note(
                f"{len(part.missing)} of {len(part.own)} shards of {own} are missing or damaged; "
                "--resume of the run computes them"
            )
        known, names = _provenance(facts, step), _class_names(facts, part)
        several, grid = len(facts["inputs"]) > 1, grid_of(facts["data"].get("grid"))
        for number in sorted(part.done):
            piece = part.piece(number, partial(_samples, facts, part, number, names))
            for place, failure in piece.failed.items():
                failure_of_image(int(part.facts_of(number).index[place - piece.places.start]),
                                 failure.reason)  # fmt: skip
            if piece.found is not None:
                found = piece.found.with_facts(known)
                if grid is not None:
                    found = replace(found.described(grid.axes()), grid=grid)
                yield replace(found, input=name) if several else found


def _samples(
    facts: Mapping[str, Any],
    part: Part,
    number: int,
    names: tuple[str, ...] | None,
    held: ShardFacts,
    good: list[int],
) -> Samples:
    """Return what is known of the images of a shard that have maps."""
    places = part.places[number]
    images = sum(stop - start for start, stop in facts["images"])
    each = max(facts["data"]["count"] // max(images, 1), 1)
    rows = [place - places.start for place in good]
    shape = next(iter(facts["data"]["shapes"].values()), [1])
    return Samples(
        Absent((len(good), *shape)),
        None if held.label is None else np.array([held.label[row] for row in rows]),
        class_names=names,
        indices=np.array([held.index[row] for row in rows], np.int64),
        channel_axis=None,
        total=None,
        target_numbers=np.array(good) % each if each > 1 else None,
        places=None if held.places is None else held.places.known().picked(rows),
        grids=None if held.grids is None else tuple(held.grids[row] for row in rows),
    )


def _class_names(facts: Mapping[str, Any], part: Part) -> tuple[str, ...] | None:
    """Return the names of classes: as they were given, or as the targets of the maps have them.

    The targets have the names of the classes that were explained. Where these are not all classes of
    the labels, or a target's number may not be that of its class, as of a single sigmoid, labels stay
    numbers.
    """
    if facts["class_names"] is not None:
        return tuple(facts["class_names"])
    names: dict[int, str] = {}
    largest = 0
    for number in part.done:
        held = part.facts_of(number)
        labels = [label for label in held.label or () if isinstance(label, int)]
        largest = max([largest, *labels])
        alone = [one for one in held.targets if len(one.filters) == 1 and one.class_names]
        for target in alone:
            name = (target.class_names or ("",))[0]
            if names.setdefault(target.filters[0], name) != name:
                return None
    if len(names) < 2 or min(names) < 0 or len(names) != max(largest, *names) + 1:
        return None
    return tuple(names[number] for number in sorted(names))


def _read_with(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of loaders and readers, ``volumes.orientation``, that let no code run."""
    granting = {
        f"{plugin.name}.{name}"
        for plugin in registry()
        if plugin.kind in ("loader", "reader")
        for name in grants_of(plugin)
    }
    return {name: one for name, one in reading.items() if "." in name and name not in granting}


def _provenance(facts: Mapping[str, Any], step: int) -> dict[str, Any]:
    """Return how the maps were made, as provenance says it."""
    technique, model, data = facts["techniques"][step], facts["model"], facts["data"]
    known = {one.name: one.reference for one in registry().of("technique")}
    return {
        "technique": technique["technique"],
        "options": technique["options"],
        "plugin": {key: technique[key] for key in ("distribution", "version")},
        "reference": known.get(technique["technique"]),
        "model": dict(model),
        "data": {
            "file": data["file"],
            "sha256": data["sha256"],
            "images": [i for start, stop in facts["images"] for i in range(start, stop)],
        },
        "versions": dict(facts["versions"]),
        **({"orders": facts["orders"]} if facts.get("orders") else {}),
        **({"reading": read} if (read := _read_with(facts["reading"])) else {}),
    }
