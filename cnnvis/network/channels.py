"""Axis of channels of each value in a network: the last, or the one after that of samples."""

from __future__ import annotations

import re
from typing import Any

from cnnvis.network.backend import tensorflow
from cnnvis.network.graph import Call, Graph, Slot

FIRST, LAST = 1, -1

_NEW_ORDER = {"Reshape", "RepeatVector", "Flatten", "tf.reshape"}
"""Layers and operations whose output says nothing of where their input's channels were."""

_PERMUTING = {"Permute", "Transpose", "Moveaxis", "Swapaxes", "tf.transpose"}
"""Layers and operations that put the axes of their input into another order."""


def slides_over(layer: Any) -> int | None:
    """Return the number of axes over which a layer slides or pools: 2 for a Conv2D; else None."""
    if any(kind.__name__ == "STFTSpectrogram" for kind in type(layer).__mro__):
        return 1
    for kind in type(layer).__mro__:
        found = re.search(r"([123])D", kind.__name__)
        if found is not None and hasattr(layer, "data_format"):
            return int(found[1])
    return None


def channel_axes(graph: Graph) -> dict[Slot, int]:
    """Find the axis of channels of every value, 1 or -1, from the layers that say it.

    A layer that does not say it keeps the order of its input, unless the layer is known to change
    that order; and whatever slides over a value knows where the value's channels are.
    """
    ranks = {one.slot: len(one.shape) for one in graph.inputs}
    for call in graph.calls:
        ranks.update(zip(call.slots, map(len, call.shapes), strict=True))
    by_later = _axes_by_later_layers(graph, ranks)
    axes = {
        one.slot: input_channel_axis(graph, one.slot, one.shape) or LAST for one in graph.inputs
    }
    for call in graph.calls:
        for slot in call.slots:
            axes[slot] = _output_axis(call, slot, axes, ranks, by_later)
    return axes


def _axes_by_later_layers(graph: Graph, ranks: dict[Slot, int]) -> dict[Slot, int]:
    """Return the axes of channels of values as the later layers that slide over them have them."""
    found: dict[Slot, int] = {}
    for call in reversed(graph.calls):
        axes = slides_over(call.layer)
        axis: int | None = found.get(call.slots[0])
        rank = ranks[call.slots[0]]
        if axes is not None:
            axis, rank = _own_axis(call), axes + 1
        elif _changes_order(call):
            axis = None
        if axis is not None:
            found.update({slot: axis for slot in call.inputs if ranks[slot] == rank})
    return found


def _changes_order(call: Call) -> bool:
    return not (_NEW_ORDER | _PERMUTING).isdisjoint((*call.kinds, call.kind))


def permutation(call: Call, rank: int) -> list[int] | None:
    """Return for each axis of a call's output, that of samples being 0, the axis of its input.

    The result is None if the call does not permute axes, or not those of a value with `rank` axes
    behind that of samples.
    """
    if _PERMUTING.isdisjoint((*call.kinds, call.kind)):
        return None
    sizes = range(1, rank + 2)  # distinct by their sizes, whatever the arguments are called
    (answer,) = call.answer({call.inputs[0]: tensorflow().zeros(sizes)})
    return [size - 1 for size in answer.shape]


def input_channel_axis(graph: Graph, slot: Slot, shape: tuple[Any, ...]) -> int | None:
    """Find the axis of a batch of this input that holds channels: -1 or 1; None if no axis does.

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
        origin, axes = origins[source], slides_over(call.layer)
        if axes is not None:
            if axes >= rank:
                break
            found = LAST if origin is None else origin[_own_axis(call)]
            return FIRST if found == FIRST else LAST
        order = origin
        permuted = permutation(call, rank) if origin is not None else None
        if origin is not None and permuted is not None:
            order = [origin[axis] for axis in permuted]
        elif not _NEW_ORDER.isdisjoint(call.kinds) or len(call.shapes[0]) != rank:
            order = None
        origins.update((one, order) for one in call.slots)
    else:
        if rank > 2:
            return LAST
    # An axis of one place is none of space, whatever the network makes of it later.
    return LAST if rank > 1 and shape[-1] == 1 else None


def _own_axis(call: Call) -> int:
    return FIRST if getattr(call.layer, "data_format", None) == "channels_first" else LAST


def _output_axis(
    call: Call,
    slot: Slot,
    axes: dict[Slot, int],
    ranks: dict[Slot, int],
    by_later: dict[Slot, int],
) -> int:
    rank = ranks[slot]
    if rank < 2:
        return LAST
    if getattr(call.layer, "data_format", None) is not None:
        return _own_axis(call)
    alike = [axes[one] for one in call.inputs if ranks[one] == rank]
    permuted = permutation(call, rank) if alike else None
    if permuted is not None:
        return FIRST if permuted.index(alike[0] % (rank + 1)) == 1 else LAST
    if slot in by_later:
        return by_later[slot]
    return LAST if _changes_order(call) or not alike else alike[0]
