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
        (length,) for a profile; (rows, columns) for a picture; (rows, columns, 3 or 4) for one in
        colours between 0 and 1. NaN where nothing is to be drawn.
    axes
        The names of the axes of `values`, that of colours left out; empty for a mosaic.
    title
        What it is, in a line or more.
    """

    values: Array
    axes: tuple[str, ...]
    title: str = ""

    @property
    def is_profile(self) -> bool:
        """Whether this is a curve over one axis rather than a picture."""
        return self.values.ndim == 1

    @property
    def is_coloured(self) -> bool:
        """Whether the values are colours rather than numbers to be given some."""
        return self.values.ndim == 3


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
        title = explanation.title(position)
        one = explanation.maps[position]
        shown = _panel(one, explanation.axes, title, tiles, colours=explanation.are_inputs)
        source = None
        if samples is not None:
            values = np.asarray(samples.x[position])
            names = axis_names(values.ndim, samples.channel_axis)
            source = _panel(values, names, "", tiles, colours=True)
        pairs.append(Pair(shown, source))
    return pairs


def _panel(values: Array, axes: Sequence[str], title: str, tiles: int, *, colours: bool) -> Panel:
    names = [name for name in axes if name != CHANNEL]
    if CHANNEL in axes:
        values = np.moveaxis(values, axes.index(CHANNEL), -1)
        if values.shape[-1] == 1:
            values = values[..., 0]
    channels = values.ndim > len(names)
    if not channels and len(names) <= 2:
        return Panel(np.atleast_1d(values), tuple(names) or ("",), title)
    if channels and len(names) < 2:  # a profile of several channels is a strip for each of them
        return Panel(values.reshape(-1, values.shape[-1]).T, (CHANNEL, *names, "")[:2], title)
    if channels and colours and len(names) == 2 and values.shape[-1] in (3, 4):
        return Panel(_colours(values), tuple(names), title)
    # Whatever is left, volumes and many channels, becomes a mosaic of flat pictures.
    stack = np.moveaxis(values, -1, 0) if channels else values
    stack = stack.reshape(-1, *stack.shape[-2:])
    what = "planes" if not channels else "channels" if len(names) == 2 else "planes of channels"
    count = f"{tiles} of {len(stack)}" if len(stack) > tiles else str(len(stack))
    about = f"{count} {what}"
    return Panel(_mosaic(stack, tiles), (), f"{title}\n{about}" if title else about)


def _colours(values: Array) -> Array:
    """A picture of 3 or 4 channels with values between 0 and 1."""
    if values.dtype == np.uint8:
        return np.asarray(values / np.float32(255), np.float32)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    return np.asarray((values - low) / ((high - low) or 1), np.float32)


def _mosaic(stack: Array, tiles: int) -> Array:
    """Pictures (k, rows, columns) side by side, NaN between; evenly spaced ones if too many."""
    if len(stack) > tiles:
        stack = stack[np.linspace(0, len(stack) - 1, tiles).round().astype(int)]
    count, rows, columns = stack.shape
    across = min(max(math.ceil(math.sqrt(count * rows / columns)), 1), count)
    down = math.ceil(count / across)
    whole = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan, np.float32)
    for number, tile in enumerate(stack):
        top, left = (number // across) * (rows + 1), (number % across) * (columns + 1)
        whole[top : top + rows, left : left + columns] = tile
    return whole
