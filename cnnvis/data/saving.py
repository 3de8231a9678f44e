"""Explanations in ``.npz`` files: written as NumPy would, and read as the files of strangers.

`cnnvis.Explanation` itself is in none of the imports, since it offers these functions as methods.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, overload
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import msgspec
import numpy as np
from msgspec import Meta
from numpy.lib.format import dtype_to_descr, write_array_header_1_0

from cnnvis.data.axes import axes_of
from cnnvis.data.frames import Frames
from cnnvis.data.labels import LabelKind
from cnnvis.data.places import PlaceFacts, Places
from cnnvis.data.samples import Array, ArrayLike, Samples
from cnnvis.data.target import Target
from cnnvis.data.verdict import Verdict
from cnnvis.data.voxel_grid import VoxelGrid
from cnnvis.errors import UserError, shown
from cnnvis.files.addresses import Place
from cnnvis.files.npy import StoredArray, stored_arrays
from cnnvis.files.reading import is_deeper
from cnnvis.text import file_name, parted

T = TypeVar("T")

_MEASURE = "measure_"
"""Prefix of the names of arrays with measures of the maps."""

_CURVE = "curve_"
"""Prefix of the names of arrays with curves of the maps."""

# Written


def write(explanation: Any, path: Path) -> None:
    """Write a file; see `Explanation.write`."""
    samples = explanation.samples
    arrays: dict[str, ArrayLike] = {}
    if explanation.maps is not None:
        arrays["maps"] = explanation.maps
    if samples is not None:
        arrays["inputs"] = samples.source
        arrays["indices"] = np.asarray(samples.indices)
        if samples.labels is not None:
            arrays["labels"] = samples.labels
        if samples.target_numbers is not None:
            arrays["target_numbers"] = samples.target_numbers
    if (places := _places(explanation)) is not None:
        arrays |= places.arrays()
    arrays |= {f"{_MEASURE}{name}": one for name, one in explanation.measures.items()}
    arrays |= {f"{_CURVE}{name}": one for name, one in explanation.curves.items()}
    if explanation.frames is not None:
        arrays |= {"frames": explanation.frames.maps, "frame_steps": explanation.frames.steps}
    if explanation.predictions is not None:
        arrays["predictions"] = explanation.predictions
    arrays["metadata"] = np.array(_text(metadata(explanation)))
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            _write_array(archive, f"{name}.npy", array)


def _text(facts: Mapping[str, Any]) -> str:
    """Return legible JSON; surrogates, which are no text, are escaped."""
    text = json.dumps(facts, ensure_ascii=False)
    return text if text.encode(errors="replace").decode() == text else json.dumps(facts)


def _places(one: Any) -> Places | None:
    found: Places | None = one.own_places if one.samples is None else one.samples.places
    return found


def metadata(one: Any) -> dict[str, Any]:
    """Return all that is saved of an explanation beside its arrays, as plain values."""
    samples = one.samples
    return {
        "axes": one.axes,
        "titles": one.titles,
        "targets": [vars(target) for target in one.targets],
        "signed": one.signed,
        "are_inputs": one.are_inputs,
        "table": None if one.table is None else {k: list(v) for k, v in one.table.items()},
        "notes": one.notes,
        "names": samples.names if samples else None,
        "channel_axis": samples.channel_axis if samples else None,
        "class_names": samples.class_names if samples else None,
        "label_kind": samples.label_kind if samples else None,
        "in_words": samples.in_words if samples else False,
        "provenance": dict(one.provenance),
        "coordinates": {name: axis.as_dict() for name, axis in one.coordinates.items()},
        "groups": one.groups,
        "places": None if (places := _places(one)) is None else places.facts(),
        "input": one.input,
        "other_inputs": [other.input for other in one.other_inputs if other.input is not None],
        **_grids(one),
    }


def _grids(one: Any) -> dict[str, Any]:
    """Return the grids of volumes: that of all images, or else that of each."""
    if one.grid is not None:
        return {"grid": one.grid.as_dict()}
    grids = one.own_grids if one.samples is None else one.samples.grids
    if grids is None:
        return {}
    return {"grids": [None if grid is None else grid.as_dict() for grid in grids]}


PIECE = 2**22
"""Maximum number of bytes of an array that are written at a time."""

SHRINKS = 0.8
"""Ratio of sizes above which an array is stored unpacked: packing would only take time."""


def _write_array(archive: ZipFile, name: str, array: ArrayLike) -> None:
    """Write a member of an archive as NumPy would write it, piece by piece."""
    shape = tuple(array.shape)
    rows = max(PIECE // max(math.prod(shape[1:]) * array.dtype.itemsize, 1), 1)

    def pieces() -> Iterator[bytes]:
        if not shape:
            yield np.asarray(array).tobytes()
            return
        for start in range(0, shape[0], rows):
            some = np.asarray(array[np.arange(start, min(start + rows, shape[0]))])
            yield some.astype(array.dtype, copy=False).tobytes()

    info = ZipInfo(name)
    first = next(pieces(), b"")
    if len(zlib.compress(first, 1)) < SHRINKS * len(first):
        info.compress_type = ZIP_DEFLATED
    header = {"descr": dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    with archive.open(info, "w", force_zip64=True) as member:
        write_array_header_1_0(member, header)
        for piece in pieces():
            member.write(piece)


# Read

# How long things can be: far longer than any that was written, and far from what could do harm.
Few = Meta(max_length=2**10)
_DEEPEST = 49
_LONGEST, _LONGEST_EACH = 2**24, 2**12  # letters of metadata, and more of them for each map


class TargetFacts(msgspec.Struct, forbid_unknown_fields=True):
    """Facts of a map's target."""

    layer: str
    filters: tuple[int, ...]
    class_names: tuple[str, ...] | None = None
    score: float | None = None
    probability: float | None = None
    region: str | None = None

    def target(self) -> Target:
        """Return the target."""
        return Target(**msgspec.structs.asdict(self))


class _Transform(msgspec.Struct):
    transform: str


class _Metric(msgspec.Struct):
    metric: str
    verdict: Verdict | None = None


class _Orders(msgspec.Struct):
    shown: str


class Provenance(msgspec.Struct):
    """Fields of the provenance that are read; other fields may exist."""

    technique: str = ""
    target: str | None = None
    options: dict[str, Any] = {}
    model: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    transforms: Annotated[list[_Transform], Few] = []
    metrics: Annotated[list[_Metric], Few] = []
    checks: Annotated[list[_Metric], Few] = []
    orders: _Orders | None = None
    reading: dict[str, Any] = {}


class Facts(msgspec.Struct):
    """Facts that are saved beside the arrays."""

    axes: Annotated[tuple[str, ...], Few]
    titles: tuple[str, ...]
    targets: tuple[TargetFacts, ...]
    signed: bool | None
    are_inputs: bool
    table: Annotated[dict[str, list[Any]], Few] | None
    notes: tuple[str, ...]
    names: tuple[str, ...] | None
    channel_axis: Literal[-1, 1] | None
    class_names: tuple[str, ...] | None
    provenance: dict[str, Any]
    label_kind: LabelKind | None = None
    in_words: bool = False
    coordinates: Annotated[dict[str, dict[str, Any]], Few] = {}
    groups: tuple[str, ...] = ()
    places: PlaceFacts | None = None
    input: str | None = None
    other_inputs: Annotated[tuple[str, ...], Few] = ()
    grid: VoxelGrid | None = None
    grids: tuple[VoxelGrid | None, ...] | None = None


def read(path: Path, explanation: Callable[..., T]) -> T:
    """Read a file, and those of other inputs beside it; see `Explanation.load`.

    Parameters
    ----------
    explanation
        Makes an explanation of its attributes: the class `Explanation`.

    Raises
    ------
    UserError
        If it is none that was written here.
    """
    first, names = _read(path, explanation)
    others, lacking = [], []
    for name in dict.fromkeys(names):
        places = _places_beside(path, first.input, name)
        found = [
            one
            for place in places
            if place.is_file() and (one := _read(place, explanation)[0]).input == name
        ]
        others += found[:1]
        if not found:
            lacking.append(
                f"the maps of the input {name!r} are missing: their file {places[0].name!r} is no "
                "longer beside this file"
            )
    made: T = replace(first, other_inputs=tuple(others), notes=(*first.notes, *lacking))
    return made


@overload
def beside_path(path: Path, name: str | None) -> Path: ...


@overload
def beside_path(path: Place, name: str | None) -> Place: ...


def beside_path(path: Place, name: str | None) -> Place:
    """Return the path for the maps of another input beside those in a file: ``maps_right.npz``."""
    stem, ending = parted(path.name)
    return path.with_name(f"{stem}_{file_name(str(name))}{ending}")


def _places_beside(path: Path, own: str | None, name: str) -> list[Path]:
    """Return the possible paths of the maps of another input beside a file with those of `own`.

    A run puts every input into its file's name, `save` all but the first.
    """
    end = f"_{file_name(str(own))}"
    stem = path.stem.removesuffix(end)
    named = [beside_path(path.with_stem(stem), name)] if stem and stem != path.stem else []
    return [*named, beside_path(path, name)]


def _read(path: Path, explanation: Callable[..., Any]) -> tuple[Any, tuple[str, ...]]:
    """Return the content of one file, and the names of the inputs whose maps are beside it."""
    try:
        arrays = stored_arrays(path)
        facts = _facts(arrays)
        samples = _samples(arrays, facts)
        found = explanation(
            _array(arrays, "maps"),
            samples,
            facts.axes,
            facts.titles,
            tuple(one.target() for one in facts.targets),
            facts.signed,
            facts.are_inputs,
            facts.table,
            facts.notes,
            facts.provenance,
            groups=facts.groups,
            input=facts.input,
            measures=_by_name(arrays, _MEASURE),
            curves=_by_name(arrays, _CURVE),
            frames=_frames(arrays),
            predictions=_whole(arrays, "predictions"),
            own_places=None if samples is not None else _known_places(arrays, facts),
            grid=facts.grid,
            own_grids=None if samples is not None else facts.grids,
        )
        return found.described(axes_of(facts.coordinates)), facts.other_inputs
    except (UserError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{str(path)!r} is not an explanation that cnnvis saved: {error}"
        ) from error


def _facts(arrays: Mapping[str, StoredArray]) -> Facts:
    stored = arrays.get("metadata")
    if stored is None or stored.shape != () or stored.dtype.kind != "U":
        raise UserError("it has no text named 'metadata'")
    maps = arrays.get("maps")
    most = _LONGEST + _LONGEST_EACH * (maps.shape[0] if maps is not None and maps.shape else 0)
    if stored.dtype.itemsize // 4 > most:
        raise UserError(f"its metadata have {stored.dtype.itemsize // 4} letters, far too many")
    held = json.loads(str(stored[...]))
    if is_deeper(held, _DEEPEST):
        raise UserError(f"its metadata nest their values more than {_DEEPEST} deep")
    facts = msgspec.convert(held, Facts)
    msgspec.convert(facts.provenance, Provenance)
    if len({len(column) for column in (facts.table or {}).values()}) > 1:
        raise UserError("the columns of its table have different lengths")
    return facts


def _array(arrays: Mapping[str, StoredArray], name: str) -> Array | None:
    return None if name not in arrays else _numbers(arrays[name], name)


def _numbers(stored: StoredArray, name: str) -> Array:
    """Return an array of numbers with at least one axis and one value for each map."""
    if stored.dtype.kind not in "biuf" or not stored.shape or 0 in stored.shape[1:]:
        raise UserError(
            f"its {name} are of the type {stored.dtype} and the shape {shown(stored.shape)}, and "
            "must hold numbers for each image"
        )
    return stored[...]


def _by_name(arrays: Mapping[str, StoredArray], prefix: str) -> dict[str, Array]:
    """Return the arrays of numbers whose names begin with a prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): _numbers(stored, name)
        for name, stored in arrays.items()
        if name.startswith(prefix)
    }


def _whole(arrays: Mapping[str, StoredArray], name: str) -> Array | None:
    """Return an array with a whole number for each image; None without such an array."""
    stored = arrays.get(name)
    if stored is None:
        return None
    if stored.dtype.kind not in "iu" or len(stored.shape) != 1:
        raise UserError(
            f"its {name} are of the type {stored.dtype} and the shape {shown(stored.shape)}, and "
            "must hold a whole number for each image"
        )
    return stored[...]


def _frames(arrays: Mapping[str, StoredArray]) -> Frames | None:
    maps, steps = _array(arrays, "frames"), _whole(arrays, "frame_steps")
    return None if maps is None or steps is None else Frames(maps, steps)


def _samples(arrays: Mapping[str, StoredArray], facts: Facts) -> Samples | None:
    inputs, indices = _array(arrays, "inputs"), _whole(arrays, "indices")
    if inputs is None:
        return None
    if indices is None or len(indices) != len(inputs):
        count = "none" if indices is None else len(indices)
        raise UserError(f"it has {len(inputs)} inputs, and places in the data for {count} of them")
    labels, numbers = arrays.get("labels"), _whole(arrays, "target_numbers")
    return Samples(
        inputs,
        None if labels is None else labels[...],
        facts.names,
        facts.class_names,
        indices,
        facts.channel_axis,
        label_kind=facts.label_kind,
        in_words=facts.in_words,
        target_numbers=None if numbers is None else numbers.astype(np.int64),
        places=_known_places(arrays, facts),
        grids=facts.grids if facts.grid is None else (facts.grid,) * len(inputs),
    )


def _known_places(arrays: Mapping[str, StoredArray], facts: Facts) -> Places | None:
    return None if facts.places is None else facts.places.places(lambda name: _array(arrays, name))
