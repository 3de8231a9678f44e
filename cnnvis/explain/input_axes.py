"""Axes of a network's input as a person describes them, and regions that are typed as coordinates along these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cnnvis.data.axes import Axis
from cnnvis.data.explanation import axis_names
from cnnvis.errors import UserError
from cnnvis.network.model import Model


def of_input(axes: Mapping[str, Axis], model: Model | None) -> dict[str, Axis]:
    """Return descriptions of axes as those of a network's input: of no axes of another size, as of kernels.

    With several inputs, a description is of the axes of each.
    """
    if model is None or len(model.inputs) != 1:
        return dict(axes)
    shape = model.input_shape
    names = axis_names(len(shape), model.input_channel_axis)
    sizes = {name: size for name, size in zip(names, shape, strict=True) if size is not None}
    return {
        name: axis if axis.size else replace(axis, size=sizes.get(name, 0))
        for name, axis in axes.items()
    }


def has_coordinates(
    region: Sequence[str | int | slice] | str | int | slice | None, axes: Mapping[str, Axis]
) -> bool:
    """Tell whether a region holds a word or coordinate of one of these axes: ``43.1Mb:43.2Mb``."""
    words = region if isinstance(region, Sequence) and not isinstance(region, str) else [region]
    return any(
        isinstance(word, str) and axis.names_places(word)
        for word in words
        for axis in axes.values()
    )


def region_in_positions(
    model: Model,
    region: Sequence[str | int | slice] | str | int | slice,
    axes: Mapping[str, Axis],
) -> list[str | int | slice]:
    """Return a region with positions of the target's layer in place of coordinates.

    Parameters
    ----------
    model
        The network at its target, of the whole layer.
    region
        A position, range or coordinate for each spatial axis of the layer.
    axes
        The meaning of the input's axes, by their usual names.

    Raises
    ------
    UserError
        If the layer's positions are not those of the input along an axis, or nothing is there.
    """
    words = (
        list(region) if isinstance(region, Sequence) and not isinstance(region, str) else [region]
    )
    if None in model.input_shape:
        raise UserError(
            f"the network takes inputs of any length, so coordinates are at no fixed position of the layer "
            f"{model.layer!r}: give positions, such as 10:20"
        )
    shape = tuple(size or 0 for size in model.input_shape)
    names = axis_names(len(shape), model.input_channel_axis)
    followed = model.followed_axes(model.layer, shape)
    counts = model.positions_along(model.layer, shape)
    found: list[str | int | slice] = []
    for number, word in enumerate(words):
        if not isinstance(word, str) or not any(axis.names_places(word) for axis in axes.values()):
            found.append(word)
            continue
        along = followed[number] if len(followed) == len(words) else 0
        name = names[along - 1] if along else ""
        size = shape[along - 1] if along else 0
        if not along or counts.get(along) != size:
            raise UserError(
                f"the region {word!r} is in coordinates of the input, and the layer {model.layer!r} has other "
                "positions than the input: give positions of the layer, such as 10:20"
            )
        axis = axes.get(name)
        if axis is None or not axis.fits(size):
            raise UserError(
                f"the region {word!r} stands for the axis {name}, whose coordinates are not known; the "
                f"table [axes.{name}] in cnnvis.toml describes them"
            )
        places = axis.places(word, size)
        if places != list(range(places[0], places[-1] + 1)):
            raise UserError(f"the positions with {word!r} do not follow each other: give a range")
        found.append(f"{places[0]}:{places[-1] + 1}")
    return found
