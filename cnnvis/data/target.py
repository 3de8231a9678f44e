"""Target: the explained output of a network."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """Target of one map: an output of the network, or several outputs added up.

    Attributes
    ----------
    layer
        The layer of the output.
    filters
        The numbers of the outputs: classes of the last layer, or filters of a layer in between.
        Empty where the target is a sum or difference, which `layer` then holds as it was written.
    class_names
        The name of each output, where classes have names.
    score
        The value that the gradient is taken of, for this map's input; None without a score.
    probability
        The value after the softmax or sigmoid that was made linear, if the layer had one.
    region
        The positions over which the output was averaged, as asked for; None for all positions.
    """

    layer: str
    filters: tuple[int, ...]
    class_names: tuple[str, ...] | None = None
    score: float | None = None
    probability: float | None = None
    region: str | None = None

    @property
    def score_text(self) -> str:
        """Score, with its probability, if any: ``4.21 (p 0.985)``."""
        text = "" if self.score is None else f"{self.score:.3g}"
        return text if self.probability is None else f"{text} (p {self.probability:.3f})"

    @property
    def units(self) -> tuple[str, ...]:
        """The outputs in words: by class names, if there are class names, else by number."""
        return self.class_names or tuple(map(str, self.filters))

    def __str__(self) -> str:
        text = "+".join(f"{self.layer}[{one}]" for one in self.units) or self.layer
        return text if self.region is None else f"{text} at {self.region}"
