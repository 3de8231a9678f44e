"""What cnnvis aims at beside other libraries, and where it misses that."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Rows = Mapping[tuple[str, str], Mapping[str, Sequence[float]]]
"""By network and method, how many times as long each library takes as cnnvis, round by round."""

MEAN = 1.6
SALIENCY, GRAD_CAM = 0.95, 1 / 1.3
"""The least ratios of a bare loop, and of the forward pass alone."""


def aims(rows: Rows) -> list[str]:
    """Each aim, by how much it is met, and where it is not."""
    medians = {
        row: {name: statistics.median(each) for name, each in ratios.items() if name != "bare"}
        for row, ratios in rows.items()
    }
    fastest = {row: min(each, key=lambda name: each[name]) for row, each in medians.items() if each}
    if not fastest:
        return []
    slower = {}
    for row, name in fastest.items():
        if round(medians[row][name], 2) < 1:  # as it is printed
            in_each_round = [one for one in medians[row] if max(rows[row][one]) < 1]
            slower[row] = min(in_each_round or [name], key=medians[row].__getitem__)
    always = [row for row, name in slower.items() if max(rows[row][name]) < 1]
    named = {
        row: f"{_named(row)} {medians[row][name]:.2f} ({name})" for row, name in slower.items()
    }
    mean = statistics.geometric_mean(medians[row][name] for row, name in fastest.items())
    return [
        "## Aims",
        "",
        f"- No row below 1.0 of its fastest peer: {len(fastest) - len(slower)} of {len(fastest)} rows. "
        f"Below in each round: {_listed(named[row] for row in always)}. Below by the median, and not in "
        f"each round: {_listed(named[row] for row in slower if row not in always)}.",
        f"- {MEAN} times as fast as the fastest peer, by the geometric mean of all rows: {mean:.2f}.",
        f"- Saliency reaches {SALIENCY} of a bare loop: {_held(rows, 'saliency', SALIENCY)}.",
        f"- Grad-CAM takes 1.3 times as long as the forward pass at most, which is {GRAD_CAM:.2f} of it: "
        f"{_held(rows, 'grad-cam', GRAD_CAM)}.",
        "",
        "[What holds it back](held-back.md), as far as it was found out.",
    ]


def _held(rows: Rows, method: str, least: float) -> str:
    found = {
        row: statistics.median(each["bare"])
        for row, each in rows.items()
        if row[1] == method and "bare" in each
    }
    missed = [f"{_named(row)} {one:.2f}" for row, one in found.items() if one < least]
    return f"{len(found) - len(missed)} of {len(found)} networks. Missed: {_listed(missed)}"


def _named(row: tuple[str, str]) -> str:
    return f"{Path(row[0]).name} {row[1]}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nowhere"
