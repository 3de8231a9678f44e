"""Choice of units: the outputs of a layer that are meant, by number or by name."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.data.labels import NO_NAMES
from cnnvis.data.lazy import Array
from cnnvis.errors import UserError, nearest, shown
from cnnvis.network.graph import Call
from cnnvis.network.output_classes import OutputClasses
from cnnvis.network.plain_values import plain
from cnnvis.network.targets import Term


@dataclass(frozen=True)
class WeightedUnit:
    """Unit of a layer, by number, and its weight in a score."""

    number: int
    weight: float


def asked_units(
    filters: Any, call: Call, classes: OutputClasses
) -> tuple[WeightedUnit, ...] | None:
    """Find the units that were asked for by number or name; None if nobody asked.

    Raises
    ------
    UserError
        If the layer has no such unit.
    """
    if filters is None:
        return None
    every = list(filters) if isinstance(filters, list | tuple) else [filters]
    if not every:
        raise UserError("filter names no output; leave filter out for the default")
    return tuple(dict.fromkeys(find_unit(one, call, classes) for one in every))


def find_unit(asked: int | str, call: Call, classes: OutputClasses) -> WeightedUnit:
    """Find a unit by number or name.

    A single sigmoid stands for two classes: asked for the first, its only unit counts negatively.

    Raises
    ------
    UserError
        If the layer has no such unit.
    """
    units, names = classes.traced.units(call), classes.names(call)
    stands_for_two = classes.are_two(call)
    if isinstance(asked, str) and names and asked in names:
        number = names.index(asked)
    else:
        try:
            number = int(asked) if isinstance(asked, str) else operator.index(plain(asked))
        except (ValueError, TypeError):
            there = f" There are: {', '.join(names)}." if names else _no_names(call, classes)
            hint = nearest(str(asked), names or ())
            raise UserError(f"there is no class {shown(asked)}.{hint}{there}") from None
    if stands_for_two:
        if number not in (0, 1):
            raise UserError(
                f"the layer {call.name!r} is one sigmoid, which stands for the classes 0 and 1, "
                f"and there is no class {number}"
            )
        return WeightedUnit(0, 1.0 if number else -1.0)
    if not 0 <= number < units:
        about = (
            f"its {units} outputs are numbered 0 to {units - 1}"
            if units > 1
            else "it has one output, 0"
        )
        raise UserError(f"the layer {call.name!r} has no output {number}: {about}")
    return WeightedUnit(number, 1.0)


def _no_names(call: Call, classes: OutputClasses) -> str:
    """Say why a layer's outputs have no names, in a sentence."""
    named = classes.named
    if classes.evidence.names is None or named is None or named is call:
        return f" {NO_NAMES}"
    return (
        f" The class names belong to the network's output {named.name!r}, and the outputs of "
        f"{call.name!r} have numbers."
    )


def compound_weights(
    terms: tuple[Term, ...], calls: tuple[Call, ...], classes: OutputClasses, text: str
) -> Array:
    """Compute the weights of a sum or difference, (k,) float32.

    Parameters
    ----------
    terms, calls
        The terms, and the call that each of them means.
    text
        The target as it was written.

    Returns
    -------
    ndarray
        A weight for each unit of the calls, those of one call behind those of the call before.

    Raises
    ------
    UserError
        If a term does not say which of several units it means, or has no such unit.
    """
    units = {call: classes.traced.units(call) for call in calls}
    starts = dict(zip(units, np.cumsum([0, *units.values()]).tolist(), strict=False))
    weights = np.zeros(sum(units.values()), np.float32)
    for term, call in zip(terms, calls, strict=True):
        if term.unit is None and units[call] > 1:
            raise UserError(
                f"the target {text!r} does not choose one of the {units[call]} outputs of "
                f"{call.name!r}; write {term.layer}[0] for the first output"
            )
        unit = WeightedUnit(0, 1.0)
        if term.unit is not None:
            unit = find_unit(term.unit, call, classes)
        weights[starts[call] + unit.number] += term.factor * unit.weight
    return weights
