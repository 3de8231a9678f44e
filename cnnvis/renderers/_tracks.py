"""Maps over one axis: curves, long tracks with their strongest windows enlarged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONG = 10_000  # positions above which a track is an overview with windows


def strongest_windows(values: Any, count: int, length: int) -> list[tuple[int, int]]:
    """Return the start and end of the windows with the largest sums of sizes, in their order.

    Parameters
    ----------
    values
        (positions,), or (positions, channels).
    count, length
        The number of windows, which do not overlap, and the positions of each.
    """
    import numpy as np

    sizes = np.nan_to_num(np.abs(np.float64(values)), posinf=0.0)
    sizes = sizes if sizes.ndim == 1 else sizes.sum(axis=1)
    length = min(length, len(sizes))
    # Weighted by the distance from its middle, so that a peak has its surroundings on both sides.
    sums = np.convolve(sizes, np.bartlett(length + 2)[1:-1], "same")
    starts = (np.arange(len(sizes)) - length // 2).clip(0, len(sizes) - length)
    found: list[tuple[int, int]] = []
    while len(found) < count and np.isfinite(sums).any():
        start = int(starts[sums.argmax()])
        found.append((start, start + length))
        sums[np.abs(starts - start) < length] = -np.inf
    return sorted(found)


def draw_curve(axes: Axes, values: Any, colour: str, *, fill: float = 0.0, start: int = 0) -> None:
    """Draw a value for each position, as a step; the area to zero has the opacity `fill`."""
    import numpy as np

    count = len(values)
    x: Any = np.arange(start, start + count)
    y = values
    if count <= 1000:  # a step, half a position to each side, as a pixel of a picture is
        x, y = np.arange(start, start + count + 1).repeat(2)[1:-1] - 0.5, np.repeat(values, 2)
    elif count > LONG:  # between the ends of each part, so that no peak is lost between pixels
        parts = np.array_split(np.float64(values), 2000)
        with np.errstate(all="ignore"):
            low, high = (np.array([f(part) for part in parts]) for f in (np.nanmin, np.nanmax))
        x = start + np.linspace(0, count - 1, len(parts))
        axes.fill_between(x, low, high, color=colour, linewidth=0.5, step="mid")
        axes.set_xlim(start - 0.5, start + count - 0.5)
        return
    axes.plot(x, y, linewidth=0.7, color=colour)
    if fill:
        axes.fill_between(x, 0, y, color=colour, alpha=fill, linewidth=0)
    axes.set_xlim(start - 0.5, start + count - 0.5)


def with_margins(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis with a margin beyond the ends of the values."""
    margin = 0.04 * (high - low)
    return low - margin, high + margin
