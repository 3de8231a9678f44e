"""Number of passes through the network that a budget allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import cnnvis

PROBED = 4096
"""Number of perturbations that a budget in seconds is measured with; only the first are made."""


def perturbations_within(
    budget: str,
    technique: str,
    model: cnnvis.Model,
    scores: Callable[[int], Iterator[tuple[range, Any]]],
    *,
    others: int,
    key: Hashable = None,
) -> int:
    """Return how many perturbations of each image a `cnnvis.Budget` allows.

    Seconds are for each image. They are measured with the first images, and the number is kept for
    all others, so that each image has as many perturbations; a note says it.

    Parameters
    ----------
    scores
        Function of a number of perturbations that yields their scores.
    others
        The number of further passes that an image takes.
    key
        What the time of a perturbation depends on, beside the network and its target.
    """
    budget = budget.strip()
    if not budget.endswith("s"):
        return int(budget) - others
    seconds = float(budget.removesuffix("s"))

    def measured() -> int:
        began, probe = time.perf_counter(), scores(PROBED)
        _, found = next(probe)  # which compiles the network
        first = time.perf_counter()
        some, _ = next(probe)
        now = time.perf_counter()
        probe.close()  # type: ignore[attr-defined]
        left = seconds * len(found) - (now - began)
        # Whole batches: another size would have to be compiled anew.
        return max(int(left / (now - first)), 1) * len(some)

    count = model.cached(("passes", technique, budget, key), measured)
    cnnvis.note(
        f"{technique}: {budget} for each image were enough for {count + others} passes on this machine; "
        f"--budget {count + others} gives the same maps on any machine"
    )
    return count
