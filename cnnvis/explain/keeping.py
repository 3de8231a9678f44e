"""Keepers of the pieces of a result, such as a run folder, and what they need to make more of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cnnvis.data.batches import Piece, Read
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Samples
from cnnvis.data.stream import Summed


@dataclass(frozen=True)
class Making:
    """How pieces of a result are made.

    Attributes
    ----------
    compute
        Function of the images of a piece, which computes the piece.
    completed
        Function of the maps of a piece, which gives them as transforms get them, such as with
        their provenance.
    """

    compute: Callable[[Read], Piece]
    completed: Callable[[Explanation], Explanation]


class Keeper:
    """Keeper of pieces of a result, which returns kept pieces instead of computing them."""

    def pieces(
        self, samples: Samples, making: Making, *, outlines: bool = False
    ) -> Iterator[Piece]:
        """Yield all pieces in order.

        Parameters
        ----------
        outlines
            Whoever asks reads no maps: kept pieces may have zeros in their place.
        """
        raise NotImplementedError

    def sums(self, asked: Summed) -> Iterable[Any] | None:
        """Return what a transform needs of each piece, in order; None where that is not known."""
        return None
