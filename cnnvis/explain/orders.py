"""Averages of maps over orders of positions whose order means nothing, such as haplotypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnvis.data.axes import ALL, WITHIN, Axis, axis_names
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.explain.several import by_outputs
from cnnvis.network.model import Model
from cnnvis.reporting import note, notes_kept, quietly


@dataclass(frozen=True)
class Orders:
    """Orders in which the positions along an axis of images are tried.

    Attributes
    ----------
    axis
        The usual name of the axis.
    groups
        The number of the group of each position: positions change places within a group.
    exchangeable
        What the groups are, as the axis says it.
    count
        The number of orders, of which the first is that of the data.
    deviation
        True where the standard deviation over the orders is shown, and not their mean.
    """

    axis: str
    groups: tuple[int, ...]
    exchangeable: str
    count: int
    deviation: bool

    def drawn(self) -> list[Array]:
        """Return the orders, each the places of the positions: the same for all images."""
        rng = np.random.default_rng(0)
        groups = np.asarray(self.groups)
        every = [np.flatnonzero(groups == one) for one in np.unique(groups)]
        found = [np.arange(len(groups))]
        for _ in range(1, self.count):
            order = np.arange(len(groups))
            for places in every:
                order[places] = rng.permutation(places)
            found.append(order)
        return found

    @property
    def shown(self) -> str:
        """What a map shows, in words: ``mean over 20 orders along row``."""
        what = "deviation" if self.deviation else "mean"
        return f"{what} over {self.count} orders along {self.axis}"

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, for the provenance."""
        return {
            "axis": self.axis,
            "exchangeable": self.exchangeable,
            "groups": list(self.groups),
            "count": self.count,
            "deviation": self.deviation,
            "shown": self.shown,
        }


def orders_of(samples: Mapping[str | None, Samples]) -> Orders | None:
    """Return the orders that descriptions of the images' axes ask for; None where they ask for none.

    An exchangeable axis for which no orders are asked for is noted.

    Raises
    ------
    UserError
        If orders of several axes are asked for, or of an axis that is not said to be exchangeable,
        does not exist, or has no word for each position; or if the network has several inputs.
    """
    if not samples:
        return None
    one = next(iter(samples.values()))
    asked = {name: axis for name, axis in one.coordinates.items() if axis.orders}
    for name, axis in one.coordinates.items():
        if axis.exchangeable and not axis.orders:
            note(
                f"the positions along the axis {name} are exchangeable ({axis.exchangeable}), and the "
                f"maps are those of a single order of them; orders = 20 under [axes.{name}] averages "
                "over 20 orders"
            )
    if not asked:
        return None
    if len(asked) > 1:
        raise UserError(
            f"orders of several axes are asked for, {' and '.join(asked)}, and are tried along a "
            "single axis: leave orders out for the others"
        )
    (name, axis) = next(iter(asked.items()))
    if one.others:
        raise UserError(
            f"orders along the axis {name} are tried for networks with a single input: in another "
            "input, the same positions would have to change places"
        )
    if axis.exchangeable == ALL and len({*map(str, axis.values)}) > 1:
        note(
            f"all positions along the axis {name} change places, also those of different "
            f'{axis.name or "words"}; to keep them apart: exchangeable = "within {axis.name or "group"}"'
        )
    size = one.source.shape[_place(name, one)]
    words = _words(name, axis, size)
    known = {word: number for number, word in enumerate(dict.fromkeys(words))}
    if len(known) == size:
        raise UserError(
            f"each position along the axis {name} has a word of its own, so that no two of them can "
            "change places"
        )
    found = Orders(
        name, tuple(known[word] for word in words), axis.exchangeable, axis.orders, axis.deviation
    )
    note(f"each map is the {found.shown}")
    return found


def _words(name: str, axis: Axis, size: int) -> list[str]:
    """Return a word for each position; those with the same word may change places."""
    if axis.exchangeable == ALL:
        return [""] * size
    if not axis.exchangeable:
        raise UserError(
            f"orders of the axis {name} are asked for, and it is not said which positions may change "
            f'places: exchangeable = "all" or, where its values say the population, "within population"'
        )
    what = axis.exchangeable.removeprefix(WITHIN)
    if not axis.values:
        raise UserError(
            f"positions along the axis {name} are exchangeable within {what}, and it is not known "
            f"which {what} each is of: values holds a word for each of the {size} positions"
        )
    if axis.name not in ("", what):
        raise UserError(
            f"positions along the axis {name} are exchangeable within {what}, and its values are "
            f'named {axis.name!r}: exchangeable = "within {axis.name}", if that is meant'
        )
    axis.require_length(name, size)
    return [str(value) for value in axis.values]


def over_orders(
    orders: Orders,
    found: Explanation,
    model: Model,
    samples: Samples,
    explain: Callable[[Model, Samples], Explanation],
) -> Explanation:
    """Return maps averaged over orders, each order's map put back into the order of the data.

    All orders explain the target that the image has in its own order, though the network may answer
    otherwise when positions change places. The measure ``order_share`` is the share of a map's
    variance, over its places and the orders, that is between orders.

    Parameters
    ----------
    found
        The maps in the order of the data.
    explain
        Function that explains other samples in the same way.

    Raises
    ------
    UserError
        If the maps do not have the axis, or not as many positions along it as the images.
    """
    at = _place(orders.axis, samples)
    if found.maps is None or orders.axis not in found.axes:
        raise UserError(
            f"orders along the axis {orders.axis} need maps that have this axis, and these have "
            f"{', '.join(found.axes) or 'none'}"
        )
    along = 1 + found.axes.index(orders.axis)
    if found.array.shape[along] != len(orders.groups):
        raise UserError(
            f"orders along the axis {orders.axis} need a value for each of its "
            f"{len(orders.groups)} positions, and these maps have {found.array.shape[along]}"
        )
    mean, squares = np.zeros((2, *found.array.shape))
    measures = {name: np.zeros(len(found)) for name in found.measures}
    inputs, rows_of = samples.x, [(np.arange(len(found)), model)]
    if model.filters is None:  # each image has an output of its own
        rows_of = by_outputs(model, [target.filters for target in found.targets])
    for number, order in enumerate(orders.drawn()):
        values = np.empty_like(found.array)
        back = np.argsort(order)
        for rows, fixed in rows_of:
            one = found[rows]
            if number:
                moved = replace(
                    samples[rows], source=np.take(inputs[rows], order, axis=at), baselines={}
                )
                with notes_kept(), quietly():
                    one = explain(fixed, moved)
            values[rows] = np.take(one.array, back, axis=along)
            for name, total in measures.items():
                total[rows] += np.asarray(one.measures[name], float) / orders.count
        change = values - mean
        mean += change / (number + 1)
        squares += change * (values - mean)
    spread = squares / (orders.count - 1)
    shown = np.sqrt(spread) if orders.deviation else mean
    shares = _shares(mean, spread, orders.count)
    return replace(
        found, maps=shown.astype(np.float32), measures={**measures, "order_share": shares}
    )


def _place(name: str, samples: Samples) -> int:
    """Return the place of an axis in the samples' arrays, counting the sample axis."""
    names = axis_names(len(samples.source.shape) - 1, samples.channel_axis)
    if name not in names:
        raise UserError(
            f"orders are asked for along the axis {name}, and the images have: {', '.join(names)}"
        )
    return 1 + names.index(name)


def _shares(mean: Array, spread: Array, count: int) -> Array:
    """Return which share of the variance of each map is between orders, (n,) from 0 to 1."""
    each = len(mean), -1
    between = spread.reshape(each).mean(axis=1)
    # The variance of a mean over few orders holds a part of that between orders.
    over = np.maximum(mean.reshape(each).var(axis=1) - between / count, 0)
    whole = between + over
    shares: Array = np.divide(between, whole, out=np.zeros(len(mean)), where=whole > 0)
    return shares
