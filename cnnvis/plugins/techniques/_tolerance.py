"""Draws until what chance adds to a map is a small share of the map."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Tolerance = Annotated[
    cnnvis.Positive,
    cnnvis.Help(
        "How uncertain a map may be by chance: half of an interval of 95 %, as a share of the map's size. Each "
        "image takes twice as many draws until it is no more uncertain, and no more of them than without a "
        "tolerance."
    ),
]


def uncertainty(errors: Array, values: Array, degrees: float, bias: Array | float = 0.0) -> Array:
    """Return half of an interval of 95 % around each row of values, as a share of the row's size, (n,).

    (t |errors| + |bias|) / |values|, where |.| is the root of the sum of squares and t the quantile of Student's
    distribution. The sum of the squares of normal errors, whatever their correlations are, is above
    t^2 times its expectation in no more than 5 % of cases: Szekely and Bakirov 2003, Probability Theory
    and Related Fields 126, 184.

    Parameters
    ----------
    errors, values
        The standard error of each value, and the values, (n, ...).
    degrees
        Number of degrees of freedom of the standard errors.
    bias
        What values are off by that more draws would mend, (n, ...).
    """
    import numpy as np
    from scipy.stats import t

    if degrees < 1:
        return np.full(len(values), np.inf)
    width = t.ppf(0.975, degrees) * _size(errors) + _size(np.broadcast_to(bias, values.shape))
    size = _size(values)
    found: Array = np.where(width > 0, width / np.where(size > 0, size, 1), 0)
    found[(size == 0) & (width > 0)] = np.inf
    return found


def _size(values: Array) -> Array:
    """Return the root of the sum of squares of each row of values, (n,) float64."""
    import numpy as np

    flat = values.reshape(len(values), -1).astype(float)
    found: Array = np.sqrt(np.square(flat).sum(axis=1))
    return found


@dataclass(frozen=True)
class Draws:
    """Draws of which each image takes as many as it needs.

    Attributes
    ----------
    first, most
        How many draws all images take at first, and how many an image takes at most.
    tolerance
        The uncertainty at which an image takes no more.
    """

    first: int
    most: int
    tolerance: float

    @classmethod
    def within(cls, tolerance: float | None, first: int, most: int) -> Draws:
        """Return the draws of a tolerance; without any, all at once."""
        if tolerance is None:
            return cls(most, most, float("inf"))
        return cls(first, most, tolerance)

    def taken(
        self, samples: cnnvis.Samples, take: Callable[[Array, range], Array]
    ) -> tuple[Array, Array]:
        """Take draws for images until these are certain enough; return how many, and their uncertainty.

        An image stops by itself, and the other images go on without it, so that its draws depend on no
        other image.

        Parameters
        ----------
        take
            Function of the places of the images that are left and of the numbers of the draws that come
            next; it returns the uncertainty of these images after them, (k,).
        """
        import numpy as np

        left, count = np.arange(len(samples)), 0
        taken, unsure = np.zeros(len(samples)), np.zeros(len(samples))
        while left.size and count < self.most:
            some = range(count, min(2 * count or self.first, self.most))
            count = some.stop
            unsure[left], taken[left] = take(left, some), count
            left = left[unsure[left] > self.tolerance]
        return taken, unsure


def beyond_tolerance(what: str) -> Callable[..., Iterator[str]]:
    """Return the remarks of a technique on maps that are less certain than its tolerance.

    Parameters
    ----------
    what
        The option that says how many draws an image takes at most.
    """

    def remarks(
        measures: Mapping[str, Array],
        *,
        tolerance: float | None,
        budget: str | None = None,
        **options: Any,
    ) -> Iterator[str]:
        unsure = measures.get("uncertainty")
        if tolerance is None or unsure is None or not (left := unsure > tolerance).any():
            return
        worst, how = float(unsure[left].max()), "how uncertain the worst is, is not known"
        more = f"a larger --{what if budget is None else 'budget'}"
        took = f"with {options[what]} {what}, " if budget is None else ""
        if math.isfinite(worst):
            how = f"the worst is uncertain by {math.ceil(1000 * worst) / 10:.1f}%"
            if budget is None:
                more = f"--{what} {_rounded(options[what] * (worst / tolerance) ** 2)}"
        yield (
            f"{left.sum()} of {left.size} maps are less certain than the tolerance: {took}{how}; {more} may do"
        )

    return remarks


def _rounded(number: float) -> int:
    """Return a number, rounded up to two digits that count, and even: some draws come in pairs."""
    unit = 2 * int(10 ** max(math.floor(math.log10(number)) - 1, 0))
    return math.ceil(number / unit) * unit
