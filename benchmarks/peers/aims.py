"""What cnnvis aims at beside other libraries, and where it misses that."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

Rows = Mapping[tuple[str, str], Mapping[str, float]]
"""By network and method, how many times as long each library takes as cnnvis, the median."""

EVEN = 0.95
"""From where on two are as fast as each other: rounds differ by more."""

SALIENCY, GRAD_CAM = 1 / 1.1, 1 / 1.3
"""The least ratios of a bare loop, and of the forward pass alone."""


def aims(rows: Rows) -> list[str]:
    """Each aim, by how much it is met, and where it is not."""
    peers = {
        row: {name: ratio for name, ratio in ratios.items() if name != "bare"}
        for row, ratios in rows.items()
    }
    fastest = {
        row: min(each.items(), key=lambda one: one[1]) for row, each in peers.items() if each
    }
    slower = [
        f"{_named(row)} {ratio:.2f} ({name})"
        for row, (name, ratio) in fastest.items()
        if ratio < EVEN
    ]
    mean = statistics.geometric_mean(ratio for _, ratio in fastest.values())
    return [
        "## Aims",
        "",
        f"- As fast as the fastest peer or faster (from {EVEN} on): {len(fastest) - len(slower)} of "
        f"{len(fastest)} rows. Missed: {_listed(slower)}.",
        f"- 1.3 times as fast as the fastest peer, by the geometric mean of all rows: {mean:.2f}.",
        f"- Saliency takes 1.1 times as long as a bare loop at most: {_held(rows, 'saliency', SALIENCY)}.",
        f"- Grad-CAM takes 1.3 times as long as the forward pass at most: "
        f"{_held(rows, 'grad-cam', GRAD_CAM)}.",
        "",
        "[What holds it back](held-back.md), as far as it was found out.",
    ]


def _held(rows: Rows, method: str, least: float) -> str:
    found = {row: each["bare"] for row, each in rows.items() if row[1] == method and "bare" in each}
    missed = [f"{_named(row)} {1 / one:.2f}" for row, one in found.items() if one < least]
    return f"{len(found) - len(missed)} of {len(found)} networks. Missed: {_listed(missed)}"


def _named(row: tuple[str, str]) -> str:
    return f"{Path(row[0]).name} {row[1]}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nowhere"
