"""Types of options whose values have bounds; options are checked against them like any type."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
"""A whole number of at least 1."""

Positive = Annotated[float, Meta(gt=0)]
"""A number above 0."""

NotNegative = Annotated[float, Meta(ge=0)]
"""A number of at least 0."""

Share = Annotated[float, Meta(ge=0, le=1)]
"""A number from 0 to 1."""

Percent = Annotated[float, Meta(ge=0, le=100)]
"""A number from 0 to 100."""
