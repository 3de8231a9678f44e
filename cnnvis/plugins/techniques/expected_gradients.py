"""Expected gradients: integrated gradients from many samples of the data, averaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._path import Quadrature
from ._references import drawn

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "expected-gradients", family="integrated gradients", reference="arXiv:1906.10670", signed={}
)
def expected_gradients(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    references: cnnvis.Samples,
    *,
    baselines: cnnvis.Count = 16,
    steps: cnnvis.Count = 16,
    seed: cnnvis.Seed = 0,
) -> cnnvis.Explanation:
    """How much each value adds to the score, on average on the ways from samples of the data.

    M = mean over samples x' of the data of (x - x') * integral from 0 to 1 of
    dS/dx(x' + t (x - x')) dt, for the score S and the input x: Erion et al. 2021, equation 4. The
    sum of M is S(x) - the mean of S(x'). The integral is not drawn but taken by Gauss-Legendre
    quadrature for each x', which needs far fewer gradients for the same error of the sum. Of a
    network with several inputs, the other inputs are held.

    Parameters
    ----------
    baselines
        How many samples of the data the ways begin at, of 256 evenly spaced ones that are chosen
        from; the same for every image.
    steps
        At how many points on each way gradients are taken.
    """
    import numpy as np

    other = "integrated-gradients with a baseline"
    starts = drawn(references, baselines, seed, "expected-gradients", other)
    quadrature = Quadrature.of(steps)
    places, shares = quadrature.places, quadrature.weights
    x = np.asarray(samples.x, np.float32)
    weights = model.target_weights(x)
    maps = np.zeros(x.shape, np.float64)
    at_starts = np.zeros(len(x))
    with cnnvis.progress("expected-gradients", len(starts)) as advance:
        for start in starts:

            def perturbation_args(some: range, start: Array = start) -> list[Array]:
                share = places[some.start : some.stop]
                return [share, np.repeat(start[None], len(share), axis=0)]

            way = cnnvis.Perturbations(_between, perturbation_args, len(places), factors=shares)
            mean = model.mean_gradient(x, way, weights=weights)
            maps += (x - start) * mean.astype(np.float64)
            begin = np.ascontiguousarray(np.broadcast_to(start, x.shape))
            at_starts += model.scores(begin, weights=weights)
            advance(1)
    maps /= len(starts)
    score = model.scores(x, weights=weights)
    gaps = cnnvis.completeness_gap_of_maps(maps, score, at_starts / len(starts))
    return cnnvis.Explanation(maps.astype(np.float32), samples, measures={"completeness_gap": gaps})


def _between(x: Any, share: Any, start: Any) -> Any:
    """Return places on the path from a sample to x."""
    return start + share * (x - start)
