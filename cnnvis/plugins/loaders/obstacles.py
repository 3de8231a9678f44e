"""Obstacles to loading, and the options with which a person can remove them."""

from __future__ import annotations

import shlex

TRUST = "if you trust the author of the file, --trust-model leaves out these checks"


class Obstacle(str):
    """Reason for not loading something, in words that continue a sentence.

    Attributes
    ----------
    cure
        The remedy, in words that continue a sentence; empty without a remedy.
    """

    cure: str

    def __new__(cls, why: str, cure: str = "") -> Obstacle:
        made = super().__new__(cls, why)
        made.cure = cure
        return made

    def with_cure(self, more: str = "") -> str:
        """Return the reason, more words about it, and the remedy, in one sentence."""
        return f"{self}{more}; {self.cure}" if self.cure else f"{self}{more}"


def give(option: str, name: str, what: str) -> str:
    """Return the option with which a person gives code for a layer, a class or a function.

    Parameters
    ----------
    option
        ``--custom`` or ``--lambda``.
    name
        The name in the file.
    what
        The kind of the object to give: ``Class`` or ``function``.
    """
    word = shlex.quote(f"{name[:200]}=module:{what}")
    return f"if you have code that does the same, give it: {option} {word}"
