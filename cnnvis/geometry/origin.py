"""Where the positions of a value lie in a network's input."""

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
        The number of positions.
    axis
        The axis of the input along which they lie, that of samples being 0; None for positions that
        have no counterpart there, such as channels or frequencies.
    step
        The distance of one to the next, in positions of the input; negative where they run
        backwards.
    """

    size: int
    axis: int | None = None
    step: float = 0.0


@dataclass(frozen=True)
class Positions:
    """The positions along one axis of a value.

    Attributes
    ----------
    runs
        The axis as the product of these, the last of them the fastest: rows and columns, where an
        axis of tokens stands for a picture.
    before, after
        How many positions without counterpart, such as that of a class token, stand ahead of these
        and behind them.
    """

    runs: tuple[Run, ...]
    before: int = 0
    after: int = 0

    @property
    def size(self) -> int:
        """The number of positions."""
        return self.before + math.prod(run.size for run in self.runs) + self.after

    @property
    def single(self) -> Run | None:
        """The axis as one run, if its positions are equally far apart throughout."""
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
    """Where the positions of a value lie in the input.

    Attributes
    ----------
    axes
        The positions along each axis of the value, that of samples left out.
    fields
        The receptive field of the value's first position: by the axis of the input, the first and
        the last position along it. Those of other positions lie further on by their steps.
    """

    axes: tuple[Positions, ...]
    fields: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    @property
    def followed(self) -> tuple[int, ...]:
        """The axes of the input along which the value has more than one position, as it has them."""
        runs = [run for axis in self.axes for run in axis.runs]
        return tuple(run.axis for run in runs if run.axis is not None and run.size > 1)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of the value, that of one sample."""
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


def together(origins: Sequence[Origin], sizes: Sequence[int]) -> Origin:
    """Return the origin of a value that is made of several others, such as their sum.

    Its receptive fields hold those of all of them.
    """
    first, *rest = [one for one in origins if one.followed] or [unfollowed(sizes)]
    axes, fields = list(first.axes), dict(first.fields)
    for other in rest:
        for place, its in enumerate(other.axes):
            if all(run.axis is None for run in axes[place].runs):
                axes[place] = its
        for axis in other.followed:
            low, high = other.fields[axis]
            before = fields.get(axis, (low, high)) if axis in first.followed else (low, high)
            fields[axis] = min(low, before[0]), max(high, before[1])
    return Origin(tuple(axes), fields)
