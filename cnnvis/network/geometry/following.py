"""Positions of an input, followed through a network, call by call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnnvis.errors import UserError
from cnnvis.network.geometry.moving import carried
from cnnvis.network.geometry.origin import Origin, of_input, together, unfollowed
from cnnvis.network.geometry.probing import Probe, sample
from cnnvis.network.geometry.windows import Window, Windows, slid, windows_of
from cnnvis.network.graph import Call, Graph, Slot


def followed(
    graph: Graph,
    start: Slot,
    shape: Sequence[int],
    space: Sequence[int],
    wanted: Slot,
    channels: Mapping[Slot, int],
) -> dict[Slot, Origin]:
    """Find where the positions of values lie in an input.

    Parameters
    ----------
    start
        The input.
    shape
        The shape of one sample of it.
    space
        Its spatial axes, that of samples being 0.
    wanted
        The last value of interest.
    channels
        The axis of channels of every value, 1 or -1.

    Returns
    -------
    dict
        The origin of each value on the way that depends on the input.
    """
    calls = graph.needed([wanted])
    sizes = _sizes(graph, calls, start, shape)
    dtypes = {one.slot: one.dtype for one in graph.inputs}
    dtypes.update({slot: call.dtype for call in calls for slot in call.slots})
    found = {start: of_input(shape, space)}
    for call in calls:
        sources = [slot for slot in dict.fromkeys(call.inputs) if slot in found]
        for number, slot in enumerate(call.slots):
            of = [
                _through(
                    Probe(call, source, number, sizes, dtypes, graph.batch or 1),
                    found[source],
                    channels[source],
                )
                for source in sources
            ]
            if of:
                found[slot] = together(of, sizes[slot])
    return found


def _through(probe: Probe, origin: Origin, channel: int) -> Origin:
    """Return the origin of a call's output, as far as one of the call's inputs tells."""
    call, source, sizes = probe.call, probe.source, probe.sizes
    after = sizes[call.slots[probe.output]]
    if not origin.followed:
        return unfollowed(after)
    is_first = source == call.inputs[0]
    windows = windows_of(call, sizes[source], after, is_first=is_first)
    if windows is not None:
        return slid(origin, windows, after)
    if "Concatenate" in call.kinds:
        windows = _beside(call, origin)
        if windows is not None:
            return slid(origin, windows, after)
    try:
        return _asked(probe, origin, channel)
    except UserError:  # it cannot be run by itself
        return _alike(probe, origin)


def _asked(probe: Probe, origin: Origin, channel: int) -> Origin:
    """Return the origin of a call's output, as the call's own answers tell it."""
    if probe.is_pointwise():
        return origin
    found = carried(probe, origin, channel % (len(origin.axes) + 1))
    if found is not None:
        return found
    measured = probe.windows()
    if measured is None:
        return _alike(probe, origin)
    return slid(origin, measured, probe.sizes[probe.call.slots[probe.output]])


def _alike(probe: Probe, origin: Origin) -> Origin:
    """Return the origin where answers tell nothing: an output of the same shape keeps its places.

    But not along axes over which the call looks at all values, as a ranking does.
    """
    after = probe.sizes[probe.call.slots[probe.output]]
    if after != probe.sizes[probe.source]:
        return unfollowed(after)
    try:
        lost = probe.spread()
    except UserError:  # it cannot be run by itself
        return origin
    windows = [None if axis in lost else Window(axis) for axis in range(len(after))]
    return slid(origin, windows, after) if lost else origin


def _beside(call: Call, origin: Origin) -> Windows | None:
    """Return the windows of values that are joined along an axis without positions, else None."""
    axis = int(call.layer.axis) % (len(origin.axes) + 1) - 1
    if axis < 0 or any(run.axis is not None for run in origin.axes[axis].runs):
        return None
    return [None if place == axis else Window(place) for place in range(len(origin.axes))]


def _sizes(
    graph: Graph, calls: Sequence[Call], start: Slot, shape: Sequence[int]
) -> dict[Slot, tuple[int, ...]]:
    """Return the shape of one sample of each value; the network is run once where some are open."""
    open_sizes = {one.slot: one.shape for one in graph.inputs} | {start: tuple(shape)}
    for call in calls:
        open_sizes.update(zip(call.slots, call.shapes, strict=True))
    known = {
        slot: tuple(size for size in sizes if size is not None)
        for slot, sizes in open_sizes.items()
    }
    if all(len(known[slot]) == len(sizes) for slot, sizes in open_sizes.items()):
        return known
    rng = np.random.default_rng(0)
    x = [
        sample(rng, one.dtype, [size or 1 for size in open_sizes[one.slot]]) for one in graph.inputs
    ]
    met = {one.slot: tensor for one, tensor in zip(graph.inputs, x, strict=True)}
    graph.run(x, [slot for call in calls for slot in call.slots], met=met.__setitem__)
    return {slot: tuple(int(size) for size in tensor.shape[1:]) for slot, tensor in met.items()}
