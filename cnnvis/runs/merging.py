"""`cnnvis.merge`: run folders that hold shares of one run, put together as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError
from cnnvis.explain.inputs import PathName
from cnnvis.files.writing import DISK, Folder, trouble_with
from cnnvis.reporting import progress
from cnnvis.runs import manifest
from cnnvis.runs.folder import MANIFEST, begin, begun, manifest_in, opened, part_name, part_of
from cnnvis.runs.locks import locked
from cnnvis.runs.part import WHOLE, Part


def merge(out: PathName, folders: Sequence[PathName]) -> Path:
    """Merge run folders that hold shares of the same run, such as 1/16 to 16/16.

    Every shard is checked. The result equals the folder of a single run, byte for byte; an
    interrupted merge goes on when it is called again.

    Parameters
    ----------
    out
        The new folder for the whole run.
    folders
        The folders that hold the shares.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        If the folders hold different runs, shards are missing or damaged, or `out` holds something
        else.
    """
    path, sources = Path(out), [Path(folder) for folder in folders]
    if not sources:
        raise UserError(
            "no folders to merge are named: name the folders that hold the shares of a run"
        )
    with ExitStack() as stack:
        shares = [_share(stack, source) for source in sources]
        first, first_facts = shares[0]
        for folder, facts in shares[1:]:
            if manifest.run_id(facts) != manifest.run_id(first_facts):
                same_part = {**facts, "part": first_facts["part"]}
                what = "; ".join(manifest.differences(first_facts, same_part))
                raise UserError(
                    f"{str(folder.path)!r} and {str(first.path)!r} hold different runs: "
                    f"{what or 'files'}"
                )
        whole = {**first_facts, "part": str(WHOLE)}
        parts = []
        for step, name in _names(whole, [folder for folder, _ in shares]):
            held = [part_of(folder, facts, name, step, DISK).recovered()
                for folder, facts in shares if folder.kind(name) is not None]  # fmt: skip
            _require_all(name, held, path)
            parts.append((step, name, held))
        out_folder = stack.enter_context(opened(path))
        stack.enter_context(locked(out_folder))
        there = begun(out_folder)
        if there is not None and there != whole:
            raise UserError(f"{str(path)!r} holds another run; name another folder to merge into")
        if there is None:
            begin(out_folder, whole)
        for step, name, held in parts:
            _merged(part_of(out_folder, whole, name, step, DISK).recovered(), held)
    return path


def _share(stack: ExitStack, source: Path) -> tuple[Folder, Mapping[str, Any]]:
    """Return a share's folder, open and locked as long as the stack, and its manifest."""
    facts = None
    if source.is_dir():
        with trouble_with(source, what="read"):
            folder = stack.enter_context(Folder.opened(source))
        facts = manifest_in(folder)
    if facts is None:
        raise UserError(f"{str(source)!r} is no run folder: it has no {MANIFEST}")
    stack.enter_context(locked(folder))
    return folder, facts


def _names(facts: Mapping[str, Any], shares: Sequence[Folder]) -> Iterator[tuple[int, str]]:
    """Yield the parts that any of the folders holds."""
    for step in range(len(facts["techniques"])):
        for one in facts["inputs"]:
            name = part_name(facts, step, one)
            if any(share.kind(name) is not None for share in shares):
                yield step, name


def _require_all(name: str, parts: Sequence[Part], out: Path) -> None:
    there = {number for part in parts for number in part.done}
    missing = [number for number in range(len(parts[0].places)) if number not in there]
    if missing:
        shown = ", ".join(map(str, missing[:8])) + (" and more" if len(missing) > 8 else "")
        shares = sorted({str(part.share) for part in parts if part.missing})
        raise UserError(
            f"{len(missing)} of {len(parts[0].places)} shards of {name} are missing or damaged: "
            f"{shown}. "
            + (f"The shares {', '.join(shares)} are not done: run them with --resume" if shares
               else f"Name the folders of the other shares, too, after that of the whole; {str(out)!r} is the "
               "first name, so the shares were to be merged into it")
        )  # fmt: skip


def _merged(whole: Part, parts: Sequence[Part]) -> None:
    holders = {number: part for part in parts for number in part.done}
    with progress("merging", len(whole.places)) as advance:
        for number in whole.own:
            if number not in whole.done:
                whole.take(number, holders[number])
            advance(1)
    whole.finish()
