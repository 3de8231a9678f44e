"""Rows of the table that were measured at different times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CLOCKS = {"seconds": "time", "processor": "processor time, one thread for each operation"}


def added(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """All rows: those of now, and those from before of other networks or methods."""
    return {
        network: {**before.get(network, {}), **now.get(network, {})}
        for network in dict.fromkeys([*before, *now])
    }


def how_measured(rows: dict[str, Any]) -> list[str]:
    """When and by which clock rows were measured, a line for each."""
    ways: dict[tuple[str, str, int], dict[str, list[str]]] = {}
    for network, each in rows.items():
        for method, one in each.items():
            way = one["day"], one["clock"], one["rounds"]
            ways.setdefault(way, {}).setdefault(method, []).append(Path(network).name)
    lines = []
    for (day, clock, rounds), known in ways.items():
        by_networks: dict[str, list[str]] = {}
        for method, on in known.items():
            by_networks.setdefault(", ".join(on), []).append(method)
        said = "; ".join(f"{', '.join(each)} on {on}" for on, each in by_networks.items())
        lines.append(f"- {day}, {rounds} rounds, {CLOCKS[clock]}: {said}.")
    return lines
