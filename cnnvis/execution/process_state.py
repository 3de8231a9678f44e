"""State of this process that a plugin must not change, and its restoration."""

from __future__ import annotations

import os
import random
import signal
import sys
from contextlib import suppress
from typing import Any

import numpy as np

from cnnvis.drawing.figure_settings import settings

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGUSR1", "SIGUSR2")
RANDOM = "Python's global random numbers"


class ProcessState:
    """State of the process that a plugin must not change, recorded at creation.

    Parameters
    ----------
    pictures
        Record matplotlib's settings, too.
    """

    def __init__(self, *, pictures: bool = False) -> None:
        self._random = random.getstate()
        self._numpy = np.random.get_state(legacy=False)
        self._tensorflow = _tensorflow_seed()
        self._folder = _folder()
        self._variables = _variables()
        self._modules = len(sys.modules)
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._handlers = {name: signal.getsignal(getattr(signal, name)) for name in _signals()}
        self._pictures = _picture_settings() if pictures else None
        self._looks_at_pictures = pictures

    def put_back(self) -> list[str]:
        """Restore the recorded state, and return the names of what had changed."""
        return [
            what
            for what, put_back in (
                (RANDOM, self._put_back_random),
                ("NumPy's global random numbers", self._put_back_numpy),
                ("TensorFlow's global seed", self._put_back_tensorflow),
                ("the working directory", self._put_back_folder),
                ("variables of the environment", self._put_back_variables),
                ("sys.stdin, stdout or stderr", self._put_back_streams),
                ("signal handlers", self._put_back_handlers),
                ("matplotlib's settings", self._put_back_pictures),
            )
            if put_back()
        ]

    def _put_back_random(self) -> bool:
        if random.getstate() == self._random:
            return False
        random.setstate(self._random)
        return True

    def _put_back_numpy(self) -> bool:
        now, before = np.random.get_state(legacy=False), self._numpy
        if _are_equal(now, before):
            return False
        np.random.set_state(before)
        return True

    def _put_back_tensorflow(self) -> bool:
        if self._tensorflow is None:
            return False
        context, seed, numbers = self._tensorflow
        if context._seed == seed:
            return False
        context._seed, context._rng = seed, numbers
        return True

    def _put_back_folder(self) -> bool:
        if self._folder is None or _folder() == self._folder:
            return False
        with suppress(OSError):  # it may be gone
            os.chdir(self._folder)
        return True

    def _put_back_variables(self) -> bool:
        now, before = _variables(), self._variables
        if now == before:
            return False
        changed = False
        for name, value in before.items():
            if now.get(name) != value:
                os.environ[name] = value
                changed = True
        # Libraries set variables of their own while they are imported, and look for them later.
        if len(sys.modules) == self._modules:
            for name in now.keys() - before.keys():
                del os.environ[name]
                changed = True
        return changed

    def _put_back_streams(self) -> bool:
        now = (sys.stdin, sys.stdout, sys.stderr)
        if all(one is other for one, other in zip(now, self._streams, strict=True)):
            return False
        sys.stdin, sys.stdout, sys.stderr = self._streams
        return True

    def _put_back_handlers(self) -> bool:
        changed = False
        for name, handler in self._handlers.items():
            number = getattr(signal, name)
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)
                changed = True
        return changed

    def _put_back_pictures(self) -> bool:
        if not self._looks_at_pictures:
            return False
        now = _picture_settings()
        if now is None:
            return False
        matplotlib = sys.modules["matplotlib"]
        before = self._pictures
        if before is None:  # it was imported meanwhile, under these
            before = settings()
        changed = [name for name, value in before.items() if now.get(name) != value]
        for name in changed:
            dict.__setitem__(matplotlib.rcParams, name, before[name])
        return bool(changed)


def _signals() -> list[str]:
    return [name for name in SIGNALS if hasattr(signal, name)]


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 (as text, to be compared)
    except OSError:  # somebody removed it
        return None


def _variables() -> dict[str, str]:
    return dict(os.environ)


def _tensorflow_seed() -> tuple[Any, Any, Any] | None:
    """Return TensorFlow's context, global seed and random generator; None if not imported."""
    module = sys.modules.get("tensorflow.python.eager.context")
    if module is None:
        return None
    context = module.context()
    if not hasattr(context, "_seed") or not hasattr(context, "_rng"):
        return None
    return context, context._seed, context._rng


def _picture_settings() -> dict[str, Any] | None:
    """Return Matplotlib's settings; None if not imported.

    The backend is left out, since Matplotlib chooses it at the first use.
    """
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is None or not hasattr(matplotlib, "rcParams"):
        return None
    held = dict.items(matplotlib.rcParams)
    return {name: value for name, value in held if not name.startswith("backend")}


def _are_equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_equal(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other))
