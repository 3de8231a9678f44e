"""Whole commands, from start to end: one process each that loads, explains and writes a file."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NETWORK = "small"
COUNTS = (1, 100, 10_000)
LIMITS = {"keras-vis": 100}
"""Where more images would take hours."""


def measured(
    libraries: dict[str, Path], export: Path, rounds: int
) -> dict[int, dict[str, list[tuple[float, float]]]]:
    """Seconds and peak MB of each round, by number of images and library.

    Parameters
    ----------
    libraries
        The Python of each library's environment.
    export
        The Python of the one that writes the network and the images.
    rounds
        How often each is run; once more before that, to fill caches.
    """
    found: dict[int, dict[str, list[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job: dict[str, Any] = {
            "network": NETWORK, "method": "saliency", "steps": 1, "counts": COUNTS,
            "twin": str(folder / "twin.npz"), "save": str(folder),
        }  # fmt: skip
        subprocess.run([export, HERE / "worker.py", "export", json.dumps(job)], check=True,
                       stderr=subprocess.DEVNULL)  # fmt: skip
        for count in COUNTS:
            times: dict[str, list[tuple[float, float]]] = {}
            for number in range(rounds + 1):
                for library, python in libraries.items():
                    if count > LIMITS.get(library, count):
                        continue
                    one = _one(_command(library, python, job, folder, count))
                    if one is not None and (number or rounds == 0):
                        times.setdefault(library, []).append(one)
            found[count] = times
    return found


def _command(
    library: str, python: Path, job: dict[str, Any], folder: Path, count: int
) -> list[str | Path]:
    model, data = folder / "network.keras", folder / f"{count}.npy"
    if library in ("cnnvis", "keras-vis"):
        technique = "saliency" if library == "cnnvis" else "keras-vis:saliency"
        return [
            python.parent / "cnnvis", "run", technique, model, "--data", data, "--backprop", "none",
            "--filter", "0", "--quiet", "--out", folder / "out.npz", "--into", "none", "--checks", "none",
        ]  # fmt: skip
    own = {**job, "network": str(model), "data": str(data), "images": count,
           "save": str(folder / "out.npz"), "shape": None}  # fmt: skip
    return [python, HERE / "worker.py", library, json.dumps(own)]


def _one(command: list[str | Path]) -> tuple[float, float] | None:
    """Seconds and peak MB of a process; None if it failed."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - start
    return (took, usage.ru_maxrss / 1024) if process.returncode == 0 else None


def table(found: dict[int, dict[str, list[tuple[float, float]]]], rounds: int) -> str:
    """What was measured, in Markdown."""
    libraries = list(dict.fromkeys(name for times in found.values() for name in times))
    lines = [
        "## Whole commands",
        "",
        f"Saliency of the network `{NETWORK}`, from a file, of images in a file, into a file: a new",
        "process each, `cnnvis run saliency --checks none` or the shortest script for a library, none of",
        "which checks its maps. Seconds, and in brackets the largest memory in MB; medians of",
        f"{rounds} rounds, measured on {date.today()}.",
        "",
        f"| images | {' | '.join(libraries)} |",
        f"|---|{'---|' * len(libraries)}",
    ]
    for count, times in found.items():
        cells = []
        for name in libraries:
            each = times.get(name)
            if not each:
                cells.append("")
                continue
            seconds, memory = (statistics.median(values) for values in zip(*each, strict=True))
            cells.append(f"{seconds:.1f} ({memory:.0f})")
        lines.append(f"| {count:,} | {' | '.join(cells)} |")
    few, many = (
        {name: statistics.median(memory for _, memory in each) for name, each in found[n].items()}
        for n in COUNTS[1:]
    )
    grown = ", ".join(f"{name} {many[name] / few[name]:.2f}" for name in libraries if name in many)
    lines += [
        "",
        f"Memory for {COUNTS[2]:,} images as a multiple of that for {COUNTS[1]} (the aim of cnnvis is 1.2): "
        f"{grown}.",
    ]
    return "\n".join(lines) + "\n"
