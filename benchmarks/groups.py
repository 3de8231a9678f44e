"""What a comparison of the maps of two groups takes: processor time, and memory beside its temporary file.

    python benchmarks/groups.py [--maps 1000 10000 100000] [--shape 256 418] [--permutations 1000]
        [--folder FOLDER] [--out FOLDER]

Each size is compared in a process of its own, by what `cnnvis chain ... compare-groups` does with the maps
that reach it: Welch's t at each place, corrected by the largest statistic over permutations and a wild
bootstrap, with an interval. Maps are random numbers, with a difference of half a standard deviation in a
corner of 16 x 16 places. Writes groups.md beside this file, unless --out names another folder.

The temporary file takes 4 bytes for each place of each map, in --folder (by default the system's).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

BATCH = 500
CORNER = 16
EFFECT = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--shape", type=int, nargs="+", default=[256, 418])
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--compare", type=int, help=argparse.SUPPRESS)  # in a process of its own
    chosen = parser.parse_args()
    if chosen.compare:
        print(json.dumps(compared(chosen.compare, tuple(chosen.shape), chosen.permutations)))
        return
    here = {} if chosen.folder is None else {"TMPDIR": str(chosen.folder)}
    lines = heading(chosen.shape, chosen.permutations)
    for number in chosen.maps:
        words = [sys.executable, __file__, *sys.argv[1:], "--compare", str(number)]
        done = subprocess.run(
            words, env={**os.environ, **here}, check=True, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(done.stdout)
        lines.append(
            f"| {number:,} | {found['adding']:.0f} | {found['testing']:.0f} | {found['wall']:.0f} | "
            f"{found['memory'] / 2**30:.2f} | {found['inside']:.2f} | {found['outside']} |"
        )
        print(lines[-1], file=sys.stderr)
    path = chosen.out / "groups.md"
    path.write_text("\n".join(lines) + "\n")
    print(path)


def heading(shape: list[int], permutations: int) -> list[str]:
    from cnnvis import host

    return [
        "# Comparing many maps",
        "",
        f"Written by `python benchmarks/groups.py` on {date.today()}: {host.name()}.",
        "",
        f"Two groups of maps of {' x '.join(map(str, shape))}, {permutations:,} permutations and as many draws of",
        f"the wild bootstrap, and an interval at each place. The groups differ by {EFFECT} of a standard deviation in",
        f"{CORNER} x {CORNER} places, and nowhere else. Memory is the largest that the process held of its own, beside",
        "the temporary file, of which the system holds in memory what is free.",
        "",
        "| maps | adding maps, processor s | testing, processor s | both, s | GiB | found of the "
        "places that differ | found of the others |",
        "|---|---|---|---|---|---|---|",
    ]


def compared(number: int, shape: tuple[int, ...], permutations: int) -> dict[str, float]:
    """Compare two groups of maps, and return what this took."""
    import numpy as np

    import cnnvis

    rng = np.random.default_rng(0)
    start = time.perf_counter()
    adding = 0.0
    with watched() as memory:
        plan = cnnvis.GroupPlan("max", "any", permutations, 0.001, 0.95, 0)
        with cnnvis.GroupComparison(plan, shape, one_each=True) as comparison:
            for first in range(0, number, BATCH):
                group = [(first + one) % 2 for one in range(min(BATCH, number - first))]
                maps = rng.standard_normal((len(group), *shape), np.float32)
                maps[1::2, :CORNER, :CORNER] += EFFECT
                begun = time.process_time()
                comparison.add(maps, group, range(first, first + len(group)))
                adding += time.process_time() - begun
            begun = time.process_time()
            test = comparison.test(comparison.design({0: "plain", 1: "other"}))
            testing = time.process_time() - begun
            found = test.p.reshape(shape) <= 0.05
    inside = found[:CORNER, :CORNER]
    return {
        "adding": adding,
        "testing": testing,
        "wall": time.perf_counter() - start,
        "memory": max(memory),
        "inside": float(inside.mean()),
        "outside": int(found.sum() - inside.sum()),
    }


@contextmanager
def watched() -> Iterator[list[int]]:
    """Look at the process's memory every tenth of a second: what is no page of a file."""
    seen = [anonymous()]
    end = threading.Event()

    def look() -> None:
        while not end.wait(0.1):
            seen.append(anonymous())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def anonymous() -> int:
    """Return the bytes of memory that belong to the process alone."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise SystemExit("the memory of a process without its files' pages is known on Linux alone")


if __name__ == "__main__":
    main()
