"""Whether a process that explains many networks again and again stays as small and as fast as it was.

    python benchmarks/long_lived.py [--calls 1000] [--models 20] [--from live files] [--out FOLDER]

Calls `cnnvis.run` on one network after the other, with one technique after the other: of Keras models that
live in the process, or of their files. Prints the memory of the process and the median of a call, by the clock and in
seconds of a processor, for each tenth of the calls, and writes long-lived.md beside this file, unless --out names another folder.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

TECHNIQUES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("saliency", {}),
    ("grad-cam", {}),
    ("integrated-gradients", {"steps": 8, "most_steps": 8}),
    ("smoothgrad", {"copies": 8}),
    ("kernel-shap", {"sets": 200}),
)
IMAGES = 8
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1


def main() -> None:
    """Call, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument(
        "--from", dest="kinds", nargs="*", choices=("live", "files"), default=["live", "files"]
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    lines = [HEAD.format(day=date.today(), calls=asked.calls, models=asked.models)]
    for kind in asked.kinds:
        for line in measured(kind, asked.models, asked.calls):
            lines.append(line)
            print(line, flush=True)
    (asked.out / "long-lived.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measured(kind: str, models: int, calls: int) -> Iterator[str]:
    """The lines of the table, as they are measured."""
    import cnnvis

    with tempfile.TemporaryDirectory() as folder:
        subjects: list[Any] = [network(number) for number in range(models)]
        if kind == "files":
            for number, one in enumerate(subjects):
                one.save(f"{folder}/{number}.keras")
            subjects = [f"{folder}/{number}.keras" for number in range(models)]
        data = [
            np.random.default_rng(number).random((IMAGES, 12, 10, 1), np.float32)
            for number in range(models)
        ]
        turns = itertools.cycle(range(models))
        seconds: list[tuple[float, float]] = []
        for call in range(calls):
            which = next(turns)
            # Every network meets every technique.
            technique, options = TECHNIQUES[(call // models + which) % len(TECHNIQUES)]
            began, before = time.perf_counter(), time.process_time()
            cnnvis.run(technique, subjects[which], data=data[which], checks="none", **options)
            seconds.append((time.perf_counter() - began, time.process_time() - before))
            if (call + 1) % max(calls // 10, 1) == 0:
                last = seconds[-max(calls // 10, 1) :]
                medians = " | ".join(
                    f"{statistics.median(each):.3f}" for each in zip(*last, strict=True)
                )
                yield f"| {kind} | {call + 1} | {resident() / 2**20:.0f} | {medians} |"


def network(number: int) -> Any:
    """Make one of many small networks, each with layers of its own."""
    import keras

    keras.utils.set_random_seed(number)
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((12, 10, 1)),
            layers.Conv2D(3 + number % 5, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(4 + number % 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def resident() -> int:
    """Return the bytes of memory that the process holds now."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * PAGE


HEAD = """# A process that lives long

Written by `python benchmarks/long_lived.py` on {day}: {calls} calls of `cnnvis.run` on {models} networks in turn, of models
that live in the process and of their files, with five techniques.

| models | calls | memory (MiB) | seconds of a call, median of the last tenth | seconds of a processor |
|---|---|---|---|---|"""


if __name__ == "__main__":
    main()
