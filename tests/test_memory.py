"""However many images go through a chain, it takes the memory of a batch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

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
