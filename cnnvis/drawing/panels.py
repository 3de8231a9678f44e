"""Panels to draw of an explanation: pictures and profiles, whatever the number of axes.

Renderers draw these and need not know of volumes, channels or mosaics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from cnnvis.data.axes import Axis
from cnnvis.data.explanation import CHANNEL, Explanation, axis_names
from cnnvis.data.samples import Array
from cnnvis.drawing.views import (
    Ends,
    ends_in_words,
    ends_of,
    strongest_place,
    views_of,
    views_title,
    voxel_sizes,
)


@dataclass(frozen=True, eq=False)
class Panel:
    """Panel: a picture or a profile to draw.

    Attributes
    ----------
    values
        (length,) for a profile; (rows, columns) for a picture; (rows, columns, 3 or 4) for a
        picture in colours between 0 and 1. NaN where nothing is to be drawn.
    axes
        The names of the axes of `values`, without the axis of colours; empty for a mosaic.
    title
        The title of the panel, in a line or more.
    tile
        For a mosaic, the rows and columns of one of its tiles, which lie one row or column apart.
    coordinates
        The meaning of the positions along an axis, by the axis's name, where it is known.
    boxes
        For views of a volume, the top, left, rows and columns of each view in `values`.
    lines
        Lines through the place that the views show: x and y of their two ends.
    ends
        Words for what lies beyond the left, right, upper and lower edge of each view, such as ``L``
        and ``R`` of a body; empty where they are not known.
    everything
        All values that the panel is of, if it shows a part of them; else None.
    """

    values: Array
    axes: tuple[str, ...]
    title: str = ""
    tile: tuple[int, int] | None = None
    coordinates: Mapping[str, Axis] = field(default_factory=dict)
    boxes: tuple[tuple[int, int, int, int], ...] = ()
    lines: tuple[tuple[float, float, float, float], ...] = ()
    ends: Ends = ()
    everything: Array | None = None

    @property
    def is_profile(self) -> bool:
        """True where the panel is a curve over one axis rather than a picture."""
        return self.values.ndim == 1

    @property
    def is_coloured(self) -> bool:
        """True where the values are colours rather than numbers that a colour map colours."""
        return self.values.ndim == 3

    @property
    def is_strips(self) -> bool:
        """True where the panel is a picture of a profile's channels, a row for each channel."""
        return len(self.axes) == 2 and self.axes[0] == CHANNEL

    @property
    def directions(self) -> str:
        """What lies beyond the edges of the views, in words; empty where it is not known."""
        return ends_in_words(self.ends)

    @property
    def letters(self) -> list[tuple[float, float, str]]:
        """Places of the words in `ends`, as x and y in the picture from 0 to 1, with the words."""
        rows, columns = self.values.shape[:2]
        found = []
        for (top, left, high, wide), words in zip(self.boxes, self.ends, strict=False):
            places = ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1))
            for (x, y), word in zip(places, words, strict=True):
                found.append(((left + x * wide) / columns, (top + y * high) / rows, word))
        return found

    @property
    def grid(self) -> tuple[int, int]:
        """Number of tiles down and across; 1 and 1 for all panels but mosaics."""
        if self.tile is None:
            return 1, 1
        down, across = ((self.values.shape[i] + 1) // (self.tile[i] + 1) for i in (0, 1))
        return down, across

    def resized(self, resize: Callable[[Array], Array]) -> Array:
        """Return the values with each tile of a mosaic, or else the whole picture, resized.

        Parameters
        ----------
        resize
            Function that returns a picture in another size, the same size for all pictures.
        """
        if self.tile is None:
            return resize(self.values)
        (rows, columns), (down, across) = self.tile, self.grid
        tiles = [
            resize(self.values[top : top + rows, left : left + columns])
            for top in range(0, down * (rows + 1), rows + 1)
            for left in range(0, across * (columns + 1), columns + 1)
        ]
        return _mosaic(np.stack(tiles), across)


@dataclass(frozen=True)
class Pair:
    """A map, the input that it explains, if it explains one, and how it was made, if that is known.

    Attributes
    ----------
    is_first
        False where the map is of the same image as the map before it, and of another target.
    curve
        The first of the curves of the map, over the steps in which it was made; its title is the curve's
        name. None without curves.
    """

    map: Panel
    input: Panel | None
    is_first: bool = True
    curve: Panel | None = None


def panels(
    explanation: Explanation,
    *,
    limit: int | None = None,
    tiles: int = 16,
    alike: bool = False,
    volumes: Literal["planes", "peak"] = "planes",
) -> list[Pair]:
    """Return the maps of an explanation, and the inputs that they belong to, ready to be drawn.

    Parameters
    ----------
    limit
        The maximum number of maps; None for all maps.
    tiles
        The maximum number of planes of a volume, or channels of a map, in a mosaic. If a volume or
        map has more, the mosaic shows evenly spaced planes or channels, and the title gives their
        number.
    alike
        Give inputs the form of their maps, so that one can be laid over the other: a tile for each
        channel where maps have channels, else colours or the mean of the channels.
    volumes
        What to show of a volume: ``planes``, evenly spaced, or ``peak``, three planes through the
        strongest value of the map and the strongest values along the first axis.
    """
    assert explanation.maps is not None
    samples, shown = explanation.samples, range(len(explanation))[:limit]
    maps = explanation.maps[: len(shown)]
    # Colours are made on one scale for all, like everything else that is to be compared.
    spread = _spread(maps) if explanation.are_inputs else None
    places = [_place(one, explanation.axes) if volumes == "peak" else None for one in maps]
    described = [explanation.coordinates_of(number) for number in shown]
    mapped = [
        _panel(
            one,
            explanation.axes,
            explanation.title(number),
            tiles,
            spread,
            (described[number], place),
        )
        for number, one, place in zip(shown, maps, places, strict=True)
    ]
    curves: list[Panel | None] = [None] * len(mapped)
    for name, values in list(explanation.curves.items())[:1]:
        curves = [Panel(one, ("step",), name) for one in values[: len(shown)]]
    if samples is None:
        return [Pair(one, None, curve=curve) for one, curve in zip(mapped, curves, strict=True)]
    inputs = samples[: len(shown)].x  # no others are read
    names = axis_names(inputs.ndim - 1, samples.channel_axis)
    spread = None if alike and CHANNEL in explanation.axes else _spread(inputs)
    if alike and CHANNEL in names and CHANNEL not in explanation.axes and len(names) > 2:
        axis = names.index(CHANNEL) + 1
        if not _are_colours(inputs.shape[axis], inputs.dtype):
            inputs = inputs.mean(axis=axis, dtype=np.float64)
            names = axis_names(inputs.ndim - 1, None)
    starts = set(samples.image_starts.tolist())
    return [
        Pair(
            one,
            _panel(
                values,
                names,
                "",
                tiles,
                spread,
                ({**described[number], **samples.coordinates_of(number)}, place),
            ),
            number in starts,
            curve,
        )
        for number, (one, values, place, curve) in enumerate(
            zip(mapped, inputs, places, curves, strict=True)
        )
    ]


def _panel(
    values: Array,
    axes: Sequence[str],
    title: str,
    tiles: int,
    spread: tuple[float, float] | None,
    seen: tuple[Mapping[str, Axis], _Place | None],
) -> Panel:
    """Return a panel, with colours between the two values of `spread`, if they are given.

    `seen` holds the descriptions of axes, and the place that three planes of a volume go through.
    """
    described, place = seen
    viewed = None if place is None else _viewed(values, axes, title, spread, described, place)
    panel = _flat(values, axes, title, tiles, spread) if viewed is None else viewed
    return replace(panel, coordinates=described)


@dataclass(frozen=True)
class _Place:
    """A position in a volume of a shape."""

    position: tuple[int, ...]
    shape: tuple[int, ...]

    def within(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the position in a volume of another shape that covers the same space."""
        return tuple(
            min(position * size // own, size - 1)
            for position, own, size in zip(self.position, self.shape, shape, strict=True)
        )


def _place(values: Array, axes: Sequence[str]) -> _Place | None:
    """Return the strongest position of a map that is a volume; None for other maps."""
    values, names = _tidied(values, axes)
    if CHANNEL in names or len(names) != 3:
        return None
    return _Place(strongest_place(values), values.shape)


def _viewed(
    values: Array,
    axes: Sequence[str],
    title: str,
    spread: tuple[float, float] | None,
    described: Mapping[str, Axis],
    place: _Place,
) -> Panel | None:
    """Return views of a volume, without its channels unless they are colours; None if it is none."""
    values, names = _tidied(values, axes)
    about = ""
    if names[-1] == CHANNEL and len(names) == 4:
        if spread and _are_colours(values.shape[-1], values.dtype):
            values = _colours(values, spread)
        else:
            about = f"mean of {values.shape[-1]} channels"
            values = values.mean(axis=-1, dtype=np.float64)
        names = names[:-1]
    if len(names) != 3 or CHANNEL in names:
        return None
    position = place.within(values.shape[:3])
    views = views_of(values, position, voxel_sizes(names, described))
    lines = [title, about or views_title(position, names, described)]
    return Panel(
        views.mosaic, (), "\n".join(filter(None, lines)),
        boxes=views.boxes, lines=views.lines, ends=ends_of(names, described), everything=values,
    )  # fmt: skip


def _flat(
    values: Array,
    axes: Sequence[str],
    title: str,
    tiles: int,
    spread: tuple[float, float] | None,
) -> Panel:
    """Return a profile, a picture, or a mosaic of pictures."""
    values, names = _tidied(values, axes)
    channels = names[-1] == CHANNEL
    if values.ndim == 1:
        return Panel(values, names, title)
    if channels and spread and values.ndim > 2 and _are_colours(values.shape[-1], values.dtype):
        values, names, channels = _colours(values, spread), names[:-1], False
    if len(names) == 2:  # the channels of a profile are a strip each
        return Panel(values.T, names[::-1], title) if channels else Panel(values, names, title)
    # Whatever is left, volumes and many channels, becomes a mosaic of flat pictures.
    if channels:
        values, names = np.moveaxis(values, -1, 0), (CHANNEL, *names[:-1])
    picture = values.shape[len(names) - 2 :]
    rows, columns = picture[:2]
    if channels and len(names) > 3:  # planes of channels: a line of the mosaic for each channel
        stack = values.reshape(len(values), -1, *picture)
        lines = min(len(stack), max(tiles // stack.shape[1], math.isqrt(tiles)))
        down, about_down = _some(len(stack), lines, "channels")
        across, about_across = _some(stack.shape[1], tiles // lines, "planes")
        mosaic = _mosaic(stack[down][:, across].reshape(-1, *picture), len(across))
        about = f"{about_down} down, {about_across} across"
    else:
        stack = values.reshape(-1, *picture)
        chosen, about = _some(len(stack), tiles, "channels" if channels else "planes")
        mosaic = _mosaic(stack[chosen], _across(len(chosen), rows, columns))
    shown = f"{title}\n{about}" if title else about
    return Panel(mosaic, (), shown, (rows, columns), everything=values)


def _tidied(values: Array, axes: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    """Move the channel axis to the end, and drop axes of length 1."""
    names = tuple(axes) or ("",)
    values = np.reshape(values, values.shape or (1,))
    if CHANNEL in names:
        values = np.moveaxis(values, names.index(CHANNEL), -1)
        names = (*(name for name in names if name != CHANNEL), CHANNEL)
    longer = [axis for axis, size in enumerate(values.shape) if size != 1] or [0]
    return values.reshape([values.shape[axis] for axis in longer]), tuple(names[i] for i in longer)


def _are_colours(channels: int, dtype: np.dtype[np.generic]) -> bool:
    """Tell whether that many channels are red, green, blue and, for bytes of a file, opacity."""
    return channels == 3 or (channels == 4 and dtype == np.uint8)


def _spread(values: Array) -> tuple[float, float]:
    """Return the values that stand for black and for full colour."""
    if values.dtype == np.uint8:
        return 0.0, 255.0
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _colours(values: Array, spread: tuple[float, float]) -> Array:
    low, high = spread
    scaled = (values.astype(np.float64) - low) / ((high - low) or 1)
    return np.asarray(np.nan_to_num(scaled).clip(0, 1), np.float32)


def _some(count: int, limit: int, what: str) -> tuple[Array, str]:
    """Return at most `limit` evenly spaced places, and a text that says how many they are."""
    limit = max(limit, 1)
    if count <= limit:
        return np.arange(count), f"{count} {what}"
    return np.linspace(0, count - 1, limit).round().astype(int), f"{limit} of {count} {what}"


def _across(count: int, rows: int, columns: int) -> int:
    """Return the number of pictures side by side in a mosaic: almost a square with few gaps."""

    def cost(across: int) -> float:
        down = math.ceil(count / across)
        ratio = abs(math.log(down * rows / (across * columns)))
        return ratio + 6 * (1 - count / (down * across))

    return min(range(count, 0, -1), key=cost)


def _mosaic(stack: Array, across: int) -> Array:
    """Arrange pictures (k, rows, columns[, colours]), `across` in a row, with NaN between them."""
    count, rows, columns, *colours = stack.shape
    down = math.ceil(count / across)
    shape = (down * (rows + 1) - 1, across * (columns + 1) - 1, *colours)
    whole = np.full(shape, np.nan, np.float32)
    for number, tile in enumerate(stack):
        top, left = (number // across) * (rows + 1), (number % across) * (columns + 1)
        whole[top : top + rows, left : left + columns] = tile
    return whole
