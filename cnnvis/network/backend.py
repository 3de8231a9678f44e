"""Quiet import of TensorFlow and Keras, which happens nowhere else."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from cnnvis import host
from cnnvis.errors import UserError


def tensorflow() -> Any:
    """Return TensorFlow, imported without the lines that it writes to stderr while it starts."""
    return _imported("tensorflow")


def keras() -> Any:
    """Return Keras, which runs on TensorFlow.

    Raises
    ------
    UserError
        If this process already runs Keras on another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    tensorflow()
    module: Any = _imported("keras")
    host.mark_memory("Python, TensorFlow and Keras")
    if module.backend.backend() != "tensorflow":
        raise UserError(
            f"Keras runs on {module.backend.backend()} in this process, and cnnvis needs "
            "TensorFlow: set KERAS_BACKEND=tensorflow before keras is imported"
        )
    return module


def _imported(name: str) -> ModuleType:
    if name not in sys.modules:
        _require_room()
        _require_numbers()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        # TensorFlow looks at the processors of the machine, and not at what a container may use.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(host.processors()))
        # All of a GPU's memory by default, of which isolated plugins and workers then get nothing.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        with _stderr_closed(), _without_extras():
            module: Any = importlib.import_module(name)
            if name == "tensorflow":
                module.zeros(())  # the devices are looked for now, and missing ones complained of
    return importlib.import_module(name)  # waits where another thread is not done importing it


def threads() -> int:
    """Return the number of threads among which TensorFlow divides an operation.

    A program that imported TensorFlow before cnnvis may have left it to TensorFlow.
    """
    asked = int(tensorflow().config.threading.get_intra_op_parallelism_threads())
    asked = asked or int(os.environ.get(_NUMBERS[0], 0))
    has_affinity = hasattr(os, "sched_getaffinity")
    return asked or (len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count()) or 1


_EXTRAS = ("cv2", "matplotlib.pyplot", "pandas", "sklearn")
"""Packages that Keras imports where they are installed, for what no explanation needs: a tenth of the
time that the import of TensorFlow and Keras takes for pyplot, and a third for all."""

_leaves_extras = [False]


def leave_extras() -> None:
    """Import TensorFlow and Keras without the packages that explanations do not need.

    This is for a process that is cnnvis's alone, such as a command: Keras then knows no data frames,
    and draws no pictures. Whoever imports the packages afterwards gets them.
    """
    _leaves_extras[0] = True


@contextmanager
def _without_extras() -> Iterator[None]:
    """Have the extras look as if they were not installed, which Keras provides for."""
    names = [name for name in _EXTRAS if name not in sys.modules] if _leaves_extras[0] else []
    sys.modules.update(dict.fromkeys(names))  # type: ignore[arg-type]  # None stops an import
    try:
        yield
    finally:
        for name in names:
            if name in sys.modules and sys.modules[name] is None:
                del sys.modules[name]


_ADDRESSES = 2.5 * 2**30  # Bytes that TensorFlow's libraries and threads map at least.
_NUMBERS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def _require_room() -> None:
    """Refuse a limit under which TensorFlow would end the process where no error can be raised."""
    if "tensorflow" in sys.modules:
        return
    if not host.can_start_threads():
        raise UserError(
            "TensorFlow cannot start its threads: ulimit -u, or the container, allows too few "
            "processes and threads"
        )
    allowed = host.address_space()
    if allowed is not None and allowed < _ADDRESSES:
        raise UserError(
            f"ulimit -v allows this process {allowed / 2**30:.1f} GiB of addresses, and TensorFlow "
            f"alone needs more than {_ADDRESSES / 2**30}; allow more, or limit the memory by a "
            "container"
        )


def _require_numbers() -> None:
    """Refuse variables that say how many threads to take and are no numbers."""
    for variable in _NUMBERS:
        text = os.environ.get(variable, "1")
        if not text.strip().isdecimal():
            raise UserError(
                f"the variable {variable} of the environment is {text!r}, and TensorFlow takes a "
                f"whole number of threads: unset it, or set {variable}=1"
            )


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """Hide all lines written to stderr, those of C++ code included: no flag of TensorFlow's helps.

    Who wants to write there meanwhile, such as a progress bar, needs a copy of the descriptor.
    """
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # pytest, notebooks: no real file behind it
        yield
        return
    sys.stderr.flush()
    real = os.dup(descriptor)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(real, descriptor)
        os.close(real)
