"""Straight paths from a baseline to inputs, and the integral of gradients along them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

BATCH = 32
"""Number of samples that networks are computed with at a time, most often."""

ORDER = 50
"""Maximum number of points in a piece of the path: finding them takes the cube of their number."""


@dataclass(frozen=True)
class Quadrature:
    """Places from 0 to 1, (k,) float32, and their weights in the integral.

    Gauss-Legendre quadrature on pieces of equal length.
    """

    places: Array
    weights: list[float]

    @classmethod
    def of(cls, steps: int) -> Quadrature:
        """Return the quadrature with so many steps, or a few more."""
        import numpy as np

        pieces = -(-steps // ORDER)
        nodes, weights = np.polynomial.legendre.leggauss(-(-steps // pieces))
        places = (np.arange(pieces)[:, None] + (nodes + 1) / 2) / pieces
        return cls(
            places.ravel().astype(np.float32), np.tile(weights / 2 / pieces, pieces).tolist()
        )


@dataclass(frozen=True)
class Path:
    """Path from a baseline to samples.

    Attributes
    ----------
    model, samples
        The network at its target, and the ends of the path.
    starts
        The baseline of each input that can move, (n, ...) float32, by the inputs' names.
    weights
        How much each output counts in the score of each sample, (n, k).
    moving_all
        True if all inputs move together; False if the others are held.
    """

    model: cnnvis.Model
    samples: cnnvis.Samples
    starts: dict[str, Array]
    weights: Array
    moving_all: bool

    @classmethod
    def of(
        cls,
        model: cnnvis.Model,
        samples: cnnvis.Samples,
        baseline: str | float,
        *,
        moving_all: bool,
    ) -> Path:
        """Return the path from a baseline."""
        import numpy as np

        own = samples.input or model.inputs[0].name
        sources = samples.inputs or {own: samples.source}
        starts = {
            name: np.ascontiguousarray(
                np.broadcast_to(
                    samples.baseline(baseline, None if name == own else name), source.shape
                )
            )
            for name, source in sources.items()
            if name == own or name in model.movable_inputs
        }
        return cls(model, samples, starts, model.target_weights(samples.x), moving_all)

    @property
    def own(self) -> str:
        """Name of the input that the samples are of."""
        return self.samples.input or self.model.inputs[0].name

    def score_at_start(self) -> Array:
        """Return the score of each sample at the baseline, (n,), with other inputs at it or held."""
        import numpy as np

        model, samples, start = self.model, self.samples, self.starts[self.own]
        is_shared = len(model.inputs) == 1 and (start == start[:1]).all()
        if is_shared and (self.weights == self.weights[:1]).all():
            # A full batch, since a smaller one would have to be traced anew.
            scores = model.scores(start[:BATCH], weights=self.weights[:BATCH])
            return np.full(len(start), scores[0])
        if self.moving_all:
            moved = {name: start for name, start in self.starts.items() if name != self.own}
            held = replace(samples, others={**samples.others, **moved})
            model = model.with_inputs_held(held)
        return model.scores(start, weights=self.weights)

    def integrated(self, rows: Array, quadrature: Quadrature) -> tuple[Array, Array, Array]:
        """Return maps of samples, (k, ...), and the signed and absolute sums over all that moves.

        Parameters
        ----------
        rows
            The places of the samples.
        quadrature
            The places on the path where gradients are taken.
        """
        import numpy as np

        places, shares = quadrature.places, quadrature.weights
        start_of = {name: one[rows] for name, one in self.starts.items()}

        def perturbation_args(some: range) -> list[Array]:
            return [places[some.start : some.stop], 1 - places[some.start : some.stop]]

        x, of, own = np.asarray(self.samples.x[rows], np.float32), rows.tolist(), self.own
        between = cnnvis.Perturbations(
            _between,
            perturbation_args,
            len(places),
            {name: [one] for name, one in start_of.items()},
            shares,
        )
        settings: dict[str, Any] = {"weights": self.weights[rows], "of": of}
        if self.moving_all:
            means = self.model.mean_gradients(x, between, **settings)
        else:
            means = {own: self.model.mean_gradient(x, between, **settings)}
        inputs = {
            name: x if name == own else np.asarray(self.samples.inputs[name][rows])
            for name in means
        }
        moved = {name: (inputs[name] - start_of[name]) * mean for name, mean in means.items()}
        flat = [one.reshape(len(rows), -1).astype(np.float64) for one in moved.values()]
        sums, sizes = (
            sum(one.sum(axis=1) for one in flat),
            sum(abs(one).sum(axis=1) for one in flat),
        )
        return moved[own], np.asarray(sums), np.asarray(sizes)


def _between(x: Any, start: Any, share: Any, rest: Any) -> Any:
    """Return places on the path from the baseline to x."""
    return x * share + start * rest
