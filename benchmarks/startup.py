"""How quickly listing and help answer, beside the imports that no such program can do without.

    python benchmarks/startup.py [ROUNDS]

Each round runs the yardstick and then each command, so that what else the machine does meanwhile
is shared; ratios are taken round by round, and their median is printed with its spread.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time

YARDSTICK = [sys.executable, "-c", "import rich.console, pluggy, importlib.metadata"]
COMMANDS = ["list-plugins", "--help", "run --help", "run saliency --help", "show saliency"]


def seconds(words: list[str]) -> float:
    """How long a process takes, from start to end."""
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    taken: dict[str, list[float]] = {command: [] for command in COMMANDS}
    yardstick: list[float] = []
    for number in range(rounds + 1):
        times = {command: seconds(["cnnvis", *command.split()]) for command in COMMANDS}
        base = seconds(YARDSTICK)
        if number == 0:  # the first fills caches
            continue
        yardstick.append(base)
        for command, time_taken in times.items():
            taken[command].append(time_taken)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"yardstick {statistics.median(yardstick):.3f} s, {rounds} rounds\n")
    print(f"{'cnnvis ...':24}{'seconds':>9}{'ratio':>8}   from .. to")
    for command, times_taken in taken.items():
        ratios = [t / b for t, b in zip(times_taken, yardstick, strict=True)]
        print(
            f"{command:24}{statistics.median(times_taken):9.3f}{statistics.median(ratios):8.2f}"
            f"   {min(ratios):.2f} .. {max(ratios):.2f}"
        )


if __name__ == "__main__":
    main()
