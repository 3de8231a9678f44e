"""Resources of the machine for this process: processors and memory."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Folder with the limits that Linux sets for containers and other groups of processes."""

OWN_GROUPS = Path("/proc/self/cgroup")
"""File with the groups that this process belongs to."""


def processors() -> int:
    """Return the number of processors for this process, by its affinity and its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for group in _groups("cpu"):
        share = _numbers(group, "cpu.max") or [
            *_numbers(group, "cpu.cfs_quota_us"),
            *_numbers(group, "cpu.cfs_period_us"),
        ]
        if len(share) == 2 and share[0] > 0 and share[1] > 0:
            count = min(count or 1, -(-share[0] // share[1]))  # a part of one still needs a thread
    return max(count or 1, 1)


def available_memory() -> int:
    """Return the number of bytes that this process may still take.

    Returns
    -------
    int
        The free memory of the machine, within the limits of the container and of the process, if
        any.
    """
    import psutil

    found = int(psutil.virtual_memory().available)
    for group in _groups("memory"):
        for most, taken in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _numbers(group, most), _numbers(group, taken)
            if limit and used:
                found = min(found, max(limit[0] - used[0], 0))
    return min(found, _below_the_limit(found))


@functools.cache  # which is asked for with each batch
def gpu_memory() -> int | None:
    """Return the number of bytes of memory of the first NVIDIA GPU; None if that is not known.

    As the driver says, which TensorFlow loads and does not pass on.
    """
    import ctypes

    place, held = ctypes.c_int(), ctypes.c_size_t()
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        steps = (
            driver.cuInit(0),
            driver.cuDeviceGet(ctypes.byref(place), 0),
            driver.cuDeviceTotalMem_v2(ctypes.byref(held), place),
        )
    except (OSError, AttributeError):  # there is no such driver
        return None
    return None if any(steps) else held.value


def _below_the_limit(otherwise: int) -> int:
    """Return the number of bytes of addresses that this process may still use (``ulimit -v``)."""
    import psutil

    try:
        import resource
    except ImportError:  # Windows
        return otherwise
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return otherwise
    return max(most - int(psutil.Process().memory_info().vms), 0)


def peak_memory() -> int:
    """Return the peak memory of this process in bytes; 0 where the system does not report it."""
    try:
        # What getrusage says begins with what the process held that started this one.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass  # not Linux
    try:
        import resource
    except ImportError:  # Windows
        return 0
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held


_resident: dict[str, int] = {}


def mark_memory(what: str) -> None:
    """Remember how much memory the process held when something was first there, for `memory_report`."""
    import psutil

    if what not in _resident:
        _resident[what] = int(psutil.Process().memory_info().rss)


def memory_report(maps: int) -> str:
    """Return a sentence on what the process has taken up to now; empty where that is not known.

    Parameters
    ----------
    maps
        The bytes of the maps that are in memory.
    """
    most, before, parts = peak_memory(), 0, list[str]()
    for what, held in _resident.items():
        parts.append(f"{_mebibytes(held - before)} for {what}")
        before = held
    rest = most - before
    if not parts or rest < 0:
        return ""
    parts.append(f"{_mebibytes(rest)} for samples, maps ({_mebibytes(maps)}) and what is computed")
    return f"the process took up to {_mebibytes(most)} of memory: {', '.join(parts)}"


def _mebibytes(size: int) -> str:
    return f"{max(size, 0) / 2**20:.0f} MiB"


_SHORT_OF = {
    errno.EMFILE: "too many files are open; ulimit -n shows the limit",
    errno.ENFILE: "the system has too many files open",
    errno.EAGAIN: "no further process or thread may start; ulimit -u shows the limit",
    errno.ENOMEM: "the system has no memory left for this process",
}


def shortage(error: BaseException | None) -> str:
    """Return a sentence on a resource that the system lacks; empty for any other error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _SHORT_OF:
            return _SHORT_OF[error.errno]
        if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            return _SHORT_OF[errno.EAGAIN]
        # The second is TensorFlow's, which may not be imported here.
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
            return f"the memory is not enough{_of_limit()}"
        error = error.__cause__ or error.__context__
    return ""


def _of_limit() -> str:
    limit = address_space()
    return "" if limit is None else f": ulimit -v allows this process {limit / 2**30:.1f} GiB"


def address_space() -> int | None:
    """Return the number of bytes of addresses that this process may use; None without a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


_PLENTY = 1000  # Processes and threads; under a limit above that nothing needs to be tried.


def can_start_threads() -> bool:
    """Return False if a limit leaves no room for the threads that libraries start at their import.

    They end the process if they cannot, where no error can be raised.
    """
    import threading

    limits = [limit for group in _groups("pids") for limit in _numbers(group, "pids.max")]
    with suppress(ImportError):  # Windows
        import resource

        limits.append(resource.getrlimit(resource.RLIMIT_NPROC)[0])
    if not any(0 <= limit < _PLENTY for limit in limits):
        return True
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(8 + 2 * processors())]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:
        return False
    finally:
        end.set()
    return True


def name() -> str:
    """Return a name that tells apart machines of different speed."""
    import platform

    model = platform.processor()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return f"{platform.machine()} {model} x {processors()}"


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the groups that limit this process, each after those within it.

    Both versions of Linux's control groups: in the first, each controller has folders of its own.
    """
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUP / controller if controllers else CGROUP
        group = root / path.lstrip("/")
        while group != root:
            yield group
            group = group.parent
        yield root
    yield CGROUP  # where a container sees its own group as the root


def _numbers(group: Path, file: str) -> list[int]:
    """Return the numbers in a file of a group's limits; none without a limit."""
    try:
        words = (group / file).read_text().split()
        return [int(word) for word in words]
    except (OSError, ValueError):  # no such file; "max"
        return []
