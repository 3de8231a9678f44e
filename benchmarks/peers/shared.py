"""What the libraries' workers share: batches, amounts of noise, patches, and what a library lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

BATCH = 32
NOISE = 0.15


class Lacks(Exception):
    """What a library has no method for, or cannot explain."""


def in_batches(explain: Callable[[Any], Any], x: Any) -> Callable[[], Any]:
    """A call that explains all inputs, some at a time."""
    return lambda: [np.asarray(explain(x[i : i + BATCH])) for i in range(0, len(x), BATCH)]


def patch_of(space: Sequence[int], cells: Sequence[int]) -> tuple[int, ...]:
    """How long a patch is along each axis, where so many of them fill an input."""
    return tuple(n // k for n, k in zip(space, cells, strict=False))


def units(space: Sequence[int], cells: Sequence[int]) -> Any:
    """The number of the patch of each position, (*space) int32."""
    along = [np.minimum(np.arange(n) // (n // k), k - 1) for n, k in zip(space, cells, strict=True)]
    found = np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), tuple(cells))
    return found.astype(np.int32)
