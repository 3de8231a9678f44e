"""Arrays, and their substitutes that are read when they are indexed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cnnvis.errors import UserError

Array = npt.NDArray[Any]

Shape = tuple[int | None, ...]
"""The shape of one sample; None where any length will do."""


@runtime_checkable
class ArrayLike(Protocol):
    """Array of a reader that is read piece by piece, when it is indexed.

    ``shape`` starts with the number of samples; indexing with a list of whole numbers gives a
    NumPy array of those samples.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True)
class Absent:
    """Inputs of which the shape is known and which were not kept."""

    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float32)

    def __getitem__(self, index: Any) -> Absent:
        return Absent((len(np.arange(self.shape[0])[index]), *self.shape[1:]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise UserError("the inputs of these maps were not kept with them")


def is_absent(source: Any) -> bool:
    """Tell whether inputs, or those that some were picked of, were not kept."""
    while isinstance(source, Picked | Reshaped):
        source = source.source
    return isinstance(source, Absent)


@dataclass(frozen=True)
class Reshaped:
    """Samples in another shape, still read when they are indexed."""

    source: ArrayLike
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def __getitem__(self, index: Any) -> Array:
        return np.asarray(self.source[index]).reshape(-1, *self.shape[1:])


@dataclass(frozen=True)
class Picked:
    """Selection of samples that are read when they are indexed."""

    source: ArrayLike
    places: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.places), *self.source.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def __getitem__(self, index: Any) -> Array:
        places = self.places[index]
        if isinstance(self.source, np.ndarray) or np.ndim(places) == 0:
            return np.asarray(self.source[places])
        each, rows = np.unique(places, return_inverse=True)
        if len(each) == len(places):
            return np.asarray(self.source[places])
        # What is wanted several times is read once.
        return np.asarray(self.source[each])[rows]


def is_in_memory(value: object) -> bool:
    """Tell whether a value is an array in memory, and not in a file that is mapped into it."""
    while isinstance(value, np.ndarray) and value.base is not None:
        value = value.base
    return isinstance(value, np.ndarray)


def is_lazy(value: object) -> bool:
    """Tell whether a value stands for an array and is not read before it is indexed."""
    # What can be turned into an array, such as a column of pandas, is meant as one.
    return isinstance(value, ArrayLike) and not hasattr(value, "__array__")
