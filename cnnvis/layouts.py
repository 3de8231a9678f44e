"""Which axis of each value in a network holds channels: the last, or the one after the samples."""

from __future__ import annotations

import re
from typing import Any

from cnnvis.graph import Call, Graph, Slot

FIRST, LAST = 1, -1

_NEW_ORDER = {"Reshape", "RepeatVector", "Flatten"}
"""Layers whose output says nothing of where their input's channels were."""


def spatial_axes(call: Call) -> int | None:
    """Over how many axes a layer slides or pools: 2 for a Conv2D; None for all other kinds."""
    for kind in call.kinds:
        found = re.search(r"([123])D", kind)
        if found is not None and hasattr(call.layer, "data_format"):
            return int(found[1])
    return None


def channel_axes(graph: Graph) -> dict[Slot, int]:
    """The axis of channels of every value, 1 or -1, worked out from the layers that say it.

    A layer that does not say, such as an activation, keeps the order of its input.
    """
    axes = {
        one.slot: input_channel_axis(graph, one.slot, one.shape) or LAST for one in graph.inputs
    }
    ranks = {one.slot: len(one.shape) for one in graph.inputs}
    for call in graph.calls:
        for slot, shape in zip(call.slots, call.shapes, strict=True):
            axes[slot] = _output_axis(call, len(shape), axes, ranks)
            ranks[slot] = len(shape)
    return axes


def input_channel_axis(graph: Graph, slot: Slot, shape: tuple[Any, ...]) -> int | None:
    """Which axis of a batch of this input holds channels: -1 or 1; None if none does.

    The first layer that slides over it tells; a Conv2D that gets but two axes from the input finds
    its channels elsewhere.
    """
    rank = len(shape)
    # Where each axis of a value was in the input; None behind a layer that makes a new order.
    origins: dict[Slot, list[int] | None] = {slot: list(range(rank + 1))}
    for call in graph.calls:
        source = next((one for one in call.inputs if one in origins), None)
        if source is None:
            continue
        origin, axes = origins[source], spatial_axes(call)
        if axes is not None:
            if axes >= rank:
                return None
            found = LAST if origin is None else origin[_own_axis(call)]
            return FIRST if found == FIRST else LAST
        order = origin
        if "Permute" in call.kinds and origin is not None:
            order = [0, *(origin[axis] for axis in call.layer.dims)]
        elif not _NEW_ORDER.isdisjoint(call.kinds) or len(call.shapes[0]) != rank:
            order = None
        origins.update((one, order) for one in call.slots)
    return LAST if rank > 2 else None


def _own_axis(call: Call) -> int:
    return FIRST if getattr(call.layer, "data_format", None) == "channels_first" else LAST


def _output_axis(call: Call, rank: int, axes: dict[Slot, int], ranks: dict[Slot, int]) -> int:
    if rank < 2 or not _NEW_ORDER.isdisjoint(call.kinds):
        return LAST
    if getattr(call.layer, "data_format", None) is not None:
        return _own_axis(call)
    alike = [axes[slot] for slot in call.inputs if ranks.get(slot) == rank]
    if not alike:
        return LAST
    if "Permute" in call.kinds:
        source = alike[0] % (rank + 1)
        return FIRST if list(call.layer.dims).index(source) == 0 else LAST
    return alike[0]
