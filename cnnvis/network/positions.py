"""Positions of a layer's output in an input, and maps over these laid over the input."""

from __future__ import annotations

from collections.abc import Sequence

from cnnvis.data.explanation import axis_names
from cnnvis.data.samples import Array
from cnnvis.errors import UserError
from cnnvis.network.channels import input_channel_axis
from cnnvis.network.geometry.following import followed
from cnnvis.network.geometry.origin import Origin
from cnnvis.network.geometry.upsampling import Lost, upsampled
from cnnvis.network.gradients import swapping
from cnnvis.network.graph import Call, Input, Slot
from cnnvis.network.traced import TracedNetwork
from cnnvis.reporting import note


def spatial_axes(traced: TracedNetwork, source: Input) -> tuple[int, ...]:
    """List the spatial axes of an input, the axis of samples being 0."""
    rank = len(source.shape) + 1
    channel = input_channel_axis(traced.graph, source.slot, source.shape)
    return tuple(a for a in range(1, rank) if channel is None or a != channel % rank)


def origin_of(
    traced: TracedNetwork, call: Call, source: Input, shape: tuple[int, ...]
) -> Origin | None:
    """Follow the positions of a call's output back to an input; None if they cannot be followed.

    Parameters
    ----------
    shape
        The shape of one sample of the input.
    """
    known: dict[Slot, Origin] = traced.compiled.setdefault(("origins", source.slot, shape), {})
    end = call.slots[0]
    if end not in known:
        with swapping:
            space = spatial_axes(traced, source)
            known.update(
                followed(traced.graph, source.slot, shape, space, end, traced.channel_axes)
            )
    return known.get(end)


def laid_over_input(
    traced: TracedNetwork, maps: Array, call: Call, source: Input, shape: Sequence[int]
) -> Array:
    """Lay maps over the positions of a layer over the spatial axes of an input.

    Parameters
    ----------
    maps
        (n, ...): a value for each position of the call's output, whose channels are left out.
    shape
        The shape of one sample of the input.

    Returns
    -------
    ndarray
        (n, ...) float32, over the spatial axes of the input.

    Raises
    ------
    UserError
        If no axis of the layer's output is one of the input's.
    """
    origin = origin_of(traced, call, source, tuple(shape))
    space = spatial_axes(traced, source)
    if origin is None or not set(origin.followed).intersection(space):
        raise UserError(
            f"no axis of the output of {call.name!r} is an axis of the input, so its feature maps "
            "cannot be laid over the input; name another layer"
        )
    channel = traced.channel_axis(call) % (len(origin.axes) + 1)
    axes = [axis for axis in range(1, len(origin.axes) + 1) if axis != channel]
    sizes = [shape[axis - 1] for axis in space]
    found, lost = upsampled(maps, origin, axes, space, sizes)
    _note_lost(lost, call.name, space)
    return found


def _note_lost(lost: Lost, layer: str, space: Sequence[int]) -> None:
    """Note what of a layer's maps has no place in the input."""
    if lost.positions > 1:
        note(
            f"the feature maps of {layer!r} have {lost.positions} values for each position of the "
            "input, along axes that the input does not have; the map shows their mean"
        )
    if lost.constant:
        names = axis_names(len(space), None)
        which = " and ".join(names[space.index(axis)] for axis in lost.constant)
        note(
            f"cnnvis finds no positions of {layer!r} along the input's {which}, so maps are "
            "constant along it"
        )
    if lost.outside:
        note(
            f"{lost.outside} position{'s' if lost.outside > 1 else ''} of {layer!r}, such as a "
            "class token, stand for no place of the input, and the map leaves them out"
        )
