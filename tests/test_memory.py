"""However many images go through a chain, it takes the memory of a batch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

LIMIT = 1.3

PROGRAM = """
import sys
from cnnvis import host
from cnnvis.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("PEAK", host.peak_memory(), file=sys.stderr)
"""


def _peak_of(words: list[str]) -> int:
    """The largest memory of a whole process that does what these words say."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True, text=True, timeout=1200, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(re.findall(r"PEAK (\d+)", done.stderr)[0])


def _peak(folder: Path, images: int) -> int:
    """The largest memory of a whole process that averages a folder of pictures by label."""
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
    for number in range(images):
        picture = rng.integers(0, 20, (64, 64), dtype=np.uint8)
        Image.fromarray(picture).save(folder / ("first", "second")[number % 2] / f"{number:05}.png")
    words = ["chain", "demo", "-d", str(folder), "saliency", "average", "--by", "label", "numpy"]
    return _peak_of([*words, "-o", str(folder / "mean.npz")])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nothing there tells the memory")
def test_twenty_thousand_images_take_the_memory_of_two_hundred(tmp_path: Path) -> None:
    few, many = _peak(tmp_path / "few", 200), _peak(tmp_path / "many", 20_000)
    assert many <= LIMIT * few, f"{many / few:.2f} times as much"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nothing there tells the memory")
def test_a_report_on_thousands_of_images_takes_the_memory_of_a_thousand(tmp_path: Path) -> None:
    """Each batch of 512 maps is 8 MiB, which nothing but the garbage collector would free in a cycle.

    What XLA takes once to compile is not counted.
    """
    rng = np.random.default_rng(0)
    peaks = []
    for images in (1000, 6000):
        data = tmp_path / f"{images}.npz"
        x = rng.integers(0, 20, (images, 64, 64, 1), dtype=np.uint8)
        np.savez(data, x=x, y=np.arange(images) % 2)
        words = ["report", "demo", "-d", str(data), "--methods", "saliency", "--by", "label"]
        words += ["--checks", "none", "--compile", "graph", "-o", str(tmp_path / "it.html")]
        peaks.append(_peak_of(words))
    assert peaks[1] <= 1.1 * peaks[0], f"{peaks[1] / peaks[0]:.2f} times as much"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nothing there tells the memory")
def test_ten_thousand_maps_take_little_more_than_a_hundred(keras: Any, tmp_path: Path) -> None:
    """In one array, which is counted, too."""
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((34, 16, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    network.save(tmp_path / "network.keras")
    peaks = []
    for images in (100, 10_000):
        data = tmp_path / f"{images}.npy"
        np.save(data, np.random.default_rng(0).random((images, 34, 16, 1), np.float32))
        words = [
            "run",
            "saliency",
            str(tmp_path / "network.keras"),
            "-d",
            str(data),
            "--compile",
            "graph",
        ]
        words += ["--checks", "none", "--render", "numpy", "-o", str(tmp_path / f"{images}.npz")]
        peaks.append(_peak_of(words))
    assert peaks[1] <= 1.2 * peaks[0], f"{peaks[1] / peaks[0]:.2f} times as much"


MANY_CALLS = """
import gc, itertools, sys
from benchmarks import long_lived
from tensorflow.python.framework.func_graph import FuncGraph

for line in itertools.islice(long_lived.measured("files", 3, 60), 10):
    gc.collect()
    graphs = sum(isinstance(one, FuncGraph) for one in gc.get_objects())
    print("HELD", line.split("|")[3].strip(), graphs)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_process_that_lives_long_stays_as_small_as_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MANY_CALLS], capture_output=True, text=True, timeout=1200,
        cwd=Path(__file__).parents[1], env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    held = [tuple(map(int, one)) for one in re.findall(r"HELD (\d+) (\d+)", done.stdout)]
    assert len(held) == 10
    memory, graphs = zip(*held, strict=True)
    assert max(graphs[5:]) <= max(graphs[:5]), graphs
    assert memory[-1] <= 1.05 * max(memory[:5]), memory
