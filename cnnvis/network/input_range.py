"""Range of values that a network expects of an input, as its first layer tells."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from cnnvis.network.graph import Graph, Slot


def expected_of_input(graph: Graph, source: Slot) -> tuple[tuple[float, float], str] | None:
    """Find the range that an input is expected to have, and the layer that tells; None if none does."""
    first = next((call for call in graph.calls if source in call.inputs), None)
    found = None if first is None else expected_range(first.layer, first.kinds)
    return None if first is None or found is None else (found, first.name)


def expected_range(layer: Any, kinds: Collection[str]) -> tuple[float, float] | None:
    """Return the smallest and largest value that a first layer expects; None if it does not tell.

    A Rescaling expects what it makes 0 to 1 or -1 to 1 of; a normalization expects values within three
    standard deviations of the mean of its training data.
    """
    if "Rescaling" in kinds:
        scale, offset = (
            np.asarray(getattr(layer, name), np.float64) for name in ("scale", "offset")
        )
        if scale.size != 1 or offset.size != 1 or not scale > 0 or not -1 <= offset <= 0:
            return None
        largest = -offset if offset else 1.0  # what it makes of the largest: 1, or as far from 0
        return 0.0, float((largest - offset) / scale)
    if not {"BatchNormalization", "Normalization"}.isdisjoint(kinds):
        moving = "" if "Normalization" in kinds else "moving_"
        mean, variance = (
            np.asarray(getattr(layer, f"{moving}{name}", np.nan), np.float64)
            for name in ("mean", "variance")
        )
        spread = 3 * np.sqrt(variance)
        low, high = float((mean - spread).min()), float((mean + spread).max())
        untrained = not mean.any() and (variance == 1).all()
        return (
            (low, high) if np.isfinite([low, high]).all() and low < high and not untrained else None
        )
    return None
