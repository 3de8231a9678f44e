"""Reasons why a check judges nothing of a map, as numbers beside those of the check."""

from __future__ import annotations

from typing import Any

NO_IMAGES = 1
NO_SIGNS = 2
SEVERAL = 3
NO_CLASSES = 4
POSITIONS = 5
BLANK = 6
SAME_WEIGHTS = 7
BLANK_OTHERS = 8
NO_CLAIM = 9
NO_CHANGE = 10
NO_OTHER = 11

WORDS = {
    NO_IMAGES: "the maps are of no images",
    NO_SIGNS: "the method does not say how its maps keep their signs",
    SEVERAL: "the target is a sum of outputs, and no single one",
    NO_CLASSES: "the outputs of the target are not known to be classes",
    POSITIONS: "the target has classes at every position of an image",
    BLANK: "the maps are the same everywhere that counts",
    SAME_WEIGHTS: "the values of each weight are all alike, so that a permutation changes nothing",
    BLANK_OTHERS: "the maps of all networks with permuted weights are the same everywhere, or no numbers",
    NO_CLAIM: "the method does not claim that its maps add up",
    NO_OTHER: "the network forbids all other classes",
    NO_CHANGE: "the change of the score is no finite number, or is lost in the rounding of a much larger score",
}


def known_share(known: int, count: int) -> str:
    """Say how many maps have a number, where some have none."""
    return "" if known == count else f" ({known} of {count} maps have a number)"


def nothing(reasons: Any) -> str:
    """Say that nothing is judged, and why: for the numbers of reasons, (n,), the most frequent one."""
    import numpy as np

    known = [int(one) for one in np.asarray(reasons) if int(one) in WORDS]
    if not known:
        return "nothing is judged"
    return f"nothing is judged: {WORDS[max(set(known), key=known.count)]}"
