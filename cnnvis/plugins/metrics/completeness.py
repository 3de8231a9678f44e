"""Completeness: whether a map adds up to what it claims to explain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cnnvis

WARNS, FAILS = 0.05, 0.2


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    import numpy as np

    from . import _reasons

    known = values["completeness"][~np.isnan(values["completeness"])]
    if not len(known):
        return cnnvis.Verdict("information", _reasons.nothing(values["completeness_reason"]))
    middle, largest = float(np.median(known)), float(known.max())
    if len(known) == 1:
        found = f"the map is off by {middle:.1%}"
    else:
        found = f"half of the maps are off by at most {middle:.1%}, the worst by {largest:.1%}"
    found += _reasons.known_share(len(known), len(values["completeness"]))
    if middle > FAILS:
        return cnnvis.Verdict(
            "failed", f"maps do not add up to the change of the score: {found}; more steps may help"
        )
    if middle > WARNS:
        return cnnvis.Verdict(
            "warned", f"maps add up only roughly to the change of the score: {found}"
        )
    return cnnvis.Verdict("passed", f"maps add up to the change of the score: {found}")


@cnnvis.metric(
    "completeness", reference="arXiv:1703.01365", judge=_judge, cost=cnnvis.Cost(), better="lower"
)
def completeness(explanation: cnnvis.Explanation) -> Any:
    """Completeness gap: the sum of a map against S(x) - S(x'), as a share of that, for methods that claim it.

    (|sum M - (S(x) - S(x'))| - 2.4e-7 |S(x)|) / max(|S(x) - S(x')|, sum |M| / 100), at least 0, for the score S, the input x and the
    baseline x': axiom 1 of Sundararajan et al. 2017. NaN for methods that do not claim it, and where the
    change is no finite number or is lost in rounding; ``completeness_reason`` is then the number of the reason, 0 for none. Over
    5 % for half of the images is a warning, over 20 % a failure.
    """
    import numpy as np

    from . import _reasons

    found = explanation.measures.get("completeness_gap")
    reason = _reasons.NO_CLAIM if found is None else _reasons.NO_CHANGE
    numbers = np.full(len(explanation), np.nan) if found is None else found
    return {
        "completeness": numbers,
        "completeness_reason": np.where(np.isnan(numbers), reason, 0),
    }
