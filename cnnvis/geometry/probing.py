"""Calls asked what they do with positions, where no setting of their layers says it.

A call that only moves numbers about (a transposition, a Reshape, slices, padding, patches) is run on
numbers that tell their own places. Any other is differentiated: which values a position depends on
shows as a window that slides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis._tensorflow import tensorflow
from cnnvis.geometry.origin import Origin, Positions, Run
from cnnvis.geometry.windows import Window
from cnnvis.graph import Call, Slot
from cnnvis.samples import Array

DIGIT = 256
"""Places are told in digits of this base, which half precision holds exactly."""

LARGEST = 2**24
"""The largest value that is asked about, in numbers; larger ones would take too long."""

POSITIONS = 7
"""At how many pairs of neighbours along an axis a call is differentiated."""

SEEN = 1e-6
"""The share of the largest derivative from which on one counts as none of rounding's."""


@dataclass(frozen=True)
class Probe:
    """One call by itself, as a function of one of the values that it takes.

    Attributes
    ----------
    call
        The call.
    source
        The value; the others are held.
    output
        Which of its outputs is looked at.
    sizes
        The shapes of all values, those of one sample.
    dtypes
        The types of the values that it takes.
    batch
        How many samples it takes at a time, all of which are the same here.
    """

    call: Call
    source: Slot
    output: int
    sizes: Mapping[Slot, tuple[int, ...]]
    dtypes: Mapping[Slot, str]
    batch: int = 1

    def answer(self, values: Any) -> Any:
        """The output for a value (1, ...), as a tensor (1, ...)."""
        tf = tensorflow()
        rng = np.random.default_rng(1)
        feeds = {
            slot: sample(rng, self.dtypes[slot], self.sizes[slot])
            for slot in dict.fromkeys(self.call.inputs)
            if slot != self.source
        }
        feeds[self.source] = values
        many = {slot: tf.repeat(one, self.batch, axis=0) for slot, one in feeds.items()}
        return self.call.answer(many)[self.output][:1]

    def is_pointwise(self) -> bool:
        """Whether each number depends on that of its own place alone, as far as a look tells."""
        shape = self.sizes[self.source]
        rng = np.random.default_rng(2)
        before = rng.uniform(0.5, 1.5, (1, *shape)).astype(np.float32)
        after = before.copy()
        places = rng.choice(before.size, min(5, before.size), replace=False)
        after.ravel()[places] = 3
        one, other = (
            np.asarray(self.answer(_cast(x, self.dtype)), np.float64) for x in (before, after)
        )
        if one.shape != before.shape:
            return False
        changed = np.flatnonzero(one.ravel() != other.ravel())
        return changed.size > 0 and set(changed) <= set(places.tolist())

    def windows(self) -> list[Window | None] | None:
        """Windows that say what the output depends on; None if it has no derivative.

        Along each axis of the output, positions are differentiated, and the first and the last
        position of the source that have a part in each are looked at. Where they move on evenly,
        that is a window.
        """
        tf = tensorflow()
        rng = np.random.default_rng(3)
        if not self.dtype.startswith(("float", "bfloat")):
            return None
        x = _cast(rng.normal(size=(1, *self.sizes[self.source])), self.dtype)
        y = self.answer(x)
        if not y.dtype.is_floating:
            return None

        def slope_of(weights: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                answer = self.answer(x)
            return tape.gradient(answer, x, weights)

        # As a graph, in which nothing but this gradient is computed: that of a filter, which eager
        # execution computes as well, makes TensorFlow 2.21 abort at strided 1 x 1 convolutions.
        spec = tf.TensorSpec(y.shape, y.dtype)
        traced = tf.function(slope_of, autograph=False).get_concrete_function(spec)
        reaches: list[dict[int, _Reach]] = []
        for axis in range(1, len(y.shape)):
            size = int(y.shape[axis])
            spread = np.linspace(0, max(size - 2, 0), POSITIONS).round().astype(int)
            places = np.unique([spread, np.minimum(spread + 1, size - 1)])
            parts = []
            for place in places:
                only = np.zeros((1, *y.shape[1:]), np.float32)
                only.swapaxes(0, axis)[place] = rng.normal(size=only.swapaxes(0, axis)[0].shape)
                slope = traced(_cast(only, y.dtype.name))
                if slope is None:
                    return None
                parts.append(_parts(np.abs(np.asarray(slope, np.float64))[0]))
            reaches.append(_reaches(places.tolist(), parts, self.sizes[self.source]))
        return _windows(reaches)

    @property
    def dtype(self) -> str:
        """The type of the value."""
        return self.dtypes[self.source]


def sample(rng: np.random.Generator, dtype: str, shape: Sequence[int]) -> Any:
    """Draw one sample of a value, (1, ...): ones where whole numbers are wanted."""
    return _cast(rng.uniform(0.5, 1.5, (1, *shape)), dtype)


def _cast(values: Any, dtype: str) -> Any:
    tf = tensorflow()
    if dtype.startswith(("int", "uint")):
        values = np.ones_like(values)
    return tf.cast(tf.constant(np.asarray(values, np.float32)), dtype)


# Windows, measured


@dataclass(frozen=True)
class _Part:
    """Which positions along an axis have a part in something: the first, the last, the largest."""

    low: int
    high: int
    peak: int


@dataclass(frozen=True)
class _Reach:
    """A window along an axis of the source: its step, and its ends for the first position."""

    step: float
    low: float
    high: float


def _parts(slope: Array) -> list[_Part]:
    """The part that each axis of a derivative has; none if it is zero everywhere."""
    if not slope.max(initial=0) > 0:
        return []
    found = []
    for axis in range(slope.ndim):
        profile = slope.max(axis=tuple(one for one in range(slope.ndim) if one != axis))
        places = np.flatnonzero(profile > SEEN * profile.max())
        found.append(_Part(int(places[0]), int(places[-1]), int(profile.argmax())))
    return found


def _reaches(
    places: Sequence[int], parts: Sequence[Sequence[_Part]], sizes: Sequence[int]
) -> dict[int, _Reach]:
    """Find the axes of the source that move on evenly with the positions of the output."""
    known = [(place, part) for place, part in zip(places, parts, strict=True) if part]
    at = np.array([place for place, _ in known], float)
    found = {}
    for axis, size in enumerate(sizes):
        low, high, peak = (
            np.array([getattr(part[axis], name) for _, part in known], float)
            for name in ("low", "high", "peak")
        )
        reach = _window(at, low, high, size) or _still(at, peak)
        if reach is not None:
            found[axis] = reach
    return found


def _window(at: Array, low: Array, high: Array, size: int) -> _Reach | None:
    """The window whose ends these are; where an edge of the source cuts one off does not count."""
    inside = (low > 0) & (high < size - 1)
    inside &= high - low >= (high - low)[inside].max(initial=0) - 1
    if inside.sum() > 1 and np.ptp(low[inside] + high[inside]):
        line = _line(at, (low + high) / 2, inside)
        if line is None:
            return None
        away = line[0] * at
        return _Reach(line[0], *(float(np.mean((one - away)[inside])) for one in (low, high)))
    # One end alone moves, as that of a sum of all that comes before, or the edges hide one of both.
    moving = _line(at, low, low > 0) or _line(at, high, high < size - 1)
    return None if moving is None else _Reach(moving[0], moving[1], moving[1])


def _still(at: Array, peak: Array) -> _Reach | None:
    """What depends on all positions, but on that of its own place the most."""
    if len(at) < 3:  # through two points there is always a line
        return None
    line = _line(at, peak, np.ones(len(at), bool), within=0.5)
    return None if line is None else _Reach(line[0], line[1], line[1])


def _line(
    at: Array, values: Array, count: Array, within: float = 1.0
) -> tuple[float, float] | None:
    """The step and the start of values that move on evenly, by those that count."""
    if count.sum() < 2 or np.ptp(values[count]) == 0:
        return None
    step, start = np.polyfit(at[count], values[count], 1)
    if np.abs(values[count] - start - step * at[count]).max() > within:
        return None
    return (
        (float(step), float(start))
        if abs(step - round(step)) > 1e-6
        else (round(step), round(start))
    )


def _windows(reaches: Sequence[Mapping[int, _Reach]]) -> list[Window | None]:
    """One axis of the source for each of the output: that which it moves along the fastest."""
    windows: list[Window | None] = [None] * len(reaches)
    every = [
        (abs(reach.step), place, axis)
        for place, one in enumerate(reaches)
        for axis, reach in one.items()
    ]
    taken: set[int] = set()
    for _, place, axis in sorted(every, reverse=True):
        if windows[place] is None and axis not in taken:
            taken.add(axis)
            reach = reaches[place][axis]
            windows[place] = Window(axis, reach.step, reach.low, reach.high)
    return windows


# Numbers that are moved


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
    return Origin(tuple(axes), fields)


def _sources(probe: Probe, shape: Sequence[int]) -> Array | None:
    """The place, in the value that it takes, of each number of an answer; -1 for constants.

    None if some are computed, or there are too many.
    """
    count = int(np.prod(shape))
    if count > LARGEST:
        return None
    places = np.arange(count)

    def told(labels: Array) -> Array:
        x = tensorflow().cast(tensorflow().constant(labels.reshape(1, *shape)), probe.dtype)
        found: Array = np.asarray(probe.answer(x), np.float64)[0]
        return found

    # Each digit is told once as it is and once as another, by which constants are known.
    first = told(places % DIGIT + 1.0)
    again = told((places + DIGIT // 2) % DIGIT + 1.0)
    constant = first == again
    found = np.zeros(first.shape, np.int64)
    power = 1
    while power < max(count, 2):
        digits = first if power == 1 else told(places // power % DIGIT + 1.0)
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
    if not np.array_equal(told(labels)[~constant], labels[found[~constant]]):
        return None
    return np.where(constant, -1, found)


def _digits(sources: Array, origin: Origin) -> list[Array]:
    """For each run of the value, the position within it that a number came from; -1 for none."""
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
    """The block of an array that is filled, if it is all that is."""
    if not there.any():
        return None
    ends = []
    for axis in range(there.ndim):
        filled = np.flatnonzero(there.any(axis=tuple(a for a in range(there.ndim) if a != axis)))
        ends.append(slice(int(filled[0]), int(filled[-1]) + 1))
    box = tuple(ends)
    return box if there[box].all() else None


def _runs(lines: Sequence[Array]) -> list[tuple[int, dict[int, int]]] | None:
    """An axis as a product of runs, the slowest first: sizes, and by how much digits grow in each.

    Parameters
    ----------
    lines
        The digits along the axis, whole numbers, as many of each.
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
    """What digits that grow by so much make a run of the answer."""
    followed = [(runs[number], step) for number, step in steps.items()]
    if len(followed) != 1 or followed[0][0].axis is None:
        return Run(size)
    run, step = followed[0]
    return Run(size, run.axis, run.step * step)


def _finer(
    runs: Sequence[tuple[Run, bool]], fields: dict[int, tuple[float, float]]
) -> tuple[Run, ...]:
    """Runs in which repetitions, and channels that were moved to space, make finer positions.

    Parameters
    ----------
    runs
        Each with whether it is anything but all channels.
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
