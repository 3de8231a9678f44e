"""Maps in Zarr stores, on a disk or in an object store: written shard by shard, read as they are needed.

::

    maps.zarr/zarr.json          the facts about all maps, written last: without it there is no store
    maps.zarr/maps/              (map, row, column, ...) float32, a chunk for each map, many in a shard
    maps.zarr/row/, label/, ...  coordinates, as xarray has them
    maps.zarr/inputs/            the inputs, where they were asked for

`cnnvis.Explanation` itself is in none of the imports, since it offers these functions as methods.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from cnnvis.data import exports, saving
from cnnvis.data.axes import axes_of
from cnnvis.data.lazy import Absent, Array, is_absent
from cnnvis.data.places import STARTS, STEPS, Places
from cnnvis.data.samples import Samples
from cnnvis.data.voxel_grid import VoxelGrid
from cnnvis.errors import UserError, shown
from cnnvis.files.addresses import Address, Place
from cnnvis.files.objects import written_objects
from cnnvis.files.reading import is_deeper, write_whole
from cnnvis.files.snapshots import holding
from cnnvis.files.zarr_stores import zarr_arrays, zarr_attributes, zarr_rows
from cnnvis.reporting import note
from cnnvis.text import words_of

FORMAT = 1
"""Version of these stores."""

SHARD = 2**25
"""Bytes of a shard, before it is packed."""

MOST_IN_A_SHARD = 4096
"""Maximum number of maps in a shard, each a chunk."""

MOST_LISTED = 100_000
"""Maximum number of images that the provenance lists."""

FACTS = "cnnvis"
"""Attribute of a store with all facts that are not arrays."""

_CURVE = "curve_"
_WHOLE = 2**10  # Bytes of a row below which a chunk holds all rows of a shard.
_AT_ONCE = 2**26  # Bytes of maps that are read at a time.
_LONGEST = 2**26  # Letters of the facts.
_DEEPEST = 60
_MOST = 2**31  # Maps of a store.
_WORD = re.compile(r"\w[\w-]{0,199}")  # a name that leads nowhere else
_OWN = ("maps", "inputs", "labels", "target_numbers", STARTS, STEPS)

Put = Callable[[str, bytes], None]


# Written


@dataclass
class _Rows:
    """Array with a row for each map, written a shard at a time."""

    name: str
    dimensions: tuple[str, ...]
    put: Put
    like: Array
    written: int = 0
    waiting: list[Array] = field(default_factory=list)

    @property
    def each(self) -> int:
        """Number of bytes of a row."""
        return max(math.prod(self.like.shape[1:]) * self.like.dtype.itemsize, 1)

    @property
    def rows(self) -> int:
        """Number of rows of a shard."""
        return min(max(SHARD // self.each, 1), MOST_IN_A_SHARD)

    @property
    def count(self) -> int:
        """Number of rows so far."""
        return self.written + sum(map(len, self.waiting))

    def add(self, rows: Array) -> None:
        """Add rows; whole shards of them are written."""
        if rows.shape[1:] != self.like.shape[1:]:
            raise UserError(
                f"a Zarr store holds {self.name} of one shape, and these have {shown(rows.shape[1:])} after "
                f"{shown(self.like.shape[1:])}"
            )
        self.waiting.append(rows)
        while self.count - self.written >= self.rows:
            self._write(self.rows)

    def close(self) -> None:
        """Write what is left."""
        if self.waiting:
            self._write(self.count - self.written)

    def _write(self, count: int) -> None:
        every = np.concatenate(self.waiting) if len(self.waiting) > 1 else self.waiting[0]
        self.waiting = [every[count:]] if len(every) > count else []
        held: dict[str, Any] = {}
        self._array(held, self.rows)[:count] = every[:count]
        number = self.written // self.rows
        for key, data in held.items():
            if key.startswith(f"{self.name}/c"):
                rest = key.removeprefix(f"{self.name}/c.0")
                self.put(f"{self.name}/c.{number}{rest}", data.to_bytes())
        self.written += count

    def array(self, held: dict[str, Any], attributes: Mapping[str, Any]) -> None:
        """Create the array of all rows, without its chunks, in a group."""
        self._array(held, self.count, attributes=dict(attributes))

    def _array(self, held: dict[str, Any], count: int, **settings: Any) -> Any:
        shape, rows = self.like.shape[1:], self.rows
        if self.each < _WHOLE or rows == 1:
            pieces: dict[str, Any] = {"chunks": (rows, *shape)}
        else:
            pieces = {"chunks": (1, *shape), "shards": (rows, *shape)}
        return _created(
            held, self.name, (count, *shape), self.like.dtype, self.dimensions, **pieces, **settings
        )


def _created(
    held: dict[str, Any], name: str, shape: tuple[int, ...], dtype: Any, dimensions: Sequence[str],
    **settings: Any,
) -> Any:  # fmt: skip
    from zarr import create_array
    from zarr.storage import MemoryStore

    fill: Any = np.nan if not isinstance(dtype, str) and dtype.kind == "f" else None
    with warnings.catch_warnings():  # texts are not in the specification yet
        warnings.simplefilter("ignore")
        return create_array(
            MemoryStore(held), name=name, shape=shape, dtype=dtype, dimension_names=tuple(dimensions),
            chunk_key_encoding={"name": "default", "separator": "."},
            fill_value=fill, **settings,
        )  # fmt: skip


@dataclass
class _Written:
    """Store that is being written."""

    put: Put
    takes_inputs: bool
    rows: dict[str, _Rows] = field(default_factory=dict)
    columns: dict[str, list[Any]] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    grids: dict[str, int] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)  # each text of a column is kept once
    contigs: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    first: Any = None
    last: Any = None
    count: int = 0

    def add(self, one: Any) -> None:
        """Add the maps of a batch."""
        self.first = one if self.first is None else self.first
        self.last = one
        self._add_rows("maps", one.axes, one.array)
        samples = one.samples
        if samples is not None:
            self._add_samples(samples)
        own: dict[str, Any] = {}
        if one.targets:
            own["target_number"] = [_number(self.targets, _target(one)) for one in one.targets]
        grids = one.grids if one.grid is None else None
        if grids is not None:
            own["grid_number"] = [
                _number(self.grids, None if grid is None else grid.as_dict()) for grid in grids
            ]
        if one.predictions is not None:
            own["predictions"] = one.predictions.tolist()
        for name, values in {**exports.columns(one), **own}.items():
            if self._is_column(name):
                # A column may begin to be known late.
                known = self.columns.setdefault(name, [None] * self.count)
                known += [None] * (self.count - len(known))
                known += [
                    self.words.setdefault(value, value) if isinstance(value, str) else value
                    for value in values
                ]
            else:
                self.left_out[name] = None
        for name, values in one.curves.items():
            if _WORD.fullmatch(name):
                self._add_rows(f"{_CURVE}{name}", ("step",), values)
            else:
                self.left_out[name] = None
        self._add_places(one.image_places)
        self.notes |= dict.fromkeys(one.notes)
        self.count += len(one)

    def _is_column(self, name: str) -> bool:
        """Tell whether an array of coordinates can have a name, which may be a stranger's measure's."""
        is_taken = name in (*_OWN, *self.first.axes) or name.startswith(_CURVE)
        return _WORD.fullmatch(name) is not None and not is_taken

    def _add_samples(self, samples: Samples) -> None:
        if samples.labels is not None:
            values = np.asarray(samples.labels[:])
            names = [f"of label {place}" for place in range(values.ndim - 1)]
            self._add_rows("labels", names, values)
        if samples.target_numbers is not None:
            self._add_rows("target_numbers", (), samples.target_numbers)
        if self.takes_inputs and not is_absent(samples.source):
            x = samples.x
            self._add_rows("inputs", [f"of input {place}" for place in range(x.ndim - 1)], x)

    def _add_places(self, places: Places | None) -> None:
        if places is None:
            return
        self.contigs += places.contigs
        self.sizes |= places.sizes
        for name, values in places.arrays().items():
            self._add_rows(name, ("of place",) * (values.ndim - 1), values)

    def _add_rows(self, name: str, dimensions: Iterable[str], rows: Array) -> None:
        if name not in self.rows:
            if self.count:
                return  # known of some maps alone
            self.rows[name] = _Rows(name, (self._dimension, *dimensions), self.put, rows[:0])
        self.rows[name].add(rows)

    @property
    def _dimension(self) -> str:
        return exports.first_dimension(self.first)

    def close(self) -> None:
        """Write what is left, and then the metadata, those of the store itself last of all."""
        from zarr import consolidate_metadata, create_group
        from zarr.storage import MemoryStore

        for one in self.rows.values():
            one.close()
        held: dict[str, Any] = {}
        self.last = replace(self.last, provenance=_shortened(self.last.provenance))
        facts = self._facts()
        create_group(
            MemoryStore(held), attributes={**_attributes(self.last, self.notes), FACTS: facts}
        )
        aside = [name for name in self.columns if name != self._dimension]
        for name, one in self.rows.items():
            if one.count == self.count:
                about = {"coordinates": " ".join(aside)} if name == "maps" and aside else {}
                one.array(held, about)
        for name, values in self.columns.items():
            values += [None] * (self.count - len(values))
            _column(held, name, values, self._dimension)
        for name, (values, about) in exports.axis_coordinates(self.first).items():
            _column(held, name, values, name, about)
        with warnings.catch_warnings():  # others read it, and it is not in the specification yet
            warnings.simplefilter("ignore")
            consolidate_metadata(MemoryStore(held))
        for key in sorted(held, key=lambda key: (key == "zarr.json", key)):
            self.put(key, held[key].to_bytes())

    def _facts(self) -> str:
        one, samples = self.last, self.first.samples
        facts = {
            **saving.metadata(self.first), "provenance": dict(one.provenance), "notes": list(self.notes),
            "titles": (), "targets": (), "names": None, "groups": (), "table": None, "places": None,
            "format": FORMAT, "measures": [name for name in one.measures if name in self.columns],
            "target_table": [json.loads(text) for text in self.targets],
            "grid_table": [json.loads(text) for text in self.grids],
            "input_shape": None if samples is None else list(samples.source.shape[1:]),
        }  # fmt: skip
        facts.pop("grids", None)
        if len(self.contigs) == self.count:
            known = self.first.image_places
            facts["places"] = {**known.facts(), "contigs": self.contigs, "sizes": self.sizes}
        return json.dumps(facts)


def _shortened(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance without the places of very many images, which are coordinates anyway."""
    data = provenance.get("data") or {}
    if len(data.get("images") or ()) <= MOST_LISTED:
        return dict(provenance)
    return {**provenance, "data": {key: one for key, one in data.items() if key != "images"}}


def _number(table: dict[str, int], value: Any) -> int:
    return table.setdefault(json.dumps(value), len(table))


def _target(target: Any) -> dict[str, Any]:
    """Return what several maps can have in common of their targets."""
    return {key: one for key, one in vars(target).items() if key not in ("score", "probability")}


def _attributes(one: Any, notes: Iterable[str]) -> dict[str, Any]:
    about = json.dumps(dict(one.provenance), default=str)
    file = (one.provenance.get("model") or {}).get("file")
    title = f"{one.provenance.get('technique', 'maps')}{f' of {file}' if file else ''}"
    return {
        "title": _text(title), "provenance": about, "notes": _text("\n".join(notes)),
        "signed": int(one.is_signed),
    }  # fmt: skip


def _text(text: str) -> str:
    """Return a text with escapes in the place of what is no text, as in names of files."""
    return text.encode(errors="backslashreplace").decode()


def _column(
    held: dict[str, Any], name: str, values: Sequence[Any], dimension: str,
    about: Mapping[str, Any] = {},
) -> None:  # fmt: skip
    """Create an array of coordinates along an axis; what is not known is -1, NaN or nothing."""
    known = [one for one in values if one is not None]
    if all(isinstance(one, int | np.integer) for one in known):
        array = np.array([-1 if one is None else one for one in values], np.int64)
    elif all(isinstance(one, int | float | np.number) for one in known):
        array = np.array([np.nan if one is None else one for one in values], np.float64)
    else:
        texts = ["" if one is None else _text(str(one)) for one in values]
        array = np.array(texts, np.dtypes.StringDType())
    dtype: Any = "string" if array.dtype.kind == "T" else array.dtype
    chunk = max(min(len(array), 2**16), 1)
    made = _created(
        held, name, array.shape, dtype, (dimension,), chunks=(chunk,), attributes=dict(about)
    )
    made[:] = array


def write(stream: Iterable[Any], place: Place, *, inputs: bool = False) -> None:
    """Write the maps of a stream into a new store; see `cnnvis.Stream.write_zarr`."""
    with _putting(place) as put:
        store = _Written(put, inputs)
        for one in stream:
            if one.maps is None:
                raise UserError(
                    "a Zarr store holds maps, and there is a table here: take json, or csv"
                )
            if len(one):
                store.add(one)
        if store.first is None:
            raise UserError("no images are left to write")
        store.close()
        if store.left_out:
            note(
                f"the Zarr store leaves out {words_of(store.left_out)}: no array can have such a name there"
            )
        if store.first.frames is not None:
            note(
                "the Zarr store keeps no frames of the steps in which maps were made; gif shows them"
            )


@contextmanager
def _putting(place: Place) -> Iterator[Put]:
    if isinstance(place, Address):
        with written_objects(place) as put:
            yield put
    else:
        yield lambda key, data: write_whole(place / key, data)


# Read


class _Facts(saving.Facts):
    """Facts of a store: those of a file, with tables of what several maps have in common."""

    format: int = 0
    target_table: tuple[saving.TargetFacts, ...] = ()
    grid_table: tuple[Any, ...] = ()
    measures: Annotated[tuple[str, ...], saving.Few] = ()
    input_shape: Annotated[list[Annotated[int, Meta(ge=1, le=2**31)]], saving.Few] | None = None


def is_store(place: Any) -> bool:
    """Tell whether a place is named as a Zarr store is."""
    return isinstance(place, Path | Address) and place.suffix.lower() == ".zarr"


def read(place: Place, explanation: Callable[..., Any]) -> Iterator[Any]:
    """Yield the maps in a store, some at a time; see `write`.

    Parameters
    ----------
    explanation
        Makes an explanation of its attributes: the class `Explanation`.

    Raises
    ------
    UserError
        If it is none that was written here, or is damaged.
    DiskError
        If an object store cannot be reached.
    """
    where = repr(str(place))
    with holding(place) as held:  # whose check of each file or object goes on afterwards
        arrays = zarr_arrays(place, held)
        attributes = zarr_attributes(place, held)
    try:
        facts = _checked(attributes.get(FACTS))
        maps = arrays.get("maps")
        if maps is None or maps.dtype != np.float32 or not 1 <= maps.shape[0] <= _MOST:
            raise UserError("it has no maps")
    except (UserError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{where} is not an explanation that cnnvis saved: {error}") from error
    each = max(4 * math.prod(maps.shape[1:]), 1)
    rows = max(min(_AT_ONCE // each, 512), 1)
    for start in range(0, maps.shape[0], rows):
        part = slice(start, min(start + rows, maps.shape[0]))
        try:
            found = _explanation(arrays, facts, part, explanation)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, IndexError) as error:
            raise UserError(f"{where} is damaged, or was changed by hand: {error}") from error
        yield found


def _checked(text: Any) -> _Facts:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise UserError(f"it has no text named {FACTS!r}")
    held = json.loads(text)
    if is_deeper(held, _DEEPEST):
        raise UserError(f"its facts nest their values more than {_DEEPEST} deep")
    facts = msgspec.convert(held, _Facts)
    msgspec.convert(facts.provenance, saving.Provenance)
    if facts.format != FORMAT:
        raise UserError(f"its form is {shown(facts.format)}, and this version reads {FORMAT}")
    return facts


def _explanation(
    arrays: Mapping[str, Any], facts: _Facts, part: slice, explanation: Callable[..., Any]
) -> Any:
    """Return the maps of some rows, with all that belongs to them."""
    count, total = part.stop - part.start, arrays["maps"].shape[0]

    def rows(name: str, kinds: str = "biuf") -> Array | None:
        array = arrays.get(name)
        if array is None:
            return None
        if array.ndim < 1 or array.shape[0] != total or 0 in array.shape[1:]:
            raise ValueError(f"{name} has the shape {array.shape} for {total} maps")
        found = np.asarray(zarr_rows(array, part))
        if found.dtype.kind not in kinds:
            raise ValueError(f"{name} has the type {found.dtype}")
        return found

    def words(name: str) -> tuple[str, ...]:
        found = rows(name, "OTU")
        return () if found is None else tuple(map(str, found.tolist()))

    def prefixed(prefix: str, names: Iterable[str]) -> dict[str, Array]:
        every = {name: rows(f"{prefix}{name}") for name in names}
        return {name: one for name, one in every.items() if one is not None}

    maps = rows("maps", "f")
    assert maps is not None
    if not np.isfinite(maps).all():
        raise ValueError("maps hold NaN or infinite values, as where a chunk is missing")
    places = None
    if facts.places is not None:
        own = msgspec.structs.replace(facts.places, contigs=facts.places.contigs[part])
        places = own.places(rows)
    grids = _picked(facts.grid_table, rows("grid_number", "i"))
    if grids is not None:
        grids = tuple(msgspec.convert(one, VoxelGrid | None) for one in grids)
    samples = _samples(facts, rows, words, places, grids) if facts.input_shape is not None else None
    known = {name for name in arrays if _WORD.fullmatch(name)}
    found = explanation(
        maps,
        samples,
        facts.axes,
        words("title"),
        _targets(facts, rows),
        facts.signed,
        facts.are_inputs,
        None,
        facts.notes,
        facts.provenance,
        groups=words("group"),
        input=facts.input,
        measures=prefixed("", [name for name in facts.measures if name in known]),
        curves=prefixed(
            _CURVE, [name.removeprefix(_CURVE) for name in known if name.startswith(_CURVE)]
        ),
        predictions=rows("predictions", "i"),
        own_places=None if samples is not None else places,
        grid=facts.grid,
        own_grids=None if samples is not None else grids,
    )
    if len(found) != count:
        raise ValueError(f"there are {len(found)} maps and {count} rows")
    return found.described(axes_of(facts.coordinates))


def _targets(facts: _Facts, rows: Callable[..., Array | None]) -> tuple[Any, ...]:
    known = _picked(facts.target_table, rows("target_number", "i"))
    if known is None:
        return ()
    numbers = {name: rows(name, "f") for name in ("score", "probability")}
    found = []
    for place, one in enumerate(known):
        own = {
            name: float(values[place])
            for name, values in numbers.items()
            if values is not None and values[place] == values[place]
        }
        found.append(msgspec.structs.replace(one, **own).target())
    return tuple(found)


def _picked(table: Sequence[Any], numbers: Array | None) -> tuple[Any, ...] | None:
    if numbers is None or not table:
        return None
    if numbers.ndim != 1 or numbers.min() < 0 or numbers.max() >= len(table):
        raise ValueError("numbers of targets or grids are not in their table")
    return tuple(table[number] for number in numbers.tolist())


def _samples(
    facts: _Facts,
    rows: Callable[..., Array | None],
    words: Callable[[str], tuple[str, ...]],
    places: Places | None,
    grids: tuple[Any, ...] | None,
) -> Samples:
    indices, inputs, numbers = rows("image", "i"), rows("inputs"), rows("target_numbers", "i")
    if indices is None:
        raise ValueError("it has no array named 'image'")
    return Samples(
        Absent((len(indices), *(facts.input_shape or ()))) if inputs is None else inputs,
        rows("labels"),
        words("name") or None,
        facts.class_names,
        indices.astype(np.int64),
        facts.channel_axis,
        label_kind=facts.label_kind,
        in_words=facts.in_words,
        total=None,
        target_numbers=None if numbers is None else numbers.astype(np.int64),
        places=places,
        grids=grids if facts.grid is None else (facts.grid,) * len(indices),
    )
