"""Verdict of a metric about the maps of an explanation together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from cnnvis.data.samples import Array
from cnnvis.text import printable

Outcome = Literal["passed", "warned", "failed", "information"]


@dataclass(frozen=True)
class Verdict:
    """Verdict of a metric.

    Attributes
    ----------
    outcome
        ``passed``, ``warned`` or ``failed``; ``information`` where nothing is judged.
    meaning
        What was found and what it means, as a sentence without a full stop. It becomes one line, with
        an escape for each character that controls a terminal or is not seen.
    """

    outcome: Outcome
    meaning: str

    SIGNS: ClassVar[Mapping[Outcome, str]] = {
        "passed": "+",
        "warned": "!",
        "failed": "x",
        "information": "-",
    }

    def __post_init__(self) -> None:
        if self.outcome not in self.SIGNS:
            raise ValueError(f"{self.outcome!r} is no outcome; there are: {', '.join(self.SIGNS)}")
        if not isinstance(self.meaning, str) or not self.meaning.strip():
            raise TypeError(f"the meaning of a verdict is a sentence, and not {self.meaning!r}")
        object.__setattr__(self, "meaning", printable(" ".join(self.meaning.split())))

    @property
    def sign(self) -> str:
        """Sign of the outcome, for lines that are looked over."""
        return self.SIGNS[self.outcome]


Judge = Callable[[Mapping[str, Array]], Verdict]
"""Function of a metric's numbers, (n,) by name, that gives the verdict."""
