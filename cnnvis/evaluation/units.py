"""Units of removal: the parts of inputs that are removed together, as patches or along named axes."""

from __future__ import annotations

import numpy as np

from cnnvis.data.axes import Axis
from cnnvis.data.explanation import CHANNEL, Explanation
from cnnvis.data.samples import Array
from cnnvis.errors import UserError, nearest
from cnnvis.evaluation.removal import parts_of

AUTO = "auto"


def units_of(explanation: Explanation, units: str = AUTO) -> Array:
    """Return the number of the unit that each position of a map belongs to, whole numbers.

    Parameters
    ----------
    explanation
        Maps with named axes; the numbers have the shape of their spatial axes.
    units
        ``auto`` for patches (`parts_of`). Else names of axes, with commas between them: each
        position along a named axis is a unit, over all positions of the other axes; with several
        names, each combination of their positions. With a length behind a colon,
        ``position:10000``, each window so long is a unit: in the unit of the axis's coordinates
        where these are known, such as base pairs, else in positions. Windows are counted from the
        smallest coordinate.

    Raises
    ------
    UserError
        If there is no such axis, it has no numbers to measure a window by, or all is one unit.
    """
    lengths = [explanation.array.shape[axis] for axis in explanation.space_axes()]
    names = [name for name in explanation.axes if name != CHANNEL]
    found = np.zeros(lengths, int)
    if units.strip() == AUTO:
        found = parts_of(tuple(lengths))
    for one in () if units.strip() == AUTO else units.split(","):
        name, _, length = (word.strip() for word in one.partition(":"))
        axis = _place_of(name, names, explanation)
        described = explanation.coordinates.get(names[axis], Axis())
        along = np.arange(lengths[axis])
        if length:
            along = _windows(described, names[axis], lengths[axis], float(length))
        shape = [-1 if place == axis else 1 for place in range(len(lengths))]
        found = found * (along.max() + 1) + along.reshape(shape)
    numbers, found = np.unique(found, return_inverse=True)
    if len(numbers) < 2:
        raise UserError(
            f"units is {units!r}, which makes a single unit of all {found.size} positions, and "
            "there must be two or more"
        )
    numbered: Array = found.reshape(lengths)
    return numbered


def _place_of(name: str, names: list[str], explanation: Explanation) -> int:
    """Return the place of an axis by its name, its plural or the name that it was given."""
    given = [explanation.coordinates.get(one, Axis()).name for one in names]
    for known in (names, [f"{one}s" for one in names], given):
        if name in known:
            return known.index(name)
    there = [*names, *(one for one in given if one and one not in names)]
    raise UserError(
        f"units names the axis {name!r}, and the maps have no such axis.{nearest(name, there)} "
        f"They have: {', '.join(there) or 'none'}."
    )


def _windows(described: Axis, name: str, count: int, length: float) -> Array:
    """Return the number of the window of each position along an axis."""
    if length <= 0:
        raise UserError(f"units has windows of length {length:g} along {name}; it must be above 0")
    at = described.start + described.step * np.arange(count)
    if described.values:
        if any(isinstance(one, str) for one in described.values):
            raise UserError(
                f"units has windows of length {length:g} along {name}, whose positions are words: "
                f"name {name} alone, for a unit of each position"
            )
        at = np.array(described.values, float)
    # So that 0.3 / 0.1 is three whole windows.
    window = np.floor((at - at.min()) / length + 1e-9)
    _, found = np.unique(window, return_inverse=True)
    return found.reshape(count)
