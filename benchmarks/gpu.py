"""cnnvis and other libraries on a GPU, within ten minutes.

    python benchmarks/gpu.py [--budget 540] [--quick] [--libraries NAME ...] [--sizes IMAGES ...]
        [--torch-python PYTHON] [--logs FOLDER] [--out FOLDER]

Needs this environment's cnnvis, TensorFlow and a GPU that it sees, and downloads nothing: networks have
random weights (seed 1). tf-keras-vis and Xplique are measured where this environment has them; Captum
and pytorch-grad-cam, on torchvision's networks, by the Python with PyTorch that --torch-python names.
Each network and library has a process of its own with a time limit, so that a failure is a row and not
the end. After each number gpu.json is written, and the page gpu.md from it. What no longer fits into
the budget is left out, the least telling first, and the page says so. With --quick, small networks in
small batches, to try the script itself where there is no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks.accelerator.page import page  # noqa: E402

NETWORKS = ("ResNet50", "VGG16", "EfficientNetB0", "U-Net 3-D", "genomatnn")
QUICK = ("small", "tiny U-Net 3-D")
OF_TORCH = ("torch loop", "captum", "grad-cam")
METHODS = ("saliency", "grad-cam", "guided", "integrated-gradients", "smoothgrad")
OF_LIBRARY = {
    "bare": (), "cnnvis": METHODS, "exact": (), "xplique": METHODS, "captum": METHODS,
    "tf-keras-vis": ("saliency", "grad-cam", "smoothgrad"), "torch loop": ("saliency",),
    "grad-cam": ("grad-cam",),
}  # fmt: skip
"""Each library, and its methods."""

LIMIT, LEAST = 60.0, 12.0
"""Most seconds of a process; how many must be left to start one."""

SIZES = (32, 128, 512)
"""Batch sizes that the bare loop tries, the next while the last gained."""

STEPS, BATCHES = 10, 4
"""Steps or copies of an image; how many batches the images of a single-pass method fill."""

FALLBACK = 64
"""Batch size where the bare loop did not say which is the fastest."""


@dataclass(frozen=True)
class Job:
    """A library on a network."""

    library: str
    network: str


def jobs(networks: tuple[str, ...], libraries: tuple[str, ...]) -> list[Job]:
    """What is measured, the most telling first."""
    convnets = [name for name in networks if name in NETWORKS[:3]]
    every = [
        *(Job(library, name) for name in networks for library in ("bare", "cnnvis")),
        *(Job("captum", name) for name in convnets),
        *(Job("xplique", name) for name in networks),
        Job("exact", networks[0]),
        *(Job("tf-keras-vis", name) for name in networks),
        *(Job("grad-cam", name) for name in convnets),
        *(Job("torch loop", name) for name in convnets),
        *(Job("exact", name) for name in networks[1:]),
    ]
    return [job for job in every if job.library in libraries]


class Worker:
    """A process that has imported its library, or is about to, and waits for its job."""

    def __init__(self, job: Job, pythons: dict[bool, str], log: Path) -> None:
        self.job = job
        is_torch = job.library in OF_TORCH
        script = "torch_worker.py" if is_torch else "tensorflow_worker.py"
        self._log = log.open("w")
        self._process = subprocess.Popen(
            [pythons[is_torch], str(ROOT / "benchmarks" / "accelerator" / script)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def rows(self, asked: dict[str, Any], until: float) -> Any:
        """Yield what it finds, until it is done or the time is over: then the last says so."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(asked), file=self._process.stdin, flush=True)
        while True:
            try:
                line = self._lines.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                yield {"lacks": "its time was over", "late": True}
                return
            if line is None:
                code = self._process.wait()
                if code:
                    yield {"lacks": f"its process ended with {code}: {self._last_words()}"}
                return
            row = json.loads(line)
            if "ready" not in row:
                yield row

    def _last_words(self) -> str:
        lines = Path(self._log.name).read_text(errors="replace").strip().splitlines()
        return lines[-1][:160] if lines else ""

    def end(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait()
        self._log.close()


def measure(asked: argparse.Namespace, found: dict[str, Any]) -> None:
    """Go through all jobs, with the next one's process importing while one is measured."""
    end = time.monotonic() + asked.budget
    pythons = {False: sys.executable, True: asked.torch_python}
    waiting = jobs(asked.networks, tuple(asked.libraries))
    with tempfile.TemporaryDirectory() as scratch:
        logs = asked.logs or Path(scratch)
        logs.mkdir(parents=True, exist_ok=True)

        def started(number: int) -> Worker | None:
            if number >= len(waiting):
                return None
            name = f"{number:02d}-{waiting[number].library}-{waiting[number].network}"
            return Worker(waiting[number], pythons, logs / (name.replace(" ", "-") + ".log"))

        ready = started(0)
        for number, job in enumerate(waiting):
            worker, ready = ready, started(number + 1)
            assert worker is not None
            left = end - time.monotonic()
            if left < LEAST:
                found["left_out"] += [[one.library, one.network] for one in waiting[number:]]
                worker.end()
                break
            given = task(job, asked, found, scratch)
            until = time.monotonic() + min(LIMIT, left)
            began = time.monotonic()
            for row in worker.rows(given, until):
                note(job, row, found)
                write(asked.out, found)
            worker.end()
            took = time.monotonic() - began
            found["took"].append([job.library, job.network, round(took, 1)])
            print(f"{job.library} on {job.network}: {took:.0f} s", file=sys.stderr, flush=True)
        if ready is not None:
            ready.end()


def task(
    job: Job, asked: argparse.Namespace, found: dict[str, Any], scratch: str
) -> dict[str, Any]:
    """What a worker is told."""
    known = found["networks"].get(job.network, {})
    quick = asked.quick
    return {
        "library": job.library,
        "network": job.network,
        "methods": OF_LIBRARY[job.library],
        "batch": known.get("best", 8 if quick else FALLBACK),
        "batches": 2 if quick else BATCHES,
        "steps": 2 if quick else STEPS,
        "sizes": asked.sizes,
        "peak": job.library == "bare" and "peak" not in found["device"],
        "multiplied": 512 if quick else 8192,
        "scratch": scratch,
    }


def note(job: Job, row: dict[str, Any], found: dict[str, Any]) -> None:
    """Keep what a worker said."""
    network = found["networks"].setdefault(job.network, {})
    if "rate" in row or "lacks" in row:
        found["rows"].append({"library": job.library, "network": job.network, **row})
        return
    for name in ("operations", "best"):
        if name in row:
            network[name] = row.pop(name)
    found["device"] |= row


def write(out: Path, found: dict[str, Any]) -> None:
    """Write everything so far."""
    (out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (out / "gpu.md").write_text(page(found), encoding="utf-8")


def versions(torch_python: str) -> dict[str, str]:
    """The libraries' versions, where they are."""
    names = ("tensorflow", "keras", "cnnvis", "xplique", "tf-keras-vis", "numpy")
    known = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            known[name] = metadata.version(name)
    program = (
        "import importlib.metadata as m\n"
        "for name in ('torch', 'torchvision', 'captum', 'grad-cam'):\n"
        "    try: print(name, m.version(name))\n"
        "    except m.PackageNotFoundError: pass"
    )
    done = subprocess.run([torch_python, "-c", program], capture_output=True, text=True)
    return known | dict(line.split() for line in done.stdout.splitlines())


def main() -> None:
    """Measure, and write gpu.json and gpu.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=540, metavar="SECONDS")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--networks", nargs="+", metavar="NETWORK")
    parser.add_argument(
        "--libraries", nargs="+", choices=list(OF_LIBRARY), default=list(OF_LIBRARY)
    )
    parser.add_argument("--sizes", nargs="+", type=int, metavar="IMAGES", help="batches to try")
    parser.add_argument("--torch-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="what the processes print")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    asked = parser.parse_args()
    asked.networks = tuple(asked.networks or (QUICK if asked.quick else NETWORKS))
    asked.sizes = asked.sizes or ((8, 16) if asked.quick else SIZES)
    asked.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {
        "day": str(date.today()), "quick": asked.quick, "budget": asked.budget,
        "versions": versions(asked.torch_python), "device": {}, "networks": {}, "rows": [],
        "left_out": [], "took": [],
    }  # fmt: skip
    measure(asked, found)
    write(asked.out, found)
    print(page(found))


if __name__ == "__main__":
    main()
