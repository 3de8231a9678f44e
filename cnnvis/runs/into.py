"""Destination of kept results, as a person asked for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from cnnvis.errors import UserError
from cnnvis.explain.request import Request
from cnnvis.files.addresses import place_of, require_path
from cnnvis.registry.arguments import RunFolderArguments
from cnnvis.runs.on import On, on_of, with_request
from cnnvis.runs.part import WHOLE, Share


@dataclass(frozen=True)
class Into:
    """Destination of kept results, as a person asked for it.

    Attributes
    ----------
    folder
        The run folder; None for one beside the other output if there are many images.
    resume
        Continue with the results in the folder.
    share
        The shards to compute.
    shard_size
        The number of images in a shard; None for as many as a technique is given at a time.
    shown
        The maximum number of maps that the caller needs; None for all.
    beside
        The parent of the run folder if nobody named one; None for the folder of other output.
    on
        The workers that compute shards; None for this process.
    """

    folder: Path | None
    resume: bool = False
    share: Share = WHOLE
    shard_size: int | None = None
    shown: int | None = None
    beside: Path | None = None
    on: On | None = None

    def __post_init__(self) -> None:
        if self.shard_size is not None and self.shard_size < 1:
            raise UserError(f"a shard cannot hold {self.shard_size} images; it holds at least 1")
        if not self.share.is_whole and self.folder is None:
            raise UserError("a share of the shards needs its own run folder: name it with --into")


NO_FOLDER = "none"
"""What is typed for no run folder."""


def asked_for(asked: RunFolderArguments) -> Into:
    """Return the destination of kept results, from the arguments of a person.

    Raises
    ------
    UserError
        If the arguments are not valid.
    """
    share = WHOLE if asked.shard is None else share_of(asked.shard)
    path = None if asked.into is None else require_path(place_of(asked.into), "a run folder")
    on = None if asked.on is None else on_of(asked.on)
    return Into(path, asked.resume, share, asked.shard_size, on=on)


def share_of(text: str) -> Share:
    """Parse a share: ``3/16``.

    Raises
    ------
    UserError
        If the text is no share.
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    share = Share(int(found[1]), int(found[2])) if found else Share(0, 0)
    if not 1 <= share.number <= share.of:
        raise UserError(
            f"the shard {text!r} is not understood: 3/16 is the third of sixteen, and the first is "
            "1/16"
        )
    return share


def with_workers(into: Into | None, request: Request) -> Into | None:
    """Return the destination with what its workers are to explain, if it has workers.

    Raises
    ------
    UserError
        As in `cnnvis.runs.on.with_request`.
    """
    if into is None or into.on is None:
        return into
    return replace(into, on=with_request(into.on, request))
