"""Places of a value's positions in a network's input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Run:
    """Positions of a value one behind the other, equally far apart in the input.

    Attributes
    ----------
    size
        Number of positions.
    axis
        Axis of the input along which they lie, that of samples being 0; None for positions that
        have no counterpart there, such as channels or frequencies.
    step
        Distance of one position to the next, in positions of the input; negative where they run
        backwards.
    """

    size: int
    axis: int | None = None
    step: float = 0.0


@dataclass(frozen=True)
class Positions:
    """Positions along one axis of a value.

    Attributes
    ----------
    runs
        Runs whose product is the axis, the last of them the fastest: rows and columns, where an
        axis of tokens stands for a picture.
    before, after
        Numbers of positions without counterpart, such as that of a class token, ahead of the runs
        and behind them.
    """

    runs: tuple[Run, ...]
    before: int = 0
    after: int = 0

    @property
    def size(self) -> int:
        """Number of positions."""
        return self.before + math.prod(run.size for run in self.runs) + self.after

    @property
    def single(self) -> Run | None:
        """Axis as one run, if the positions are equally far apart throughout; None otherwise."""
        if self.before or self.after:
            return None
        long = [run for run in self.runs if run.size > 1] or list(self.runs[:1])
        whole = long[0]
        for run in long[1:]:
            if run.axis != whole.axis or not math.isclose(whole.step, run.size * run.step):
                return None
            whole = replace(run, size=whole.size * run.size)
        return whole


@dataclass(frozen=True)
class Origin:
    """Places of a value's positions in the input.

    Attributes
    ----------
    axes
        Positions along each axis of the value, that of samples left out.
    fields
        Receptive field of the value's first position: by the axis of the input, the first and
        the last position along it. Those of other positions lie further on by their steps.
    shifts
        Further places of the same positions, each as distances along axes of the input: a sum of
        two crops lies in both.
    """

    axes: tuple[Positions, ...]
    fields: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    shifts: tuple[Mapping[int, float], ...] = ()

    @property
    def followed(self) -> tuple[int, ...]:
        """Axes of the input along which the value has several positions, in the value's order."""
        runs = [run for axis in self.axes for run in axis.runs]
        return tuple(run.axis for run in runs if run.axis is not None and run.size > 1)

    def along(self, channel: int) -> dict[int, int]:
        """Count the value's positions along each axis of the input where it has any.

        Parameters
        ----------
        channel
            The value's axis of channels, that of samples being 0; positions that were folded into
            it, such as those of a patch, do not count.
        """
        found: dict[int, int] = {}
        for place, axis in enumerate(self.axes, start=1):
            for run in axis.runs if place != channel else ():
                if run.axis is not None:
                    found[run.axis] = found.get(run.axis, 1) * run.size
        return dict(sorted(found.items()))

    @property
    def inside(self) -> tuple[tuple[int, int], ...]:
        """First position of each axis of the value that has a counterpart in the input, and the end."""
        return tuple((axis.before, axis.size - axis.after) for axis in self.axes)

    @property
    def has_outside(self) -> bool:
        """True if positions without counterpart, such as a class token's, are beside the others."""
        return any(axis.before or axis.after for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Shape of one sample of the value."""
        return tuple(axis.size for axis in self.axes)


def of_input(sizes: Sequence[int], space: Sequence[int]) -> Origin:
    """Return the origin of the input itself, with these spatial axes."""
    axes = tuple(
        Positions((Run(size, axis, 1.0) if axis in space else Run(size),))
        for axis, size in enumerate(sizes, start=1)
    )
    return Origin(axes, dict.fromkeys(space, (0.0, 0.0)))


def unfollowed(sizes: Sequence[int]) -> Origin:
    """Return the origin of a value whose positions have no counterpart in the input."""
    return Origin(tuple(Positions((Run(size),)) for size in sizes))


MOST = 15
"""Largest number of further places of a value; receptive fields hold the places beyond it."""


def together(origins: Sequence[Origin], sizes: Sequence[int]) -> Origin:
    """Return the origin of a value that is made of several others, such as their sum.

    Its receptive fields hold those of all of them that touch; the others are further places where it
    lies. Along an axis where its parts run differently, such as a value and the same backwards, it
    has no positions.
    """
    first, *rest = [one for one in origins if one.followed] or [unfollowed(sizes)]
    axes, fields, shifts = list(first.axes), dict(first.fields), list(first.shifts)
    for other in rest:
        for place, its in enumerate(other.axes):
            if axes[place].size < its.size or all(run.axis is None for run in axes[place].runs):
                axes[place] = its
            elif axes[place].size == its.size and not _runs_alike(axes[place], its):
                axes[place] = Positions((Run(its.size),))
        apart = {} if len(shifts) >= MOST else _apart(fields, other, first.followed)
        for axis in set(other.followed) - set(apart):
            low, high = other.fields[axis]
            before = fields.get(axis, (low, high)) if axis in first.followed else (low, high)
            fields[axis] = min(low, before[0]), max(high, before[1])
        further = [apart, *(_added(apart, one) for one in other.shifts)]
        shifts += [one for one in further if any(one.values()) and one not in shifts]
    return Origin(tuple(axes), fields, tuple(shifts[:MOST]))


def _runs_alike(one: Positions, other: Positions) -> bool:
    """Tell whether positions are equally far from each other on two axes, if both have any."""
    if all(run.axis is None for run in other.runs):
        return True
    pairs = _joined(one.runs), _joined(other.runs)
    return (one.before, len(pairs[0])) == (other.before, len(pairs[1])) and all(
        (a.size, a.axis) == (b.size, b.axis)
        and abs(a.step - b.step) * (a.size - 1) <= max(1.0, abs(a.step))
        for a, b in zip(*pairs, strict=True)
    )


def _joined(runs: Sequence[Run]) -> list[Run]:
    """Join runs to as few as possible with the same positions."""
    found: list[Run] = []
    for run in runs:
        before = found[-1] if found else None
        if run.size == 1:
            continue
        if (
            before is not None
            and before.axis == run.axis
            and math.isclose(before.step, run.size * run.step)
        ):
            found[-1] = replace(run, size=before.size * run.size)
        else:
            found.append(run)
    return found


def _apart(
    fields: Mapping[int, tuple[float, float]], other: Origin, followed: Sequence[int]
) -> dict[int, float]:
    """Return the distance to another value's field, along axes where the two do not touch.

    The distance is positive where the other field is further on. Neighbours touch.
    """
    found = {}
    steps = [run for axis in other.axes for run in axis.runs if run.size > 1]
    for axis in set(other.followed).intersection(followed):
        (low, high), (its_low, its_high) = fields[axis], other.fields[axis]
        step = max(1.0, min(abs(run.step) for run in steps if run.axis == axis))
        if max(its_low - high, low - its_high) > step:
            found[axis] = (its_low + its_high - low - high) / 2
    return found


def _added(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    return {axis: one.get(axis, 0.0) + other.get(axis, 0.0) for axis in {*one, *other}}
