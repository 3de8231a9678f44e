"""Reads inputs and labels from HDF5 files and Zarr stores, as they are needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.readers._parts import samples_of


class _Lazy:
    """A stored array that is read piece by piece, in any order of samples."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored
        self.shape: tuple[int, ...] = tuple(stored.shape)
        self.dtype = stored.dtype

    def __getitem__(self, index: Any) -> Any:
        import numpy as np

        if isinstance(index, slice):
            return np.asarray(self._stored[index])
        places = np.arange(self.shape[0])[index]
        if places.ndim == 0 or not places.size:
            return (
                np.asarray(self._stored[places])
                if places.size
                else np.empty((0, *self.shape[1:]), self.dtype)
            )
        if np.array_equal(places, np.arange(places[0], places[0] + len(places))):
            return np.asarray(self._stored[int(places[0]) : int(places[-1]) + 1])
        # HDF5 gives rows in rising order only, and each but once.
        rising, back = np.unique(places, return_inverse=True)
        return np.stack([np.asarray(self._stored[int(place)]) for place in rising])[back]


@cnnvis.reader("hdf5", suffixes=(".h5", ".hdf5", ".hdf"))
def hdf5(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read datasets of an HDF5 file, piece by piece: inputs X, labels y, class_names.

    For a network with several inputs, a dataset for each, by the name of the input.

    Parameters
    ----------
    x
        The dataset of inputs, by its path in the file. By default X, x, images, inputs or data.
    y
        The dataset of labels. By default y, Y, labels or targets, if there is one.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
        held: dict[str, Any] = {}
        # Links to other files are not followed: a stranger's file must not read one's own.
        file.visititems(lambda name, one: _keep(held, name, one, h5py.Dataset))
        return _samples(held, x, y, path, lambda values: values.asstr()[:])
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as HDF5: {error}") from error


def _is_zarr(path: Path) -> bool:
    return any((path / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


@cnnvis.reader("zarr", suffixes=(".zarr",), accepts=_is_zarr)
def zarr(path: Path, *, x: str | None = None, y: str | None = None) -> cnnvis.Samples:
    """Read arrays of a Zarr store, piece by piece: inputs X, labels y, class_names.

    Parameters
    ----------
    x
        The array of inputs. By default X, x, images, inputs or data, or the only one.
    y
        The array of labels. By default y, Y, labels or targets, if there is one.
    """
    import zarr as package

    try:
        store = package.open(str(path), mode="r")
        arrays = {"X": store} if not hasattr(store, "arrays") else dict(store.arrays())
        return _samples(arrays, x, y, path, lambda values: values[:])
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise cnnvis.UserError(f"{str(path)!r} cannot be read as Zarr: {error}") from error


def _keep(held: dict[str, Any], name: str, one: Any, kind: type) -> None:
    if isinstance(one, kind):
        held[name] = one


def _samples(
    held: dict[str, Any], x: str | None, y: str | None, path: Path, words: Callable[[Any], Any]
) -> cnnvis.Samples:
    """Samples from stored arrays by name: inputs stay where they are, labels are read."""
    for asked in (x, y):
        if asked is not None and asked not in held:
            raise cnnvis.UserError(
                f"{str(path)!r} holds no array {asked!r}; it holds {', '.join(held) or 'none'}"
            )
    parts: dict[str, Any] = {}
    for name, stored in held.items():
        if stored.dtype.kind in "OSUT":
            parts[name] = [str(word) for word in words(stored)]
        else:
            parts[name] = _Lazy(stored) if len(stored.shape) > 1 else stored[:]
    if x is None and len(parts) == 1:
        x = next(iter(parts))
    if x is not None:
        labels = (
            parts.get(y)
            if y is not None
            else next(
                (parts[name] for name in ("y", "Y", "labels", "targets") if name in parts), None
            )
        )
        parts = {"X": parts[x], "y": labels, "class_names": parts.get("class_names")}
    elif y is not None:
        parts["y"] = parts[y]
    return samples_of(parts, str(path))
