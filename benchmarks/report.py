"""What a report takes beside the computing that it shows, in time and in memory.

    python benchmarks/report.py [--rounds 5] [--out FOLDER]

Each round runs, for each network and each level of the checks, first the computing in one process, three
techniques over 1,000 images whose maps are kept as .npz, and then the commands that make a page of the same;
ratios are taken round by round. Time is processor time of the whole process, from its start with the
imports to its end, on one thread, since other programs run meanwhile. Memory is the most that a process
held. Writes report.md beside this file after each round, unless --out names another folder.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

# Other threads wait by spinning, which processor time counts.
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
ENVIRONMENT = {
    **os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONDONTWRITEBYTECODE": "", "TF_CPP_MIN_LOG_LEVEL": "3",
}  # fmt: skip
METHODS = ("saliency", "grad-cam", "gradient-times-input")
CHECKS = ("none", "full")
IMAGES, MEMORY_OF = 1000, (100, 1000, 5000)

COMPUTING = """
import sys, cnnvis
network, data, checks, folder, *methods = sys.argv[1:]
model, samples = cnnvis.load_model(network), cnnvis.read_samples(data)
for name in methods:
    cnnvis.run(name, model, data=samples, checks="none", render="numpy", out=f"{folder}/{name}.npz")
if checks == "full":
    cnnvis.evaluate(methods, model, data=samples, curves=True)
"""

# Only a process that has started no other knows what its child took, and the largest child.
WATCH = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode, done.stderr]))
"""


@dataclass(frozen=True)
class Network:
    """Network with its data: a function that makes the network, and the shape of an image."""

    name: str
    make: Callable[[], Any]
    shape: tuple[int, ...]

    def written(self, folder: Path) -> Path:
        """Write the network and its data; return the network's file."""
        import numpy as np

        for count in MEMORY_OF:
            rng = np.random.default_rng(count)
            x = rng.random((count, *self.shape), np.float32)
            np.savez(folder / f"{self.name}_{count}.npz", x=x, y=np.arange(count) % 2)
        path = folder / f"{self.name}.keras"
        self.make().save(path)
        return path


def _network(shape: tuple[int, ...], filters: Sequence[int]) -> Any:
    """A network of convolutions, each followed by pooling."""
    import keras

    keras.utils.set_random_seed(0)
    layers, space = keras.layers, len(shape) - 1
    convolution, pooling = (getattr(layers, f"{one}{space}D") for one in ("Conv", "MaxPooling"))
    mean = getattr(layers, f"GlobalAveragePooling{space}D")
    inner = [one for many in filters
             for one in (convolution(many, 3, padding="same", activation="relu"), pooling(2))]  # fmt: skip
    outer = layers.Dense(2, activation="softmax", name="output")
    return keras.Sequential([layers.Input(shape), *inner, mean(), outer])


NETWORKS = (
    Network("32 x 32 x 3", lambda: _network((32, 32, 3), (16, 32, 32)), (32, 32, 3)),
    Network("64 x 64 x 1", lambda: _network((64, 64, 1), (16, 32, 64, 64)), (64, 64, 1)),
    Network("500 x 4", lambda: _network((500, 4), (32, 32, 64)), (500, 4)),
)


def taken(words: Sequence[str]) -> tuple[float, float]:
    """The processor time of a process in seconds, and the most MiB that it held."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words], check=True, capture_output=True, env=ENVIRONMENT
    )
    seconds, held, code, said = json.loads(done.stdout)
    if code not in (0, 3):  # 3 where a check failed, as it may for weights that nobody trained
        sys.exit(f"{' '.join(words)}\n{said}")
    return seconds, held


def commands(
    network: Path, data: Path, checks: str, folder: Path, compiling: str = "auto"
) -> dict[str, list[str]]:
    """The computing and the pages, by the words of the table: what is first is the computing."""
    of = [str(network), "-d", str(data), "--checks", checks, "--compile", compiling]
    cnnvis = [sys.executable, "-m", "cnnvis"]
    report = [*cnnvis, "report", *of, "--methods", *METHODS, "-o", str(folder / "report.html")]
    run = [*cnnvis, "run", METHODS[0], *of, "--quiet"]
    program = [sys.executable, "-c", COMPUTING, str(network), str(data), checks, str(folder)]
    return {
        "the computing of three techniques": [*program, *METHODS],
        "`report`": report,
        "`report --by label`": [*report, "--by", "label"],
        "the computing of one technique": [*run, "-r", "numpy", "-o", str(folder / "one.npz")],
        "`run -r html`": [*run, "-r", "html", "-o", str(folder / "one.html")],
    }


Times = dict[tuple[str, str, str], list[float]]
"""The seconds of each round, by the network, the checks and what was run."""

COMPARED = {
    "`report`": "the computing of three techniques",
    "`report --by label`": "the computing of three techniques",
    "`run -r html`": "the computing of one technique",
}


def measure(folder: Path, found: Times) -> None:
    """Measure the times of one round."""
    for network in NETWORKS:
        for checks in CHECKS:
            data = folder / f"{network.name}_{IMAGES}.npz"
            every = commands(folder / f"{network.name}.keras", data, checks, folder)
            for what, words in every.items():
                seconds, _ = taken(words)
                found.setdefault((network.name, checks, what), []).append(seconds)
                print(network.name, checks, what, f"{seconds:.2f} s", flush=True)


def times(found: Times) -> list[str]:
    """The lines of the table of times."""
    lines = []
    for (name, checks, what), own in found.items():
        if what not in COMPARED:
            continue
        computing = found[name, checks, COMPARED[what]]
        ratios = [a / b for a, b in zip(own, computing, strict=True)]
        lines.append(
            f"| {name} | {checks} | {what} | {statistics.median(computing):.2f} | {statistics.median(own):.2f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )
    return lines


def memory(folder: Path) -> list[str]:
    """The lines of the table of memory."""
    lines = []
    for network in NETWORKS:
        for what in COMPARED:
            held = []
            for count in MEMORY_OF:
                data = folder / f"{network.name}_{count}.npz"
                every = commands(folder / f"{network.name}.keras", data, "none", folder, "graph")
                held.append(taken(every[what])[1])
                print(network.name, what, count, f"{held[-1]:.0f} MiB", flush=True)
            cells = " | ".join(f"{one:.0f}" for one in held)
            ratios = " | ".join(f"{one / held[0]:.2f}" for one in held[1:])
            lines.append(f"| {network.name} | {what} | {cells} | {ratios} |")
    return lines


def page(rounds: int, of_time: list[str], of_memory: list[str]) -> str:
    """Return the page as Markdown."""
    from cnnvis import host

    few, *rest = (f"{count:,}" for count in MEMORY_OF)
    lines = [
        "# What a report takes",
        "",
        f"Written by `python benchmarks/report.py` on {date.today()}: {rounds} round{'s' * (rounds > 1)} on",
        f"{host.name()}, no GPU, Python {platform.python_version()}.",
        "",
        f"The computing is that of {', '.join(METHODS)}, or of {METHODS[0]} alone, whose maps are kept as",
        "`.npz`, and with the checks that the page has, in one process. The page is made by a process of its own,",
        "which computes what the page shows: `report` the maps of its images, `report --by label` the maps of all images, of",
        "which it keeps means, and `run -r html` the maps of all images, which it keeps.",
        "",
        "## Time",
        "",
        f"Processor time of the whole process in seconds, on one thread, for {IMAGES:,} images: medians, and of the ratios",
        "the smallest and the largest, too.",
        "",
        "| images | checks | page | computing | page | times the computing |",
        "|---|---|---|---|---|---|",
        *of_time,
        "",
        "## Memory",
        "",
        "The most that a process held, in MiB, without checks and with `--compile graph`: to compile with XLA, where that",
        "is worth the time, takes some hundred MiB once, however many images there are. Up to 512 images are",
        "computed at a time, so that a hundred take less than a thousand.",
        "",
        f"| images | page | {few} images | {' | '.join(f'{one} images' for one in rest)} | "
        + " | ".join(f"{one} / {few}" for one in rest)
        + " |",
        "|" + "---|" * (2 + 2 * len(MEMORY_OF) - 1),
        *of_memory,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    path, found = asked.out / "report.md", Times()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in NETWORKS:
            network.written(folder)
        of_memory = memory(folder)
        for number in range(asked.rounds):
            measure(folder, found)
            path.write_text(page(number + 1, times(found), of_memory), encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
