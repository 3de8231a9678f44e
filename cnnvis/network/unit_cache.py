"""Units that a network gave for its first and last inputs, so that none are computed twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from cnnvis.data.lazy import Array
from cnnvis.network.resolution import Resolution

_cache: ContextVar[dict[tuple[int, str], list[tuple[list[Array], Array]]] | None] = ContextVar(
    "units", default=None
)


@contextmanager
def units_cached() -> Iterator[None]:
    """Remember the units of a target inside the block, for as long as no weights may change.

    A technique runs inside such a block, and its targets are described there: the gradient of some
    inputs and their scores come from one pass.
    """
    token = _cache.set({})
    try:
        yield
    finally:
        _cache.reset(token)


def cached_units(resolution: Resolution, arrays: Sequence[Array]) -> Array | None:
    """Return the units of a target for the first or the last inputs; None if these are others."""
    known = (_cache.get() or {}).get((id(resolution.traced), resolution.key), ())
    newest_first = reversed(known)
    return next((units for inputs, units in newest_first if _are_equal(inputs, arrays)), None)


def remember_units(resolution: Resolution, arrays: Sequence[Array], units: Array) -> None:
    """Remember the units of a target for inputs, inside a block of `units_cached`."""
    cache = _cache.get()
    if cache is not None:
        # Arrays that somebody may change in place are copied.
        unchanged = [one.copy() if one.flags.writeable else one for one in arrays]
        known = cache.setdefault((id(resolution.traced), resolution.key), [])
        # The first are mostly the samples, whose scores are described when all else is done.
        del known[1:]
        known.append((unchanged, units))


def _are_equal(some: Sequence[Array], others: Sequence[Array]) -> bool:
    return all(
        _is_same_memory(a, b) or np.array_equal(a, b) for a, b in zip(some, others, strict=True)
    )


def _is_same_memory(one: Array, other: Array) -> bool:
    """Tell whether two arrays are views of the same values, which nobody can change."""
    places = [
        (a.ctypes.data, a.shape, a.strides, a.dtype.str, a.flags.writeable) for a in (one, other)
    ]
    return places[0] == places[1] and not one.flags.writeable
