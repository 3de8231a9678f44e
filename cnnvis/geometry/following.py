"""The positions of an input followed through a network, call by call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnnvis.geometry.origin import Origin, of_input, together, unfollowed
from cnnvis.geometry.probing import Probe, carried, sample
from cnnvis.geometry.windows import slid, windows_of
from cnnvis.graph import Call, Graph, Slot


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
    """The origin of an output of a call, as far as one of the values that it takes tells."""
    call, source, sizes = probe.call, probe.source, probe.sizes
    after = sizes[call.slots[probe.output]]
    if not origin.followed:
        return unfollowed(after)
    if source == call.inputs[0]:
        windows = windows_of(call, sizes[source], after)
        if windows is not None:
            return slid(origin, windows, after)
    if probe.is_pointwise():
        return origin
    found = carried(probe, origin, channel % (len(origin.axes) + 1))
    if found is not None:
        return found
    measured = probe.windows()
    if measured is not None:
        return slid(origin, measured, after)
    # Nothing can be told; what keeps its shape keeps its places.
    return origin if after == sizes[source] else unfollowed(after)


def _sizes(
    graph: Graph, calls: Sequence[Call], start: Slot, shape: Sequence[int]
) -> dict[Slot, tuple[int, ...]]:
    """The shape of each value, that of one sample; the network is run once where some are open."""
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
