"""Baselines of mean values."""

from __future__ import annotations

from typing import Any

import cnnvis


@cnnvis.baseline("mean")
def mean(data: cnnvis.Samples) -> Any:
    """The mean of the data at each position; of a thousand evenly spaced samples where there are more."""
    from . import _data

    return _data.mean(data, "the data")


@cnnvis.baseline("class")
def class_mean(data: cnnvis.Samples, argument: str) -> Any:
    """The mean of the samples with a label, class:neutral; of a thousand where there are more."""
    import numpy as np

    from . import _data

    if not argument:
        raise cnnvis.UserError("the baseline class needs the name of a class: class:NAME")
    places = np.flatnonzero(data.labelled(argument))
    if not places.size:
        raise cnnvis.UserError(f"no sample has the label {argument!r}, so it has no mean")
    return _data.mean(data.picked(places), f"the class {argument!r}")
