"""Networks that are tried in a separate process before this process runs them.

Python's bytecode holds for one version of Python and does not say for which: another one refuses
it, computes something else or crashes. So code of a file that somebody trusts is loaded and run once
where a crash does no harm. And of some networks nobody knows before how much they take: a file that
nobody trusts has its first pass where memory and time are limited.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.arithmetic import known
from cnnvis.plugins.loaders.config import every_layer, name_of
from cnnvis.plugins.loaders.load_options import LoadOptions
from cnnvis.plugins.loaders.obstacles import TRUST

SECONDS = 300
TRYING = "CNNVIS_TRYING_A_MODEL"
"""Variable that is set in the process in which a file is tried."""


MEMORY, PROCESSOR_SECONDS = 2**32, 100
"""Maximum memory in bytes, without TensorFlow's own, and processor time of a first pass.

The limits hold for a network whose shapes do not determine its cost.
"""


def require_running(path: Path, asked: LoadOptions, config: Any) -> None:
    """Refuse a file whose Lambdas do not run with this Python; a file without Lambdas is not tried.

    Raises
    ------
    UserError
        Saying which layer it is and what became of it.
    """
    given = {one.rpartition("=")[0] for one in (*asked.custom, *asked.lambdas)}
    code = [
        name_of(layer)
        for layer in every_layer(config)
        if layer.get("class_name") == "Lambda"
        and known(layer) is None
        and name_of(layer) not in given
    ]
    if not code or TRYING in os.environ:
        return
    became = _became(path, asked, 0, 0)
    if became is None:
        return
    version = ".".join(map(str, sys.version_info[:2]))
    raise cnnvis.UserError(
        f"the code of the Lambda {code[0]!r} does not run with Python {version}, perhaps since "
        f"another version compiled the code: a trial {became}. Give its function instead: "
        f"--lambda {code[0]}=module:function"
    )


def require_bounded_pass(path: Path, asked: LoadOptions, layer: str) -> None:
    """Refuse a file whose pass takes too much memory or time, or ends its process.

    Parameters
    ----------
    layer
        The name of the layer whose shapes do not say what it takes.

    Raises
    ------
    UserError
        Saying what became of it.
    """
    if TRYING in os.environ:
        return
    memory = min(MEMORY, cnnvis.available_memory())
    became = _became(path, asked, memory, PROCESSOR_SECONDS)
    if became is not None:
        raise cnnvis.UserError(
            f"the file is not loaded: the cost of its layer {layer!r} is not known before the "
            f"layer runs, and a trial with {memory / 2**30:.1f} GB of memory and "
            f"{PROCESSOR_SECONDS} seconds {became}; {TRUST}"
        )


def _became(path: Path, asked: LoadOptions, memory: int, seconds: int) -> str | None:
    """Return the result of trying a file, to be read after "trying it"; None if the file runs.

    Parameters
    ----------
    memory, seconds
        Limits of the trial, in bytes and in seconds of a processor; 0 for none.
    """
    words = [str(path), json.dumps(asdict(asked)), str(memory), str(seconds)]
    try:
        done = subprocess.run(
            **cnnvis.child_process("cnnvis.plugins.loaders.trial", *words, settings={TRYING: "1"}),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"does not come to an end in {SECONDS} seconds"
    if done.returncode == 0:
        return None
    problem = done.stdout.strip().splitlines()[-1:] if done.returncode == 2 else []
    return problem[0] if problem else f"ends it with code {done.returncode}"


def main(path: str, asked: str, memory: str, seconds: str) -> None:
    """Load the file and run the network once; exit with 2 and a sentence if that fails."""
    import numpy as np
    import tensorflow  # noqa: F401 (whose memory does not count)

    _limit(int(memory), int(seconds))
    said = {key: value for key, value in json.loads(asked).items() if value}
    try:
        model = cnnvis.load_model(path, **said)
        if len(model.inputs) == 1:
            x = np.zeros((1, *(size or 8 for size in model.input_shape)), np.float32)
            model.predict(x)
            if int(memory):  # how it is explained counts, too
                with suppress(cnnvis.UserError):  # it need not have a gradient
                    model.input_gradient(x)
    except Exception as error:  # whatever the code does, in a process that is only to try it
        print(f"gives {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
        os._exit(2)
    os._exit(0)


def _limit(memory: int, seconds: int) -> None:
    """Limit the memory and processor time of this process; 0 sets no limit."""
    try:
        import resource
    except ImportError:  # Windows has no limits; there the parent's patience ends it
        return
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    spent = math.ceil(time.process_time())
    limits = ((resource.RLIMIT_AS, memory, taken), (resource.RLIMIT_CPU, seconds, spent))
    for what, limit, already in limits:
        if limit:
            with suppress(OSError, ValueError):  # a system that knows no such limit
                resource.setrlimit(what, (already + limit, already + limit))


if __name__ == "__main__":
    cnnvis.end_with_parent()
    main(*sys.argv[1:])
