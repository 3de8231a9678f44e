"""Sizes of panels in a figure, in inches, and the groups of positions along their axes."""

from __future__ import annotations

import cnnvis

SIDE = 20.0  # the longest side of a picture that is made larger so that all of its values are seen


def edges_of(described: cnnvis.Axis | None, size: int) -> list[int]:
    """Return where a group of positions with one name ends and the next begins; none without groups."""
    if described is None or len(described.values) != size:
        return []
    runs = described.runs()
    if len(runs) == size:  # a name for each position
        return []
    values = described.values
    return [place for place in range(1, size) if runs and values[place] != values[place - 1]]


def named_strips(panel: cnnvis.Panel) -> bool:
    """Tell whether a panel is of channels that have names."""
    described = panel.coordinates.get(panel.axes[0]) if panel.is_strips else None
    return described is not None and bool(described.runs())


def size_of(
    panel: cnnvis.Panel, width: float, dpi: float, stretch: float = 1.0
) -> tuple[float, float]:
    """Return the width and height of a panel, where a usual picture has the width `width`.

    A picture of more values than such a picture has pixels is larger, up to `SIDE`.
    """
    if panel.is_profile:  # needs room along its axis
        return 2.2 * width * stretch, 0.8 * width
    rows, columns = panel.values.shape[:2]
    if panel.is_strips:
        across = width * (2.2 if columns > 40 or stretch > 1 else 1.0) * stretch
        down = min(max(0.15 * rows, 0.35), 2 * width)
        return max(across, min(columns / dpi, SIDE)), max(down, min(rows / dpi, SIDE))
    if not panel.axes:  # a mosaic holds many pictures
        width *= 1.7
    # A very long or very flat picture is stretched, or there would be nothing to see.
    ratio = min(max(rows / columns, 0.125), 8.0)
    across = min(width * max(1.0, 0.5 / ratio), 2.2 * width)
    down = min(across * ratio, 2.4 * width)
    across = down / ratio
    larger = max(columns / dpi / across, rows / dpi / down)
    if larger > 1:
        larger = min(larger, SIDE / max(across, down))
        return max(across, across * larger), max(down, down * larger)
    if ratio == rows / columns:  # a whole number of pixels for each value
        times = max(round(across * dpi / columns), 1) / dpi
        return columns * times, rows * times
    return across, down
