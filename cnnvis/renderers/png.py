"""Renderer of explanations as pictures in files, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cnnvis
from cnnvis.renderers._common import require_maps
from cnnvis.renderers._files import ABOUT, PAGES, check_figure, enlarged, save
from cnnvis.renderers._heading import table_page
from cnnvis.renderers._look import Ends
from cnnvis.renderers._maps import Settings, figure_of
from cnnvis.renderers._plots import plot


@cnnvis.renderer("png", suffixes=tuple(ABOUT), check=check_figure, plot=plot)
def png(
    explanation: cnnvis.Explanation,
    path: Path,
    *,
    cmap: str | None = None,
    input_cmap: str | None = None,
    scale: Ends = "percentile",
    percentile: cnnvis.Percent = 99.5,
    overlay: bool = False,
    over_pictures: bool = True,
    alpha: cnnvis.Share = 0.6,
    columns: cnnvis.Count = 8,
    width: float = 1.9,
    limit: cnnvis.Count = 100,
    tiles: cnnvis.Count = 16,
    volumes: Literal["peak", "planes"] = "peak",
    page: Literal["screen", "paper", "slides"] = "screen",
    each: bool = False,
    format: Literal["png", "svg", "pdf"] = "png",
    dpi: cnnvis.Count | None = None,
) -> None:
    """A figure: inputs above, maps below, with a shared scale and a colour bar.

    Sequences of letters are drawn as letters of the height of their values. A map over one axis
    with more than 10,000 positions is an overview with its strongest windows enlarged beside it.

    Parameters
    ----------
    cmap
        The colour map of the maps, from matplotlib, or blue-white-red. By default magma for sizes,
        and blue-white-red, with white at zero, where signs mean something.
    input_cmap
        The colour map of inputs with one channel. By default gray, bright on dark, for photographs
        and volumes, and Greys, dark on light, for genotypes and other whole numbers in a small
        range.
    scale
        The ends of the colours. percentile: one scale for all maps, which ends at the percentile of
        the map that has the largest. shared: one scale for all maps, which ends at the extremes of
        all values. each-percentile and each: the same for each map by itself, and the title of the
        map gives its scale. Curves and letters always end at the extremes.
    percentile
        The percentile at which the colours end; the colour bar gives it, and the extremes.
    overlay
        Lay the maps over their inputs.
    over_pictures
        Where inputs are pictures in colour, lay the maps over a second copy of them, without its
        colours.
    alpha
        The opacity of the largest values of a map over its input, from 0 to 1; smaller values are
        less opaque.
    columns
        The largest number of maps side by side.
    width
        The width of one map, in inches. A map with more values than pixels is drawn larger.
    limit
        The largest number of maps to draw; the title gives the number of all maps.
    tiles
        The largest number of planes of a volume, or of channels, to draw.
    volumes
        What to draw of a volume: peak for three planes through its strongest value and the
        projection of the strongest values, planes for evenly spaced planes.
    page
        The sizes of letters and pages: screen, paper (a page 7 inches wide, 300 dots per inch), or
        slides (large letters).
    each
        Write a file for each image, named after the image; its maps have scales of their own.
    format
        The format of a file that nobody names.
    dpi
        Dots per inch; none: 120, or 300 for paper.
    """
    chosen = PAGES[page]
    dots = (dpi or chosen.dpi) * chosen.enlarged
    if explanation.table is not None:
        figure = table_page(explanation)
    else:
        require_maps(explanation)
        if limit < len(explanation):
            cnnvis.note(
                f"the picture shows the first {limit} of {len(explanation)} maps; the option limit "
                "of png says how many"
            )
        figure = figure_of(
            explanation,
            Settings(
                cmap, input_cmap, scale, percentile, overlay, over_pictures, alpha, columns, width, limit, tiles,
                volumes, dots, chosen.widest / chosen.enlarged,
            ),
        )  # fmt: skip
    enlarged(figure, chosen.enlarged)
    save(figure, path, dpi or chosen.dpi, dict(explanation.provenance))
