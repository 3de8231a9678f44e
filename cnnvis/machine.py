"""What this process may use of the machine: processors and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use."""


def processors() -> int:
    """How many processors this process may use at a time: by its affinity and its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    share = _numbers("cpu.max")
    if len(share) == 2 and share[1]:
        count = min(count or 1, -(-share[0] // share[1]))  # a part of one still needs a thread
    return max(count or 1, 1)


def available_memory() -> int:
    """Return how many bytes this process may still take.

    Returns
    -------
    int
        What is free in the machine; in the container, if it is one; and up to the limit on the
        process's own memory, if it has one.
    """
    import psutil

    found = int(psutil.virtual_memory().available)
    limit, used = _numbers("memory.max"), _numbers("memory.current")
    if limit and used:
        found = min(found, max(limit[0] - used[0], 0))
    return min(found, _below_the_limit(found))


def _below_the_limit(otherwise: int) -> int:
    """How many bytes of addresses this process may still take (``ulimit -v``)."""
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
    """How many bytes this process has held at most so far; 0 where the system does not say."""
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


def name() -> str:
    """What tells machines apart that compute at different speeds."""
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


def _numbers(file: str) -> list[int]:
    """The numbers in one of the container's files; none where there is no limit."""
    try:
        words = (CGROUP / file).read_text().split()
        return [int(word) for word in words]
    except (OSError, ValueError):  # no such file; "max"
        return []
