"""Types of options with more than their values' type: bounds, or the right to let code run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Bound:
    """The bounds of a number: at least `ge`, above `gt`, at most `le`, below `lt`."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


@dataclass(frozen=True)
class Help:
    """Help of all options of a type, which the docstrings of plugins need not repeat.

    ``Window = Annotated[int, cnnvis.Help("The length of the window.", "In positions.")]``

    Attributes
    ----------
    about
        The help of an option that the docstring of its plugin does not describe.
    values
        What the values of the type mean: behind the help of each option, whoever wrote it.
    """

    about: str = ""
    values: str = ""

    def after(self, own: str) -> str:
        """Return the whole help of an option, behind what a docstring says of it."""
        begin = own or self.about
        stop = "." if begin and begin[-1] not in ".:;?!" else ""
        return f"{begin}{stop} {self.values}".strip()


Count = Annotated[int, Bound(ge=1)]
"""A whole number of at least 1."""

Seed = Annotated[
    int, Bound(ge=0), Help("The seed of the random numbers; the same seed gives the same result.")
]
"""The seed of random numbers: with the same seed, a run gives the same numbers again."""

Positive = Annotated[float, Bound(gt=0)]
"""A number above 0."""

NotNegative = Annotated[float, Bound(ge=0)]
"""A number of at least 0."""

Share = Annotated[float, Bound(ge=0, le=1)]
"""A number from 0 to 1."""

Percent = Annotated[float, Bound(ge=0, le=100)]
"""A number from 0 to 100."""


@dataclass(frozen=True)
class Named:
    """Mark of an option that names a plugin of some kind, perhaps with an argument: ``class:neutral``."""

    kind: str


Baseline = Annotated[
    str | float,
    Named("baseline"),
    Help(
        "What stands for the absence of what is explained.",
        "A number for every value; or by name, such as zero, mean (of the data), class:NAME, sample:N, "
        "blur, noise, or auto: zero, or the mean where more than 30 % of the positions are zero. Nothing is "
        "said about positions where it is the input itself.",
    ),
]
"""A baseline: the name of a plugin, as ``mean`` or ``class:neutral``, or a number for every value.

The samples that a technique or a metric is given have it ready: see `cnnvis.Samples.baseline`.
"""


@dataclass(frozen=True)
class Form:
    """Form of a text: a regular expression, and the same in words for the help."""

    pattern: str
    words: str


_ALONG = r"\s*[^\s:,][^:,]*(:[0-9][0-9_]*(\.[0-9]*)?([eE][+-]?[0-9]+)?\s*)?"
_FILE = r".*\.([nN][pP][yY]|[cC][sS][vV]|[tT][sS][vV]|[jJ][sS][oO][nN])\s*"

Units = Annotated[
    str,
    Form(
        rf"^(\s*grid:[0-9]+(x[0-9]+)*\s*|{_FILE}|{_ALONG}(,{_ALONG})*)$",
        "auto | AXIS | AXIS:LENGTH | AXIS,AXIS | grid:8x8 | slic:50 | FILE",
    ),
    Help(
        "The units of the input, each removed as a whole.",
        "auto for patches; names of axes, row or row,column, for a unit of each position along them; "
        "position:10000 for windows so long; grid:8x8; slic:50 for superpixels; or a file of units with "
        "names. Positions within a unit are not told apart.",
    ),
]
"""Units in which parts of inputs are removed: see `cnnvis.units_of`.

``auto`` for patches, ``grid:8x8`` for so many along each axis; ``slic:50`` for superpixels; the names of
axes with commas between, ``row`` or ``row,column``: a unit for each position along them; and with a
length, ``position:10000``, for each window so long; or a file that names units.
"""

Budget = Annotated[
    str,
    Form(r"^\s*([1-9][0-9_]*|[0-9]*\.?[0-9]+\s*s)\s*$", "PASSES | 30s"),
    Help(
        values="The largest number of passes through the network for each image, such as 2000; or the "
        "seconds for each image, such as 30s."
    ),
]
"""Largest number of passes through the network for each image: a number, ``2000``, or as many as take
some seconds, ``30s``."""


@dataclass(frozen=True)
class Grant:
    """Mark of an option that lets code run, or omits checks of a stranger's file."""


Granting = Annotated[T, Grant()]
"""Value that lets unexamined code run: ``trust: cnnvis.Granting[bool] = False``.

Only a typed option or a call in Python may give this value. Settings, variables of the environment
and chain files may not, since a stranger can write them.
"""
