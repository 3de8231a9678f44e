"""How quickly cnnvis answers, and where the time of a run on the demo goes.

    python benchmarks/startup.py [--rounds 15] [--out FOLDER]

Each round runs the yardstick, the imports that no such program can do without, and then each
command, so that what else the machine does meanwhile is shared; ratios are taken round by round.
Writes startup.md beside this file, unless --out names another folder.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any

# As where cnnvis is installed: compiled Python is kept.
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

CNNVIS = str(Path(sys.executable).with_name("cnnvis"))
YARDSTICK = [sys.executable, "-c", "import rich.console, pluggy, importlib.metadata"]
COMMANDS = ["list-plugins", "--help", "run --help", "run saliency --help", "show saliency"]
ALONE = [sys.executable, "-c", "import tensorflow, keras"]
RUN = ["run", "saliency", "demo", "--checks", "none"]
SHOWN = 12  # imports
LONG = 0.01  # seconds


def seconds(words: list[str]) -> float:
    """How long a process takes, from start to end."""
    start = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - start


def commands(rounds: int) -> list[str]:
    """The seconds of commands that only list and help, beside the yardstick."""
    taken: dict[str, list[float]] = {command: [] for command in COMMANDS}
    yardstick: list[float] = []
    for number in range(rounds + 1):
        times = {command: seconds([CNNVIS, *command.split()]) for command in COMMANDS}
        base = seconds(YARDSTICK)
        if number == 0:  # the first fills caches
            continue
        yardstick.append(base)
        for command, time_taken in times.items():
            taken[command].append(time_taken)
    lines = [
        "## Listing and help",
        "",
        f"The yardstick is `{YARDSTICK[-1]}`: {statistics.median(yardstick):.3f} s.",
        "",
        "| command | seconds | times the yardstick |",
        "|---|---|---|",
    ]
    for command, times_taken in taken.items():
        ratios = [t / b for t, b in zip(times_taken, yardstick, strict=True)]
        lines.append(
            f"| `cnnvis {command}` | {statistics.median(times_taken):.3f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    return lines


def imports() -> list[str]:
    """What a run imports, by the time that each package takes without those that it imports."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["-X", "importtime", __file__, "--stages", f"{folder}/"]
        done = subprocess.run(
            [sys.executable, *words], check=True, capture_output=True, env=ENVIRONMENT, text=True
        )
    own: dict[str, float] = {}
    for line in done.stderr.splitlines():
        if not line.startswith("import time:") or "self [us]" in line:
            continue
        micro, _, name = line.removeprefix("import time:").split("|")
        package = name.strip().partition(".")[0]
        own[package] = own.get(package, 0.0) + int(micro) / 1e6
    largest = sorted(own.items(), key=lambda pair: -pair[1])
    rows = [f"| {name} | {taken:.2f} |" for name, taken in largest[:SHOWN] if taken > LONG]
    return [
        "## Imports of a run",
        "",
        "Seconds by package, as `python -X importtime` tells them, which takes longer than without.",
        "",
        "| package | seconds |",
        "|---|---|",
        *rows,
        f"| all others | {sum(own.values()) - sum(taken for _, taken in largest[: len(rows)]):.2f} |",
    ]


def stages(rounds: int) -> list[str]:
    """What the parts of a run on the demo take, from the start of the process to its end."""
    found: dict[str, list[float]] = {}
    ratios: list[float] = []
    for number in range(rounds + 1):
        alone = seconds(ALONE)
        with tempfile.TemporaryDirectory() as folder:
            began = time.time()
            done = subprocess.run(
                [sys.executable, __file__, "--stages", f"{folder}/"],
                check=True, capture_output=True, env=ENVIRONMENT, text=True,
            )  # fmt: skip
            whole = time.time() - began
        if number == 0:
            continue
        parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        rest = whole - sum(parts.values())
        every = {**parts, "all else": rest, "the whole": whole, f"`{ALONE[-1]}` alone": alone}
        for name, taken in every.items():
            found.setdefault(name, []).append(taken)
        ratios.append(whole / alone)
    return [
        f"## A run: `cnnvis {' '.join(RUN)}`",
        "",
        "Seconds; the median, and in brackets the smallest and the largest.",
        "",
        "| part | seconds |",
        "|---|---|",
        *(
            f"| {name} | {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f}) |"
            for name, each in found.items()
        ),
        "",
        f"The whole takes {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}) as long as a",
        "program that only imports both, with all that Keras imports where it is installed.",
    ]


def staged(folder: str) -> None:
    """One run in this process, with watches on its parts; prints them as JSON."""
    taken = {"importing TensorFlow and Keras": 0.0, "loading the model": 0.0, "one trace": 0.0}
    inside: list[str] = []

    def watched(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            before, start = dict(taken), time.perf_counter()
            inside.append(name)
            try:
                return function(*arguments, **named)
            finally:
                inside.pop()
                within = sum(taken[one] - before[one] for one in taken)
                taken[name] += time.perf_counter() - start - within  # what it called counts there

        return call

    import cnnvis.network.backend as imported

    imported._stderr_closed = nullcontext  # type: ignore[assignment]  # where times are told
    imported._imported = watched(imported._imported, "importing TensorFlow and Keras")  # type: ignore[assignment]
    from cnnvis.cli.main import entry
    from cnnvis.explain import inputs
    from cnnvis.network import compilation

    inputs.loaded_from = watched(inputs.loaded_from, "loading the model")
    compilation.Compiled._run = watched(compilation.Compiled._run, "one trace")  # type: ignore[method-assign]
    sys.argv = ["cnnvis", *RUN, "--quiet", "--out", folder]
    try:
        entry()
    finally:
        print(json.dumps(taken))


def repeated() -> list[str]:
    """What the second and the fortieth call of one process take."""
    import cnnvis
    from cnnvis import demo

    model = cnnvis.load_model(demo.MODEL)
    data = cnnvis.read_samples(demo.DATA)[[0]]
    times = []
    for _ in range(40):
        start = time.perf_counter()
        cnnvis.run("saliency", model, data=data, checks="none")
        times.append(time.perf_counter() - start)
    second, fortieth = statistics.median(times[1:6]), statistics.median(times[35:])
    return [
        "## Calls in one process",
        "",
        "Saliency of one image of the demo, in milliseconds:",
        "",
        "| call | milliseconds |",
        "|---|---|",
        f"| the first, which traces | {1000 * times[0]:.0f} |",
        f"| the second to sixth, median | {1000 * second:.2f} |",
        f"| the last five of forty, median | {1000 * fortieth:.2f} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--stages", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.stages:
        staged(chosen.stages)
        return
    from cnnvis import host

    parts = [
        [
            "# Starting",
            "",
            f"Written by `python benchmarks/startup.py` on {date.today()}: {chosen.rounds} rounds on",
            f"{host.name()}, no GPU, Python {platform.python_version()}.",
        ],
        stages(max(chosen.rounds // 3, 1)),
        imports(),
        commands(chosen.rounds),
        repeated(),
    ]
    path = chosen.out / "startup.md"
    path.write_text("\n\n".join("\n".join(lines) for lines in parts) + "\n")
    print(path)


if __name__ == "__main__":
    main()
