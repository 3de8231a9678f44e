"""Frames: maps at some of the steps in which they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnvis.data.samples import Array


@dataclass(frozen=True, eq=False)
class Frames:
    """Maps at some of the steps in which they were made, as a moving picture shows them.

    Attributes
    ----------
    maps
        The frames of each map, (n, frames, ...) float32, of the shape of the map.
    steps
        The number of steps before each frame, (frames,) int64, each more than the one before; 0 for the start.

    Raises
    ------
    TypeError
        If they do not fit together, or are not finite.
    """

    maps: Array
    steps: Array

    def __post_init__(self) -> None:
        maps, steps = np.asarray(self.maps), np.asarray(self.steps)
        if maps.dtype.kind not in "biuf" or steps.dtype.kind not in "iu":
            raise TypeError(
                f"frames are numbers at whole numbers of steps, and these are of the types {maps.dtype} "
                f"and {steps.dtype}"
            )
        if maps.ndim < 2 or not maps.shape[1] or steps.shape != maps.shape[1:2]:
            raise TypeError(f"there are frames {maps.shape} but steps {steps.shape}")
        if (steps < 0).any() or (np.diff(steps.astype(np.int64)) <= 0).any():
            raise TypeError("the steps of frames rise from one frame to the next")
        maps = np.asarray(maps, np.float32)
        if not np.isfinite(maps).all():
            raise TypeError("frames hold NaN or infinite values")
        object.__setattr__(self, "maps", maps)
        object.__setattr__(self, "steps", steps.astype(np.int64))

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, rows: Sequence[int]) -> Frames:
        """Return the frames of some of the maps, by their places."""
        return Frames(self.maps[list(rows)], self.steps)

    @classmethod
    def joined(cls, parts: Sequence[Frames | None]) -> Frames | None:
        """Join the frames of parts of the maps; None unless all have frames at the same steps."""
        known = [one for one in parts if one is not None]
        if len(known) < len(parts) or any(
            not np.array_equal(one.steps, known[0].steps) for one in known
        ):
            return None
        return cls(np.concatenate([one.maps for one in known]), known[0].steps)
