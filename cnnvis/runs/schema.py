"""Content of the files of a run folder, with size limits: the files may come from a stranger."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct, field

from cnnvis.data.batches import Kind
from cnnvis.data.places import STARTS, STEPS, PlaceFacts, Places
from cnnvis.data.target import Target
from cnnvis.data.voxel_grid import VoxelGrid
from cnnvis.errors import UserError
from cnnvis.files.reading import is_deeper
from cnnvis.network.compilation import Compile
from cnnvis.reporting import note

NAMES = ("maps", "index", "label", "score", "class", "prediction", "status")
"""Arrays of a part's Zarr group."""

MOST_SHARDS = 10**6
MOST_IN_A_SHARD = 10**6
LONGEST_MANIFEST = 2**26
"""Maximum number of bytes of a manifest; most of them say which images were chosen."""

LONGEST_LINE = 2**26
LARGEST_ARRAY = 2**32
"""Maximum number of bytes of a shard's file of maps or labels."""

_DEEPEST = 20

Hex = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Length = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Word = Annotated[str, Meta(max_length=10_000)]
Shape = Annotated[list[Length], Meta(max_length=32)]

Position = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,15})\Z")]
"""Place of an image or a map, as a key of JSON."""

FileName = Annotated[
    str, Meta(max_length=100, pattern=rf"^(zarr\.json|(shards|{'|'.join(NAMES)})/[a-z0-9][a-z0-9.]*)$")
]  # fmt: skip


class TechniqueFacts(Struct):
    """Facts about a technique: its name, its options and the version of its code."""

    technique: Word
    options: dict[str, Any]
    distribution: Word | None
    version: Word | None
    source: Word | None


class DataFacts(Struct):
    """Facts about the data: their origin and number."""

    file: Word | None
    sha256: Hex
    count: Count
    shapes: dict[str, list[int]]
    grid: VoxelGrid | None = None


class Computed(Struct):
    """Settings of the computation."""

    compile: Compile
    batch_size: Annotated[int, Meta(ge=1, le=2**31)]
    shard_size: Annotated[int, Meta(ge=1, le=MOST_IN_A_SHARD)]
    threads: Annotated[int, Meta(ge=0, le=2**31)] | None
    mixed_precision: bool


class OrderFacts(Struct):
    """Orders of an exchangeable axis, of which maps are averages."""

    shown: Word


class Manifest(Struct):
    """Manifest; see `cnnvis.runs.manifest`."""

    versions: dict[str, Word]
    techniques: Annotated[list[TechniqueFacts], Meta(min_length=1, max_length=1000)]
    model: dict[str, Any]
    data: DataFacts
    images: list[tuple[Count, Count]]
    inputs: Annotated[list[Word], Meta(max_length=1000)]
    reading: dict[str, Any]
    class_names: list[Word] | None
    part: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}/[1-9][0-9]{0,8}$")]
    computed: Computed
    orders: OrderFacts | None = None


class Line(Struct, forbid_unknown_fields=True):
    """Line of a shard in a journal."""

    run: Hex
    shard: Length
    images: tuple[Count, Count]
    files: Annotated[dict[FileName, Hex], Meta(max_length=3)]
    failed: dict[Position, Word]


class End(Struct, forbid_unknown_fields=True):
    """Line of a journal after those of all shards."""

    run: Hex
    files: Annotated[dict[FileName, Hex], Meta(max_length=100)]


class LabelArray(Struct):
    """Labels of an image's positions, as the array holds them."""

    shape: Shape
    dtype: Annotated[str, Meta(pattern="^(bool|(u?int|float)(8|16|32|64))$")]


class ShardPlaces(PlaceFacts):
    """Places of a shard's images in a genome, with the arrays of `Places` as lists."""

    starts: list[list[Whole] | float]
    steps: list[float] | None = None

    def known(self) -> Places:
        """Return the places.

        Raises
        ------
        UserError
            If the lists do not fit together.
        """
        lists = {STARTS: self.starts, STEPS: self.steps}
        if len({len(row) if isinstance(row, list) else -1 for row in self.starts}) > 1:
            raise UserError("rows of places have different lengths")
        return self.places(lambda name: None if lists[name] is None else np.array(lists[name]))


LARGEST_PLACES = 2**16 - 2**13
"""Maximum number of letters of an image's places among the facts about a shard; see `facts_limit`."""


def places_of(places: Places | None) -> dict[str, Any] | None:
    """Return places as plain values for `ShardPlaces`; None, with a note, where they are too long."""
    if places is None:
        return None
    if places.steps is None:
        letters = len(str(places.starts.max(initial=0))) + 1
        if letters * places.length > LARGEST_PLACES:
            note(
                f"run folders do not keep the places of images of {places.length:,} variants; maps that are "
                "read from the folder without the data have none"
            )
            return None
    steps = None if places.steps is None else places.steps.tolist()
    return {**places.facts(), "starts": places.starts.tolist(), "steps": steps}


class ShardFacts(Struct):
    """Facts about a shard's images besides their maps; lists of as many as the maps."""

    index: list[Whole]
    label: list[Any] | None
    failed: dict[Position, tuple[Kind, Word]]
    notes: list[str]
    blank: list[str]
    shape: Shape | None
    axes: list[Word]
    titles: list[str]
    targets: list[Target]
    signed: bool | None
    are_inputs: bool
    result_notes: list[str] = field(name="notes of the result")
    measures: dict[str, list[float]]
    constant: dict[Position, float] | None = None
    prediction: list[Whole] | None = None
    labels_of_positions: LabelArray | None = field(name="label of positions", default=None)
    curves: dict[str, list[list[float]]] = {}
    places: ShardPlaces | None = None
    grids: list[VoxelGrid | None] | None = None

    def fits(self, places: range) -> bool:
        """Tell whether all lists are of the required number of images."""
        failed = {int(place) for place in self.failed}
        good = len(places) - len(failed)
        has_maps = self.shape is not None
        return (
            failed <= {*places}
            and has_maps == (good > 0)
            and len(self.index) == len(places)
            and (self.label is None or _are_labels(self.label, len(places)))
            and all(int(place) < good for place in self.constant or ())
            and len(self.titles) in (0, good)
            and len(self.targets) in (0, good)
            and all(len(one) == good for one in self.measures.values())
            and all(
                len(one) == good and len({len(row) for row in one}) < 2
                for one in self.curves.values()
            )
            and (self.prediction is None or len(self.prediction) == good)
            and (self.grids is None or len(self.grids) == len(places))
            and len(self.axes) == len(self.shape or ())
            and (self.places is None or _are_places(self.places, len(places)))
            and all(_is_whole(unit) for target in self.targets for unit in target.filters)
        )


def _are_labels(labels: list[Any], count: int) -> bool:
    """Tell whether labels are `count` numbers, or `count` lists of equal length."""
    rows = labels if labels and isinstance(labels[0], list) else [labels]
    return (
        len(labels) == count
        and all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows)
        and all(isinstance(one, float) or _is_whole(one) for row in rows for one in row)
    )


def _are_places(found: ShardPlaces, count: int) -> bool:
    try:
        return len(found.known()) == count
    except UserError:
        return False


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


def held(value: Any, kind: type[Any]) -> Any:
    """Convert a plain value to a type; None if the value does not fit."""
    try:
        return None if is_deeper(value, _DEEPEST) else msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError, UserError):
        return None


def decoded(data: bytes, kind: type[Any]) -> Any:
    """Parse a value of a type from JSON; None if it is not valid."""
    try:
        return msgspec.json.decode(data, type=kind)  # in a fourth of the time
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, UserError):
        pass
    try:
        return held(json.loads(data), kind)  # with NaN, which is no JSON for msgspec
    except (ValueError, RecursionError):
        return None


def facts_limit(images: int) -> int:
    """Return the maximum number of bytes of facts about so many images."""
    return min(2**20 + 2**16 * images, 2**26)


def array_limit(rows: int, shape: list[int], size: int) -> int:
    """Return the maximum number of bytes of a file of so many rows, packed or not.

    `size` is the number of bytes of each element.
    """
    return min(rows * math.prod(shape) * size * 33 // 32 + 2**12, LARGEST_ARRAY)


def require_shards(count: int, size: int) -> None:
    """Refuse more shards than a run folder has.

    Raises
    ------
    UserError
        If there are.
    """
    if -(-count // size) > MOST_SHARDS:
        raise UserError(
            f"{count} images in shards of {size} are more than {MOST_SHARDS} shards: name a larger "
            "--shard-size"
        )
