"""`cnnvis.merge`: run folders that hold shares of one run, put together as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError
from cnnvis.reporting import progress
from cnnvis.runs import manifest
from cnnvis.runs.disk import DISK
from cnnvis.runs.folder import MANIFEST, part_name, part_of, read_manifest
from cnnvis.runs.locks import locked
from cnnvis.runs.part import WHOLE, Part
from cnnvis.runs.seals import sealed
from cnnvis.sources import PathName


def merge(out: PathName, folders: Sequence[PathName]) -> Path:
    """Put run folders together that hold shares of one run, such as 1/16 to 16/16.

    Every shard is checked. The result is what a single run writes, byte for byte; a merge that was
    interrupted goes on when it is called again.

    Parameters
    ----------
    out
        The folder that is to hold the whole run.
    folders
        Those that hold its shares.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If they are not of one run, shards are missing or damaged, or `out` holds something else.
    """
    path, sources = Path(out), [Path(folder) for folder in folders]
    if not sources:
        raise UserError("there is nothing to merge: name the folders that hold the shares of a run")
    with ExitStack() as stack:
        every = []
        for source in sources:
            facts = read_manifest(source) if source.is_dir() else None
            if facts is None:
                raise UserError(f"{str(source)!r} is no run folder: it has no {MANIFEST}")
            stack.enter_context(locked(source))
            every.append(facts)
        for source, facts in zip(sources[1:], every[1:], strict=True):
            if manifest.run_id(facts) != manifest.run_id(every[0]):
                what = "; ".join(
                    manifest.differences(every[0], {**facts, "part": every[0]["part"]})
                )
                raise UserError(
                    f"{str(source)!r} and {str(sources[0])!r} are not of one run: {what or 'files'}"
                )
        whole = {**every[0], "part": str(WHOLE)}
        DISK.require_folder(path)
        stack.enter_context(locked(path))
        there = read_manifest(path)
        if there is not None and there != whole:
            raise UserError(f"{str(path)!r} holds another run; name another folder to merge into")
        shares = [
            (step, name, [part_of(source, facts, name, step, DISK).recovered()
                for source, facts in zip(sources, every, strict=True) if (source / name).is_dir()])
            for step, name in _names(whole, sources)
        ]  # fmt: skip
        for _, name, parts in shares:
            _require_all(name, parts)
        if there is None:
            DISK.put(path / MANIFEST, sealed(whole, indent=1))
        for step, name, parts in shares:
            _merged(part_of(path, whole, name, step, DISK).recovered(), parts)
    return path


def _names(facts: Mapping[str, Any], sources: Sequence[Path]) -> Iterator[tuple[int, str]]:
    """The parts that any of the folders holds."""
    for step in range(len(facts["techniques"])):
        for one in facts["inputs"]:
            name = part_name(facts, step, one)
            if any((source / name).is_dir() for source in sources):
                yield step, name


def _require_all(name: str, parts: Sequence[Part]) -> None:
    there = {number for part in parts for number in part.done}
    missing = [number for number in range(len(parts[0].places)) if number not in there]
    if missing:
        shown = ", ".join(map(str, missing[:8])) + (" and more" if len(missing) > 8 else "")
        shares = sorted({str(part.share) for part in parts if part.missing})
        raise UserError(
            f"{len(missing)} of {len(parts[0].places)} shards of {name} are missing or damaged: "
            f"{shown}. "
            + (f"The shares {', '.join(shares)} are not done: run them with --resume" if shares
               else "Name the folders of the other shares, too")
        )  # fmt: skip


def _merged(whole: Part, parts: Sequence[Part]) -> None:
    holders = {number: part for part in parts for number in part.done}
    with progress("merging", len(whole.places)) as advance:
        for number in whole.own:
            if number not in whole.done:
                part = holders[number]
                whole.put(number, part.files(number), part.done[number]["failed"])
            advance(1)
    whole.finish()
