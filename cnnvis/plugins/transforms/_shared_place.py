"""The place in a genome that all images of a group have, found batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cnnvis


@dataclass
class SharedPlace:
    """The places of the images of a group: that of the first, and how many differ.

    A mean over images of several places belongs to none of them.
    """

    first: cnnvis.Places | None = None
    distinct: set[bytes] = field(default_factory=set)

    def add(self, places: cnnvis.Places | None, chosen: Sequence[int]) -> None:
        """Take in the places of some images of a batch."""
        if places is None or not chosen:
            return
        mine = places.picked(chosen)
        self.first = self.first or mine.picked([0])
        self.distinct.update(mine.fingerprints())

    def join(self, other: SharedPlace) -> None:
        """Take in the places of more images."""
        self.first = self.first or other.first
        self.distinct |= other.distinct


def placed(groups: Sequence[SharedPlace], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the places of maps of groups, and a provenance that says why there are none.

    Parameters
    ----------
    groups
        The places of the images behind each map.
    """
    most = max((len(one.distinct) for one in groups), default=0)
    facts = {key: value for key, value in provenance.items() if key != cnnvis.Places.DISTINCT}
    places = None
    if most == 1:
        places = cnnvis.Places.joined([one.first for one in groups])
    elif most > 1:
        facts[cnnvis.Places.DISTINCT] = most
    return {"own_places": places, "provenance": facts}


def combined(
    first: cnnvis.Explanation, second: cnnvis.Explanation, result: cnnvis.Explanation
) -> cnnvis.Explanation:
    """Return a result that was made of two results, with the places that both have in common.

    Parameters
    ----------
    first, second
        Results with matching maps, or of which either has a single map for all of the other.
    """
    if result.samples is not None:
        return result
    both = (first, second)
    known = [one.image_places for one in both]
    if None in known:
        counts = [
            one.provenance[cnnvis.Places.DISTINCT]
            for one in both
            if cnnvis.Places.DISTINCT in one.provenance
        ]
        facts = {cnnvis.Places.DISTINCT: max(counts)} if counts else {}
        return replace(result, own_places=None, provenance={**result.provenance, **facts})
    groups = [SharedPlace() for _ in range(len(result))]
    for number, group in enumerate(groups):
        for places in known:
            group.add(places, [number if places is not None and len(places) > 1 else 0])
    return replace(result, **placed(groups, result.provenance))
