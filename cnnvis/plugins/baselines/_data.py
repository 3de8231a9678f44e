"""What baselines ask of a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MOST, AT_ONCE = 1000, 64
"""Largest number of samples that are read of a data set, evenly spaced, and of these at a time."""


def some(data: cnnvis.Samples) -> Iterator[cnnvis.Samples]:
    """Yield samples of the whole data set in batches; those with NaN or infinite values are left out."""
    import numpy as np

    places = cnnvis.evenly_spaced(len(data), MOST)
    for start in range(0, len(places), AT_ONCE):
        batch = data.picked(places[start : start + AT_ONCE])
        x = np.asarray(batch.x, np.float32)
        good = np.isfinite(x.reshape(len(x), -1)).all(axis=1)
        if good.any():
            yield batch if good.all() else batch[np.flatnonzero(good)]


def mean(data: cnnvis.Samples, what: str) -> Array:
    """Return the mean at each position, float32.

    Raises
    ------
    UserError
        If it is the mean of a single sample, which is that sample, or of none.
    """
    import numpy as np

    total, count = np.zeros(data.source.shape[1:], np.float64), 0
    for batch in some(data):
        total += batch.x.sum(axis=0, dtype=np.float64)
        count += len(batch)
    if count < 2:
        raise cnnvis.UserError(
            f"the mean of {what} is a mean of {count} sample{'s' if count != 1 else ''}, and a "
            "baseline must stand for more than the image that is explained; give more data, or "
            "another baseline: zero, a number, blur"
        )
    found: Array = (total / count).astype(np.float32)
    return found
