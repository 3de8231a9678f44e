"""Weighted ridge regression of scores on sets of units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

from ._tolerance import uncertainty

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Fit:
    """Weighted ridge regression of scores of n images on sets of units, added up set by set.

    Parameters
    ----------
    units, images
        How many there are.
    ridge
        The penalty on the weights of units.
    is_judged
        True if `uncertainty` will be asked for, for which the sets and scores are kept.
    """

    def __init__(self, units: int, images: int, ridge: float, *, is_judged: bool) -> None:
        import numpy as np

        self._squares = np.zeros((units + 1, units + 1))
        self._products = np.zeros((units + 1, images))
        # The sums of 1, of scores and of their squares, weighted.
        self._scores = np.zeros((3, images))
        self._penalty = ridge * np.diag([0.0, *np.ones(units)])
        self._is_judged = is_judged
        self._parts: list[tuple[Array, Array, Array]] = []

    def add(self, z: Array, weights: Array, scores: Array) -> None:
        """Add sets z (k, units), their weights (k,) and scores (n, k)."""
        import numpy as np

        if self._is_judged:
            self._parts.append((z.astype(bool), weights, scores))
        z = np.concatenate([np.ones((len(z), 1)), z], axis=1)
        self._squares += z.T @ (z * weights[:, None])
        self._products += z.T @ (scores * weights).T
        self._scores += [(scores**power * weights).sum(axis=1) for power in (0, 1, 2)]

    def keep(self, images: Array) -> None:
        """Go on with some of the images, (n,) bool."""
        self._products, self._scores = self._products[:, images], self._scores[:, images]
        self._parts = [(z, weights, scores[images]) for z, weights, scores in self._parts]

    def solved(self) -> tuple[Array, Array]:
        """Return the weight of each unit, (n, units), and the share of the variance explained, (n,).

        Raises
        ------
        UserError
            If there are too few sets for so many units.
        """
        import numpy as np

        if not self.is_determined:
            raise cnnvis.UserError(
                f"there are too few sets for {len(self._squares) - 1} units, or too narrow a kernel: "
                "more sets, fewer units, a larger width, or a ridge above 0 would do"
            )
        found = np.linalg.solve(self._squares + self._penalty, self._products)
        total, first, second = self._scores
        residual = (
            second
            - 2 * (found * self._products).sum(axis=0)
            + (found * (self._squares @ found)).sum(axis=0)
        )
        spread = second - first**2 / total
        shares = 1 - residual / np.where(spread > 0, spread, np.inf)
        return found[1:].T, shares

    @property
    def is_determined(self) -> bool:
        """True if there are enough sets for so many units."""
        import numpy as np

        whole = self._squares + self._penalty
        return bool(np.linalg.matrix_rank(whole, hermitian=True) == len(whole))

    def uncertainty(self) -> Array:
        """Return how uncertain the weights of each image are, (n,); see `_tolerance.uncertainty`.

        Their standard errors are those of White 1980, doi:10.2307/1912934: of sets that are drawn, whatever
        the model leaves out. What the penalty takes from the weights is a bias, which more sets mend.
        """
        import numpy as np

        if not self.is_determined:
            return np.full(self._products.shape[1], np.inf)
        inverse = np.linalg.inv(self._squares + self._penalty)
        found = inverse @ self._products
        sets, spread = 0, np.zeros(found.shape)
        for z, weights, scores in self._parts:
            z = np.concatenate([np.ones((len(z), 1)), z], axis=1)
            left = scores - (z @ found).T
            spread += np.square(inverse @ (z * weights[:, None]).T) @ np.square(left).T
            sets += len(z)
        degrees = sets - float(np.trace(inverse @ self._squares))
        if degrees < 1:
            return np.full(found.shape[1], np.inf)
        errors = np.sqrt(spread * (sets / degrees))
        bias = inverse @ self._penalty @ found
        return uncertainty(errors[1:].T, found[1:].T, degrees, bias[1:].T)
