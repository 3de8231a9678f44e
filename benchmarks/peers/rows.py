"""Rows of the table that were measured at different times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
