"""Automatic baseline: zero, or the mean of the data where zero says too little."""

from __future__ import annotations

import cnnvis

BLIND = 0.3
"""Share of zero positions above which a path from zero is too blind."""

ENOUGH = 10
"""Least number of samples whose mean stands for more than these samples."""


@cnnvis.baseline("auto")
def auto(data: cnnvis.Samples) -> str:
    """Zero; or the mean of the data where more than 30 % of the positions are zero already.

    A method that goes from a baseline to the input says nothing of a position where the two are
    equal. Positions count, and not values: a letter of DNA in four channels has three zeros, and
    differs from zero all the same.
    """
    import numpy as np

    from . import _data

    zeros, positions = 0, 0
    for batch in _data.some(data):
        is_zero = batch.x == 0
        if data.channel_axis is not None:
            is_zero = is_zero.all(axis=data.channel_axis)
        zeros, positions = zeros + int(np.sum(is_zero)), positions + is_zero.size
    blind = zeros / positions if positions else 0.0
    if blind <= BLIND:
        return "zero"
    if len(data) < ENOUGH:
        cnnvis.note(
            f"{blind:.0%} of the positions are zero, and nothing is said about them from the baseline "
            f"zero; the mean of only {len(data)} images would not do better. --baseline class:NAME, "
            "sample:N or blur are others"
        )
        return "zero"
    cnnvis.note(
        f"the baseline is the mean of the data, since {blind:.0%} of the positions are zero, and "
        "nothing would be said about them from the baseline zero; --baseline zero asks for that"
    )
    return "mean"
