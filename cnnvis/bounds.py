"""Types of options whose values have bounds; options are checked against them like any type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Bound:
    """The bounds of a number: at least `ge`, above `gt`, at most `le`, below `lt`."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


Count = Annotated[int, Bound(ge=1)]
"""A whole number of at least 1."""

Positive = Annotated[float, Bound(gt=0)]
"""A number above 0."""

NotNegative = Annotated[float, Bound(ge=0)]
"""A number of at least 0."""

Share = Annotated[float, Bound(ge=0, le=1)]
"""A number from 0 to 1."""

Percent = Annotated[float, Bound(ge=0, le=100)]
"""A number from 0 to 100."""
