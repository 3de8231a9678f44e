"""Results of gradient ascent at all targets, and the notes on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cnnvis

from ._ascent import Ascent
from ._ascent_starts import deprocessed
from ._ascent_steps import Raised

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.floating[Any]]


@dataclass
class Found:
    """Results of all targets, and the notes on them.

    Attributes
    ----------
    bounds
        The smallest and largest value of a picture.
    images
        The places of the initial images in the data; None for noise.
    names
        The name of each picture.
    pictures
        The pictures to draw.
    targets, reached, before
        The targets with the score of the picture, the scores that the ascent reached, and those of
        its start.
    plain
        True where the plain gradient was used instead of a modifier's.
    curves
        The scores over the steps.
    frames
        The pictures after some of the steps, (n, frames, ...).
    """

    bounds: tuple[float, float]
    images: npt.NDArray[np.int64] | None
    names: list[str] = field(default_factory=list)
    pictures: list[Array] = field(default_factory=list)
    targets: list[cnnvis.Target] = field(default_factory=list)
    reached: list[cnnvis.Target] = field(default_factory=list)
    before: list[cnnvis.Target] = field(default_factory=list)
    plain: list[bool] = field(default_factory=list)
    curves: list[Array] = field(default_factory=list)
    frames: list[Array] = field(default_factory=list)

    def add(self, ascent: Ascent, raised: Raised) -> None:
        """Add the results of one target."""
        best = raised.best
        model, weights, of = ascent.model, ascent.weights, ascent.of.tolist()
        picture = deprocessed(best, self.bounds)
        self.pictures.append(picture)
        self.targets += model.targets(picture, weights=weights, of=of)
        self.reached += model.targets(best, weights=weights, of=of)
        self.before += model.targets(ascent.x, weights=weights, of=of)
        self.plain += raised.is_plain.tolist()
        self.curves.append(raised.curves)
        every = raised.frames.reshape(-1, *best.shape[1:])
        self.frames.append(deprocessed(every, self.bounds).reshape(raised.frames.shape))
        begun = [""] * len(of)
        if self.images is not None:
            begun = [f" from image {self.images[place]}" for place in of]
        targets = self.targets[-len(of) :]
        self.names += [f"{one}{start}" for one, start in zip(targets, begun, strict=True)]

    def film(self, steps: tuple[int, ...]) -> cnnvis.Frames | None:
        """Return the frames of all pictures; None where none were taken."""
        import numpy as np

        return cnnvis.Frames(np.concatenate(self.frames), np.array(steps)) if steps else None

    @property
    def titles(self) -> list[str]:
        """Titles of the pictures, where their targets do not say all of it."""
        if not any(self.plain) and self.images is None:
            return []
        return [
            f"{name}, plain gradient" if is_plain else name
            for name, is_plain in zip(self.names, self.plain, strict=True)
        ]

    def say(self, backprop: cnnvis.Backprop | None) -> None:
        """Make notes on the scores.

        Raises
        ------
        UserError
            If no step changed any of them, or one of them is no number.
        """
        ways = list(zip(self.names, self.before, self.reached, self.targets, strict=True))
        broken = [
            name for name, was, now, _ in ways
            if not all(math.isfinite(one.score or 0) for one in (was, now))
        ]  # fmt: skip
        if broken:
            raise cnnvis.UserError(
                f"the score of {_listed(broken)} is NaN or infinite, so no step can raise it; "
                "cnnvis doctor says whether the network's weights are finite"
            )
        unmoved = [name for name, was, now, _ in ways if was.score == now.score]
        if len(unmoved) == len(ways):
            raise cnnvis.UserError(
                f"no step changed the score of {_listed(unmoved)}: its ReLUs stay off, so the "
                "result shows nothing of it; try another seed or start"
            )
        scores = [
            f"{name}: from {was.score:.3g} to {now.score:.3g} (of the picture: {drawn.score:.3g})"
            for name, was, now, drawn in ways
        ]
        cnnvis.note(f"activation-max took the score of {_listed(scores)}")
        lost = [name for name, is_plain in zip(self.names, self.plain, strict=True) if is_plain]
        if lost:
            cnnvis.note(
                f"the {backprop} gradient does not raise the score of {_listed(lost)}, so the "
                "ascent used the plain gradient; --no-fall-back keeps the modifier"
            )
        if unmoved:
            cnnvis.note(
                f"no step changed the score of {_listed(unmoved)}: its ReLUs stay off, so its picture "
                "shows smoothed noise"
            )
        low, high = self.bounds
        flat = [
            name for name, was, now, drawn in ways if _is_less(drawn, was) and _is_less(was, now)
        ]
        if flat:
            cnnvis.note(
                f"the score of {_listed(flat)} rose, but not the score of its picture, with "
                f"values scaled to {low:.3g} to {high:.3g}; try another --input-range LOW HIGH"
            )
        fell = [name for name, was, now, _ in ways if _is_less(now, was)]
        if fell:
            cnnvis.note(
                f"the score of {_listed(fell)} did not rise, so the picture does not show an "
                "input with a high score; try more --iterations, another --seed, or less "
                "--tv-weight"
            )


def _is_less(one: cnnvis.Target, other: cnnvis.Target) -> bool:
    return (one.score or 0) < (other.score or 0)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
