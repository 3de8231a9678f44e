"""Jobs of Slurm: refusals in sentences, and a real Slurm of one node where its daemons are installed."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_slurm import OwnSlurm, lacking
from pages import file_of_the_page
from quickruns import bytes_of

from cnnvis.errors import UserError, WorkersError
from cnnvis.runs import on, slurm

dask = pytest.importorskip("dask")
if importlib.util.find_spec("dask_jobqueue") is None:  # whose import has Ctrl-C end the process
    pytest.skip("dask-jobqueue is not installed", allow_module_level=True)


@pytest.fixture
def settings() -> Iterator[Any]:
    """Dask's settings of jobs of Slurm, which a test may change."""
    slurm._dask_jobqueue()  # with it come its own settings
    with dask.config.set({"jobqueue.slurm.cores": 6, "jobqueue.slurm.memory": "1GB"}):
        yield dask.config


def test_what_keeps_jobs_from_being_submitted_is_said(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"Slurm's command sbatch is not found here: .*local:4"):
        on.on_of("slurm:2")
    (tmp_path / "sbatch").touch(mode=0o755)
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    found = on.on_of("slurm:2")
    assert (str(found), found.jobs, found.count, found.threads) == ("slurm:2", 2, None, 6)
    with pytest.raises(UserError, match=r"how many jobs of Slurm\? slurm:16 is 16"):
        on.on_of("slurm")
    with settings.set({"jobqueue.slurm.jobs": 3, "jobqueue.slurm.processes": 2}):
        assert (on.on_of("slurm").jobs, on.on_of("slurm").threads) == (3, 3)
    with settings.set({"jobqueue.slurm.jobs": "many"}), pytest.raises(UserError, match="'many'"):
        on.on_of("slurm")
    (tmp_path / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n"
    )
    monkeypatch.chdir(tmp_path)
    for wrong, said in (
        ({"jobqueue.slurm.memory": "much"}, r"\(jobqueue.slurm\) are not understood: .*much"),
        ({}, r"Slurm takes no such jobs: sbatch: error: invalid partition\. Their size"),
    ):
        with settings.set(wrong), pytest.raises(UserError, match=said), slurm.slurm_workers(2):
            pass
    assert not list(tmp_path.glob(".cnnvis-*"))
    with (
        settings.set({"jobqueue.slurm.memory": None}),
        pytest.raises(
            UserError,
            match=r"do not say the memory of a job of Slurm: write them into '.*jobqueue.yaml'",
        ),
    ):
        on.on_of("slurm:2")


class _Job:
    def __init__(self, number: str) -> None:
        self.job_id = number


class _Cluster:
    """What dask-jobqueue knows of jobs; they are submitted at once."""

    def __init__(self) -> None:
        self.workers = {"a": _Job("1"), "b": _Job("2")}
        self.loop = self
        self.submitted: list[int] = []

    def add_callback(self, function: Any, *given: Any) -> None:
        function(*given)

    def scale(self, jobs: int) -> None:
        self.submitted.append(jobs)


def test_jobs_that_wait_and_jobs_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    queue: dict[str, tuple[str, str]] = {"1": ("PENDING", "Priority"), "2": ("PENDING", "Priority")}
    monkeypatch.setattr(slurm, "LOOKING", 0)
    monkeypatch.setattr(slurm, "_queue", lambda: queue)
    cluster = _Cluster()
    jobs = slurm._Jobs(cluster, 2, "cnnvis-1", Path())
    assert jobs.standing(0) == "2 jobs of 2 wait in Slurm's queue (Priority)"
    del queue["1"]  # at its wall time
    queue["2"] = ("RUNNING", "None")
    assert jobs.standing(1) == "1 job of 2 run, with 1 worker"
    assert cluster.submitted == [2] and list(cluster.workers) == ["b"]
    jobs.standing(1)  # Dask has forgotten the other one by itself
    assert cluster.submitted == [2, 2]
    cluster.workers, queue = {"a": _Job("3"), "b": _Job("4")}, {}
    jobs.standing(0)
    cluster.workers = {"a": _Job("5"), "b": _Job("6")}
    with pytest.raises(
        WorkersError, match=r"jobs of Slurm end before a worker answers, 5, 6 among"
    ):
        jobs.standing(0)


# A real Slurm.


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnSlurm]:
    if missing := lacking():
        pytest.skip(
            f"Slurm's programs are not installed ({', '.join(missing)}): apt-get install slurm-wlm munge"
        )
    found = OwnSlurm(tmp_path_factory.mktemp("slurm") / "own")
    settings = found.folder / "dask"
    settings.mkdir()
    (settings / "jobqueue.yaml").write_text(
        "jobqueue: {slurm: {cores: 1, memory: 2GB, walltime: '00:20:00', log-directory: "
        f"{found.folder}/logs}}}}\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {**found.variables, "DASK_CONFIG": str(settings)}.items():
            patched.setenv(name, value)
        yield found
    found.close()


def _command(into: Path, *more: object) -> list[str]:
    words = [
        *("run", "smoothgrad", "demo", "--images", "all", "--shard-size", 2, "--threads", 1),
        *("--checks", "none", "--into", into, "-r", "numpy", "-o", into.with_suffix(".npz")),
    ]
    return [sys.executable, "-m", "cnnvis", *map(str, (*words, *more))]


def _wait_until(is_so: Any, seconds: float = 200) -> None:
    late = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < late
        time.sleep(0.1)


def _lines(into: Path) -> int:
    path = into / "1-smoothgrad" / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


@pytest.mark.slow
def test_jobs_compute_a_run_and_are_cancelled(own: OwnSlurm, tmp_path: Path) -> None:
    """After Ctrl-C no job is left, and the run goes on without them."""
    into = tmp_path / "run"
    process = subprocess.Popen(
        _command(into, "--on", "slurm:2"),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path,
    )  # fmt: skip
    _wait_until(lambda: _lines(into) >= 2 or process.poll() is not None)
    assert len(own.jobs()) == 2
    process.send_signal(signal.SIGINT)  # which dask-jobqueue takes for itself when it is imported
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130 and "shards are kept in" in said, said
    _wait_until(lambda: not own.jobs(), 30)
    assert not list(tmp_path.glob(".cnnvis-*")), "keys of a run are removed with it"
    subprocess.run(_command(into, "--resume"), check=True, capture_output=True, cwd=tmp_path)
    whole = tmp_path / "whole"
    subprocess.run(_command(whole), check=True, capture_output=True, cwd=tmp_path)
    assert bytes_of(into) == bytes_of(whole)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_job_array_of_the_documentation(own: OwnSlurm, tmp_path: Path) -> None:
    """A task is stopped before its time is over, another is requeued from outside; both go on."""
    cnnvis = f"{sys.executable} -m cnnvis"
    script = file_of_the_page(
        "shares.sh",
        ("1-16", "1-2"), ("/16", "/2"), ("--cpus-per-task=4", "--cpus-per-task=1"), ("16G", "2G"),
        (
            "cnnvis run saliency model.h5 -d images.h5",
            f"{cnnvis} run smoothgrad demo --images all --shard-size 2",
        ),
        ("--threads 4 --batch-size 64", "--threads 1 --batch-size 2 --checks none"),
    )  # fmt: skip
    (tmp_path / "shares.sh").write_text(script)
    merging = file_of_the_page("submit.sh", ("cnnvis merge", f"{cnnvis} merge"))
    said = subprocess.check_output(
        ["bash", "-c", f"{merging}\necho $array"], cwd=tmp_path, text=True
    )
    array = said.split()[-1]
    parts = [tmp_path / "part-1", tmp_path / "part-2"]
    _wait_until(lambda: all(_lines(part) for part in parts))
    own.said("scancel", "--signal=TERM", f"{array}_1")  # as --signal=TERM@60 does
    own.said("scontrol", "requeue", f"{array}_2")
    before = [_lines(part) for part in parts]
    for task in (f"{array}_1", f"{array}_2"):
        _wait_until(lambda task=task: (task, "PENDING") in own.jobs())
        own.said("scontrol", "update", f"JobId={task}", "StartTime=now")
    _wait_until(lambda: not own.jobs())
    assert (tmp_path / "maps.run").is_dir(), own.said("scontrol", "show", "job")
    said = "".join(one.read_text() for one in tmp_path.glob("slurm-*.out"))
    assert "shards are kept in" in said and "JOB REQUEUE" in said
    whole = tmp_path / "whole"
    words = ["--shard-size", "2", "--threads", "1", "--batch-size", "2", "--checks", "none"]
    subprocess.run(
        [sys.executable, "-m", "cnnvis", "run", "smoothgrad", "demo", "--images", "all", *words, "--into", str(whole), "-r", "numpy", "-o", "m.npz"],
        check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    assert bytes_of(tmp_path / "maps.run") == bytes_of(whole) and min(before) > 0
