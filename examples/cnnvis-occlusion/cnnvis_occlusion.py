"""Occlusion maps, and a renderer that ranks places: two plugins of cnnvis in a file of their own."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]

CNNVIS_API = 1

BATCH = 64
"""How many covered copies of an image the network sees at a time."""


@cnnvis.technique(
    "patch-occlusion",
    reference="arXiv:1311.2901",
    claims={
        "integrated-gradients": {"size": (1,), "stride": (1,)},
        "occlusion": {"size": (1,), "stride": (1,)},
    },
)
def occlusion(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    size: tuple[cnnvis.Count, ...] = (8,),
    stride: tuple[cnnvis.Count, ...] = (4,),
    fill: Literal["zero", "mean"] = "zero",
) -> cnnvis.Explanation:
    """How much the score falls when a patch of the input is covered.

    M(p) = mean over the patches P that hold p of S(x) - S(x covered at P), for the score S of the
    input x: Zeiler and Fergus 2014, section 4.2. Positive where the input speaks for the target.

    Parameters
    ----------
    size
        How far a patch reaches along each spatial axis, in positions; one number for all axes, or
        one for each.
    stride
        How far apart patches begin, likewise.
    fill
        What covers: zero, or the mean of the image's channel.
    """
    import numpy as np

    channel = samples.channel_axis
    channel = None if channel is None else channel % samples.x.ndim
    axes = [axis for axis in range(1, samples.x.ndim) if axis != channel]
    patches = list(
        _patches(samples.space, _each(size, axes, "size"), _each(stride, axes, "stride"))
    )
    weights = model.target_weights(samples.x)
    whole = model.scores(samples.x, weights=weights)
    maps = np.zeros((len(samples), *samples.space), np.float64)
    times = np.zeros(samples.space)
    for patch in patches:
        times[patch] += 1
    with cnnvis.progress("covering patches", len(samples) * len(patches)) as advance:
        for i, image in enumerate(samples.x):
            cover = image.mean(axis=tuple(axis - 1 for axis in axes), keepdims=True)
            cover = cover if fill == "mean" else np.zeros_like(cover)
            for start in range(0, len(patches), BATCH):
                some = patches[start : start + BATCH]
                copies = np.repeat(image[None], len(some), axis=0)
                for copy, patch in zip(copies, some, strict=True):
                    place = _with_channels(patch, channel)
                    copy[place] = np.broadcast_to(cover, image.shape)[place]
                scores = model.scores(
                    copies, weights=np.repeat(weights[i : i + 1], len(some), 0), of=[i] * len(some)
                )
                for patch, score in zip(some, scores, strict=True):
                    maps[i][patch] += whole[i] - score
                advance(len(some))
    return cnnvis.Explanation(maps / times, samples, signed=True)


def _each(numbers: Sequence[int], axes: Sequence[int], what: str) -> list[int]:
    """A number for each spatial axis."""
    if len(numbers) not in (1, len(axes)):
        raise cnnvis.UserError(
            f"{what} is {tuple(numbers)}, and it takes one number, or one for each of the "
            f"{len(axes)} spatial axes"
        )
    return list(numbers) * len(axes) if len(numbers) == 1 else list(numbers)


def _patches(
    space: Sequence[int], size: Sequence[int], stride: Sequence[int]
) -> Iterator[tuple[slice, ...]]:
    """Patches over an image, the last along each axis pushed back so that it ends with the axis."""
    along = []
    for length, wide, apart in zip(space, size, stride, strict=True):
        last = max(length - wide, 0)
        # Strides wider than a patch would leave gaps that nothing is known of.
        starts = sorted({*range(0, last, min(apart, wide)), last})
        along.append([slice(start, start + wide) for start in starts])
    return itertools.product(*along)


def _with_channels(patch: tuple[slice, ...], channel: int | None) -> tuple[slice, ...]:
    """A patch of all channels of one image, whose axis `channel` of a batch holds channels."""
    if channel is None:
        return patch
    return (*patch[: channel - 1], slice(None), *patch[channel - 1 :])


@cnnvis.renderer("ranking", suffixes=(".tsv",))
def ranking(explanation: cnnvis.Explanation, path: Path, *, places: cnnvis.Count = 10) -> None:
    """The places with the largest values of each map, as a table with tabs for spreadsheets.

    Parameters
    ----------
    places
        How many places of each map.
    """
    import numpy as np

    maps = explanation.array
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["map", "rank", *explanation.axes, "value"])
        for number, one in enumerate(maps):
            title = explanation.title(number).partition("\n")[0] or str(number)
            order = np.argsort(one, axis=None)[::-1][:places]
            for rank, flat in enumerate(order, 1):
                place = np.unravel_index(flat, one.shape)
                table.writerow([title, rank, *_coordinates(explanation, place), one[place]])


def _coordinates(explanation: cnnvis.Explanation, place: Sequence[Any]) -> list[str]:
    """A position in the units of the axes that are described, and in numbers along the others."""
    described = explanation.coordinates
    return [
        described[name].at(index) if name in described else str(index)
        for name, index in zip(explanation.axes, place, strict=True)
    ]
