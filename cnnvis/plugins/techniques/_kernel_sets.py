"""Sets of units of KernelSHAP: all of some sizes, and others that are drawn."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sets:
    """Sets of units: all of some sizes, and others drawn from the other sizes.

    Attributes
    ----------
    whole, weights
        The sets of the sizes that are taken whole, (k, units) bool, and their weights, (k,).
    masses
        The mass of each of the other sizes in the regression.
    """

    whole: Array
    weights: Array
    masses: dict[int, float]

    @classmethod
    def of(cls, units: int, count: int) -> Sets:
        """Return the sets where `count` of them are taken."""
        import numpy as np

        # Sets of a size and their complements are taken together, for all sizes up to a half.
        masses = {
            size: (units - 1) / (size * (units - size)) * (1 if 2 * size == units else 2)
            for size in range(1, units // 2 + 1)
        }
        found: list[Array] = []
        weights: list[float] = []
        left = count
        while masses:
            size = min(masses)
            number = math.comb(units, size) * (1 if 2 * size == units else 2)
            share = masses[size] / sum(masses.values())
            # Sets of a single unit and of all but one alone determine all values, if there are so many.
            if number > left * (1 if size == 1 else share):
                break
            for chosen in itertools.combinations(range(units), size):
                one = np.zeros(units, bool)
                one[[*chosen]] = True
                found += [one] if 2 * size == units else [one, ~one]
            weights += [masses.pop(size) / number] * number
            left -= number
        return cls(np.array(found, bool).reshape(-1, units), np.array(weights), masses)

    def drawn(self, pairs: range, seed: int) -> Array:
        """Draw sets, each followed by its complement, (2 k, units) bool."""
        import numpy as np

        units, sizes = self.whole.shape[1], [*self.masses]
        bounds = np.cumsum([*self.masses.values()]) / sum(self.masses.values())
        found: list[Array] = []
        for pair in pairs:
            rng = np.random.default_rng((seed, pair))
            size = sizes[min(int(np.searchsorted(bounds, rng.random(), "right")), len(sizes) - 1)]
            one = np.zeros(units, bool)
            one[rng.permutation(units)[:size]] = True
            found += [one, ~one]
        return np.array(found, bool).reshape(-1, units)
