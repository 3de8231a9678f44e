"""Results that were kept in files and run folders, to be shown and changed without their network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data import zarr_maps
from cnnvis.data.explanation import Explanation
from cnnvis.data.lazy import is_absent
from cnnvis.data.stream import Stream
from cnnvis.errors import UserError
from cnnvis.files.addresses import Address, place_of
from cnnvis.registry.plugin import Result
from cnnvis.runs.folder import MANIFEST
from cnnvis.runs.reading import streams_in

Kept = tuple[Mapping[str | None, Stream], Result]
"""Streams by the names of inputs, and the kind of the result."""


def is_kept(path: Any) -> bool:
    """Tell whether a path is of a kept result: of the renderer numpy or zarr-maps, or a run folder."""
    if not isinstance(path, str | PathLike):
        return False
    place = place_of(path)
    if isinstance(place, Address) or zarr_maps.is_store(place):
        return zarr_maps.is_store(place)
    return place.suffix == ".npz" or (place / MANIFEST).is_file()


def results_in(path: Any) -> list[Kept]:
    """Return the results in a file or run folder.

    Raises
    ------
    UserError
        If it is none that cnnvis wrote, or is damaged.
    """
    place = place_of(path)
    if zarr_maps.is_store(place):
        first = next(iter(zarr_maps.read(place, Explanation)))
        return [({first.input: Stream(partial(zarr_maps.read, place, Explanation))}, _kind(first))]
    assert isinstance(place, Path)  # as `is_kept` says
    if place.suffix != ".npz":
        return [(streams, "images") for streams in streams_in(place)]
    found = Explanation.load(place)
    for one in (found, *found.other_inputs):
        if one.maps is not None and not np.isfinite(one.maps).all():
            raise UserError(
                f"the maps in {str(place)!r} hold NaN or infinite values, which cnnvis does not save: the file "
                "was changed"
            )
    streams = {one.input: _stream(one) for one in (found, *found.other_inputs)}
    return [(streams, _kind(found))]


def _stream(one: Explanation) -> Stream:
    return Stream(lambda: [replace(one, other_inputs=())])


def _kind(found: Explanation) -> Result:
    if found.maps is None:
        return "table"
    if found.groups:
        return "groups"
    return "images" if found.samples is not None else "pictures"


def without_absent_inputs(found: Explanation) -> Explanation:
    """Return an explanation whose inputs can be drawn: without samples, where no inputs were kept.

    The titles say what the samples said.
    """
    if found.samples is None or not is_absent(found.samples.source):
        return found
    titles = tuple(found.title(row) for row in range(len(found)))
    places, grids = found.samples.places, found.samples.grids
    return replace(
        found, samples=None, titles=titles, predictions=None, own_places=places, own_grids=grids
    )


def require_no_subject(path: Any, given: Mapping[str, Any]) -> None:
    """Refuse arguments that are for a network, where kept results are shown.

    Raises
    ------
    UserError
        If there is one.
    """
    asked = [name for name, value in given.items() if value is not None and value is not False]
    if asked:
        raise UserError(
            f"{str(path)!r} holds maps that are there already, so {asked[0]} has no meaning: it is for "
            "a network that is explained"
        )
