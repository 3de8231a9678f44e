"""Parts of maps, and maps over fewer axes or of another size."""

from __future__ import annotations

from typing import Any, Literal

import cnnvis


@cnnvis.transform("select")
def select(
    explanation: cnnvis.Explanation,
    *,
    channel: int | None = None,
    label: str | None = None,
    target: str | None = None,
    axis: str | None = None,
    at: str | None = None,
) -> cnnvis.Explanation:
    """Keep some images, the maps of one class, one channel, or a piece along an axis.

    Parameters
    ----------
    channel
        The number of the channel to keep.
    label
        The label of the images to keep: the name or number of a class, one of several labels, none
        for images without a label, or a number.
    target
        The target of the maps to keep, where images have maps of several: the name or number of a
        class, or the target in words, output[AI].
    axis
        The axis to keep a piece of: row, column, position, plane, ...
    at
        The piece to keep: a position (7) or a range (10:20).
    """
    found = explanation
    if label is not None:
        samples = found.samples
        if samples is None or samples.labels is None:
            raise cnnvis.UserError(
                "the maps belong to no images with labels, so no label can select maps"
            )
        found = found[samples.labelled(label).nonzero()[0].tolist()]
    if target is not None:
        found = found.for_target(target)
    if channel is not None:
        found = _piece(found, "channel", channel)
    if (axis is None) != (at is None):
        raise cnnvis.UserError("select takes --axis and --at together: --axis row --at 10:20")
    if axis is not None and at is not None:
        start, colon, stop = at.partition(":")
        try:
            ends = [int(end) if end.strip() else None for end in (start, stop)]
        except ValueError:
            raise cnnvis.UserError(
                f"at is {at!r}, and must be a position (7) or a range (10:20)"
            ) from None
        one = slice(*ends) if colon else int(start)
        found = _piece(found, axis, one)
    return found


def _piece(explanation: cnnvis.Explanation, axis: str, at: int | slice) -> cnnvis.Explanation:
    place = _place(explanation, axis)
    size = explanation.array.shape[place]
    kept = range(size)[at] if isinstance(at, slice) else range(size)[at : at + 1 or None]
    if not len(kept):
        raise cnnvis.UserError(f"the axis {axis} has {size} positions, and no position at {at}")
    maps = explanation.array.take(list(kept), axis=place)
    if isinstance(at, slice):
        known = dict(explanation.coordinates)
        if axis in known:
            known[axis] = known[axis].piece(kept)
        inputs = _samples_piece(explanation, place, list(kept))
        return explanation.with_maps(maps, coordinates=known, samples=inputs)
    return _without(explanation, place, maps.squeeze(place))


def _samples_piece(
    explanation: cnnvis.Explanation, place: int, kept: list[int]
) -> cnnvis.Samples | None:
    """Return the samples with the same piece of inputs, if inputs have the axis of the cut maps."""
    from dataclasses import replace

    samples, axes = explanation.samples, explanation.space_axes()
    along = explanation.places
    if samples is not None and along is not None and along.axis == explanation.axes[place - 1]:
        piece = along.piece(range(kept[0], kept[-1] + 1))
        samples = replace(samples, places=piece)
    if samples is None or place not in axes or len(samples.space) != len(axes):
        return samples
    x = samples.x
    channel = None if samples.channel_axis is None else samples.channel_axis % x.ndim
    spatial = [axis for axis in range(1, x.ndim) if axis != channel]
    axis = spatial[axes.index(place)]
    if x.shape[axis] != explanation.array.shape[place]:
        return samples
    return replace(samples, source=x.take(kept, axis=axis))


@cnnvis.transform("project")
def project(
    explanation: cnnvis.Explanation,
    *,
    axis: str = "row",
    how: Literal["mean", "max", "min", "sum"] = "mean",
) -> cnnvis.Explanation:
    """Remove one axis from maps: volumes become pictures, pictures become profiles.

    Parameters
    ----------
    axis
        The axis to remove: row, column, plane, position or channel.
    how
        The number that replaces all values along the axis.
    """
    place = _place(explanation, axis)
    return _without(explanation, place, getattr(explanation.array, how)(axis=place))


@cnnvis.transform("resize", takes=["images"])
def resize(
    explanation: cnnvis.Explanation, *, order: Literal[0, 1, 2, 3] = 1
) -> cnnvis.Explanation:
    """Resize each map to the size of its input.

    Parameters
    ----------
    order
        The order of the spline between positions: 0 for the nearest position, 1 for lines, 3 for
        cubic.
    """
    import numpy as np
    from scipy import ndimage

    samples, maps = explanation.samples, explanation.array
    assert samples is not None
    axes = explanation.space_axes()
    if len(axes) != len(samples.space):
        raise cnnvis.UserError(
            f"maps with {len(axes)} spatial axes cannot be resized to inputs with "
            f"{len(samples.space)}"
        )
    factors = np.ones(maps.ndim)
    known = dict(explanation.coordinates)
    for axis, size in zip(axes, samples.space, strict=True):
        factors[axis] = size / maps.shape[axis]
        name = explanation.axes[axis - 1]
        resized = known[name].resized(maps.shape[axis], size) if name in known else None
        known = {key: one for key, one in known.items() if key != name}
        known |= {name: resized} if resized is not None else {}
    zoomed = [
        ndimage.zoom(
            one,
            factors[1:],
            order=order,
            grid_mode=True,
            mode="grid-constant" if order == 0 else "nearest",
        )
        for one in maps
    ]
    return explanation.with_maps(np.stack(zoomed), coordinates=known)


def _place(explanation: cnnvis.Explanation, axis: str) -> int:
    if axis not in explanation.axes:
        raise cnnvis.UserError(
            f"the maps have no axis {axis!r}; they have: {', '.join(explanation.axes) or 'none'}"
        )
    return explanation.axes.index(axis) + 1


def _without(explanation: cnnvis.Explanation, place: int, maps: Any) -> cnnvis.Explanation:
    axes = explanation.axes
    known = {name: one for name, one in explanation.coordinates.items() if name != axes[place - 1]}
    kept = (*axes[: place - 1], *axes[place:])
    return explanation.with_maps(maps, axes=kept, coordinates=known)
