"""Scores of a target: how much each of its units counts, and what a score stands for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnvis.data.lazy import Array
from cnnvis.data.target import Target
from cnnvis.errors import UserError
from cnnvis.network.backend import keras
from cnnvis.network.region import region_text
from cnnvis.network.resolution import Resolution
from cnnvis.network.unit_choice import WeightedUnit, compound_weights


def score_weights(resolution: Resolution, count: int, units: Array | None = None) -> Array:
    """Compute how much each unit counts in the score of each input, (n, k) float32.

    Parameters
    ----------
    count
        The number of inputs.
    units
        The units of each input, (n, k), where these decide what is explained.

    Raises
    ------
    UserError
        If the target has no such units, or they add up to nothing.
    """
    weights = np.zeros((count, resolution.units), np.float32)
    if resolution.is_compound:
        terms, calls = resolution.terms, resolution.calls
        weights[:] = compound_weights(terms, calls, resolution.classes, resolution.layer)
    elif resolution.chosen is not None:
        for unit in resolution.chosen:
            weights[:, unit.number] += unit.weight
    elif resolution.request.rank is not None:
        assert units is not None
        _count_ranked(weights, units, resolution.request.rank)
    elif resolution.explains_predicted and units is not None:
        weights[np.arange(count), units.argmax(axis=-1)] = 1
    else:
        weights[:, 0] = 1
    if count and not weights.any():
        filters = resolution.request.filters
        asked = "" if filters is None else f" and its outputs {filters}"
        raise UserError(
            f"the target {resolution.layer!r}{asked} is always zero, since its outputs cancel "
            "each other out; name one output"
        )
    return weights


def _count_ranked(weights: Array, units: Array, rank: int) -> None:
    """Let the unit count that has a place by its size among an input's units, 0 for the largest.

    Of equal units, the first one is larger, as for `numpy.argmax`. A single sigmoid stands for two
    classes, of which the one that the network answers has the larger score.
    """
    if units.shape[1] == 1:
        weights[:, 0] = np.where((units[:, 0] > 0) == (rank == 0), 1, -1)
        return
    order = np.argsort(-units, axis=-1, kind="stable")
    weights[np.arange(len(units)), order[:, rank]] = 1


def weights_of_each(resolution: Resolution) -> Array:
    """Compute a row of weights for every unit asked for, (m, k) float32; for unit 0 if none was.

    A sum or difference is one row.
    """
    if resolution.is_compound:
        return score_weights(resolution, 1)
    chosen = resolution.chosen or (WeightedUnit(0, 1.0),)
    each = np.zeros((len(chosen), resolution.units), np.float32)
    for row, unit in zip(each, chosen, strict=True):
        row[unit.number] = unit.weight
    return each


def probabilities(resolution: Resolution, units: Array) -> Array | None:
    """Compute the probabilities that units (n, k) stand for; None if they stand for none."""
    squashing = None if resolution.is_compound else resolution.squashing
    if squashing is None or len(resolution.target.shapes[0]) != 1:
        return None
    return np.asarray(squashing.probabilities(keras().ops.convert_to_tensor(units)))


def weighted_sums(units: Array, weights: Array) -> Array:
    """Compute the score of each input, (n,), from its units and how much each counts, both (n, k).

    Units that do not count have no say, also where they are NaN or infinite, as a class that a network
    forbids is -inf.
    """
    found: Array = np.einsum("nk,nk->n", np.where(weights != 0, units, 0), weights)
    return found


def described_targets(resolution: Resolution, units: Array, weights: Array) -> tuple[Target, ...]:
    """Describe what is explained of each input, with its score.

    Parameters
    ----------
    units, weights
        The target's units for each input, and how much each counts, both (n, k).
    """
    layer, region = resolution.layer, region_text(resolution.request.region)
    scores = weighted_sums(units, weights).tolist()
    if resolution.is_compound:
        return tuple(Target(layer, (), None, score, None, region) for score in scores)
    found_probabilities = probabilities(resolution, units)
    known: dict[bytes, tuple[Sequence[int], tuple[int, ...], tuple[str, ...] | None]] = {}
    found = []
    for i, (score, weight) in enumerate(zip(scores, weights, strict=True)):
        row = weight.tobytes()
        if row not in known:  # of a million images, most have a class that another had
            known[row] = np.flatnonzero(weight).tolist(), *_counting_filters(resolution, weight)
        counting, filters, names = known[row]
        probability = None
        if found_probabilities is not None and len(filters) == 1:
            (unit,) = counting
            probability = float(found_probabilities[i, unit])
            probability = 1 - probability if weight[unit] < 0 else probability
        found.append(Target(layer, filters, names, score, probability, region))
    return tuple(found)


def _counting_filters(
    resolution: Resolution, weight: Array
) -> tuple[tuple[int, ...], tuple[str, ...] | None]:
    """Return the numbers and names of the classes, or else filters, that count in a score."""
    classes, call = resolution.classes, resolution.target
    units: Sequence[int] = np.flatnonzero(weight).tolist()
    filters = tuple(classes.number(call, unit, float(weight[unit])) for unit in units)
    names = classes.names(call)
    return filters, names and tuple(names[number] for number in filters)
