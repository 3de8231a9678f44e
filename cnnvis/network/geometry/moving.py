"""Calls that only move numbers about: transpositions, Reshape, slices, padding, patches.

A call is run on numbers that tell their own places, and where they come out says what it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.network.backend import tensorflow
from cnnvis.network.geometry.origin import Origin, Positions, Run
from cnnvis.network.geometry.probing import Probe

DIGIT = 256
"""Base of the digits that tell places; half precision holds such digits exactly."""

LARGEST = 2**24
"""Size of the largest value that is examined, in numbers; larger ones would take too long."""


def carried(probe: Probe, origin: Origin, channel: int) -> Origin | None:
    """Return the origin of what a call makes of a value by moving its numbers about.

    Parameters
    ----------
    probe
        The call.
    origin
        The origin of the value.
    channel
        Its axis of channels, that of samples being 0.

    Returns
    -------
    Origin or None
        None if the call computes anything, or moves numbers in no regular way.
    """
    sources = _sources(probe, origin.sizes)
    if sources is None:
        return None
    runs = [run for axis in origin.axes for run in axis.runs]
    of_channels = [place == channel for place, axis in enumerate(origin.axes, 1) for _ in axis.runs]
    places = _digits(sources, origin)
    box = _box(places[0] >= 0)
    if box is None:
        return None
    inside = [one[box] for one in places]
    corner = [int(one.flat[0]) for one in inside]
    lines = [
        [one[tuple(slice(None) if a == axis else 0 for a in range(one.ndim))] for one in inside]
        for axis in range(sources.ndim)
    ]
    axes: list[Positions] = []
    expected = [np.full(inside[0].shape, start) for start in corner]
    fields = dict(origin.fields)
    for axis, of in enumerate(lines):
        found = _runs(of)
        if found is None:
            return None
        made: list[tuple[Run, bool]] = []
        steady = 1
        for size, steps in reversed(found):
            index = np.arange(inside[0].shape[axis]) // steady % size
            shape = [1] * sources.ndim
            shape[axis] = -1
            for number, step in steps.items():
                expected[number] = expected[number] + (step * index).reshape(shape)
            steady *= size
            whole = [one for one in steps if of_channels[one] and size == runs[one].size]
            made.append((_run(size, steps, runs), not whole))
        made.reverse()
        axes.append(
            Positions(_finer(made, fields), box[axis].start, sources.shape[axis] - box[axis].stop)
        )
    if any(not np.array_equal(a, b) for a, b in zip(expected, inside, strict=True)):
        return None
    for run, start in zip(runs, corner, strict=True):
        if run.axis is not None:
            low, high = fields[run.axis]
            fields[run.axis] = low + run.step * start, high + run.step * start
    return Origin(tuple(axes), fields, origin.shifts)


def _sources(probe: Probe, shape: Sequence[int]) -> Array | None:
    """Find the place in the call's input of each number of the answer; -1 for constants.

    The result is None if some numbers are computed, or there are too many.
    """
    count = int(np.prod(shape))
    if count > LARGEST:
        return None
    places = np.arange(count)

    def moved(labels: Array) -> Array:
        x = tensorflow().cast(tensorflow().constant(labels.reshape(1, *shape)), probe.dtype)
        found: Array = np.asarray(probe.answer(x), np.float64)[0]
        return found

    # Each digit goes through as it is and as another, by which constants are known.
    first = moved(places % DIGIT + 1.0)
    again = moved((places + DIGIT // 2) % DIGIT + 1.0)
    constant = first == again
    found = np.zeros(first.shape, np.int64)
    power = 1
    while power < max(count, 2):
        digits = first if power == 1 else moved(places // power % DIGIT + 1.0)
        whole = np.where(constant, 1, digits)
        if not (np.isfinite(whole) & (whole == np.round(whole))).all():
            return None
        if whole.min(initial=1) < 1 or whole.max(initial=1) > DIGIT:
            return None
        found += (whole.astype(np.int64) - 1) * power
        power *= DIGIT
    if found.max(initial=0) >= count:
        return None
    labels = np.random.default_rng(4).integers(1, DIGIT + 1, count).astype(float)
    if not np.array_equal(moved(labels)[~constant], labels[found[~constant]]):
        return None
    return np.where(constant, -1, found)


def _digits(sources: Array, origin: Origin) -> list[Array]:
    """Return for each run of the value the position that a number came from; -1 for none."""
    places = np.unravel_index(np.maximum(sources, 0), origin.sizes)
    found: list[Array] = []
    missing = sources < 0
    for axis, place in zip(origin.axes, places, strict=True):
        inner = axis.size - axis.before - axis.after
        missing |= (place < axis.before) | (place >= axis.before + inner)
        within = np.clip(place - axis.before, 0, inner - 1)
        found += np.unravel_index(within, [run.size for run in axis.runs])
    return [np.where(missing, -1, one) for one in found]


def _box(there: Array) -> tuple[slice, ...] | None:
    """Return the block of an array that is filled; None if the filled places form no block."""
    if not there.any():
        return None
    ends = []
    for axis in range(there.ndim):
        filled = np.flatnonzero(there.any(axis=tuple(a for a in range(there.ndim) if a != axis)))
        ends.append(slice(int(filled[0]), int(filled[-1]) + 1))
    box = tuple(ends)
    return box if there[box].all() else None


def _runs(lines: Sequence[Array]) -> list[tuple[int, dict[int, int]]] | None:
    """Split an axis into a product of runs, the slowest first: sizes, and growth of the digits.

    Parameters
    ----------
    lines
        Digits along the axis, whole numbers, as many of each.
    """
    size = len(lines[0])
    if size == 1:
        return [(1, {})]
    steps = np.stack([np.diff(line) for line in lines], axis=1)
    other = np.flatnonzero((steps != steps[0]).any(axis=1))
    length = int(other[0]) + 1 if other.size else size
    if size % length:
        return None
    moving = {number: int(step) for number, step in enumerate(steps[0]) if step}
    if length == size:
        return [(size, moving)]
    ahead = _runs([line[::length] for line in lines])
    return None if ahead is None else [*ahead, (length, moving)]


def _run(size: int, steps: Mapping[int, int], runs: Sequence[Run]) -> Run:
    """Return the run of the answer that digits with this growth make."""
    followed = [(runs[number], step) for number, step in steps.items()]
    if len(followed) != 1 or followed[0][0].axis is None:
        return Run(size)
    run, step = followed[0]
    return Run(size, run.axis, run.step * step)


def _finer(
    runs: Sequence[tuple[Run, bool]], fields: dict[int, tuple[float, float]]
) -> tuple[Run, ...]:
    """Make finer positions of repetitions, and of channels that were moved to space.

    Parameters
    ----------
    runs
        Runs, each with True if it is anything but all channels.
    """
    found: list[Run] = []
    for run, is_finer in runs:
        before = found[-1] if found else None
        if before is None or before.axis is None or run.axis is not None or not is_finer:
            found.append(run)
            continue
        finer = before.step / run.size
        low, high = fields[before.axis]
        shift = finer * (run.size - 1) / 2
        fields[before.axis] = low - shift, high - shift
        found.append(replace(run, axis=before.axis, step=finer))
    return tuple(found)
