"""Shows explanations in a terminal, with rich."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

RAMP = " .:-=+*#%@"
GAP = 2


def _check(*, cmap: str | None, **_: object) -> None:
    from matplotlib import colormaps

    if cmap is not None and cmap not in colormaps:
        raise cnnvis.UserError(
            f"there is no colour map {cmap!r}; matplotlib's include viridis, magma, hot, gray"
        )


@cnnvis.renderer("terminal", check=_check)
def terminal(
    explanation: cnnvis.Explanation,
    console: Console,
    *,
    cmap: str | None = None,
    columns: int = 4,
    limit: int = 8,
    rows: int = 16,
    tiles: int = 16,
) -> None:
    """The maps as small pictures of coloured half blocks, with a legend and a table.

    Where the terminal has no colour, or the output goes to a file, pictures are made of the
    characters of a ramp from blank to @.

    Parameters
    ----------
    cmap
        The colour map, any of matplotlib's; see the renderer png.
    columns
        How many maps stand beside each other at most.
    limit
        How many maps are shown as pictures; the table holds all.
    rows
        How many lines a picture takes at most.
    tiles
        How many planes of a volume, or channels, are shown at most.
    """
    if explanation.table is not None:
        _print_columns(console, explanation.table)
        return
    pairs = cnnvis.panels(explanation, limit=limit, tiles=tiles)
    colours = _Colours(explanation, cmap, in_colour=console.color_system is not None)
    across = min(columns, len(pairs))
    rows = rows * 3 // 2 if across == 1 else rows
    width = (min(console.width, 120) - GAP * (across - 1)) // across
    for start in range(0, len(pairs), across):
        _print_pairs(console, pairs[start : start + across], colours, width, rows)
    console.print(colours.legend(min(console.width, 120)))
    _print_columns(console, _facts(explanation))


class _Colours:
    """How values become pictures: in colour, or in characters."""

    def __init__(self, explanation: cnnvis.Explanation, cmap: str | None, in_colour: bool) -> None:
        assert explanation.maps is not None
        signed = explanation.is_signed
        self._low, self._high = float(explanation.maps.min()), float(explanation.maps.max())
        if signed:
            self._high = max(abs(self._low), abs(self._high))
            self._low = -self._high
        self._cmap = cmap or ("RdBu_r" if signed else "magma")
        self._in_colour = in_colour

    def map(self, values: Any, width: int, rows: int) -> RenderableType:
        """A map on the scale that all maps share, or in its own colours."""
        if values.ndim == 3:
            return self._picture(values, self._cmap, width, rows)
        span = (self._high - self._low) or 1
        return self._picture((values - self._low) / span, self._cmap, width, rows)

    def input(self, values: Any, width: int, rows: int) -> RenderableType:
        """An input on a scale of its own."""
        import numpy as np

        if values.ndim == 3:
            return self._picture(values, "gray", width, rows)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        return self._picture((values - low) / ((high - low) or 1), "gray", width, rows)

    def legend(self, width: int) -> RenderableType:
        """The scale that all maps share, with the values at its ends."""
        import numpy as np
        from rich.text import Text

        low, high = f"{_number(self._low, self._high)} ", f" {_number(self._high)}"
        length = min(width - len(low) - len(high), 40)
        if not self._in_colour:
            return Text(f"{low}[{RAMP}]{high}")
        bar = Text(low)
        for red, green, blue in self._rgb(np.linspace(0, 1, length)[None], self._cmap)[0]:
            bar.append(" ", f"on rgb({red},{green},{blue})")
        return bar.append(high)

    def _rgb(self, values: Any, cmap: str) -> Any:
        """Colours (rows, columns, 3) uint8 of values between 0 and 1."""
        import numpy as np
        from matplotlib import colormaps

        if values.ndim == 3:
            return np.uint8(values[..., :3] * 255)
        shown = colormaps[cmap](np.ma.masked_invalid(values), bytes=True)
        return np.asarray(shown)[..., :3]

    def _picture(self, values: Any, cmap: str, width: int, rows: int) -> RenderableType:
        import numpy as np
        from rich.text import Text

        down, across = values.shape[:2]
        if not self._in_colour:
            grey = values if values.ndim == 2 else values[..., :3].mean(axis=-1)
            # A character is about twice as high as it is wide.
            height, width = _fitted(down, across, rows * 2, width)
            small = _resized(np.nan_to_num(grey), max(height // 2, 1), width)
            steps = np.clip(small * len(RAMP), 0, len(RAMP) - 1).astype(int)
            lines = ("".join(RAMP[step] for step in line) for line in steps)
            return Text("\n".join(lines), no_wrap=True)
        from PIL import Image
        from rich_pixels import Pixels

        height, width = _fitted(down, across, rows * 2, width)
        picture = Image.fromarray(self._rgb(values, cmap))
        method = Image.Resampling.BOX if height < down else Image.Resampling.NEAREST
        shown: RenderableType = Pixels.from_image(picture.resize((width, height), method))
        return shown


def _fitted(down: int, across: int, rows: int, width: int) -> tuple[int, int]:
    """The height, even, and width of a picture that keeps its shape within these bounds."""
    factor = min(rows / down, width / across)
    height = max(2 * round(down * factor / 2), 2)
    return height, max(min(round(across * factor), width), 1)


def _resized(values: Any, height: int, width: int) -> Any:
    """A picture made smaller by averages, or larger by repetition."""
    import numpy as np
    from PIL import Image

    method = Image.Resampling.BOX
    return np.asarray(Image.fromarray(np.float32(values)).resize((width, height), method))


def _print_pairs(
    console: Console, pairs: list[Any], colours: _Colours, width: int, rows: int
) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, GAP, 0, 0))
    for _ in pairs:
        grid.add_column(width=width, no_wrap=True)
    grid.add_row(*(Text(pair.map.title, overflow="ellipsis") for pair in pairs))
    if pairs[0].input is not None:
        grid.add_row(*(colours.input(_flat(p.input.values), width, rows) for p in pairs))
        grid.add_row(*(Text("") for _ in pairs))
    grid.add_row(*(colours.map(_flat(p.map.values), width, rows) for p in pairs))
    grid.add_row(*(Text("") for _ in pairs))
    console.print(grid)


def _flat(values: Any) -> Any:
    """A picture: a profile, or a few channels of one, becomes a strip that is high enough to see."""
    import numpy as np

    if values.ndim == 1:
        values = values[None]
    if values.ndim == 2 and values.shape[0] < values.shape[1] / 8:
        strip = math.ceil(values.shape[1] / (8 * values.shape[0]))
        return np.repeat(values, strip, axis=0)
    return values


def _number(value: float, beside: float = 0.0) -> str:
    """A number in few letters; next to nothing beside a far larger one is 0."""
    return "0" if abs(value) < 1e-4 * abs(beside) else f"{value:.3g}"


def _facts(explanation: cnnvis.Explanation) -> dict[str, list[str]]:
    """A line for each map: what it is, and where it is strongest."""
    import numpy as np

    assert explanation.maps is not None
    maps, samples, targets = explanation.maps, explanation.samples, explanation.targets
    table: dict[str, list[str]] = {}
    everyone = range(len(explanation))
    if samples is not None:
        table["image"] = [str(index) for index in samples.indices]
        if samples.labels is not None:
            table["label"] = [samples.label_name(i) or "" for i in everyone]
    if targets:
        table["target"] = [str(target) for target in targets]
        if any(target.score is not None for target in targets):
            table["score"] = ["" if t.score is None else _number(t.score) for t in targets]
        if any(target.probability is not None for target in targets):
            table["p"] = ["" if t.probability is None else f"{t.probability:.3f}" for t in targets]
    table["least"] = [_number(one.min(), one.max()) for one in maps]
    table["most"] = [_number(one.max(), one.min()) for one in maps]
    peaks = [np.unravel_index(int(np.abs(one).argmax()), one.shape) for one in maps]
    table[f"at {', '.join(explanation.axes)}"] = [", ".join(map(str, p)) for p in peaks]
    return table


def _print_columns(console: Console, columns: Any) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name, cells in columns.items():
        numbers = all(isinstance(cell, int | float) for cell in cells)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    width = console.width
    if not console.is_terminal:  # a file has no edge to fold lines at
        console.width = 1000
    console.print(table)
    console.width = width
