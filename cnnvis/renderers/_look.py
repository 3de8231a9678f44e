"""Look of pictures: the scales and colours of maps and of inputs, the same for every renderer.

`look_of` decides for all panels of an explanation; a `Look` turns a panel into pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

import cnnvis
from cnnvis.renderers._common import DIVERGING, limits, number

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

Ends = Literal["percentile", "shared", "each", "each-percentile"]
"""The ends of the colours: at a percentile or at the extremes, for all maps or for each map."""

SEQUENTIAL = "magma"
BRIGHT, DARK = "gray", "Greys"  # on a dark ground, on a light ground
BETWEEN_TILES = "0.8"  # light grey, which no usual colour map has at its ends or at zero
FAINT = 0.05  # part of a scale below which a whole map is hardly seen
KINDS = 8  # values of so few kinds keep a shade each
COUNTS = 100  # whole numbers over no more than this are counts, and those of photographs are more
PHOTOGRAPHS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
# Equal steps in CIELAB from a blue and a red of the same lightness to white, which is zero:
# matplotlib's maps with white at zero have unequal steps, and those with equal steps no white.
_DIVERGING = (
    *("#004592", "#355aa0", "#576fad", "#7585bb", "#919cc8", "#acb4d6", "#c8cce4", "#e3e5f1"),
    "#ffffff",
    *("#f5e2df", "#e9c5c1", "#dda9a3", "#cf8d86", "#c0726a", "#b0564f", "#9f3936", "#8c151e"),
)


@dataclass(frozen=True)
class Scale:
    """Scale: the values at the two ends of the colours, and the values beyond them.

    Attributes
    ----------
    low, high
        The values at the ends of the colours.
    least, most
        The smallest and the largest of all values; NaN where no value is a number.
    percentile
        The percentile of the values at which the colours end; None where they end at the extremes.
    """

    low: float
    high: float
    least: float = float("nan")
    most: float = float("nan")
    percentile: float | None = None

    @property
    def said(self) -> list[str]:
        """Lines for a legend: where the colours end, and the range of the values."""
        if not self.least <= self.most:
            return []
        lines = [f"values {number(self.least, self.most)} to {number(self.most, self.least)}"]
        if self.percentile is not None:
            lines.insert(0, f"colours to {self.percentile:g} %")
        return lines

    @property
    def extends(self) -> str:
        """The ends of the colours beyond which there are values, in matplotlib's words."""
        below, above = self.least < self.low, self.most > self.high
        return {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
            (below, above), "neither"
        )


def robust(
    values: Iterable[Any], *, signed: bool, from_zero: bool, percentile: float = 99.5
) -> Scale:
    """Return the scale of arrays, which ends where each array has only a few larger values.

    A percentile of all arrays together would be that of the blank arrays among them, so the
    scale ends at the largest of the percentiles of each.
    """
    import numpy as np

    finite = [part for part in (np.asarray(one)[np.isfinite(one)] for one in values) if part.size]
    low, high = limits(finite, signed=signed, from_zero=from_zero)
    least = min((float(part.min()) for part in finite), default=float("nan"))
    most = max((float(part.max()) for part in finite), default=float("nan"))
    if percentile >= 100 or not finite:
        return Scale(low, high, least, most)

    def end(part: Any, share: float, method: Any) -> float:
        return float(np.percentile(part, share, method=method))

    if signed:
        high = max(end(np.abs(part), percentile, "higher") for part in finite)
        low = -high
    else:
        high = max(end(part, percentile, "higher") for part in finite)
        low = min(end(part, 100 - percentile, "lower") for part in finite)
        low = min(low, 0.0) if from_zero else low
        high = max(high, 0.0) if from_zero and high < 0 else high
    if not low < high:  # almost all values are equal, and the others are what is to be seen
        return Scale(*limits(finite, signed=signed, from_zero=from_zero), least, most)
    is_cut = least < low or most > high
    return Scale(low, high, least, most, percentile if is_cut else None)


@dataclass(frozen=True)
class Look:
    """Look of all panels of an explanation: their scales and colours; see `look_of`."""

    cmap: str
    input_cmap: str
    inputs: Scale
    whole: Scale | None
    signed: bool
    from_zero: bool
    percentile: float

    def scale(self, panel: cnnvis.Panel) -> Scale:
        """Return the scale of a map: the scale of all maps, or its own."""
        if self.whole is not None:
            return self.whole
        return self._robust([_all(panel)], self.percentile)

    def is_faint(self, panel: cnnvis.Panel) -> bool:
        """Tell whether a map is hardly seen, since other maps have much larger values."""
        if self.whole is None or panel.is_coloured:
            return False
        own = self._robust([_all(panel)], self.percentile)
        largest = max(-own.low, own.high) if own.least or own.most else 0.0
        return largest < FAINT * max(-self.whole.low, self.whole.high)

    def title(self, panel: cnnvis.Panel) -> str:
        """Return the title of a map, with what its colours do not show."""
        if panel.is_coloured:
            return panel.title
        scale = self.scale(panel)
        if panel.is_profile:  # a curve is not cut off
            scale = self._robust([_all(panel)], 100)
        lines = [panel.title] if panel.title else []
        if self.is_faint(panel):
            own = self._robust([_all(panel)], 100)
            size = max(abs(own.least), abs(own.most))
            seen = f"near zero: at most {number(size)}"
            lines.append(seen if size else "zero everywhere")
        if self.whole is None:
            lines.append(f"{number(scale.low, scale.high)} to {number(scale.high, scale.low)}")
            if scale.percentile is not None:
                lines[-1] = f"colours {lines[-1]}, {scale.said[-1]}"
        return "\n".join(lines)

    def map_pixels(self, panel: cnnvis.Panel) -> Any:
        """Return the pixels of a map, (rows, columns, 4) bytes: a pixel for each value."""
        return _pixels(panel.values, self.scale(panel), self.cmap)

    def input_pixels(self, panel: cnnvis.Panel) -> Any:
        """Return the pixels of an input, (rows, columns, 4) bytes: a pixel for each value."""
        return _pixels(panel.values, self.inputs, self.input_cmap)

    def veil_pixels(self, panel: cnnvis.Panel, alpha: float = 0.6) -> Any:
        """Return the pixels of a map to lay over its input: the opacity grows with the value.

        At zero the input is seen, at the ends of the scale the opacity is `alpha`.
        """
        import numpy as np

        pixels = self.map_pixels(panel)
        if panel.is_coloured:
            opacity = np.ones(panel.values.shape[:2])
        else:
            scale = self.scale(panel)
            nearest = min(max(0.0, scale.low), scale.high)  # to zero, on the scale
            farthest = max(abs(scale.low - nearest), abs(scale.high - nearest)) or 1.0
            values = np.nan_to_num(np.float64(panel.values), nan=nearest)
            opacity = (np.abs(values.clip(scale.low, scale.high) - nearest) / farthest) ** 0.5
        pixels[..., 3] = np.uint8(np.round(255 * alpha * opacity))
        return pixels

    def _robust(self, values: Iterable[Any], percentile: float) -> Scale:
        return robust(values, signed=self.signed, from_zero=self.from_zero, percentile=percentile)


def look_of(
    explanation: cnnvis.Explanation,
    pairs: Sequence[Any],
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Ends = "percentile",
    percentile: float = 99.5,
) -> Look:
    """Return the look of the panels of an explanation, as `cnnvis.panels` gives them.

    Parameters
    ----------
    cmap, input_cmap
        The names of colour maps; by default chosen by the values.
    scale
        Where the colours end: ``percentile`` and ``shared`` for all maps, at a percentile or at
        the extremes; ``each`` and ``each-percentile`` for each map by itself.
    percentile
        The percentile; at most ``100 - percentile`` per cent of a map's values are beyond the
        colours.
    """
    signed, from_zero = explanation.is_signed, not explanation.are_inputs
    if scale in ("shared", "each"):
        percentile = 100.0
    inputs = [pair.input for pair in pairs if pair.input is not None]
    values = [_all(one) for one in inputs if not one.is_coloured]
    look = Look(
        cmap or (DIVERGING if signed else SEQUENTIAL),
        input_cmap or (DARK if are_counts(explanation, inputs) else BRIGHT),
        robust(values, signed=False, from_zero=False, percentile=100 if _are_few(values) else 99.5),
        None,
        signed,
        from_zero,
        percentile,
    )
    if scale in ("each", "each-percentile"):
        return look
    from dataclasses import replace

    return replace(look, whole=look._robust((_all(pair.map) for pair in pairs), percentile))


def are_counts(explanation: cnnvis.Explanation, inputs: Sequence[cnnvis.Panel]) -> bool:
    """Tell whether inputs look like a table of counts, which is read dark on light.

    Genotypes, one-hot letters and counts are; photographs and volumes are bright on dark. Files
    of pictures are photographs whatever their values; whole numbers in a small range are counts.
    """
    import numpy as np

    samples = explanation.samples
    if samples is None or not inputs:
        return False
    axes = len(samples.source.shape) - 1 - (samples.channel_axis is not None)
    named = samples.names or ()
    if axes == 3 or any(PurePath(name).suffix.lower() in PHOTOGRAPHS for name in named):
        return False
    values = [_all(one) for one in inputs if not one.is_coloured]
    finite = [one[np.isfinite(one)] for one in values]
    finite = [one for one in finite if one.size]
    if not finite or any((one != np.round(one)).any() for one in finite):
        return False
    return (
        max(float(one.max()) for one in finite) - min(float(one.min()) for one in finite) <= COUNTS
    )


def _all(panel: cnnvis.Panel) -> Any:
    """Return all values that a panel is of, also those that it does not show."""
    return panel.values if panel.everything is None else panel.everything


def _are_few(values: Sequence[Any]) -> bool:
    """Tell whether all values are of a few kinds."""
    import numpy as np

    found: set[float] = set()
    for one in values:
        found |= set(np.unique(one[np.isfinite(one)])[: KINDS + 1].tolist())
        if len(found) > KINDS:
            return False
    return True


def colours_named(name: str) -> Colormap:
    """Return a colour map of matplotlib or cnnvis by its name."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    if name == DIVERGING:
        found: Colormap = LinearSegmentedColormap.from_list(
            DIVERGING, _DIVERGING, N=257
        )  # an odd number, so that zero is the middle one
    else:
        found = colormaps[name]
    return found.with_extremes(bad=BETWEEN_TILES)


def _pixels(values: Any, scale: Scale, cmap: str) -> Any:
    import numpy as np

    if values.ndim == 3:  # colours
        colours = np.nan_to_num(np.float64(values), nan=float(BETWEEN_TILES)).clip(0, 1)
        pixels = np.full((*values.shape[:2], 4), 255, np.uint8)
        pixels[..., : values.shape[2]] = np.uint8(255 * colours + 0.5)
        return pixels
    # Differences may not fit in 32 bits.
    spread = (scale.high - scale.low) or 1.0
    parts = (np.clip(np.float64(values), scale.low, scale.high) - scale.low) / spread
    return colours_named(cmap)(np.ma.masked_invalid(parts), bytes=True)
