"""Slurm on this machine alone, in a folder: a controller and a node, with a key of their own.

``python tests/runs/own_slurm.py FOLDER`` starts it, says which variables to set, and ends it at Ctrl-C.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")

CONF = """\
ClusterName=own
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=1,sched_min_interval=100000
ReturnToService=2
JobRequeue=1
KillWait=5
OverTimeLimit=0
MinJobAge=60
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> list[str]:
    """Return the programs of Slurm that this machine lacks."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


class OwnSlurm:
    """Slurm with one node, until it is closed.

    Attributes
    ----------
    variables
        Variables of the environment with which Slurm's commands find it.
    """

    def __init__(self, folder: Path, cores: int = 4) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        for inner in ("state", "spool"):
            (folder / inner).mkdir(parents=True)
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        host = socket.gethostname().split(".")[0]
        (folder / "slurm.conf").write_text(
            CONF.format(
                host=host,
                controller=_free_port(),
                node=_free_port(),
                user=getpass.getuser(),
                folder=folder,
                cores=cores,
            )
        )
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
        self.variables: Mapping[str, str] = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": path,
        }
        self._environment = {**os.environ, **self.variables}
        try:
            own = [
                f"--{name}={folder}/munge.{name.removesuffix('-file')}"
                for name in ("pid-file", "log-file", "seed-file")
            ]
            self._start(
                "munged",
                "--foreground",
                "--force",
                f"--socket={folder}/munge.socket",
                f"--key-file={key}",
                *own,
            )
            self._wait(lambda: (folder / "munge.socket").exists(), "munged")
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D", "-N", host)
            self._wait(lambda: " idle" in self.said("sinfo", "-h", "-o", "%n %t"), "the node")
        except BaseException:
            self.close()
            raise

    def _start(self, *words: str) -> None:
        with (self.folder / f"{words[0]}.out").open("wb") as out:
            self._processes.append(
                subprocess.Popen(
                    words, env=self._environment, stdout=out, stderr=out, start_new_session=True
                )
            )

    def _wait(self, is_there: object, what: str) -> None:
        late = time.monotonic() + 60
        while not is_there():  # type: ignore[operator]
            if time.monotonic() > late:
                logs = "\n".join(
                    f"{one.name}: {one.read_text(errors='replace')[-2000:]}"
                    for one in (*self.folder.glob("*.out"), *self.folder.glob("*.log"))
                )
                raise RuntimeError(f"{what} did not start\n{logs}")
            time.sleep(0.2)

    def said(self, *words: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(words, env=self._environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    def jobs(self) -> list[tuple[str, str]]:
        """Return the numbers and states of jobs that wait or run."""
        lines = self.said("squeue", "-h", "-r", "-o", "%i %T").splitlines()
        return [(number, state) for number, state in map(str.split, lines)]

    def close(self) -> None:
        """End all jobs, and Slurm."""
        with suppress(OSError):
            self.said("scancel", "--user", getpass.getuser())
            late = time.monotonic() + 15
            while self._processes[1:] and self.jobs() and time.monotonic() < late:
                time.sleep(0.2)
        for one in reversed(self._processes):
            one.terminate()
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


if __name__ == "__main__":
    own = OwnSlurm(Path(sys.argv[1]).absolute())
    print(
        *(f"export {name}={value}" for name, value in own.variables.items()), sep="\n", flush=True
    )
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        own.close()
