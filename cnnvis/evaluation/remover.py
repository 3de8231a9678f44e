"""Removal of parts of the inputs of maps, and the network's scores of what is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cnnvis.data.explanation import CHANNEL, Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.evaluation.removal import (
    chosen_parts,
    curve_area,
    orders_of,
    part_means,
    part_sums,
    step_counts,
)
from cnnvis.evaluation.units import AUTO, units_of

Filler = Callable[[Array, Array, Sequence[int]], Array]
"""Function of inputs (m, ...) float32, the removed positions (m, *space) bool and the places of the
inputs among the samples, that gives the inputs without these positions, (m, ...)."""


class Scoring(Protocol):
    """Part of `cnnvis.Model` that a removal needs."""

    def target_weights(self, x: Array, *, of: Sequence[int] | None = None) -> Array:
        """Compute how much each output counts in the score of each input, (n, k)."""
        ...

    def scores(
        self, x: Array, *, weights: Array | None = None, of: Sequence[int] | None = None
    ) -> Array:
        """Compute the score of each input, (n,)."""
        ...


def map_values(explanation: Explanation, metric: str) -> Array:
    """Return one value for each position of the inputs, (n, *space) float64: channels are added up.

    Parameters
    ----------
    metric
        The name of the metric, for errors.

    Raises
    ------
    UserError
        If the maps belong to no images, or are not as large as these.
    """
    samples = explanation.samples
    if samples is None:
        raise UserError(f"{metric} measures maps of images, and these maps are of none")
    maps = np.asarray(explanation.array, np.float64)
    if CHANNEL in explanation.axes:
        maps = maps.sum(axis=1 + explanation.axes.index(CHANNEL))
    if maps.shape[1:] != samples.space:
        raise UserError(
            f"{metric} needs maps as large as the input, {_sizes(samples.space)}, and these are "
            f"{_sizes(maps.shape[1:])}"
        )
    return maps


def _sizes(space: tuple[int, ...]) -> str:
    return " x ".join(map(str, space)) or "a single number"


@dataclass(frozen=True)
class Removal:
    """Removal of parts of inputs.

    A part is removed as a whole, with all its channels: positions within a part are not told apart.

    Attributes
    ----------
    samples
        The inputs.
    model
        The network, at the target of the maps.
    parts
        The number of the part that each position belongs to, (*space), or (n, *space) where each
        input has parts of its own; as many in each.
    fill
        Function that removes positions.
    """

    samples: Samples
    model: Scoring
    parts: Array
    fill: Filler

    @classmethod
    def of(
        cls,
        subject: Explanation | Samples,
        model: Scoring,
        fill: str | float | Filler = "mean",
        units: str = AUTO,
    ) -> Removal:
        """Return the removal of parts of samples, or of an explanation's inputs.

        Parameters
        ----------
        fill
            What stands in the place of removed parts: the value of an option of the type
            `cnnvis.Baseline`, or a function; see `Filler`.
        units
            The parts; see `cnnvis.Units`.

        Raises
        ------
        UserError
            If the units do not fit the inputs.
        """
        samples = subject if isinstance(subject, Samples) else subject.samples
        assert samples is not None  # `map_values` refuses maps of no images
        parts = units_of(subject, units)
        if callable(fill):
            return cls(samples, model, parts, fill)
        start, axis = samples.baseline(fill), samples.channel_axis

        def filled(x: Array, is_out: Array, rows: Sequence[int]) -> Array:
            if axis is not None:
                is_out = np.expand_dims(is_out, axis % x.ndim)
            return np.where(is_out, start if len(start) == 1 else start[rows], x)

        return cls(samples, model, parts, filled)

    @cached_property
    def weights(self) -> Array:
        """Weight of each output in the score of each input, (n, k): as for the whole inputs."""
        parts = [self.model.target_weights(self._inputs(rows), of=rows) for rows in self._batches()]
        return np.concatenate(parts)

    @property
    def count(self) -> int:
        """Number of parts."""
        return int(self.parts.max()) + 1

    def sums(self, maps: Array) -> Array:
        """Return the sum of each map, (n, *space), over each part, (n, count)."""
        return part_sums(maps, self.parts)

    def left(self, is_out: Array | None = None) -> Array:
        """Compute the score of each input without some of its parts, (n,) float64.

        Parameters
        ----------
        is_out
            The parts that are removed from each input, (n, count) bool; None for the whole inputs.
        """
        found = np.zeros(len(self.samples))
        for rows in self._batches():
            x = self._inputs(rows)
            if is_out is not None:
                x = self.fill(x, self._positions(is_out, rows), rows).astype(np.float32)
            found[rows] = self.model.scores(x, weights=self.weights[rows], of=rows)
        return found

    def curve(self, maps: Array, counts: Sequence[int], *, least_first: bool = False) -> Array:
        """Compute the scores as more and more parts are removed, (len(counts), n) float64.

        Parameters
        ----------
        maps
            A map for each input, (n, *space): the mean of its values is the importance of a part.
        counts
            How many parts are removed.
        least_first
            Remove the least important parts first, not the most important ones. Where parts are
            equally important, the mean of two orders is taken; see `orders_of`.
        """
        orders = orders_of(part_means(maps, self.parts))
        found = np.zeros((len(counts), len(maps)))
        for order in orders:
            for step, removed in enumerate(counts):
                is_out = chosen_parts(order, removed, least_first=least_first)
                found[step] += self.left(is_out) / len(orders)
        return found

    def steps(self, count: int, share: float = 1.0) -> list[int]:
        """Return numbers of removed parts in so many nearly equal steps from 0 to a share of all."""
        return step_counts(self.count, count, share)

    def area(self, maps: Array, count: int, *, least_first: bool = False) -> Array:
        """Compute the area under each `curve` from 0 to all parts in so many steps, (n,) float64.

        By the trapezoidal rule over the share of removed parts, so that it is a mean of scores.
        """
        counts = self.steps(count)
        return curve_area(self.curve(maps, counts, least_first=least_first), counts)

    def inner_counts(self, fractions: int) -> list[int]:
        """Return numbers of removed parts: shares 1 / (fractions + 1), 2 / (fractions + 1), ...

        Fewer where there are fewer parts, and never all.
        """
        shares = ((step + 1) / (fractions + 1) for step in range(fractions))
        return sorted({min(math.ceil(self.count * one), self.count - 1) for one in shares})

    def relevance_gain(self, maps: Array, fractions: int) -> Array:
        """Compute the symmetric relevance gain of each map, (n,): the mean of LIF less MIF scores.

        Bluecher, Vielhaben and Strodthoff 2024, arXiv:2401.06654, equation 3: the area between the
        curves when the least important (LIF) and the most important (MIF) parts are removed first. It
        is 0 on average for an order that knows nothing, and turns its sign with the map's.

        Parameters
        ----------
        fractions
            How many shares of the parts are removed; see `inner_counts`.
        """
        counts = self.inner_counts(fractions)
        least, most = (self.curve(maps, counts, least_first=first) for first in (True, False))
        found: Array = (least - most).mean(axis=0)
        return found

    def random_parts(self, size: int, *key: int) -> Array:
        """Draw parts of each input, `size` of them, (n, count) bool.

        The draw depends on the input's place in the data and on the key alone: so all methods are
        asked about the same parts, and an image alone about the same parts as among others.
        """
        indices = self.samples.indices
        lots = np.stack(
            [np.random.default_rng([*key, int(one)]).random(self.count) for one in indices]
        )
        found: Array = lots.argsort(axis=1).argsort(axis=1) < size
        return found

    def _positions(self, is_out: Array, rows: list[int]) -> Array:
        """Return which positions of some inputs are removed, (m, *space) bool."""
        if self.parts.ndim == len(self.samples.space):
            found: Array = is_out[rows][:, self.parts]
            return found
        parts = self.parts[rows]
        found = np.take_along_axis(is_out[rows], parts.reshape(len(rows), -1), axis=1)
        return found.reshape(parts.shape)

    def _inputs(self, rows: list[int]) -> Array:
        return np.asarray(self.samples.source[rows], np.float32)

    def _batches(self) -> Iterator[list[int]]:
        size = self.samples.at_once
        for start in range(0, len(self.samples), size):
            yield list(range(start, min(start + size, len(self.samples))))


def without_order(maps: Array, values: Array) -> Array:
    """Return values (n,) with NaN for each map (n, ...) that is the same everywhere."""
    flat = maps.reshape(len(maps), -1)
    return np.where(np.ptp(flat, axis=1) > 0, values, np.nan)
