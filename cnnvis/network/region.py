"""Region of a target: the positions of a layer over which the layer's outputs are averaged."""

from __future__ import annotations

from collections.abc import Sequence

from cnnvis.errors import UserError
from cnnvis.network.gradients import Part
from cnnvis.network.graph import Call
from cnnvis.network.targets import as_word, region_of


def part_of(call: Call, channel_axis: int, region: Sequence[str | int | slice] | None) -> Part:
    """Make a layer's output a part of a target.

    Parameters
    ----------
    channel_axis
        Axis of the output that holds channels, -1 or 1.
    region
        A position or range for each spatial axis of the layer; None for all positions.

    Raises
    ------
    UserError
        If the layer has other spatial axes, or no such position.
    """
    slot = call.slots[0]
    if region is None:
        return Part(slot, channel_axis, None)
    positions = region_of(region)
    shape = list(call.shapes[0])
    del shape[channel_axis % (len(shape) + 1) - 1]
    if len(shape) != len(positions):
        raise UserError(
            f"the region has {len(positions)} axes, and the layer {call.name!r} has {len(shape)} "
            "spatial "
            f"axes{', of lengths ' if shape else ''}{' x '.join('any' if size is None else str(size) for size in shape)}"
        )
    for size, position in zip(shape, positions, strict=True):
        if size is not None and not _holds_any(position, size):
            raise UserError(
                f"the region {as_word(position)} holds no position of the layer "
                f"{call.name!r}, which has {size} along that axis"
            )
    return Part(slot, channel_axis, positions)


def _holds_any(position: int | slice, size: int) -> bool:
    """Tell whether a position or range holds any position along an axis of that size."""
    if not isinstance(position, slice):
        position = slice(position, position + 1 or None)
    return len(range(size)[position]) > 0


def region_text(region: Sequence[str | int | slice] | None) -> str | None:
    """Write a region in one text: ``10:20,7``; None for all positions."""
    return None if region is None else ",".join(map(as_word, region_of(region)))
