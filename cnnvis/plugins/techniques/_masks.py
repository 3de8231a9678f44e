"""Random masks of RISE, and what is added up over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def masks_of(
    seed: int, numbers: Sequence[int], space: Sequence[int], cells: Sequence[int], share: float
) -> Array:
    """Draw masks, (k, *space) float32 from 0 to 1; each depends on the seed and its number alone.

    Petsiuk et al. 2018, section 3.2: a grid of cells is enlarged linearly to a cell more along each
    axis than the image has room for, and a piece of the size of the image is cut out at random.
    """
    import numpy as np

    lengths = [-(-size // count) for size, count in zip(space, cells, strict=True)]  # of a cell
    masks = np.zeros((len(numbers), *cells), np.float32)
    shifts = np.zeros((len(numbers), len(cells)), int)
    for row, number in enumerate(numbers):
        rng = np.random.default_rng((seed, number))
        masks[row] = rng.random(tuple(cells)) < share
        shifts[row] = [rng.integers(length) for length in lengths]
    for axis, (size, count, length) in enumerate(zip(space, cells, lengths, strict=True)):
        places = np.arange(size) + shifts[:, axis, None] + 0.5
        # The middles of cells, in an enlarged grid that is a cell longer than the image.
        at = np.clip(places * count / ((count + 1) * length) - 0.5, 0, count - 1)
        # How much each cell counts at each position: two cells, by their distances from it.
        parts = np.maximum(1 - abs(at[:, None] - np.arange(count)[:, None]), 0).astype(np.float32)
        # The first axis is enlarged and goes to the end, so that the next is the first.
        masks = np.moveaxis(masks, 1, -1)
        inner = masks.shape[1:-1]
        masks = (masks.reshape(len(numbers), -1, count) @ parts).reshape(-1, *inner, size)
    return masks


class Sums:
    """Sums over masks m (k, p) and scores f (n, k), of which maps and their errors are made.

    Parameters
    ----------
    images, positions
        How many there are.
    """

    def __init__(self, images: int, positions: int) -> None:
        import numpy as np

        self._count = 0
        self._of_masks = np.zeros((2, positions))  # of m and its square
        self._of_both = np.zeros((2, 2, images, positions))  # of these with f, and with its square
        self._of_scores = np.zeros((2, images, 1))  # of f and its square

    def add(self, scores: Array, masks: Array) -> None:
        """Add some scores and masks."""
        import numpy as np

        self._count += len(masks)
        powers = np.concatenate([scores, scores**2])
        for power, one in enumerate((masks, masks**2)):
            self._of_masks[power] += one.sum(axis=0)
            self._of_both[:, power] += (powers @ one).reshape(self._of_both[:, power].shape)
        self._of_scores += powers.sum(axis=1).reshape(self._of_scores.shape)

    def keep(self, images: Array) -> None:
        """Go on with some of the images, (n,) bool."""
        self._of_both, self._of_scores = self._of_both[:, :, images], self._of_scores[:, images]

    @property
    def hidden(self) -> int:
        """Number of positions that are in no mask, of which nothing is known."""
        return int((self._of_masks[0] == 0).sum())

    def means(self, *, centre: bool) -> Array:
        """Return E[f m] / E[m], (n, p), less E[f] if `centre`.

        Raises
        ------
        UserError
            If a position is in no mask.
        """
        if self.hidden:
            raise cnnvis.UserError(
                f"none of {self._count} masks leaves {self.hidden} of the positions, so that nothing is known "
                "of them: draw more masks, or leave a larger share of the cells"
            )
        found: Array = self._of_both[0, 0] / self._of_masks[0]
        return found - self._of_scores[0] / self._count if centre else found

    def errors(self, *, centre: bool) -> Array:
        """Return the standard error of each of the means, (n, p), by the delta method."""
        import numpy as np

        count, middle = self._count, self._of_scores[0] / self._count
        (first, second), (mixed, squares) = self._of_both / count
        masks, masks_squared = self._of_masks / count
        ratio = first / masks
        spread = (squares - 2 * ratio * second + ratio**2 * masks_squared) / masks**2
        if centre:
            both = mixed - (ratio + middle) * first + ratio * middle * masks
            spread += self._of_scores[1] / count - middle**2 - 2 * both / masks
        found: Array = np.sqrt(np.maximum(spread, 0) / count)
        return found
