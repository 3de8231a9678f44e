"""Parts of maps, and maps over fewer axes or of another size."""

from __future__ import annotations

from dataclasses import replace
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
        The axis to keep a piece of: row, column, position, plane, ... Where only a single axis has the
        typed unit or word, it need not be named.
    at
        The piece to keep: a position (7) or a range of positions (10:20, without 20); along an axis whose
        coordinates are known a coordinate (5272bp, 5,272 bp), a range of them with both ends
        (43.1Mb:43.2Mb), or a word (CEU), for all its positions.
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
    if axis is None and at is not None:
        axis = _axis_of(found, at)
    if (axis is None) != (at is None):
        raise cnnvis.UserError(
            "select takes --axis and --at together: --axis row --at 10:20; without --axis, --at takes a place "
            "with its unit, such as 95kb:105kb"
        )
    if axis is not None and at is not None:
        found = _piece(found, _usual(found, axis), _positions(at))
    return found


def _axis_of(explanation: cnnvis.Explanation, at: str) -> str | None:
    """Return the only axis that a word or coordinate can be of; None where there is none."""
    if not isinstance(_positions(at), str):
        return explanation.axes[0] if len(explanation.axes) == 1 else None
    fitting = [
        name
        for name in explanation.axes
        if name in explanation.coordinates and explanation.coordinates[name].names_places(at)
    ]
    if len(fitting) > 1:
        raise cnnvis.UserError(
            f"{at!r} may be of the axes {', '.join(fitting)}: name one with --axis"
        )
    if not fitting:
        known = {name: axis.unit for name, axis in explanation.coordinates.items() if axis.unit}
        units = ", ".join(f"{name} in {unit}" for name, unit in known.items())
        if explanation.places is not None:
            raise cnnvis.UserError(
                f"no axis of the maps has {at!r}: each image has its own place in a genome, so that a piece "
                "is typed in positions, such as --axis column --at 10:20; the tables that -r tsv writes "
                "have the place of each position"
            )
        raise cnnvis.UserError(
            f"no axis of the maps has {at!r}; "
            + (f"known are: {units}" if units else "none has known coordinates or words")
            + ". The table [axes.column] in cnnvis.toml describes the axis column"
        )
    return fitting[0]


def _positions(at: str) -> int | slice | str:
    """Return the position or the range of positions that was typed; else the text, a coordinate."""
    start, colon, stop = at.partition(":")
    try:
        ends = [int(end) if end.strip() else None for end in (start, stop)]
    except ValueError:
        return at
    return slice(*ends) if colon else int(start) if start.strip() else at


def _piece(explanation: cnnvis.Explanation, axis: str, at: int | slice | str) -> cnnvis.Explanation:
    place = _place(explanation, axis)
    size = explanation.array.shape[place]
    is_single = isinstance(at, int)
    if isinstance(at, str):
        kept, is_single = _kept(explanation, axis, at, size)
    else:
        every = range(size)[at] if isinstance(at, slice) else range(size)[at : at + 1 or None]
        kept = list(every)
    if not kept:
        asked = (
            f"{at.start or 0}:{size if at.stop is None else at.stop}"
            if isinstance(at, slice)
            else at
        )
        raise cnnvis.UserError(f"the axis {axis} has {size} positions, and no position at {asked}")
    maps = explanation.array.take(kept, axis=place)
    if not is_single:
        known = dict(explanation.coordinates)
        is_row = kept == list(range(kept[0], kept[-1] + 1))
        if axis in known:
            known[axis] = known[axis].piece(kept)
        elif kept[0] and is_row and axis != "channel" and not _is_placed(explanation, axis):
            known[axis] = cnnvis.Axis(start=kept[0])  # counted as before
        inputs, places = explanation.samples, explanation.image_places
        if places is not None and places.axis == axis:  # none, where maps had other positions
            places = places.piece(kept) if _is_placed(explanation, axis) else None
            inputs = None if inputs is None else replace(inputs, places=places)
        inputs = _samples_piece(explanation, inputs, place, kept)
        own = places if inputs is None else None
        return explanation.with_maps(maps, coordinates=known, samples=inputs, own_places=own)
    return _without(explanation, place, maps.squeeze(place))


def _is_placed(explanation: cnnvis.Explanation, axis: str) -> bool:
    """Tell whether each image has its own place in a genome along an axis."""
    places = explanation.places
    return places is not None and places.axis == axis


def _kept(explanation: cnnvis.Explanation, axis: str, at: str, size: int) -> tuple[list[int], bool]:
    """Return the positions with a coordinate or word, and whether a single position was meant."""
    known = explanation.coordinates.get(axis)
    if known is None:
        raise cnnvis.UserError(
            f"at is {at!r}, and must be a position (7) or a range (10:20): the coordinates of the axis "
            f"{axis} are not known, which the table [axes.{axis}] in cnnvis.toml would say"
        )
    kept = known.places(at, size)
    is_word = at.strip() in map(str, known.values)
    is_single = len(kept) == 1 and not is_word and ":" not in at
    if is_single:
        there = f"{known.at(kept[0])} {known.unit}".rstrip()
        cnnvis.note(f"{at} is {axis} {kept[0]}, at {there}")
    return kept, is_single


def _samples_piece(
    explanation: cnnvis.Explanation, samples: cnnvis.Samples | None, place: int, kept: list[int]
) -> cnnvis.Samples | None:
    """Return the samples with the same piece of inputs, if inputs have the axis of the cut maps."""
    axes = explanation.space_axes()
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
    return explanation.axes.index(_usual(explanation, axis)) + 1


def _usual(explanation: cnnvis.Explanation, axis: str) -> str:
    """Return the usual name of an axis, which may be typed as it is described: ``x`` for ``plane``."""
    named = [
        usual
        for usual in explanation.axes
        if usual in explanation.coordinates and explanation.coordinates[usual].name == axis
    ]
    if axis in explanation.axes:
        return axis
    if len(named) == 1:
        return named[0]
    known = [
        f"{usual} ({one.name})"
        if (one := explanation.coordinates.get(usual)) and one.name and one.name != usual
        else usual
        for usual in explanation.axes
    ]
    raise cnnvis.UserError(
        f"the maps have no axis {axis!r}; they have: {', '.join(known) or 'none'}"
    )


def _without(explanation: cnnvis.Explanation, place: int, maps: Any) -> cnnvis.Explanation:
    axes = explanation.axes
    known = {name: one for name, one in explanation.coordinates.items() if name != axes[place - 1]}
    kept = (*axes[: place - 1], *axes[place:])
    return explanation.with_maps(maps, axes=kept, coordinates=known)
