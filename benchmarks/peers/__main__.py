"""cnnvis beside other libraries, on the same networks and images, in one run.

    python benchmarks/peers [--rounds 3] [--networks small ResNet50 FILE ...] [--methods saliency ...]
        [--no-commands]

Makes an environment for each group of libraries in a scratch folder (--environments), installs them
from the package index, and starts a process for each library. Each round asks one after the other,
so that what else the machine does meanwhile is shared; ratios are taken round by round. Writes
peers.md and peers.png into the folder above, unless --out names another; peers.json there holds every
number, and with --add what was measured before of other networks stays on the page.
"""

# ruff: noqa: E402
from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.append(str(ROOT))

import commands
import methods
from aims import aims
from networks import IMAGES, SHAPES
from rich.progress import Progress
from rows import FAILED, failures, how_measured

from benchmarks import environments

ENVIRONMENTS = {
    # Peers that run on today's Keras share one; later versions of Xplique hold TensorFlow back.
    "keras": environments.Environment(
        "keras",
        (f"{ROOT}[keras-vis,tf-keras-vis,xplique]", "tf-explain", "opencv-python-headless"),
    ),
    "torch": environments.TORCH,
}
LIBRARIES = {
    "cnnvis": "keras", "bare": "keras", "tf-keras-vis": "keras", "xplique": "keras",
    "tf-explain": "keras", "keras-vis": "keras", "captum": "torch",
    "grad-cam": "torch",
}  # fmt: skip
MEASURED = "peers.json"

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
"""What makes each operation compute on one thread: others wait by spinning, which processor time
counts. Of operations at the same time, TensorFlow must be left several: with one, it hangs in tf.data."""

FILE_IMAGES = 64
PAUSE = 0.3  # seconds


class Worker:
    """A library's process, and another after it ended, as for want of memory."""

    def __init__(self, library: str, python: Path, *, is_single: bool = False) -> None:
        threads = dict.fromkeys(THREADS, "1") if is_single else {}
        self._start: Callable[[], subprocess.Popen[str]] = functools.partial(
            subprocess.Popen, [python, HERE / "worker.py", library], env={**os.environ, **threads},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._process = self._start()

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Its answer to one job."""
        if self._process.poll() is not None:  # since the last job
            self._process = self._start()
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            print(json.dumps(job), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.end()
            return {"failed": "its process ended"}
        found: dict[str, Any] = json.loads(answer)
        return found

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait()


def measured(
    chosen: argparse.Namespace, pythons: dict[str, Path]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each network and method, and the seconds an image of each library: one number a round, or why
    there is none.
    """
    jobs = [(network, method) for network in chosen.networks for method in chosen.methods]
    with Progress(disable=not sys.stderr.isatty()) as bars, tempfile.TemporaryDirectory() as folder:
        bar = bars.add_task("measuring", total=len(jobs) * chosen.rounds * len(chosen.libraries))
        for network in chosen.networks:
            # New processes for each network, so that none carries another's memory.
            is_single = chosen.clock == "processor"
            workers = {
                name: Worker(name, pythons[LIBRARIES[name]], is_single=is_single)
                for name in chosen.libraries
            }
            twin = Path(folder) / f"{len(list(Path(folder).iterdir()))}.npz"
            export = Worker("export", pythons["keras"])
            has_twin = "seconds" in export.ask({"network": network, "twin": str(twin)})
            export.end()
            for method in chosen.methods:
                many = IMAGES.get(network, FILE_IMAGES) * chosen.images
                count = methods.images(method, network, many)
                job = {
                    "network": network, "method": method, "images": count,
                    "steps": methods.samples(method, network), "cells": methods.cells(network),
                }  # fmt: skip
                times: dict[str, Any] = {}
                for number in range(chosen.rounds):
                    # In another order each time: whoever comes after a library whose threads go on
                    # spinning for a while must not always be the same.
                    order = random.Random(number).sample(list(workers), len(workers))
                    for name in order:
                        worker = workers[name]
                        if isinstance(times.get(name), str):  # which it will lack again
                            bars.advance(bar)
                            continue
                        time.sleep(PAUSE)
                        asked = dict(job)
                        if LIBRARIES[name] == "torch":
                            asked |= {"twin": str(twin) if has_twin else "",
                                      "shape": SHAPES.get(network)}  # fmt: skip
                        if name == "bare" and method == "grad-cam":
                            asked["method"] = "forward"
                        answer = worker.ask(asked)
                        bars.advance(bar)
                        if "failed" in answer:
                            answer["lacks"] = f"{FAILED}{answer['failed']}"
                        if "lacks" in answer:
                            times[name] = answer["lacks"]
                            continue
                        images = min(count, 2) if name == "keras-vis" else count
                        per = 1 if method == "activation-max" else images
                        times.setdefault(name, []).append(answer[chosen.clock] / per)
                yield network, method, times
                print(f"{network} {method}: {_line(times)}", file=sys.stderr)
            for worker in workers.values():
                worker.end()


def _line(times: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {statistics.median(one):.4g} s"
        if isinstance(one, list)
        else f"{name} {one if one.startswith(FAILED) else 'none'}"
        for name, one in times.items()
    )


def ratios(times: dict[str, Any], name: str) -> list[float]:
    """How many times as long a library takes as cnnvis, round by round."""
    ours, theirs = times.get("cnnvis"), times.get(name)
    if not isinstance(ours, list) or not isinstance(theirs, list):
        return []
    return [b / a for a, b in zip(ours, theirs, strict=False)]


def table(found: dict[str, Any], rows_of: dict[str, Any], others: list[str], said: str) -> str:
    """The page with all ratios, in Markdown."""
    lines = [
        "# cnnvis beside other libraries",
        "",
        f"Written by `python benchmarks/peers` on {date.today()}.",
        "",
        "How many times as long each takes as cnnvis: above 1, cnnvis is faster. The median of the",
        "rounds, and in brackets the smallest and the largest. Networks have random weights (seed 1;",
        "of VGG16, those of output 0 have the other sign, since its Grad-CAM would show nothing);",
        "all explain output 0, after calls that are not timed; peers in batches of 32, cnnvis in those that",
        "it chooses. SmoothGrad, integrated gradients and activation maximization take 20 steps (ResNet50",
        "10, VGG16 5); VarGrad and expected gradients 20 gradients; Deep SHAP 8 baselines; RISE, LIME and",
        "KernelSHAP 200 masks or sets; Shapley sampling 8 orders. Patches fill the input without overlap:",
        f"{', '.join(f'{name} ' + ' x '.join(map(str, one)) for name, one in methods.CELLS.items())}; removed values are 0. LRP is by the epsilon rule.",
        "`bare` is a loop over a compiled gradient (graph or XLA, the faster of both), with",
        "no titles and no checks; for Grad-CAM, the forward pass alone. Where there is nothing, a library",
        "has no such method or none for such an input, was not measured with it, or failed, as said below",
        "the table; a process that ended probably ran out of memory beside the others.",
        "",
        "The column of cnnvis is by the clock of the row, too. Rows were measured as follows:",
        "",
        *how_measured(rows_of),
        "",
        said,
        "",
        f"| network | method | cnnvis | {' | '.join(others)} |",
        f"|---|---|---|{'---|' * len(others)}",
    ]
    for network, each_method in found.items():
        for method, times in each_method.items():
            ours = times.get("cnnvis")
            unit = "s a picture" if method == "activation-max" else "images/s"
            if not isinstance(ours, list):
                lines.append(
                    f"| {Path(network).name} | {method} | {'failed' if ours else ''} |{' |' * len(others)}"
                )
                continue
            median = statistics.median(ours)
            own = f"{median:.3g} {unit}" if unit.startswith("s ") else f"{1 / median:.3g} {unit}"
            cells = []
            for name in others:
                each = ratios(times, name)
                cells.append(
                    f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
                    if each else ""
                )  # fmt: skip
            lines.append(f"| {Path(network).name} | {method} | {own} | {' | '.join(cells)} |")
    lines += failures(found)
    rows = {
        (network, method): {name: each for name in others if (each := ratios(times, name))}
        for network, each_method in found.items()
        for method, times in each_method.items()
    }
    lines += ["", "Geometric means over all rows that both have:", "", "| library | ratio | rows |",
              "|---|---|---|"]  # fmt: skip
    for name in others:
        medians = [statistics.median(each[name]) for each in rows.values() if name in each]
        if medians:
            mean = statistics.geometric_mean(medians)
            lines.append(f"| {name} | {mean:.2f} | {len(medians)} |")
    lines += ["", *aims(rows)]
    return "\n".join(lines) + "\n"


def plot(found: dict[str, Any], others: list[str], path: Path) -> None:
    """All ratios as points on a logarithmic axis, a line for each network and method."""
    from matplotlib.figure import Figure

    rows = [(network, method) for network, known in found.items() for method in known]
    figure = Figure(figsize=(8, 1 + 0.24 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for number, name in enumerate(others):
        points = [
            (statistics.median(each), place)
            for place, (network, method) in enumerate(rows)
            if (each := ratios(found[network][method], name))
        ]
        if points:
            marker = "osD^vP*"[number % 7]
            axes.scatter(*zip(*points, strict=True), s=28, marker=marker, label=name, zorder=3)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlabel("time as a multiple of cnnvis's: to the right, cnnvis is faster")
    axes.set_yticks(range(len(rows)), [f"{Path(n).name}  {m}" for n, m in rows], fontsize=7)
    axes.invert_yaxis()
    axes.grid(color="0.9", zorder=0)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=130)


def machine() -> str:
    """What it ran on."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else []:
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores of {model}, {platform.system()}, no GPU"


def versions(pythons: dict[str, Path]) -> str:
    """The libraries' versions, as their environments have them."""
    names = {
        "keras": ("tensorflow", "keras", "cnnvis", "tf-keras-vis", "xplique", "tf-explain", "keras-vis"),
        "torch": ("torch", "captum", "grad-cam"),
    }  # fmt: skip
    program = (
        "import sys; from importlib.metadata import version; "
        "print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    return ", ".join(
        subprocess.run([python, "-c", program, *names[group]], capture_output=True, text=True,
                       check=True).stdout.strip()
        for group, python in pythons.items()
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="*", default=list(SHAPES), metavar="NAME or FILE")
    parser.add_argument(
        "--methods", nargs="+", choices=methods.SAMPLES, default=list(methods.SAMPLES)
    )
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--clock", choices=("seconds", "processor"), default="seconds",
                        help="processor where other programs run at the same time")  # fmt: skip
    parser.add_argument("--images", type=float, default=1.0, metavar="SHARE",
                        help="of the images that a call explains, where time is short")  # fmt: skip
    parser.add_argument("--commands", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--environments", type=Path, default=environments.FOLDER)
    parser.add_argument("--out", type=Path, default=HERE.parent)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    groups = dict.fromkeys(["keras", *(LIBRARIES[name] for name in chosen.libraries)])
    pythons = {name: environments.made(ENVIRONMENTS[name], chosen.environments) for name in groups}
    before: dict[str, Any] = {"networks": {}, "rows": {}, "commands": ""}
    if chosen.add and (chosen.out / MEASURED).exists():
        before = json.loads((chosen.out / MEASURED).read_text())
    found, rows, whole = (before[key] for key in ("networks", "rows", "commands"))
    way = {"day": str(date.today()), "clock": chosen.clock, "rounds": chosen.rounds,
           "share": chosen.images, "machine": machine()}  # fmt: skip
    said = versions(pythons)

    def write() -> None:
        kept = {"networks": found, "rows": rows, "commands": whole}
        (chosen.out / MEASURED).write_text(json.dumps(kept, indent=1))
        seen = {name for each in found.values() for times in each.values() for name in times}
        others = [name for name in LIBRARIES if name in seen and name != "cnnvis"]
        (chosen.out / "peers.md").write_text(table(found, rows, others, said) + whole)
        plot(found, others, chosen.out / "peers.png")

    for network, method, times in measured(chosen, pythons):
        found.setdefault(network, {})[method] = times
        rows.setdefault(network, {})[method] = way
        write()  # so that whoever ends it early has what was measured
    if chosen.commands:
        libraries = {name: pythons[LIBRARIES[name]] for name in chosen.libraries}
        print("measuring whole commands", file=sys.stderr)
        times = commands.measured(libraries, pythons["keras"], chosen.rounds)
        whole = "\n" + commands.table(times, chosen.rounds)
    write()
    print(chosen.out / "peers.md")


if __name__ == "__main__":
    main()
