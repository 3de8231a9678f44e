"""Renderer of explanations as one page of the web that needs no other file and no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.renderers._common import check_colour_maps
from cnnvis.renderers._look import Ends
from cnnvis.renderers._web_page import written


def _check(*, cmap: str | None, input_cmap: str | None, percentile: float, **_: object) -> None:
    check_colour_maps(cmap=cmap, input_cmap=input_cmap)
    if not 50 < percentile <= 100:
        raise cnnvis.UserError(
            f"percentile is {percentile:g}, and must be above 50 and at most 100"
        )


@cnnvis.renderer("html", suffixes=(".html", ".htm"), check=_check)
def html(
    explanation: cnnvis.Explanation,
    path: Path,
    page: cnnvis.Page | None = None,
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Ends = "percentile",
    percentile: float = 99.5,
    limit: cnnvis.Count = 64,
    tiles: cnnvis.Count = 16,
    part: bool = False,
) -> None:
    """A page of the web in one file, to send: maps beside inputs, verdicts, facts and citations.

    The file opens from a disk, asks no network for anything, and is complete without scripts; with
    scripts it has sliders for the opacity of the maps and for a threshold, and tables can be sorted.

    Parameters
    ----------
    cmap
        The colour map of the maps, from matplotlib; by default chosen as in pictures.
    input_cmap
        The colour map of inputs with one channel; by default chosen by the values.
    scale
        Where the colours end: ``percentile`` and ``shared`` for all maps of a method, at a percentile
        or at the extremes; ``each`` and ``each-percentile`` for each map by itself.
    percentile
        The percentile at which the colours end.
    limit
        The largest number of maps; the page says where the others are.
    tiles
        The largest number of planes of a volume, or of channels, to draw.
    part
        Write a part for another page, such as a notebook, with static pictures alone.
    """
    shown = cnnvis.Page((explanation,)) if page is None else page
    drawing: dict[str, Any] = {
        "cmap": cmap, "input_cmap": input_cmap, "scale": scale, "percentile": percentile,
    }  # fmt: skip
    text = written(shown, drawing, limit=limit, tiles=tiles, part=part)
    path.write_text(text, encoding="utf-8", newline="\n")
