"""Baseline that is one of the samples."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.baseline("sample")
def sample(data: cnnvis.Samples, argument: str) -> Any:
    """One sample of the data, by its place: sample:3, or sample:-1 for the last."""
    import numpy as np

    try:
        place = int(argument)
        chosen = data[[range(len(data))[place]]]
    except (ValueError, IndexError):
        raise cnnvis.UserError(
            f"the baseline sample needs the place of one of {len(data)} samples, sample:0 for the "
            f"first, and this is {argument!r}"
        ) from None
    chosen.require_finite()
    return np.asarray(chosen.x[0], np.float32)
