"""Integrated gradients: the gradients on the way from a baseline to the input, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@cnnvis.technique(
    "integrated-gradients",
    reference="arXiv:1703.01365",
    claims={"integrated-gradients": {}, "complete": {}},
)
def integrated_gradients(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    *,
    steps: cnnvis.Count = 50,
    baseline: float = 0.0,
) -> cnnvis.Explanation:
    """How much each value adds to the score on the way from a baseline to the input.

    M = (x - x') * integral from 0 to 1 of dS/dx(x' + t (x - x')) dt, for the score S, the input x
    and the baseline x': Sundararajan et al. 2017, equation 1. The sum of M is S(x) - S(x'). The
    integral is taken by Gauss-Legendre quadrature.

    Parameters
    ----------
    steps
        At how many points on the way gradients are taken.
    baseline
        The value of every place of the input that the way begins with.
    """
    import numpy as np

    nodes, parts = np.polynomial.legendre.leggauss(steps)
    way = ((nodes + 1) / 2).astype(np.float32)
    x = np.asarray(samples.x, np.float32)
    start = np.float32(baseline)

    def told(some: range) -> list[Array]:
        return [way[some.start : some.stop], (1 - way[some.start : some.stop]) * start]

    mean = model.mean_gradient(x, _between, told, (parts / 2).tolist())
    return cnnvis.Explanation((x - start) * mean, samples)


def _between(x: Any, share: Any, rest: Any) -> Any:
    """Places on the way from the baseline to x."""
    return x * share + rest
