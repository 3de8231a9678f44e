"""What methods take beside the passes through the network that they need, and how many they need.

    python benchmarks/passes.py [--rounds 7] [--removal NETWORK ...] [--integrated NETWORK ...] [--out FOLDER]

Removal: the processor time of a whole run, with titles and maps and without checks, divided by that of
a bare compiled loop over as many masked images, which are there already. Both in one process on one
thread, in turn; the bare loop is compiled as a graph or by XLA, in batches of 32 or 256, whichever is
fastest. Integrated gradients: how many steps a tolerance takes, image by image, and how many a fixed
number for all images would take for the same largest error. Writes passes.md beside this file, unless
--out names another folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
# Other threads wait by spinning, which processor time counts.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
os.environ.update(dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"))
sys.path.insert(0, str(Path(__file__).parent / "peers"))

import networks
import numpy as np

NETWORKS = {"small": 16, "sequence": 4, "volume": 2}
"""Each network, and how many images a run explains."""

REMOVAL: dict[str, tuple[dict[str, Any], Callable[[Any], int]]] = {
    "occlusion": ({}, lambda found: _patches(found.array.shape[1:])),
    "rise": ({"masks": 500}, lambda found: 500),
    "lime": ({"sets": 500}, lambda found: 500),
    "kernel-shap": ({"sets": 500}, lambda found: int(found.measures["passes"][0])),
}
"""Each technique with its options, and how many masked images a result has taken."""

WARM = 3
"""How many runs are not timed."""

INTEGRATED_NETWORKS = ("demo", "small", "sequence")
IMAGES = 16
TOLERANCES = (0.1, 0.01, 0.001)
STEPS = (4, 8, 16, 32, 64, 128, 256, 512)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--removal", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument(
        "--integrated", nargs="*", choices=INTEGRATED_NETWORKS, default=INTEGRATED_NETWORKS
    )
    asked = parser.parse_args()
    lines = [HEAD.format(day=date.today(), rounds=asked.rounds)]
    for line in rows(asked):
        lines.append(line)
        print(line, flush=True)
        (asked.out / "passes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows(asked: argparse.Namespace) -> Iterator[str]:
    """The lines of both tables, as they are measured."""
    for name in asked.removal:
        yield from removal(name, NETWORKS[name], asked.rounds)
    yield INTEGRATED
    for name in asked.integrated:
        yield from integrated(name)


def removal(name: str, count: int, rounds: int) -> Iterator[str]:
    """The lines of a network's table."""
    import cnnvis

    network = networks.network(name)
    x = networks.images(network, count)
    model, bare = cnnvis.Model(network, filters=0), _fastest(network, x)
    for technique, (options, passes) in REMOVAL.items():

        def run(technique: str = technique, options: Any = options) -> Any:
            return cnnvis.run(technique, model, data=x, filter=None, checks="none", **options)

        found = run()
        number = passes(found) * count
        for _ in range(WARM):  # by then, the way of compiling and the size of batches are chosen
            run()
        times = [(_seconds(run), _seconds(lambda n=number: bare(n))) for _ in range(rounds)]
        ours, theirs = (min(each) for each in zip(*times, strict=True))
        middle = statistics.median(one / other for one, other in times)
        yield (
            f"| {name} | {technique} | {number // count} | {count} | {ours:.2f} s | "
            f"{ours / theirs:.2f} ({middle:.2f}) |"
        )


def _patches(space: tuple[int, ...]) -> int:
    """Return how many patches occlusion has by default, with those that are pushed back to the end."""
    parts = {1: 32, 2: 8, 3: 4}[len(space)]
    sizes = [-(-size // parts) for size in space]
    steps = [-(-size // 2) for size in sizes]
    each = zip(space, sizes, steps, strict=True)
    return int(np.prod([len({*range(0, n - size, step), n - size}) for n, size, step in each]))


def _fastest(network: Any, x: Any) -> Callable[[int], None]:
    """Return a loop over so many images, compiled in the way that is the fastest."""
    import keras
    import tensorflow as tf

    twin = keras.Model(network.inputs, network.layers[-1].input)
    loops: list[Callable[[int], None]] = []
    for is_xla in (False, True):
        answer = tf.function(lambda batch: twin(batch, training=False), jit_compile=is_xla)
        for size in (32, 256):
            batch = np.resize(x, (size, *x.shape[1:]))

            def loop(count: int, answer: Any = answer, batch: Any = batch) -> None:
                for _ in range(-(-count // len(batch))):
                    answer(tf.constant(batch)).numpy()

            loop(size)
            loops.append(loop)
    times = [min(_seconds(lambda loop=loop: loop(256)) for _ in range(3)) for loop in loops]
    return loops[int(np.argmin(times))]


def _seconds(call: Callable[[], Any]) -> float:
    """Return the processor time of a call."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


def integrated(name: str) -> Iterator[str]:
    """The lines of a network's table of integrated gradients."""
    import cnnvis

    if name == "demo":
        given: dict[str, Any] = {"images": range(IMAGES)}
        model: Any = "demo"
    else:
        network = networks.network(name)
        model, given = cnnvis.Model(network), {"data": networks.images(network, IMAGES)}
    given |= {"baseline": "zero", "checks": "none"}

    def run(**options: Any) -> Any:
        return cnnvis.run("integrated-gradients", model, **given, **options)

    fixed = {
        steps: run(steps=steps, most_steps=steps, tolerance=1.0).measures["completeness_gap"].max()
        for steps in STEPS
    }
    for tolerance in TOLERANCES:
        found = run(steps=4, tolerance=tolerance, most_steps=STEPS[-1])
        taken, gap = found.measures["steps"], found.measures["completeness_gap"].max()
        # Whoever doubles the number pays for the rounds that came before, too.
        paid = sum(_paid(int(one)) for one in taken) / len(taken)
        enough = next((steps for steps, off in fixed.items() if off <= max(gap, tolerance)), None)
        less = "" if enough is None else f"{enough / paid:.1f}"
        yield (
            f"| {name} | {tolerance} | {gap:.1e} | {paid:.1f} | {int(taken.max())} | "
            f"{enough or f'more than {STEPS[-1]}'} | {less} |"
        )


def _paid(last: int) -> int:
    """Return all gradients of an image that began with 4 steps and doubled them up to the last."""
    return 2 * last - 4


HEAD = """# Passes through the network

Written by `python benchmarks/passes.py` on {day}.

## Removal

The processor time of `cnnvis.run` as a multiple of that of a bare compiled loop over as many masked images: of the
least times in {rounds} rounds, since what else a machine does only adds to them, and in brackets the median of the
rounds. The masked images of the loop are there already, and it does nothing with the answers. One thread; networks of the
[comparison with other libraries](peers.md), which are small: beside a larger network, the rest weighs less.

| network | technique | passes an image | images | cnnvis | multiple of the loop |
|---|---|---|---|---|---|"""

INTEGRATED = """
## Integrated gradients to a tolerance

How many gradients an image takes on average, where steps are doubled from 4 on until the sum is within the tolerance
(all rounds counted), and the fewest steps (of 4, 8, 16, ... 512) that bring the largest gap of all images as low. An
image that is still off after 512 steps, as where the largest gap is above the tolerance, has paid for all rounds. 16
images, random ones but for the demo; networks but the demo have random weights, which bend the score little.

| network | tolerance | largest gap | gradients an image | most steps of an image | a fixed number takes | times as many |
|---|---|---|---|---|---|---|"""


if __name__ == "__main__":
    main()
