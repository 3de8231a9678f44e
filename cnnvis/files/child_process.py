"""Child processes of Python: what they run and may import, and that they end with their parent."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARENT = "_CNNVIS_PARENT"
"""Environment variable with the number of the process that started a child."""

WATCHING = 0.5
"""Seconds between looks at whether that process is still there."""


def child_process(
    module: str,
    *words: str | Path,
    same_path: bool = False,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return arguments for `subprocess.Popen` or `subprocess.run` that run a module alone.

    The child imports nothing from its working directory, which may hold a stranger's ``json.py``.

    Parameters
    ----------
    module
        The module, as ``python -m`` takes it.
    words
        The arguments of the module.
    same_path
        True for a child that finds all modules of this process, also the modules of a checkout;
        else the child finds installed modules, and modules in the absolute paths of ``PYTHONPATH``.
    settings
        Variables of the child's environment, in addition to the environment of this process and to
        the variable that `end_with_parent` reads.

    Returns
    -------
    dict
        The keys ``args`` and ``env``.
    """
    searched = sys.path if same_path else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    whole = [path for path in searched if Path(path).is_absolute()]
    left_out = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    if whole:
        env["PYTHONPATH"] = os.pathsep.join(whole)
    # -P: without the working folder; -B: without writing beside what is imported.
    return {
        "args": [sys.executable, "-P", "-B", "-m", module, *map(str, words)],
        "env": {**env, **(settings or {}), PARENT: str(os.getpid())},
    }


def end_with_parent() -> None:
    """End this process, in the middle of its work too, when the process that started it has ended.

    To be called once, before anything that takes long, by a child that was started with the arguments
    of `child_process`. It does nothing on Windows, where a child keeps the number of a parent that ended.

    Raises
    ------
    RuntimeError
        If the process was not started so, or the function was called before.
    """
    started_by = os.environ.pop(PARENT, "")  # which is nothing for children of this process
    if not started_by:
        raise RuntimeError(
            "end_with_parent was called before, or child_process did not start this process"
        )
    if sys.platform == "win32":
        return
    parent = os.getppid()
    # Another parent: that one has ended already, or another program stands between, such as timeout.
    if parent != int(started_by) and not _lives(int(started_by)):
        os._exit(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCHING)
    os._exit(1)
