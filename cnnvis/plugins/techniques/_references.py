"""Samples of the data that techniques compare an image with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def drawn(references: cnnvis.Samples, count: int, seed: int, technique: str, other: str) -> Array:
    """Return samples of the data, (count, ...) or as many as there are, those with NaN left out.

    Parameters
    ----------
    technique
        The name of the technique that asks, for messages.
    other
        What to use where there are no other samples.

    Raises
    ------
    UserError
        If there are fewer than two.
    """
    import numpy as np

    found = np.asarray(references.drawn(count, seed).x, np.float32)
    if len(found) < min(2, count) or len(references) < 2:
        raise cnnvis.UserError(
            f"{technique} compares an image with other samples of the data, and there are "
            f"{len(references)} in all; give more data, or use {other}"
        )
    if len(found) < count:
        cnnvis.note(
            f"{technique} begins at {len(found)} samples of the data, and not at {count}: it "
            "chooses among 256 at most, and leaves out those with NaN"
        )
    return found
