"""Frames of pictures that are made step by step, where somebody asked for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

FrameCount = Annotated[
    cnnvis.Count,
    cnnvis.Help(
        "How many frames to keep of how the result is made, evenly spaced from the start to the end: the "
        "renderer gif shows them."
    ),
]


def looks(steps: int, frames: int | None) -> tuple[int, ...]:
    """Return the numbers of steps after which a frame is taken; none where no frames are wanted."""
    return () if frames is None else tuple(cnnvis.evenly_spaced(steps + 1, frames).tolist())


@dataclass
class Film:
    """Frames that are taken while parameters change.

    Attributes
    ----------
    steps
        The numbers of steps after which a frame is taken.
    picture
        Function of the parameters that returns the inputs that they stand for, (n, ...).
    taken
        The frames so far, (n, ...) each.
    """

    steps: tuple[int, ...]
    picture: Callable[[Sequence[Array]], Any]
    taken: list[Array] = field(default_factory=list)

    def look(self, step: int, parameters: Sequence[Any]) -> None:
        """Take a frame of parameters, arrays or tensors, if this is a step after which to take a frame."""
        import numpy as np

        if step in self.steps:
            found = self.picture([np.asarray(one, np.float32) for one in parameters])
            self.taken.append(np.asarray(found, np.float32))

    @property
    def frames(self) -> cnnvis.Frames | None:
        """The frames of all inputs; None where no frames are wanted."""
        import numpy as np

        if not self.steps:
            return None
        return cnnvis.Frames(np.stack(self.taken, axis=1), np.array(self.steps))
