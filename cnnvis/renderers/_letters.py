"""Sequences as letters whose heights are values, in the way of a sequence logo."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASES = ("A", "C", "G", "T")
# Colours of bases that differ in lightness, too; other letters take turns.
COLOURS = {"A": "#1a7f37", "C": "#1f4fbf", "G": "#e39b00", "T": "#c4261d", "U": "#c4261d"}
OTHERS = ("#6f42c1", "#0b7285", "#a0522d", "#444444")


@dataclass(frozen=True, eq=False)
class Letters:
    """Letters of sequences, by the names of their channels.

    Attributes
    ----------
    names
        The letter of each channel.
    is_assumed
        True where nothing names the channels, which are taken for A, C, G and T.
    """

    names: tuple[str, ...]
    is_assumed: bool

    def heights(self, explanation: cnnvis.Explanation, number: int) -> Any:
        """Return the height of each letter at each position of a map, (positions, letters).

        A map without channels gives the letter that the input has at a position the height of
        its value; a map with channels gives each letter its own value.
        """
        import numpy as np

        assert explanation.samples is not None
        values = explanation.array[number]
        if values.ndim == 2:
            return values if explanation.axes[1] == "channel" else values.T
        axis = explanation.samples.channel_axis
        letters = np.asarray(explanation.samples[[number]].x[0])
        return values[:, None] * (letters if axis in (-1, 2) else letters.T)


def letters_of(explanation: cnnvis.Explanation, limit: int) -> Letters | None:
    """Return the letters of one-hot sequences; None where inputs are something else."""
    import numpy as np

    samples = explanation.samples
    spatial = [name for name in explanation.axes if name != "channel"]
    if samples is None or len(spatial) != 1 or samples.channel_axis is None:
        return None
    shape = tuple(samples.source.shape)
    if len(shape) != 3 or explanation.are_inputs:
        return None
    axis = 2 if samples.channel_axis in (-1, 2) else 1
    if explanation.array.shape[1 + explanation.axes.index(spatial[0])] != shape[3 - axis]:
        return None  # a coarse map of a layer, which has no value for each letter
    if "channel" in explanation.axes and shape[axis] not in explanation.array.shape[1:]:
        return None
    described = samples.coordinates.get("channel")
    named = () if described is None else tuple(map(str, described.values))
    if any(len(name) != 1 for name in named) or len(named) not in (0, shape[axis]):
        return None
    x = np.asarray(samples[: min(limit, len(samples))].x)
    # A position of an unknown base is all zeros, and fractions are of several bases.
    if not (((x == 0) | (x == 1)).all() and (x.sum(axis=axis) <= 1).all() and x.any()):
        return None
    if named:
        return Letters(named, is_assumed=False)
    return Letters(BASES, is_assumed=True) if shape[axis] == len(BASES) else None


def as_letters(pair: Any, letters: Letters, heights: Any) -> Any:
    """Return a pair whose map is drawn as a profile of letters, and whose input's rows have names."""
    panel, above = pair.map, pair.input
    if not panel.is_profile:
        values = heights.sum(axis=1)
        panel = replace(panel, values=values, axes=panel.axes[-1:], everything=heights)
    if above is not None and above.is_strips:
        named = {**above.coordinates, "channel": cnnvis.Axis(values=letters.names)}
        above = replace(above, coordinates=named)
    return replace(pair, map=panel, input=above)


def draw_letters(axes: Axes, heights: Any, names: tuple[str, ...], start: int = 0) -> None:
    """Draw letters in stacks from zero up and, for negative values, upside down from zero down."""
    import numpy as np
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    heights = np.nan_to_num(np.float64(heights))
    base = letter_bases(heights)
    for channel, name in enumerate(names):
        places = np.flatnonzero(heights[:, channel])
        if not len(places):
            continue
        glyph = glyph_of(name)
        high = heights[places, channel]
        x = glyph.vertices[None, :, 0] * 0.94 + places[:, None] + start - 0.47
        y = glyph.vertices[None, :, 1] * high[:, None] + base[places, channel][:, None]
        path = Path(np.stack([x, y], axis=-1).reshape(-1, 2), np.tile(glyph.codes, len(places)))
        axes.add_patch(PathPatch(path, facecolor=letter_colour(name, channel), linewidth=0))
    axes.set_xlim(start - 0.5, start + len(heights) - 0.5)


def letter_bases(heights: Any) -> Any:
    """Return where each letter of a stack begins, (positions, letters), for finite heights."""
    import numpy as np

    order = np.argsort(np.abs(heights), axis=1)  # the largest is farthest from zero
    ordered = np.take_along_axis(heights, order, axis=1)
    ends = np.where(
        ordered > 0, ordered.clip(min=0).cumsum(axis=1), ordered.clip(max=0).cumsum(axis=1)
    )
    bases = np.zeros_like(heights)
    np.put_along_axis(bases, order, ends - ordered, axis=1)
    return bases


def letter_colour(name: str, channel: int) -> str:
    """Return the colour of a letter, ``#rrggbb``."""
    return COLOURS.get(name.upper(), OTHERS[channel % len(OTHERS)])


def stack_limits(heights: Any) -> tuple[float, float]:
    """Return the lowest and the highest end of the stacks of letters."""
    import numpy as np

    heights = np.nan_to_num(np.float64(heights))
    return (
        float(heights.clip(max=0).sum(axis=1).min(initial=0)),
        float(heights.clip(min=0).sum(axis=1).max(initial=0)),
    )


def glyph_of(name: str) -> Any:
    """Return the outline of a letter, filling a square from 0 to 1."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    drawn = TextPath((0, 0), name, size=1, prop=FontProperties(weight="bold"), usetex=False)
    box = drawn.get_extents()
    vertices = (drawn.vertices - (box.x0, box.y0)) / (box.width or 1, box.height or 1)
    return Path(vertices, drawn.codes)
