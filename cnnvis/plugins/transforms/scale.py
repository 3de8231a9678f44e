"""Maps on other scales."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import cnnvis


@cnnvis.transform("absolute")
def absolute(explanation: cnnvis.Explanation) -> cnnvis.Explanation:
    """The absolute value of each value."""
    return explanation.with_maps(abs(explanation.array), signed=False)


@cnnvis.transform("normalize")
def normalize(
    stream: cnnvis.Stream,
    *,
    how: Literal["image", "shared", "percentile", "symmetric"] = "image",
    percent: cnnvis.Percent = 99.0,
) -> Iterator[cnnvis.Explanation]:
    """Scale maps to a common range.

    Parameters
    ----------
    how
        image: the smallest value of each map becomes 0, the largest 1; shared: the smallest value
        of all maps becomes 0, the largest 1, which takes two passes over the maps; percentile: each
        map is divided by the given percentile of its absolute values, and larger values are cut to
        1 (and to -1); symmetric: each map is divided by its largest absolute value, so that zero
        stays zero.
    percent
        The percentile for how = percentile.
    """
    import numpy as np

    low = high = 0.0
    if how == "shared":
        ends = [(one.array.min(), one.array.max()) for one in stream]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
    for one in stream:
        maps = one.array
        axes = tuple(range(1, maps.ndim))
        signed: bool | None = False
        if how == "shared":
            scaled = (maps - low) / (high - low or 1)
        elif how == "image":
            least, most = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
            scaled = (maps - least) / _positive(most - least)
        else:
            share = percent if how == "percentile" else 100
            scaled = maps / _positive(np.percentile(abs(maps), share, axis=axes, keepdims=True))
            scaled, signed = scaled.clip(-1, 1), one.is_signed
        yield one.with_maps(scaled, signed=signed)


def _positive(values: Any) -> Any:
    """Return divisors, with 1 for 0, so that a constant map stays constant."""
    import numpy as np

    return np.where(values > 0, values, 1)
