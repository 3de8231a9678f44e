"""Game of the units of an input: scores of inputs of which some units are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cnnvis

from ._filling import fill_of, over_channels

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Scores = Iterator[tuple[range, Array]]


@dataclass(frozen=True)
class Game:
    """Game of units of an input: its value for a set of units is the score if no others are left.

    Attributes
    ----------
    model
        The network at its target.
    x, fill
        The inputs, and what stands in the place of units that are left out, (n, ...).
    units
        The number of the unit of each position, (n, *space).
    placed
        The units, with an axis of length 1 where the inputs have channels.
    count
        The number of units.
    rows
        The number of the sample of each input, where these are some of the samples; else None.
    """

    model: cnnvis.Model
    x: Array
    fill: Array
    units: Array
    placed: Array
    count: int
    rows: Sequence[int] | None = None

    @classmethod
    def of(
        cls, model: cnnvis.Model, samples: cnnvis.Samples, baseline: str | float, units: str
    ) -> Game:
        """Return the game of samples."""
        import numpy as np

        fill = fill_of(model, samples, baseline)
        found = cnnvis.units_of(samples, units).astype(np.int32)
        found = np.ascontiguousarray(np.broadcast_to(found, (len(samples), *samples.space)))
        x = np.asarray(samples.x, np.float32)
        return cls(model, x, fill, found, over_channels(found, samples), int(found.max()) + 1)

    @cached_property
    def weights(self) -> Array:
        """How much each output counts in the score of each input, (n, k)."""
        return self.model.target_weights(self.x)

    @cached_property
    def whole(self) -> Array:
        """The score of each input with all units, (n,) float64."""
        return self.model.scores(self.x, weights=self.weights).astype(float)

    @cached_property
    def empty(self) -> Array:
        """The score of each input without any unit, (n,) float64."""
        return self.model.scores(self.fill, weights=self.weights).astype(float)

    def picked(self, images: Array) -> Game:
        """Return the game of some of the inputs, by their places."""
        found = replace(
            self,
            x=self.x[images],
            fill=self.fill[images],
            units=self.units[images],
            placed=self.placed[images],
            rows=images.tolist() if self.rows is None else [self.rows[one] for one in images],
        )
        known = {"weights": self.weights, "whole": self.whole, "empty": self.empty}
        vars(found).update({name: one[images] for name, one in known.items()})
        return found

    def scores(self, kept: Callable[[range], Array], count: int) -> Scores:
        """Yield numbers of sets of units, and the scores of each input with these alone, (n, k).

        Parameters
        ----------
        kept
            Function of numbers of sets that returns which units are left, (k, units) bool; the same
            sets for each input.
        """
        without = cnnvis.Perturbations(
            _without, lambda some: [~kept(some)], count, [self.fill, self.placed]
        )
        yield from self.model.perturbed_scores(self.x, without, weights=self.weights, of=self.rows)

    def spread(self, values: Array, *, as_shares: bool = False) -> Array:
        """Return maps (n, *space) of a value for each unit, (n, units).

        Parameters
        ----------
        as_shares
            Divide each value among the positions of its unit, so that a map adds up as the values do.
        """
        import numpy as np

        flat = self.units.reshape(len(self.units), -1)
        if as_shares:
            values = values / np.stack([np.bincount(one, minlength=self.count) for one in flat])
        return np.take_along_axis(values, flat, axis=1).reshape(self.units.shape)

    def complete(
        self,
        values: Array,
        samples: cnnvis.Samples,
        sets: int | Array,
        measures: Mapping[str, Array] | None = None,
    ) -> cnnvis.Explanation:
        """Return maps that add up to what all units change together, with the gap from that.

        Parameters
        ----------
        values
            The value of each unit, (n, units).
        sets
            The number of sets that were scored, beside the empty set and that of all units: for all
            inputs, or for each, (n,).
        measures
            Other measures of the maps.
        """
        import numpy as np

        maps = self.spread(values, as_shares=True).astype(np.float32)
        gaps = cnnvis.completeness_gap_of_maps(maps, self.whole, self.empty)
        own = {"completeness_gap": gaps, "passes": np.full(len(maps), sets + 2)}
        return cnnvis.Explanation(maps, samples, measures={**own, **(measures or {})})


def _without(x: Any, fill: Any, units: Any, is_out: Any) -> Any:
    """Return inputs x (n, 1, ...) with the fill where a unit is out: is_out is (1, k, units, ...)."""
    import tensorflow as tf

    # By rows, which are copied faster than single values: (units, k) at (n, ...) gives (n, ..., k).
    out = tf.gather(tf.transpose(tf.reshape(is_out, is_out.shape[1:3])), tf.squeeze(units, 1))
    last = len(out.shape) - 1
    return tf.where(tf.transpose(out, [0, last, *range(1, last)]), fill, x)
