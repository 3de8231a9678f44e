"""What workers measure, whichever library theirs is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

LONG, ROUNDS = 1.0, 5
"""Seconds that calls are timed for, and the largest number of them; at least two."""


def failed(error: Exception, row: Row) -> Row:
    """The row of what did not work, and the most telling line of why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    words = lines[-1] if lines[0].endswith(":") else lines[0]
    return {**row, "lacks": f"{type(error).__name__}: {words[:160]}"}


def timed(call: Callable[[], Any]) -> Row:
    """The median and the least seconds of calls, after two that are not timed.

    By the second, libraries have compiled; a call ends with its answers in the processor's memory.
    """
    began = time.perf_counter()
    call()
    first = time.perf_counter() - began
    call()
    times: list[float] = []
    while len(times) < 2 or (sum(times) < LONG and len(times) < ROUNDS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return {"seconds": statistics.median(times), "least": min(times), "first": first}
