"""Localization in grids of images: the evidence for a class lies in the cell with its image."""

from __future__ import annotations

from typing import Any

import cnnvis

Array = Any

AT_ONCE = 32
"""Number of images whose grids are explained at a time."""


@cnnvis.metric(
    "grid-localization",
    reference="arXiv:2104.00032",
    better="higher",
)
def grid_localization(
    explanation: cnnvis.Explanation,
    model: cnnvis.Model,
    explainer: cnnvis.Explainer,
    *,
    grids: cnnvis.Count = 2,
    candidates: cnnvis.Count = 64,
    shrink: bool = False,
    seed: cnnvis.Seed = 0,
) -> Any:
    """The share of positive values in the right cell of a grid with images of other classes.

    Each image is laid into a random cell of a grid, two cells along each spatial axis, with images of
    other classes in the other cells, and its class is explained; the mean over grids of sum max(M, 0) in
    its cell by that of the whole grid. The localization metric of Böhle et al. 2021, there with 3 x 3
    cells, and the grid pointing game of Rao et al. 2022, arXiv:2205.10435. 1 is best; chance is 1/2 over one axis, 1/4 over two, 1/8
    over three. The network must take inputs of any size. NaN for maps without positive values, and
    where the target is no single class.

    Parameters
    ----------
    grids
        How many grids each image is laid into.
    candidates
        From how many images of the data, evenly spaced, those for the other cells are drawn; their
        classes are those that the network answers.
    shrink
        For networks that take one size: take every second position of each image along each axis. These
        are other images to the network, which may not know them any more.
    """
    import numpy as np

    samples = explanation.samples
    if samples is None:
        raise cnnvis.UserError(
            "grid-localization lays images into grids, and these maps are of none"
        )
    own = [target.filters for target in explanation.targets]
    if not own or any(len(filters) != 1 for filters in own):
        return np.full(len(explanation), np.nan)
    if not shrink:
        _require_open(model, samples)
    explained = np.array([filters[0] for filters in own])
    data = explainer.data(samples)
    others = data.picked(cnnvis.evenly_spaced(len(data), candidates))
    classes = _classes(model.with_inputs_held(others), others)
    tiled = cnnvis.TiledImages(data.source, samples.channel_axis, shrink)
    over_grids = explainer.with_data(_with_source(data, tiled))
    found = []
    for start in range(0, len(samples), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        shares = [
            _shares(
                samples[rows], explained[rows], others, classes, over_grids, shrink, [seed, grid]
            )
            for grid in range(grids)
        ]
        found.append(np.mean(shares, axis=0))
    return np.concatenate(found)


def _require_open(model: cnnvis.Model, samples: cnnvis.Samples) -> None:
    """Refuse a network that takes inputs of one size."""
    shape = list(model.input_shape)
    if samples.channel_axis is not None:
        del shape[samples.channel_axis if samples.channel_axis < 0 else samples.channel_axis - 1]
    if any(length is not None for length in shape):
        size = " x ".join("any" if length is None else str(length) for length in shape)
        wanted = " x ".join(str(2 * length) for length in samples.space)
        raise cnnvis.UserError(
            f"grid-localization lays images side by side into an input of {wanted}, and this network "
            f"takes {size}: it needs a network that takes inputs of any size (or the option shrink, "
            "which takes every second position of each image: other images to the network)"
        )


def _classes(model: cnnvis.Model, samples: cnnvis.Samples) -> Array:
    """Return the class that the target layer answers for each sample, (n,) whole numbers."""
    outputs = model.outputs(samples.x)
    if outputs.ndim != 2 or (outputs.shape[1] == 1 and not model.has_classes):
        raise cnnvis.UserError(
            f"grid-localization needs images of several classes, and {model.layer!r} does not answer "
            "with a class"
        )
    return (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)


def _shares(
    samples: cnnvis.Samples,
    explained: Array,
    others: cnnvis.Samples,
    classes: Array,
    explainer: cnnvis.Explainer,
    shrink: bool,
    key: list[int],
) -> Array:
    """Return the share of positive values in the right cell of one grid for each image."""
    import numpy as np

    count = 2 ** len(samples.space)
    cells = np.repeat(samples.x[None], count, axis=0)
    right = np.zeros(len(samples), int)
    for row, index in enumerate(samples.indices):
        rng = np.random.default_rng([*key, int(index)])
        right[row] = rng.integers(count)
        chosen = _partners(classes, explained[row], count - 1, rng)
        free = [cell for cell in range(count) if cell != right[row]]
        cells[free, row] = others.source[chosen]
    made = cnnvis.image_grids(list(cells), samples.channel_axis, shrink=shrink)
    grids = _with_source(samples, made)
    maps = np.asarray(explainer.maps(grids, explained.tolist()), np.float64)
    if maps.shape == made.shape and samples.channel_axis is not None:
        maps = maps.sum(axis=samples.channel_axis)
    if maps.shape[1:] != grids.space:
        raise cnnvis.UserError(
            f"grid-localization needs maps as large as the input, {grids.space}, and these are "
            f"{maps.shape[1:]}"
        )
    masks = np.zeros(maps.shape, bool)
    for row, cell in enumerate(right.tolist()):
        masks[row][cnnvis.grid_cell(cell, samples.space, shrink=shrink)] = True
    return cnnvis.energy_inside(maps, masks)


def _partners(classes: Array, explained: int, count: int, rng: Any) -> list[int]:
    """Draw images of other classes than the explained one, of as many classes as there are."""
    import numpy as np

    known = rng.permutation(np.unique(classes[classes != explained]))
    if not len(known):
        raise cnnvis.UserError(
            "grid-localization needs images of several classes, and the network answers with class "
            f"{explained} for all {len(classes)} that were tried; raise candidates, or give other data"
        )
    return [int(rng.choice(np.flatnonzero(classes == known[n % len(known)]))) for n in range(count)]


def _with_source(samples: cnnvis.Samples, source: Any) -> cnnvis.Samples:
    import dataclasses

    return dataclasses.replace(samples, source=source, baselines={})
