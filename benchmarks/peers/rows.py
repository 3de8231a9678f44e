"""Rows of the table: when and how each was measured, and which libraries failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FAILED = "failed: "
"""How the reason begins for which a library has no time in a row, where it lacks nothing for it."""

CLOCKS = {"seconds": "time", "processor": "processor time, one thread for each operation"}


def how_measured(rows: dict[str, Any]) -> list[str]:
    """When, where, by which clock and with what share of the images rows were measured: Markdown."""
    ways: dict[tuple[Any, ...], dict[str, list[str]]] = {}
    for network, each in rows.items():
        for method, one in each.items():
            way = tuple(one[name] for name in ("day", "machine", "clock", "rounds", "share"))
            ways.setdefault(way, {}).setdefault(method, []).append(Path(network).name)
    lines = []
    for (day, machine, clock, rounds, share), known in ways.items():
        by_networks: dict[str, list[str]] = {}
        for method, on in known.items():
            by_networks.setdefault(", ".join(on), []).append(method)
        said = "; ".join(f"{', '.join(each)} on {on}" for on, each in by_networks.items())
        some = "" if share == 1 else f", {share:.0%} of the images"
        lines.append(f"- {day}, {machine}, {rounds} rounds, {CLOCKS[clock]}{some}: {said}.")
    return lines


def failures(found: dict[str, Any]) -> list[str]:
    """What libraries failed with, in Markdown: a line for each reason."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for network, each in found.items():
        for method, times in each.items():
            for library, why in times.items():
                if isinstance(why, str) and why.startswith(FAILED):
                    where = f"{method} on {Path(network).name}"
                    by_reason.setdefault((library, why.removeprefix(FAILED)), []).append(where)
    if not by_reason:
        return []
    lines = ["", "What failed:", ""]
    for (library, why), where in by_reason.items():
        lines.append(f"- {library}, {', '.join(where)}: {why}")
    return lines
