"""Sanity: maps that show nothing, and positions of which a method says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cnnvis

BLIND = 0.3


def _judge(values: Mapping[str, Any]) -> cnnvis.Verdict:
    import numpy as np

    blank, count = int((values["sanity"] == 0).sum()), len(values["sanity"])
    if blank:
        which = (
            "the map is"
            if count == 1
            else f"{blank} of {count} maps {'is' if blank == 1 else 'are'}"
        )
        return cnnvis.Verdict("failed", f"{which} the same everywhere, which shows nothing")
    blind = values.get("sanity_blind")
    known = np.array([]) if blind is None else blind[~np.isnan(blind)]
    if len(known) and known.mean() > BLIND:
        return cnnvis.Verdict(
            "warned",
            f"nothing is said about {known.mean():.0%} of the positions, where the input is the baseline "
            "itself; a baseline that differs from the input there would say more",
        )
    said = f"; {known.mean():.0%} of the positions are the baseline itself" if len(known) else ""
    return cnnvis.Verdict("passed", f"every map shows something{said}")


@cnnvis.metric("sanity", judge=_judge, cost=cnnvis.Cost())
def sanity(explanation: cnnvis.Explanation, explainer: cnnvis.Explainer) -> Any:
    """Contrast of a map, 1 if it shows anything, else 0; and the share of positions it says nothing of.

    ``sanity_blind`` is the share of the positions at which every channel of the input is equal to the
    method's baseline, so that its map is 0 there whatever the network does. Positions and not values
    count: one letter of DNA is three zeros in four channels, and no position is blind. NaN for methods
    without a baseline. Over 30 % is a warning, a map without any differences a failure.
    """
    import numpy as np

    flat = explanation.array.reshape(len(explanation), -1)
    shows = (np.ptp(flat, axis=1) > 0).astype(float)
    blind = np.full(len(explanation), np.nan)
    samples = explanation.samples
    start = None if samples is None else explainer.baseline(samples)
    if samples is not None and start is not None:
        is_start = np.asarray(samples.x, np.float32) == start
        if samples.channel_axis is not None:
            is_start = is_start.all(axis=samples.channel_axis)
        blind = is_start.reshape(len(is_start), -1).mean(axis=1)
    return {"sanity": shows, "sanity_blind": blind}
