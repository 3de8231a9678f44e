"""Measurement of the positions that calls depend on, where no setting of their layers says it.

A call is run with some numbers changed, or differentiated: the positions that a position depends on
show as a window that slides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis.data.samples import Array
from cnnvis.network.backend import tensorflow
from cnnvis.network.geometry.windows import Window
from cnnvis.network.graph import Call, Slot

POSITIONS = 7
"""Number of pairs of neighbours along an axis at which a call is differentiated."""

DRAWS = 3
"""Number of values for which a call is differentiated: a sorting call takes each from elsewhere."""

SEEN = 1e-6
"""Share of the largest derivative above which a derivative is more than a rounding error."""


@dataclass(frozen=True)
class Probe:
    """Single call as a function of one of the values that it takes.

    Attributes
    ----------
    call
        The call.
    source
        Slot of the value; the others are held.
    output
        Number of the output that is examined.
    sizes
        Shapes of all values, those of one sample.
    dtypes
        Types of the values that the call takes.
    batch
        Number of samples that the call takes at a time, all of which are the same here.
    """

    call: Call
    source: Slot
    output: int
    sizes: Mapping[Slot, tuple[int, ...]]
    dtypes: Mapping[Slot, str]
    batch: int = 1

    def answer(self, values: Any) -> Any:
        """Compute the output for a value (1, ...), as a tensor (1, ...)."""
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
        """Tell whether each number seems to depend on that of its own place alone."""
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
        """Find windows that say what the output depends on; None if it has no derivative.

        Along each axis of the output, positions are differentiated, and the first and the last
        position of the source that have a part in each are looked at. Where these two move on
        evenly, they are the ends of a window, if the window is the same for other values.
        """
        tf = tensorflow()
        rng = np.random.default_rng(3)
        if not self.dtype.startswith(("float", "bfloat")):
            return None
        x = _cast(rng.normal(size=(1, *self.sizes[self.source])), self.dtype)
        y = self.answer(x)
        if not y.dtype.is_floating:
            return None

        def slope_of(x: Any, weights: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                answer = self.answer(x)
            return tape.gradient(answer, x, weights)

        # As a graph, in which nothing but this gradient is computed: that of a filter, which eager
        # execution computes as well, makes TensorFlow 2.21 abort at strided 1 x 1 convolutions.
        specs = [tf.TensorSpec(one.shape, one.dtype) for one in (x, y)]
        traced = tf.function(slope_of, autograph=False).get_concrete_function(*specs)
        found = self._measured(traced, x, y, rng)
        for _ in range(DRAWS - 1):
            if found is None:
                return None
            if not any(found):
                break
            x = _cast(rng.normal(size=(1, *self.sizes[self.source])), self.dtype)
            again = self._measured(traced, x, y, rng) or [{} for _ in found]
            sizes = map(int, y.shape[1:])
            found = [_agreed(*each) for each in zip(found, again, sizes, strict=True)]
        return None if found is None else _windows(found)

    def spread(self) -> set[int]:
        """Find the axes along which a number changes the output at other places than its own.

        For an output of the source's shape: a ranking looks at all values along an axis.
        """
        shape = self.sizes[self.source]
        rng = np.random.default_rng(5)
        found: set[int] = set()
        for _ in range(DRAWS):
            before = rng.normal(size=(1, *shape)).astype(np.float32)
            after = before.copy()
            place = tuple(int(rng.integers(size)) for size in shape)
            after[(0, *place)] = np.copysign(9, -before[(0, *place)])  # from one end to the other
            one, other = (
                np.asarray(self.answer(_cast(x, self.dtype)), np.float64)[0]
                for x in (before, after)
            )
            changed = np.argwhere(one != other)
            found |= set(np.flatnonzero((changed != place).any(axis=0)).tolist())
        return found

    def _measured(
        self, traced: Any, x: Any, y: Any, rng: np.random.Generator
    ) -> list[dict[int, _Reach]] | None:
        """Find windows along each axis from derivatives at one value; None if there are none."""
        reaches: list[dict[int, _Reach]] = []
        for axis in range(1, len(y.shape)):
            size = int(y.shape[axis])
            spread = np.linspace(0, max(size - 2, 0), POSITIONS).round().astype(int)
            places = np.unique([spread, np.minimum(spread + 1, size - 1)])
            parts = []
            for place in places:
                only = np.zeros((1, *y.shape[1:]), np.float32)
                only.swapaxes(0, axis)[place] = rng.normal(size=only.swapaxes(0, axis)[0].shape)
                slope = traced(x, _cast(only, y.dtype.name))
                if slope is None:
                    return None
                parts.append(_parts(np.abs(np.asarray(slope, np.float64))[0]))
            reaches.append(_reaches(places.tolist(), parts, self.sizes[self.source]))
        return reaches

    @property
    def dtype(self) -> str:
        """Type of the value."""
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
    """Positions along an axis with a part in something: the first, the last, the peak."""

    low: int
    high: int
    peak: int


@dataclass(frozen=True)
class _Reach:
    """Window along an axis of the source: its step, and its ends for the first position."""

    step: float
    low: float
    high: float


def _parts(slope: Array) -> list[_Part]:
    """Return the part that each axis of a derivative has; none if it is zero everywhere."""
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
    """Fit a window to its ends; ends that an edge of the source cuts off do not count."""
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
    """Fit a window to positions that depend on all others, but on that of their place the most."""
    if len(at) < 3:  # through two points there is always a line
        return None
    line = _line(at, peak, np.ones(len(at), bool), within=0.5)
    return None if line is None else _Reach(line[0], line[1], line[1])


def _line(
    at: Array, values: Array, count: Array, within: float = 1.0
) -> tuple[float, float] | None:
    """Fit the step and the start of values that move on evenly, by those that count."""
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


def _agreed(one: Mapping[int, _Reach], other: Mapping[int, _Reach], size: int) -> dict[int, _Reach]:
    """Choose the windows of an axis of so many positions that hardly differ for another value."""
    return {
        axis: reach
        for axis, reach in one.items()
        if axis in other and _much_the_same(reach, other[axis], size)
    }


def _much_the_same(one: _Reach, other: _Reach, size: int) -> bool:
    """Tell whether the middles of two windows hardly differ, at the first and last position."""
    apart = (one.low + one.high - other.low - other.high) / 2
    further = (one.step - other.step) * (size - 1)
    return max(abs(apart), abs(apart + further)) <= max(1.0, (one.high - one.low) / 2)


def _windows(reaches: Sequence[Mapping[int, _Reach]]) -> list[Window | None]:
    """Choose for each axis of the output the axis of the source that it moves along the fastest."""
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
