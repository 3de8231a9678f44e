"""Files of a shard: what is in them, of a piece of a result, and that piece again.

::

    shards/3.json        facts about the images of shard 3, as `ShardFacts` describes them
    maps/c.3.0.0         its maps, as Zarr stores them; missing if no image has a map
    label/c.3.0.0        labels of the images' positions, if there are such labels
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis.data.batches import Failure, Piece
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.data.voxel_grid import common_grid
from cnnvis.errors import UserError
from cnnvis.explain.tally import constant_maps
from cnnvis.reporting import note, notes_kept
from cnnvis.runs import arrays
from cnnvis.runs.schema import (
    LARGEST_ARRAY,
    ShardFacts,
    array_limit,
    decoded,
    facts_limit,
    places_of,
)
from cnnvis.runs.seals import plain


def facts_name(number: int) -> str:
    """Return the name of the file of facts about a shard."""
    return f"shards/{number}.json"


def maps_name(number: int, shape: Sequence[int]) -> str:
    """Return the name of the file of a shard's maps, each of this shape."""
    return f"maps/c.{number}{'.0' * len(shape)}"


def limits(number: int, places: range, size: int, facts: ShardFacts) -> dict[str, int]:
    """Return the files of a shard with these facts, and the maximum number of bytes of each.

    `size` is the number of images in a full shard, for which each file of an array has room.
    """
    files = {facts_name(number): facts_limit(len(places))}
    if (shape := facts.shape) is not None:
        files[maps_name(number, shape)] = array_limit(size, shape, 4)
    if (label := facts.labels_of_positions) is not None:
        name = f"label/c.{number}{'.0' * len(label.shape)}"
        files[name] = array_limit(size, label.shape, np.dtype(label.dtype).itemsize)
    return files


def read_facts(data: bytes, places: range) -> ShardFacts | None:
    """Parse the facts about a shard's images from its file; None if the file is not valid."""
    found: ShardFacts | None = decoded(data, ShardFacts)
    return found if found is not None and found.fits(places) else None


@dataclass(frozen=True)
class Content:
    """Content of a shard's files: all that is read of the samples, so that any thread can write it.

    Attributes
    ----------
    places
        The places of the shard's images in the run.
    facts
        The facts about the images, not written yet.
    maps
        The maps of the images that did not fail, (n, ...); None if all failed.
    labels
        Labels of the positions of all images, (n, ...); None if they have no such labels.
    failed
        Why images failed, by their places, as a line of the journal says it.
    """

    places: range
    facts: Mapping[str, Any]
    maps: Array | None
    labels: Array | None
    failed: dict[str, str]

    @classmethod
    def of(cls, piece: Piece, samples: Samples) -> Content:
        """Take the content of a shard from a piece of a result, and from the samples of the run."""
        labels = samples.labels if samples.label_kind == "positions" else None
        return cls(
            piece.places,
            _facts(piece, samples),
            None if piece.found is None else piece.found.array,
            None if labels is None else labels[list(piece.places)],
            {str(place): one.reason for place, one in piece.failed.items()},
        )

    def written_facts(self) -> tuple[bytes, ShardFacts]:
        """Return the facts as their file has them, and as they will be read again.

        Raises
        ------
        UserError
            If they cannot be read again.
        """
        written = plain(self.facts) + b"\n"
        known = read_facts(written, self.places)
        if known is None:
            raise UserError(
                f"a run folder cannot keep the result of the images from place {self.places.start} on: "
                "it must hold numbers and text, one for each map"
            )
        return written, known

    def files(self, number: int, size: int, facts: bytes) -> dict[str, bytes]:
        """Return the files by their names.

        Parameters
        ----------
        number, size
            The number of the shard, and the number of images in a full shard.
        facts
            The content of the file of facts; see `written_facts`.

        Raises
        ------
        UserError
            If a file is too large.
        """
        files = {facts_name(number): facts}
        if self.maps is not None:
            # Where an image failed, there is NaN.
            rows = np.full((size, *self.maps.shape[1:]), np.nan, np.float32)
            good = good_places(self.places, self.failed)
            rows[[place - self.places.start for place in good]] = self.maps
            files |= [arrays.encoded_maps(rows, number)]
        if self.labels is not None:
            rows = np.zeros((size, *self.labels.shape[1:]), self.labels.dtype)
            rows[: len(self.labels)] = self.labels
            files |= [arrays.encoded_labels(rows, number)]
        self._require_short(number, size, files)
        return files

    def _require_short(self, number: int, size: int, files: Mapping[str, bytes]) -> None:
        """Refuse files that are longer than those of a shard may be."""
        for name, data in files.items():
            is_facts = name == facts_name(number)
            if len(data) > (facts_limit(len(self.places)) if is_facts else LARGEST_ARRAY):
                raise UserError(
                    f"a shard of {size} images takes {len(data)} bytes for {name}, which is more than a "
                    "run folder keeps: name a smaller --shard-size"
                )


def good_places(places: range, failed: Mapping[str, Any]) -> list[int]:
    """Return the places of the images that have maps, of which none is a key of `failed`."""
    return [place for place in places if str(place) not in failed]


def piece_of(
    places: range, facts: ShardFacts, maps: Array | None, samples: Samples | None
) -> Piece:
    """Return the piece of a result that a shard's files hold.

    Parameters
    ----------
    maps, samples
        The maps, and the images, of `good_places`; None if these are none.
    """
    found = None
    if maps is not None and samples is not None:
        found = Explanation(
            maps,
            samples,
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
    # In JSON they are in the order of text.
    failed = {place: Failure(*facts.failed[str(place)]) for place in _in_order(facts.failed)}
    constant = None
    if facts.constant is not None:
        constant = {place: facts.constant[str(place)] for place in _in_order(facts.constant)}
    return Piece(places, found, failed, tuple(facts.notes), tuple(facts.blank), constant)


def without_frames(found: Explanation) -> Explanation:
    """Return a result as a run folder keeps it."""
    if found.frames is None:
        return found
    lost = "a run folder keeps no frames of the steps in which maps were made; without a folder, gif shows them"
    return replace(found, frames=None, notes=(*found.notes, lost))


def _in_order(places: Iterable[str]) -> list[int]:
    return sorted(map(int, places))


def _facts(piece: Piece, samples: Samples) -> dict[str, Any]:
    """Return the facts about a shard's images besides their maps."""
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
    with notes_kept() as notes:  # which a worker's client reads among the facts
        known = None if samples.places is None else places_of(samples.places.picked(places))
    for sentence in notes:
        note(sentence)
    if known is not None:
        more["places"] = known
    return {
        **more,
        "index": samples.indices[places].tolist(),
        "label": None if labels is None or positions else labels[places].tolist(),
        "failed": {str(place): [one.kind, one.reason] for place, one in piece.failed.items()},
        "notes": [*piece.notes, *notes],
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
    }


def _constant(piece: Piece) -> dict[str, float]:
    if piece.found is None:
        return {}
    known = constant_maps(piece.found) if piece.constant is None else piece.constant
    return {str(place): value for place, value in known.items()}
