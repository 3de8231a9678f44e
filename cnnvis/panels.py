"""What to draw of an explanation: pictures and profiles, whatever the number of axes.

Renderers draw these and need not know of volumes, channels or mosaics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.explanation import CHANNEL, Explanation, axis_names
from cnnvis.samples import Array


@dataclass(frozen=True, eq=False)
class Panel:
    """One thing to draw.

    Attributes
    ----------
    values
        (length,) or (length, channels) for a profile; (rows, columns) for a picture; (rows,
        columns, 3 or 4) for one in colours between 0 and 1. NaN where nothing is to be drawn.
    axes
        The names of the axes of `values` that are spatial; empty for a mosaic.
    title
        What it is, in a line or more.
    """

    values: Array
    axes: tuple[str, ...]
    title: str = ""

    @property
    def is_profile(self) -> bool:
        """Whether this is a curve over one axis rather than a picture."""
        return len(self.axes) == 1


@dataclass(frozen=True)
class Pair:
    """A map and the input that it explains, if it explains one."""

    map: Panel
    input: Panel | None


def panels(explanation: Explanation, *, limit: int | None = None, tiles: int = 16) -> list[Pair]:
    """The maps of an explanation, and the inputs they belong to, ready to be drawn.

    Parameters
    ----------
    limit
        How many maps at most; None for all.
    tiles
        How many planes of a volume, or channels of a map, a mosaic shows at most. If there are
        more, evenly spaced ones are shown, and the title says so.
    """
    assert explanation.maps is not None
    samples, pairs = explanation.samples, []
    for position in range(len(explanation))[:limit]:
        shown = _panel(
            explanation.maps[position], explanation.axes, explanation.title(position), tiles
        )
        source = None
        if samples is not None:
            values = np.asarray(samples.x[position])
            names = axis_names(values.ndim, samples.channel_axis)
            source = _panel(values, names, "", tiles, colours=True)
        pairs.append(Pair(shown, source))
    return pairs


def _panel(
    values: Array, axes: Sequence[str], title: str, tiles: int, *, colours: bool = False
) -> Panel:
    names = [name for name in axes if name != CHANNEL]
    if CHANNEL in axes:
        values = np.moveaxis(values, axes.index(CHANNEL), -1)
        if values.shape[-1] == 1:
            values = values[..., 0]
    channels = values.ndim > len(names)
    match len(names):
        case 0:
            return Panel(np.atleast_1d(values), ("position",), title)
        case 1:
            return Panel(values, tuple(names), title)
        case 2 if not channels:
            return Panel(values, tuple(names), title)
        case 2 if colours and values.shape[-1] in (3, 4):
            return Panel(_colours(values), tuple(names), title)
    # Whatever is left, volumes and many channels, becomes a row of flat pictures.
    stack = np.moveaxis(values, -1, 0) if channels else values
    stack = stack.reshape(-1, *stack.shape[-2:])
    picture, left_out = _mosaic(np.asarray(stack, np.float32), tiles)
    what = "channels" if channels else f"{names[0]}s"
    more = f"{tiles} of {len(stack)} {what}" if left_out else f"{len(stack)} {what}"
    return Panel(picture, (), f"{title}\n{more}" if title else more)


def _colours(values: Array) -> Array:
    """A picture of 3 or 4 channels with values between 0 and 1."""
    if values.dtype == np.uint8:
        return np.asarray(values / np.float32(255), np.float32)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    return np.asarray((values - low) / ((high - low) or 1), np.float32)


def _mosaic(stack: Array, tiles: int) -> tuple[Array, bool]:
    """Pictures (k, rows, columns) side by side with a gap between, and whether some are left out."""
    left_out = len(stack) > tiles
    if left_out:
        stack = stack[np.linspace(0, len(stack) - 1, tiles).round().astype(int)]
    count, rows, columns = stack.shape
    across = math.ceil(math.sqrt(count * rows / columns)) if count > 1 else 1
    across = min(max(across, 1), count)
    down = math.ceil(count / across)
    whole = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan, np.float32)
    for number, tile in enumerate(stack):
        top, left = (number // across) * (rows + 1), (number % across) * (columns + 1)
        whole[top : top + rows, left : left + columns] = tile
    return whole, left_out
