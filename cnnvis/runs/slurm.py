"""Workers that are jobs of Slurm: submitted by dask-jobqueue, as Dask's own settings describe them."""

from __future__ import annotations

import getpass
import logging
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cnnvis.errors import UserError, WorkersError, complaint, numbered, shown
from cnnvis.reporting import progress
from cnnvis.runs.clusters import Cluster, close, own_keys

SETTINGS = "jobqueue.slurm"
"""Place of what Dask's settings say about jobs of Slurm."""

LOOKING = 15.0
"""Seconds between looks at the queue."""

ANSWERING = 10.0
"""Seconds that Slurm may take to answer."""

IN_VAIN = 3
"""Least number of jobs that end before any worker answers, for no more to be submitted."""


def asked_jobs(typed: str | None) -> tuple[int, int]:
    """Return the number of jobs, and the processors of each worker in them.

    Parameters
    ----------
    typed
        The number of jobs that a person typed, if any.

    Raises
    ------
    UserError
        If jobs cannot be submitted here, or nobody has said how large they are, or how many.
    """
    import dask

    _dask_jobqueue()  # with which its own settings come
    if shutil.which("sbatch") is None:
        raise UserError(
            "Slurm's command sbatch is not found here: type this where jobs are submitted, or compute "
            "on this machine with local:4"
        )
    known: Mapping[str, Any] = dask.config.get(SETTINGS)
    file = str(Path(dask.config.PATH) / "jobqueue.yaml")
    lacking = [name for name in ("cores", "memory") if known.get(name) is None]
    if lacking:
        raise UserError(
            f"Dask's settings do not say the {' and the '.join(lacking)} of a job of Slurm: write them "
            f"into {file!r}, as in jobqueue: {{slurm: {{cores: 4, memory: 16GB, walltime: '04:00:00'}}}}"
        )
    jobs = _whole("jobs", known.get("jobs") if typed is None else typed)
    if jobs is None:
        raise UserError(
            f"how many jobs of Slurm? slurm:16 is 16 of them, and slurm as many as jobs of "
            f"{SETTINGS} in {file!r} says"
        )
    cores = _whole("cores", known["cores"]) or 1
    return jobs, max(cores // _processes(), 1)


def _dask_jobqueue() -> Any:
    """Import dask-jobqueue.

    Raises
    ------
    UserError
        If it is not installed, or is imported outside of the main thread.
    """
    at_interrupt = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    except ImportError:
        raise UserError(
            "computing in jobs of Slurm needs dask-jobqueue: pip install 'cnnvis[slurm]'"
        ) from None
    except ValueError:
        raise UserError(
            "dask-jobqueue is imported in the main thread of a program alone: import dask_jobqueue there "
            "before"
        ) from None
    finally:
        # Its import has Ctrl-C end the process at once, with exit code 0 and jobs that go on.
        if at_interrupt is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, at_interrupt)
    return dask_jobqueue


def _whole(name: str, value: Any) -> int | None:
    """Return a number of the settings; None where there is none.

    Raises
    ------
    UserError
        If it is no number above zero.
    """
    if value is None:
        return None
    with suppress(ValueError, TypeError):
        if int(value) >= 1:
            return int(value)
    raise UserError(
        f"the {name} of jobs of Slurm are {shown(value)}, and must be a number of at least 1 (slurm:16, or "
        f"{SETTINGS} in Dask's settings)"
    )


def _processes() -> int:
    """Return the number of workers in a job: one, unless the settings say otherwise."""
    import dask

    return _whole("processes", dask.config.get(f"{SETTINGS}.processes")) or 1


class _Jobs:
    """Jobs of Slurm, each with a worker or several."""

    def __init__(self, dask: Any, jobs: int, name: str, folder: Path) -> None:
        self.dask = dask
        self._jobs, self._expected = jobs, jobs * _processes()
        self._name = name
        self._folder = folder
        self._said, self._looked = f"{numbered(jobs, 'job')} submitted to Slurm", time.monotonic()
        self._in_vain = 0

    @property
    def _names(self) -> dict[str, Any]:
        """Names of the jobs' workers, by the numbers of the jobs."""
        return {job.job_id: name for name, job in list(self.dask.workers.items()) if job.job_id}

    def kill(self) -> None:
        # By their name, all at once: Dask cancels them one by one, and does not know yet those that it submits.
        _called("scancel", "--user", getpass.getuser(), "--name", self._name)

    def standing(self, workers: int) -> str:
        """Submit jobs again that ended, as at their wall time, and say how many wait for what."""
        if workers:
            self._in_vain = 0
        if workers >= self._expected or time.monotonic() < self._looked + LOOKING:
            return self._said
        self._looked = time.monotonic()
        queue, names = _queue(), self._names
        if queue is None:
            return self._said
        ended = names.keys() - queue.keys()
        self._in_vain += 0 if workers else len(ended)
        if self._in_vain >= max(self._jobs, IN_VAIN):
            raise WorkersError(
                f"jobs of Slurm end before a worker answers, {', '.join(sorted(ended)[:3])} among them: "
                f"what they print says why (by default slurm-NUMBER.out in {str(self._folder)!r})"
            )
        if len(names) - len(ended) < self._jobs:
            self.dask.loop.add_callback(self._submit_again, [names[one] for one in ended])
        waiting = [queue[one] for one in names.keys() & queue.keys() if queue[one][0] == "PENDING"]
        why = ", ".join(
            reason for reason, _ in Counter(reason for _, reason in waiting).most_common(3)
        )
        self._said = (
            f"{numbered(len(waiting), 'job')} of {self._jobs} wait in Slurm's queue ({why})"
            if waiting
            else f"{numbered(len(names) - len(ended), 'job')} of {self._jobs} run, with {numbered(workers, 'worker')}"
        )
        return self._said

    def _submit_again(self, ended: list[Any]) -> None:
        """Have Dask submit the jobs that it lacks; it forgets itself some of those that ended."""
        for name in ended:
            self.dask.workers.pop(name, None)
        self.dask.scale(jobs=self._jobs)


@contextmanager
def slurm_workers(jobs: int) -> Iterator[Cluster]:
    """Submit jobs to Slurm, and cancel them after the block.

    Raises
    ------
    UserError
        If Slurm refuses them.
    """
    folder, name = Path.cwd(), f"cnnvis-{uuid.uuid4().hex[:8]}"
    # Workers see the working folder; but the commands of a job's script are words between spaces.
    shared = folder if shlex.quote(str(folder)) == str(folder) else Path.home()
    with tempfile.TemporaryDirectory(prefix=".cnnvis-", dir=shared) as keys:
        with progress(f"submitting {numbered(jobs, 'job')} to Slurm"):
            cluster = _cluster(name, Path(keys))
            try:
                _require_accepted(cluster.job_script(), Path(keys))
                cluster.scale(jobs=jobs)
            except BaseException:
                close(cluster)
                raise
        own = _Jobs(cluster, jobs, name, folder)
        try:
            yield own
        finally:
            own.kill()
            close(cluster)
            own.kill()  # what was being submitted


def _cluster(name: str, keys: Path) -> Any:
    """Return a scheduler whose workers will be jobs of Slurm.

    Raises
    ------
    UserError
        If the settings are not understood.
    """
    import dask

    known = dask.config.get(SETTINGS)
    own = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
    try:
        return _dask_jobqueue().SLURMCluster(
            job_name=name,
            # Who reaches a scheduler can run code on all its workers: none but this run does.
            security=_security(keys),
            processes=_processes(),
            # The last of each option counts. What TensorFlow allocates is none that Dask could move to a
            # disk: no limit by Dask, but by Slurm.
            worker_extra_args=[*known["worker-extra-args"], *own],
            scheduler_options={"dashboard_address": None, **known["scheduler-options"]},
            silence_logs=logging.CRITICAL,
        )
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise UserError(
            f"Dask's settings of jobs of Slurm ({SETTINGS}) are not understood: {complaint(error)}"
        ) from error


def _security(folder: Path) -> Any:
    """Return keys of a single run, in files that the jobs read."""
    from distributed.security import Security

    made = own_keys()
    paths = {name: folder / name for name in ("cert", "key")}
    paths["cert"].write_text(made.tls_ca_file)
    paths["key"].write_text(made.tls_client_key)
    roles = {
        f"tls_{role}_{name}": str(path)
        for role in ("client", "scheduler", "worker")
        for name, path in paths.items()
    }
    return Security(require_encryption=True, tls_ca_file=str(paths["cert"]), **roles)


def _require_accepted(script: str, folder: Path) -> None:
    """Have Slurm look at a job's script.

    Raises
    ------
    UserError
        If it would take no such job.
    """
    file = folder / "job.sh"
    file.write_text(script)
    done = _called("sbatch", "--test-only", str(file))
    if done is not None and done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise UserError(
            f"Slurm takes no such jobs: {said[-1].strip()}. Their size, queue and wall time stand in "
            f"Dask's settings ({SETTINGS})"
        )


def _queue() -> dict[str, tuple[str, str]] | None:
    """Return the state of each job of this person and the reason, by number; None if Slurm is silent."""
    done = _called("squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%T|%r")
    if done is None or done.returncode != 0:
        return None
    rows = [line.strip().split("|") for line in done.stdout.splitlines() if line.count("|") == 2]
    return {number: (state, reason) for number, state, reason in rows}


def _called(*words: str) -> subprocess.CompletedProcess[str] | None:
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(words, capture_output=True, text=True, timeout=ANSWERING)
    return None
