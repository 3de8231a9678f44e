"""Target: what of a network was explained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """What was explained of one map: an output of the network, or several added up.

    Attributes
    ----------
    layer
        The layer whose output it is.
    filters
        Which of its outputs: classes of the last layer, or filters of one in between. Empty where
        the target is a sum or difference, which `layer` then holds as it was written.
    class_names
        The name of each of these, where classes have names.
    score
        The value that the gradient was taken of, for this map's input; None where there is none.
    probability
        The same after the softmax or sigmoid that was made linear, where there was one.
    region
        Over which positions the output was averaged, as it was asked for; None for all of them.
    """

    layer: str
    filters: tuple[int, ...]
    class_names: tuple[str, ...] | None = None
    score: float | None = None
    probability: float | None = None
    region: str | None = None

    @property
    def score_text(self) -> str:
        """The score, and the probability it stands for if there is one: ``4.21 (p 0.985)``."""
        text = "" if self.score is None else f"{self.score:.3g}"
        return text if self.probability is None else f"{text} (p {self.probability:.3f})"

    @property
    def units(self) -> tuple[str, ...]:
        """The outputs in words: by the names of classes, where these have some, else by number."""
        return self.class_names or tuple(map(str, self.filters))

    def __str__(self) -> str:
        text = "+".join(f"{self.layer}[{one}]" for one in self.units) or self.layer
        return text if self.region is None else f"{text} at {self.region}"
