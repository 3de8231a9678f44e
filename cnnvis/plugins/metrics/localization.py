"""Localization: whether maps show the places that are known to matter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import cnnvis

SUFFIXES = (".npy", ".npz", ".csv", ".json", ".bed")

Masks = Annotated[
    str,
    cnnvis.Help(
        "A file that says where: masks (.npy, .npz), (images, ...) of 0 and 1 over the spatial axes, for all "
        "images of the data; or boxes (.csv, .json), with image and for an axis such as column column_start "
        "and column_stop, counted from 0, the stop behind the last position; or intervals of a genome (.bed), for "
        "images with places in one. By default the labels of the "
        "data, where these are labels of positions."
    ),
]
Label = Annotated[
    int,
    cnnvis.Help(
        "The label that counts, where masks are labels of positions; by default all but 0."
    ),
]


def _check(*, masks: str | None, **_: Any) -> None:
    if masks is None:
        return
    path = Path(masks)
    if path.suffix.lower() not in SUFFIXES:
        raise cnnvis.UserError(
            f"masks is {masks!r}, and must be a file that ends in {', '.join(SUFFIXES[:-1])} or "
            f"{SUFFIXES[-1]}"
        )
    cnnvis.require_regular(path)


@cnnvis.metric(
    "pointing-game", reference="doi:10.1007/s11263-017-1059-x", check=_check, better="higher",
)  # fmt: skip
def pointing_game(
    explanation: cnnvis.Explanation,
    *,
    masks: Masks | None = None,
    label: Label | None = None,
    tolerance: cnnvis.NotNegative = 0.0,
) -> Any:
    """Hit of the largest value of a map where it should lie: 1 or 0, whose mean is the accuracy.

    The pointing game of Zhang et al. 2018. Where several positions have the largest value, the share of them that
    does. ``pointing-game_chance`` is the share of all positions that would do. NaN for a map that is the
    same everywhere, and for an image without a mask.

    Parameters
    ----------
    tolerance
        How far beside the mask counts, in positions; the paper has 15 pixels.
    """
    maps = cnnvis.map_values(explanation, "pointing-game")
    where = cnnvis.masks_of(explanation, masks, label)
    hits = cnnvis.pointing_hits(maps, where, tolerance)
    return {
        "pointing-game": hits,
        "pointing-game_chance": _shares(cnnvis.widened_masks(where, tolerance)),
    }


@cnnvis.metric(
    "energy-pointing-game", reference="arXiv:1910.01279", check=_check, better="higher",
)  # fmt: skip
def energy_pointing_game(
    explanation: cnnvis.Explanation, *, masks: Masks | None = None, label: Label | None = None
) -> Any:
    """The share of a map's positive values that lies where it should, from 0 to 1.

    The energy-based pointing game of Wang et al. 2020. ``energy-pointing-game_chance`` is the share of the positions that do,
    which a map without differences has. NaN for a map without positive values, and for an image
    without a mask.
    """
    maps = cnnvis.map_values(explanation, "energy-pointing-game")
    where = cnnvis.masks_of(explanation, masks, label)
    shares = cnnvis.energy_inside(maps, where)
    return {"energy-pointing-game": shares, "energy-pointing-game_chance": _shares(where)}


@cnnvis.metric("average-precision", check=_check, better="higher")
def average_precision(
    explanation: cnnvis.Explanation, *, masks: Masks | None = None, label: Label | None = None
) -> Any:
    """The average precision with which a map's values rank the positions that matter before the others.

    The mean, over the positions that matter, of the share of them among all positions with values at least
    as large; 1 where all of them come first. ``average-precision_chance`` is the share of the positions
    that matter; maps that know nothing have this or slightly more. NaN for a map that is the same everywhere, and for an
    image without a mask.
    """
    maps = cnnvis.map_values(explanation, "average-precision")
    where = cnnvis.masks_of(explanation, masks, label)
    found = cnnvis.average_precision(maps, where)
    return {"average-precision": found, "average-precision_chance": _shares(where)}


@cnnvis.metric("iou", check=_check, better="higher")
def iou(
    explanation: cnnvis.Explanation,
    *,
    masks: Masks | None = None,
    label: Label | None = None,
    share: cnnvis.Percent | None = None,
) -> Any:
    """Intersection over union of the positions with a map's largest values and those that matter.

    |A and B| / |A or B| for the positions A above a threshold and the mask B. By default for the best
    threshold of each map, the largest over all of them, so that no choice of it favours a method; a
    map that knows nothing then has at least the share of the positions in the mask. NaN for a map that is
    the same everywhere, and for an image without a mask.

    Parameters
    ----------
    share
        Take this share of the positions, in per cent, instead of the best threshold.
    """
    maps = cnnvis.map_values(explanation, "iou")
    where = cnnvis.masks_of(explanation, masks, label)
    return cnnvis.mask_overlap(maps, where, None if share is None else share / 100)


def _shares(masks: Any) -> Any:
    """Return the share of the positions in each mask; NaN for an empty one."""
    import numpy as np

    found = masks.reshape(len(masks), -1).mean(axis=1)
    return np.where(found > 0, found, np.nan)
