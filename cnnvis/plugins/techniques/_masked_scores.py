"""Scores of inputs under the random masks of RISE."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cnnvis

from ._filling import over_channels
from ._masks import masks_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class MaskedScores:
    """Inputs, what stands in masked places, and the masks that are drawn.

    Attributes
    ----------
    model, samples
        The network at its target, and the samples that hold the inputs.
    x, fill
        The inputs, and what stands in masked places, (n, ...).
    seed, cells, share
        The seed of the masks, the cells along each axis, and the share of the cells that is left.
    """

    model: cnnvis.Model
    samples: cnnvis.Samples
    x: Array
    fill: Array
    seed: int
    cells: Sequence[int]
    share: float
    _last: dict[range, Array] = field(default_factory=dict)

    @functools.cached_property
    def weights(self) -> Array:
        """How much each output counts in the score of each input, (n, k)."""
        return self.model.target_weights(self.x)

    @functools.cached_property
    def usual(self) -> Array:
        """The score of each input, (n,)."""
        return self.model.scores(self.x, weights=self.weights)

    def drawn(self, some: range) -> Array:
        """Draw masks by their numbers, (k, *space); those that were scored last are kept."""
        if some not in self._last:
            self._last.clear()
            self._last[some] = masks_of(self.seed, some, self.samples.space, self.cells, self.share)
        return self._last[some]

    def scores(self, some: range, images: Array | None = None) -> Iterator[tuple[range, Array]]:
        """Yield numbers of masks, and the scores of inputs under them, (n, k).

        Parameters
        ----------
        images
            The places of the inputs; None for all of them.
        """
        import numpy as np

        def args(part: range) -> list[Array]:
            return [over_channels(self.drawn(some[part.start : part.stop]), self.samples)]

        rows = np.arange(len(self.x)) if images is None else images
        masked = cnnvis.Perturbations(_masked, args, len(some), [self.fill[rows]])
        scores = self.model.perturbed_scores(
            self.x[rows], masked, weights=self.weights[rows], of=rows.tolist()
        )
        for part, found in scores:
            yield some[part.start : part.stop], found


def _masked(x: Any, fill: Any, mask: Any) -> Any:
    """Return what a mask leaves of inputs, in the fill."""
    return fill + (x - fill) * mask
