"""Several targets of one image: a model for each, of the same network."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError, shown
from cnnvis.network.model import Model
from cnnvis.registry.arguments import TargetArguments
from cnnvis.registry.options import options_of
from cnnvis.registry.plugin import Plugin


def with_together(plugin: Plugin, options: Mapping[str, Any], together: bool) -> Mapping[str, Any]:
    """Return the options of a plugin that adds scores up itself, if they are to be added up.

    Raises
    ------
    UserError
        If a technique gives a picture for each output whatever is asked for.
    """
    if not together or plugin.kind != "technique":
        return options
    if any(one.name == "together" for one in options_of(plugin)):
        return {"together": True, **options}
    if plugin.gives == "pictures":
        raise UserError(
            f"{plugin.name} gives a result for each output, and does not add scores up: leave out "
            "--together (together=)"
        )
    return options


def targets_of(model: Model, asked: TargetArguments, top: int | None) -> tuple[Model, ...]:
    """Return a model for each target that gets a map of its own; none for a single target.

    Parameters
    ----------
    model
        The model at the target that was asked for, its classes known.
    top
        The number of classes with the largest scores, of each image.

    Raises
    ------
    UserError
        If there is no such output, or the target has no or too few classes.
    """
    if top is not None:
        return _largest(model, asked, top)
    every = model.asked_filters
    if asked.filter is None or asked.together or not isinstance(every, list | tuple):
        return ()
    found: dict[tuple[tuple[int, float], ...], Model] = {}
    for one in every:
        at = at_outputs(model, one)
        (weights,) = at.each_weights  # which tell apart the two classes of a single sigmoid
        units = np.flatnonzero(weights).tolist()
        found.setdefault(tuple((unit, float(weights[unit])) for unit in units), at)
    return tuple(found.values()) if len(found) > 1 else ()


def _largest(model: Model, asked: TargetArguments, top: int) -> tuple[Model, ...]:
    if asked.together:
        raise UserError(
            "top gives a map for each of the classes with the largest scores, and together adds "
            "scores up: leave out one of the two"
        )
    try:
        top = operator.index(top)
    except TypeError:
        raise UserError(f"top is {shown(top)}, and must be a whole number of classes") from None
    if top < 1:
        raise UserError(f"top is {top}, and at least 1 class gets a map")
    first = model.with_rank(0)
    count = 2 if model.target_units == 1 else model.target_units
    if top > count:
        raise UserError(
            f"top asks for {top} classes, and {model.layer!r} has {count}: name a number of at most "
            f"{count}"
        )
    return (first, *(model.with_rank(rank) for rank in range(1, top)))


def said_of(targets: Sequence[Model], top: int | None) -> str:
    """Return a sentence about several targets that were named; empty where there is nothing to say."""
    if len(targets) < 2 or top is not None:
        return ""
    what = "classes" if targets[0].has_classes else "outputs"
    return (
        f"there is a map for each of {len(targets)} {what}; --together (together=True) adds their "
        "scores up for a single map"
    )


def number_of_targets(samples: Samples) -> int:
    """Return the number of targets that each sample is explained at."""
    numbers = samples.target_numbers
    return 1 if numbers is None or not len(numbers) else int(numbers.max()) + 1


def images_in(samples: Samples) -> list[range]:
    """Return the places of each image's rows: one, or one for each of its targets."""
    starts = samples.image_starts.tolist()
    return [range(a, b) for a, b in zip(starts, [*starts[1:], len(samples)], strict=True)]


def at_outputs(model: Model, filters: Sequence[int] | int | str) -> Model:
    """Return the model at other outputs of the target that was asked for."""
    return model.with_target(
        model.asked_layer, filters, output=model.asked_output, region=model.asked_region
    )


def by_outputs(model: Model, filters: Sequence[tuple[int, ...]]) -> list[tuple[Array, Model]]:
    """Return the rows with the same outputs, and the model at these.

    Parameters
    ----------
    filters
        The outputs of each row.
    """
    return [
        (np.flatnonzero([own == one for own in filters]), at_outputs(model, list(one)))
        for one in dict.fromkeys(filters)
    ]


def rows_of_each(samples: Samples) -> list[tuple[int, Array]]:
    """Return the numbers of the targets of samples, and the places of the samples of each."""
    numbers = samples.target_numbers
    assert numbers is not None
    return [(int(one), np.flatnonzero(numbers == one)) for one in np.unique(numbers)]


def of_one_target(found: Explanation, rows: Array) -> Explanation:
    """Return maps of one target as those of a run with this target alone."""
    part = found[rows]
    if part.samples is None:
        return part
    return replace(part, samples=replace(part.samples, target_numbers=None))


def in_order(parts: Sequence[tuple[Array, Explanation]], samples: Samples) -> Explanation:
    """Return the maps of several targets as one explanation, in the order of the samples."""
    order = np.argsort(np.concatenate([rows for rows, _ in parts]), kind="stable")
    found = Explanation.joined([part for _, part in parts])[order]
    if found.samples is None:
        return found
    numbered = replace(found.samples, target_numbers=samples.target_numbers)
    return replace(found, samples=numbered)
