"""Reader of inputs and labels from HDF5 files and Zarr stores, as they are needed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.readers._parts import chosen_of, is_large, samples_of

_MOST_OF_LABELS = 100_000  # Pieces of all labels.
_LONGEST_AXIS = 2**20  # Coordinates of an axis.
_LONGEST_WORD = 200  # Letters of the name or the unit of an axis.


class _Lazy:
    """A stored array that is read piece by piece, in any order of samples."""

    def __init__(self, stored: Any, path: Path | cnnvis.Address) -> None:
        self._stored, self._path = stored, path
        self.shape: tuple[int, ...] = tuple(stored.shape)
        self.dtype = stored.dtype

    def __getitem__(self, index: Any) -> Any:
        try:
            return self._read(index)
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            raise cnnvis.UserError(f"{str(self._path)!r} cannot be read: {error}") from error

    def _read(self, index: Any) -> Any:
        import numpy as np

        if isinstance(index, slice):
            return _rows(self._stored, index)
        places = np.arange(self.shape[0])[index]
        if places.ndim == 0 or not places.size:
            return (
                np.asarray(self._stored[places])
                if places.size
                else np.empty((0, *self.shape[1:]), self.dtype)
            )
        if np.array_equal(places, np.arange(places[0], places[0] + len(places))):
            return _rows(self._stored, slice(int(places[0]), int(places[-1]) + 1))
        rising, back = np.unique(places, return_inverse=True)
        return _rows(self._stored, rising)[back]


def _rows(stored: Any, rows: Any) -> Any:
    """Return rows of a dataset or an array: those of a slice, or at rising places."""
    import numpy as np

    if hasattr(stored, "oindex"):  # of Zarr
        return np.asarray(cnnvis.zarr_rows(stored, rows))
    if isinstance(rows, slice):
        return np.asarray(stored[rows])
    # HDF5 gives rows in rising order only, and each but once.
    return np.stack([np.asarray(stored[int(place)]) for place in rows])


@cnnvis.reader("hdf5", suffixes=(".h5", ".hdf5", ".hdf"))
def hdf5(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read datasets of an HDF5 file, piece by piece: inputs X, labels y, class_names.

    For a network with several inputs, the file holds a dataset for each input, with the name of the
    input.

    Parameters
    ----------
    x
        The dataset of inputs, by its path in the file. By default X, x, images, inputs or data.
    y
        The dataset of labels. By default y, Y, labels or targets, if there is one.
    """
    import h5py

    source = cnnvis.held(path)
    cnnvis.require_sound_hdf5(path)
    try:
        file = cnnvis.open_hdf5(source.place)
        held: dict[str, Any] = {}
        file.visititems(lambda name, one: _keep(held, name, one, h5py.Dataset))
        parts = chosen_of(held, x, y, str(path), "--hdf5.x")
        return _samples(parts, path, lambda one: h5py.check_string_dtype(one.dtype) is not None)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as HDF5: {error}") from error


def _keep(held: dict[str, Any], name: str, one: Any, kind: type) -> None:
    if isinstance(one, kind):
        held[name] = one


def _is_zarr(path: Path | cnnvis.Address) -> bool:
    if isinstance(path, cnnvis.Address):
        return not path.suffix  # nothing else is read from there
    if (path / "call_genotype").is_dir():  # of VCF Zarr, which another reader takes
        return False
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


@cnnvis.reader("zarr", suffixes=(".zarr",), accepts=_is_zarr, remote=True)
def zarr(
    path: Path | cnnvis.Address, *, x: str | None = None, y: str | None = None
) -> cnnvis.Samples:
    """Read arrays of a Zarr store, piece by piece: inputs X, labels y, class_names.

    The store is a folder, or lies at an address: s3://bucket/images.zarr. Names and coordinates of axes, as
    xarray writes them, stay with the images.

    Parameters
    ----------
    x
        The array of inputs. By default X, x, images, inputs or data, or the only array.
    y
        The array of labels. By default y, Y, labels or targets, if there is one.
    """
    held = cnnvis.held(path)
    try:
        every = cnnvis.zarr_arrays(path, held)
        if x is None and "call_genotype" in every:
            raise cnnvis.UserError(
                f"{str(path)!r} is a VCF Zarr store: give it the ending .vcz, and cnnvis reads windows of its "
                "genotypes (cnnvis show vcz)"
            )
        parts = chosen_of(_without_coordinates(every, x, y), x, y, str(path), "--zarr.x")
        samples = _samples(parts, path, lambda one: one.dtype.kind == "O")
        return replace(samples, coordinates=_axes_of(parts["X"], samples, every))
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as Zarr: {error}") from error


def _without_coordinates(every: Mapping[str, Any], *asked: str | None) -> dict[str, Any]:
    """Return arrays without those that hold the coordinates of an axis, but for those that are asked for."""
    return {
        name: one for name, one in every.items() if name in asked or _dimensions(one) != (name,)
    }


def _dimensions(array: Any) -> tuple[str | None, ...]:
    """Return the names of an array's axes, as Zarr has them, or as xarray writes them for version 2."""
    known: Any = getattr(array.metadata, "dimension_names", None)
    if known is None:
        known = array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(known, list | tuple) or len(known) != len(array.shape):
        return (None,) * len(array.shape)
    return tuple(one if isinstance(one, str) else None for one in known)


def _axes_of(
    inputs: Any, samples: cnnvis.Samples, every: Mapping[str, Any]
) -> dict[str, cnnvis.Axis]:
    """Return what a store says of the axes of inputs, by the axes' usual names."""
    if isinstance(inputs, Mapping):
        return {}
    found = {}
    for usual, name, size in zip(
        samples.axes, _dimensions(inputs)[1:], inputs.shape[1:], strict=True
    ):
        if name is None or _OF_XARRAY.fullmatch(name):
            continue
        axis = cnnvis.Axis(name="" if name == usual else name)
        known = every.get(name)
        if known is not None and known.shape == (size,) and size <= _LONGEST_AXIS:
            axis = replace(axis, **_coordinates(known))
        if axis != cnnvis.Axis():
            found[usual] = axis
    return found


_OF_XARRAY = re.compile(r"dim_\d+")
"""Names of axes that nobody named."""


def _coordinates(known: Any) -> dict[str, Any]:
    """Return attributes of an axis from the array of its coordinates."""
    import numpy as np

    values = np.asarray(known[...])
    words = {"unit": known.attrs.get("units"), "name": known.attrs.get("long_name")}
    said: dict[str, Any] = {
        key: word
        for key, word in words.items()
        if isinstance(word, str) and len(word) < _LONGEST_WORD
    }
    if values.dtype.kind not in "iuf":
        return {**said, "values": tuple(map(_word, values.tolist()))}
    if len(values) < 2 or not np.isfinite(values).all():
        return {**said, "values": tuple(values.tolist())}
    start, step = float(values[0]), float(values[-1] - values[0]) / (len(values) - 1)
    if np.allclose(values, start + step * np.arange(len(values)), rtol=0, atol=1e-6 * abs(step)):
        return {**said, "start": start, "step": step}
    return {**said, "values": tuple(values.tolist())}


def _word(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _samples(
    parts: Mapping[str, Any],
    path: Path | cnnvis.Address,
    is_text: Callable[[Any], bool],
) -> cnnvis.Samples:
    """Return samples from stored arrays: inputs stay in the store, labels are read.

    Parameters
    ----------
    is_text
        Function that tells whether an array of objects holds words.
    """

    def read(part: str, stored: Any) -> Any:
        if isinstance(stored, Mapping):
            return {name: read(part, one) for name, one in stored.items()}
        is_words = stored.dtype.kind in "SUT" or is_text(stored)
        sizes = zip(stored.shape, stored.chunks or stored.shape, strict=True)
        pieces = math.prod(-(-length // max(chunk, 1)) for length, chunk in sizes)
        if (is_words or part != "X") and pieces > _MOST_OF_LABELS:
            raise cnnvis.UserError(
                f"{str(path)!r} stores {part!r} in more than {_MOST_OF_LABELS} pieces; store it with "
                "larger chunks"
            )
        if is_words:
            return stored[...].tolist()  # text, or its bytes in UTF-8
        return _Lazy(stored, path) if stored.shape and is_large(part, stored.shape) else stored[...]

    return samples_of({part: read(part, stored) for part, stored in parts.items()}, str(path))
