"""Workers that are killed, a million images, and how fast shards are handed out.

    python benchmarks/workers.py kills [--kills 300] [--seed 0] [--workers 2]
    python benchmarks/workers.py many [--images 1000000] [--workers 4]
    python benchmarks/workers.py shards [--workers 4]

`kills` runs a scheduler of Dask, workers and a client on this machine, and kills at random moments a worker,
the process of the run in a worker, the scheduler, or the client. What was killed is started again, and the
client goes on with --resume; each folder that is finished must hold the bytes of a run without workers.
Ctrl-C ends the kills, and keeps the figures.
`many` explains images of which one in a hundred is damaged, once in one process and once by workers: exactly
the damaged ones must be named, and both folders must hold the same bytes. `shards` measures what handing out
a shard takes where nothing is computed. Each writes its figures to workers.json beside this file, and
workers.md from all.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from cnnvis import host

HERE = Path(__file__).parent
CNNVIS = [sys.executable, "-m", "cnnvis"]
DASK = [sys.executable, "-m"]
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
BEGINNING = 40.0
"""Seconds until a run has come on that was not killed, or is killed all the same."""

VICTIMS = ("worker", "process of the run", "scheduler", "client", "client, by SIGTERM")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["kills", "many", "shards"])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where the runs go; by default a temporary folder"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        if chosen.what == "kills":
            found = kills(Path(name), chosen.kills, chosen.seed, chosen.workers or 2)
        elif chosen.what == "many":
            found = many(Path(name), chosen.images, chosen.workers or 4)
        else:
            found = shards(chosen.workers or 4)
    path = HERE / "workers.json"
    every = json.loads(path.read_text()) if path.exists() else {}
    every[chosen.what] = {"date": str(date.today()), "host": host.name(), **found}
    path.write_text(json.dumps(every, indent=1) + "\n")
    (HERE / "workers.md").write_text("\n".join(page(every)) + "\n")
    print(json.dumps(found, indent=1))


def network(shape: tuple[int, ...], path: Path) -> Path:
    """Write a small network with random weights."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    keras.Sequential([
        layers.Input(shape),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2, activation="softmax", name="output"),
    ]).save(path)  # fmt: skip
    return path


def seal(folder: Path) -> str:
    """The SHA-256 of a run folder: of the names and bytes of its files."""
    whole = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def differing(one: Path, other: Path) -> list[str]:
    """The names of files that are in one of two folders, or differ."""
    names = {
        str(path.relative_to(each))
        for each in (one, other)
        for path in each.rglob("*")
        if path.is_file()
    }
    return [
        name for name in sorted(names)
        if not ((one / name).is_file() and (other / name).is_file())
        or (one / name).read_bytes() != (other / name).read_bytes()
    ]  # fmt: skip


# Killed at random


@dataclass
class Machines:
    """A scheduler, its workers and a client, each of which may be killed and is started again."""

    folder: Path
    count: int
    words: Sequence[object]
    scheduler: subprocess.Popen[str] | None = None
    workers: list[subprocess.Popen[str]] = field(default_factory=list)
    client: subprocess.Popen[str] | None = None
    address: str = ""

    def begin(self) -> None:
        """Start what does not run."""
        if self.scheduler is None or self.scheduler.poll() is not None:
            self._end_workers()
            self.scheduler = subprocess.Popen(
                [*DASK, "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1",
                 "--no-dashboard"],
                stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            assert self.scheduler.stderr is not None
            lines = iter(self.scheduler.stderr.readline, "")
            self.address = next(
                found[0] for line in lines if (found := re.search(r"tcp://[\d.:]+", line))
            )
        self.workers = [one for one in self.workers if one.poll() is None]
        while len(self.workers) < self.count:
            self.workers.append(subprocess.Popen(
                [*DASK, "distributed.cli.dask_worker", self.address, "--nthreads", "1",
                 "--memory-limit", "0", "--no-dashboard", "--local-directory", str(self.folder)],
                text=True, **QUIET,
            ))  # fmt: skip
        if self.client is None:
            self.client = subprocess.Popen(
                [*CNNVIS, *map(str, self.words), "--on", self.address],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip

    def kill(self, victim: str, rng: random.Random) -> bool:
        """Kill a process of a kind; tell whether there was one."""
        assert self.scheduler is not None and self.client is not None
        if victim == "scheduler":
            self.scheduler.kill()
        elif victim.startswith("client"):
            self.client.send_signal(signal.SIGTERM if "SIGTERM" in victim else signal.SIGKILL)
        else:
            inside = {"worker": "spawn_main", "process of the run": "remote_process"}[victim]
            with suppress(psutil.Error):
                found = [
                    one
                    for worker in self.workers
                    for one in psutil.Process(worker.pid).children(recursive=True)
                    if inside in " ".join(one.cmdline())
                ]
                if found:
                    rng.choice(found).kill()
                    return True
            return False
        return True

    def ended(self) -> tuple[int, str]:
        """Wait for the client; return its exit code and what it said."""
        assert self.client is not None
        said = self.client.communicate(timeout=300)[0]
        code, self.client = self.client.returncode, None
        return code, said

    def _end_workers(self) -> None:
        for one in self.workers:
            with suppress(psutil.Error):
                for inner in psutil.Process(one.pid).children(recursive=True):
                    inner.kill()
            one.kill()
            one.communicate()
        self.workers = []

    def end(self) -> None:
        self._end_workers()
        for one in (self.client, self.scheduler):
            if one is not None:
                one.kill()
                one.communicate()


EXPECTED = {
    "worker": {0, 5}, "process of the run": {0, 5}, "scheduler": {0, 2, 5},
    "client": {0, -signal.SIGKILL}, "client, by SIGTERM": {0, 143, -signal.SIGTERM},
}  # fmt: skip
"""Exit codes of the client, by what was killed last; 0 where it was done before, 2 where it had not yet asked
whether a scheduler listens at the address, and of SIGTERM itself where Python had only begun."""


def kills(folder: Path, wanted: int, seed: int, workers: int) -> dict[str, Any]:
    """Kill processes of runs at random moments; refuse bytes or exit codes that are not expected."""
    rng = random.Random(seed)
    model, data = network((16, 16, 1), folder / "model.keras"), folder / "data.npz"
    np.savez(data, X=np.random.default_rng(seed).random((600, 16, 16, 1), np.float32))

    def words(into: Path) -> list[object]:
        return [
            "run", "smoothgrad", model, "-d", data, "-l", "output", "--images", "all", "--copies", 50,
            "--class", 0, "--threads", 1, "--batch-size", 2, "--shard-size", 2, "--checks", "none",
            "--into", into, "--resume", "-r", "numpy", "-o", folder / "maps.npz", "--quiet",
        ]  # fmt: skip

    subprocess.run([*CNNVIS, *map(str, words(folder / "one.run"))], check=True, **QUIET)
    into = folder / "workers.run"
    machines = Machines(folder, workers, words(into))
    killed, codes, finished, began = Counter[str](), Counter[str](), 0, time.monotonic()
    last = "worker"
    try:
        while killed.total() < wanted:
            machines.begin()
            await_moment(rng, into / "1-smoothgrad" / "journal.jsonl", machines)
            assert machines.client is not None
            if machines.client.poll() is None:
                last = rng.choices(VICTIMS, [4, 4, 2, 2, 1])[0]
                if machines.kill(last, rng):
                    killed[last] += 1
                if last in ("worker", "process of the run"):
                    continue
            code, said = machines.ended()
            codes[f"{code} after {last}"] += 1
            if code not in EXPECTED[last] or "Traceback" in said:
                sys.exit(f"exit code {code} after {last} was killed:\n{said}")
            if code == 0:
                if different := differing(folder / "one.run", into):
                    kept = shutil.copytree(
                        into, Path(tempfile.mkdtemp(prefix="cnnvis-differs-")) / "run"
                    )
                    sys.exit(
                        f"{kept} differs from the run without workers after {last} was killed: "
                        f"{', '.join(different)}"
                    )
                finished += 1
                print(
                    f"{killed.total()} kills, {finished} runs finished", file=sys.stderr, flush=True
                )
                shutil.rmtree(into)
    except KeyboardInterrupt:
        print(f"ended after {killed.total()} kills", file=sys.stderr)
    finally:
        machines.end()
    return {
        "kills": dict(killed), "finished": finished, "codes": dict(codes), "seed": seed, "workers": workers,
        "shards": 300, "minutes": (time.monotonic() - began) / 60,
    }  # fmt: skip


def await_moment(rng: random.Random, journal: Path, machines: Machines) -> None:
    """Wait for a random moment: soon, while processes begin, or when the run has come on."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0, 3))
        return
    lines, late = lines_of(journal), time.monotonic() + BEGINNING
    while lines_of(journal) <= lines and time.monotonic() < late:
        if machines.client is None or machines.client.poll() is not None:
            return
        time.sleep(0.1)
    time.sleep(rng.uniform(0, 2))


def lines_of(journal: Path) -> int:
    """The number of shards that a journal records."""
    with suppress(OSError):
        return journal.read_bytes().count(b"\n")
    return 0


# A million images

WATCH = """
import json, resource, subprocess, sys, time
began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([time.monotonic() - began, used.ru_maxrss / 1024, done.returncode, done.stderr]))
"""


def many(folder: Path, count: int, workers: int) -> dict[str, Any]:
    """Explain many small images, of which some are damaged, without and with workers."""
    import h5py

    rng = np.random.default_rng(0)
    model, data = network((8, 8, 1), folder / "model.keras"), folder / "data.h5"
    damaged = np.sort(rng.choice(count, count // 100, replace=False))
    with h5py.File(data, "w") as file:
        x = file.create_dataset("X", (count, 8, 8, 1), "f4", chunks=(min(count, 4096), 8, 8, 1))
        for first in range(0, count, 100_000):
            rows = rng.random((min(100_000, count - first), 8, 8, 1), np.float32)
            bad = damaged[(damaged >= first) & (damaged < first + len(rows))] - first
            rows[bad, rng.integers(0, 8, len(bad)), rng.integers(0, 8, len(bad))] = np.nan
            x[first : first + len(rows)] = rows
    found: dict[str, Any] = {"images": count, "damaged": len(damaged), "count": workers}
    for name, more in (("one process", []), ("workers", ["--on", f"local:{workers}"])):
        into = folder / f"{name}.run"
        command = [
            *CNNVIS, "run", "saliency", model, "-d", data, "-l", "output", "--images", "all", "--class", 0,
            "--threads", 1, "--batch-size", 1000, "--shard-size", 10_000, "--checks", "none", "--into", into,
            "-r", "tsv", "--tsv.count", 1, "-o", folder / "places.tsv", "--quiet", *more,
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", WATCH, *map(str, command)],
            check=True,
            capture_output=True,
            text=True,
        )
        seconds, held, code, said = json.loads(done.stdout)
        if code != 3:  # done, but for the damaged images
            sys.exit(f"exit code {code}:\n{said[-3000:]}")
        if (named := failed_in(into / "1-saliency")) != damaged.tolist():
            sys.exit(f"{len(named)} images are named, of {len(damaged)} that are damaged")
        found[name] = {"seconds": seconds, "MiB": held}
    if seal(folder / "one process.run") != seal(folder / "workers.run"):
        sys.exit("the bytes of both folders differ")
    part = folder / "workers.run" / "1-saliency"
    found |= {
        "shards": len(list((part / "shards").iterdir())),
        "journal": (part / "journal.jsonl").stat().st_size,
        "facts": sum(one.stat().st_size for one in (part / "shards").iterdir()),
        "maps": sum(one.stat().st_size for one in (part / "maps").iterdir()),
        "all": sum(one.stat().st_size for one in part.rglob("*") if one.is_file()),
    }
    return found


def failed_in(part: Path) -> list[int]:
    """The images that a part's journal names as failed."""
    lines = [json.loads(line) for line in (part / "journal.jsonl").read_bytes().splitlines()]
    return sorted(int(one) for line in lines for one in line["value"].get("failed", ()))


# Handing out


def nothing(*_given: object) -> dict[str, Any]:
    """Stand in for a shard that takes no time."""
    return {"found": None}


def shards(workers: int) -> dict[str, Any]:
    """Measure shards a second where nothing is computed, by the number of workers."""
    from cnnvis.runs import workers as own
    from cnnvis.runs.on import On

    own.answer = nothing
    found = {}
    for count in (workers, 10 * workers, 50 * workers):
        with several(workers, count) as client:
            machine: Any = own.RunWorkers(On(None, client), None)  # type: ignore[arg-type]
            rates = []
            for _ in range(3):
                began = time.perf_counter()
                done = sum(1 for _ in machine.lines("part", range(2000)))
                rates.append(done / (time.perf_counter() - began))
        found[str(count)] = statistics.median(rates)
    return {"processes": workers, "a second": found}


SERVE = """
import asyncio, sys, distributed
sys.path.insert(0, sys.argv[3])
async def serve(address, count):
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one(address))
async def one(address):
    async with distributed.Worker(address, nthreads=1, memory_limit=0, dashboard=False) as worker:
        await worker.finished()
asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
"""


@contextmanager
def several(processes: int, workers: int) -> Iterator[Any]:
    """A client whose scheduler has so many workers, several of which share a process."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp://", dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster.scheduler_address, set_as_default=False) as client,
    ):
        words = [cluster.scheduler_address, str(workers // processes), str(HERE)]
        each = [
            subprocess.Popen([sys.executable, "-c", SERVE, *words], **QUIET)
            for _ in range(processes)
        ]
        try:
            client.wait_for_workers(workers, timeout=120)
            yield client
        finally:
            for one in each:
                one.kill()
                one.wait()


# The page


def page(every: dict[str, Any]) -> list[str]:
    """The lines of workers.md."""
    lines = ["# Workers", "", "Written by `python benchmarks/workers.py`.", ""]
    if found := every.get("kills"):
        total = sum(found["kills"].values())
        kinds = ", ".join(f"{name} {number}" for name, number in sorted(found["kills"].items()))
        codes = ", ".join(f"{name}: {number}" for name, number in sorted(found["codes"].items()))
        lines += [
            "## Killed at random", "",
            f"{found['date']}, {found['host']}. A scheduler, {found['workers']} workers and a client on one machine,",
            f"runs of {found['shards']} shards, {total} kills at random moments in {found['minutes']:.0f} minutes:",
            f"{kinds}. {found['finished']} runs were finished by `--resume`; each folder",
            "held the bytes of a run without workers. Exit codes of the client, by what was killed last:",
            f"{codes}.", "",
        ]  # fmt: skip
    if found := every.get("many"):
        lines += [
            "## Many images", "",
            f"{found['date']}, {found['host']}. Saliency of {found['images']:,} images of 8 x 8, of which",
            f"{found['damaged']:,} hold NaN, in {found['shards']} shards: exactly these are named, and both",
            "folders hold the same bytes. One thread of TensorFlow in each process; the largest process keeps all maps for a table.", "",
            "| | seconds | MiB of the largest process |", "|---|---|---|",
            *(
                f"| {title} | {found[name]['seconds']:.0f} | {found[name]['MiB']:.0f} |"
                for name, title in (("one process", "one process"), ("workers", f"`--on local:{found['count']}`"))
            ), "",
            f"The folder takes {found['all'] / found['images']:.0f} bytes an image: {found['maps'] / found['images']:.0f}",
            f"for maps, {found['facts'] / found['images']:.0f} for titles and targets, and",
            f"{found['journal'] / found['images']:.1f} for the journal, whose lines name the damaged images.", "",
        ]  # fmt: skip
    if found := every.get("shards"):
        lines += [
            "## Handing out", "",
            f"{found['date']}, {found['host']}. Shards a second where nothing is computed, workers in",
            f"{found['processes']} processes beside the scheduler and the client.", "",
            "| workers | shards a second |", "|---|---|",
            *(f"| {count} | {rate:.0f} |" for count, rate in found["a second"].items()), "",
        ]  # fmt: skip
    return lines


if __name__ == "__main__":
    main()
