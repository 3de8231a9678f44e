"""Plugins that are wrong, each in a way of its own. A file like one that somebody may hand on."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal

import cnnvis


class Odd(BaseException):
    """An exception that is not even an `Exception`."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _recursion() -> Any:
    return _recursion()


def _raise(error: BaseException) -> Any:
    raise error


def _short() -> Any:
    raise cnnvis.UserError("there is too little memory") from MemoryError()


def _numpy() -> Any:
    import numpy as np

    return np


def _tensorflow_seed() -> None:
    import tensorflow as tf

    tf.random.set_seed(3)


def _settings() -> None:
    import matplotlib

    matplotlib.rcParams["font.size"] = 77.0


CHANGES = {
    "random": lambda: random.seed(3),
    "numpy": lambda: _numpy().random.seed(3),
    "drawing": lambda: _numpy().random.normal(),
    "tensorflow": _tensorflow_seed,
    "folder": lambda: os.chdir("/"),
    "variable": lambda: os.environ.update(HOME="/nowhere", CNNVIS_ODD="1"),
    "less": lambda: os.environ.pop("HOME"),
    "stdout": lambda: setattr(sys, "stdout", sys.stderr),
    "handler": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    "settings": _settings,
}
ENDS = {
    "exit": lambda: sys.exit(3),
    "odd": lambda: _raise(Odd()),
    "recursion": _recursion,
    "memory": lambda: _raise(MemoryError("no room")),
    "disk": lambda: _raise(OSError(28, "No space left on device")),
    "error": lambda: _raise(ValueError("bad \x1b]0;pwned\x07 \u202e\nvalue")),
    "user": lambda: _raise(cnnvis.UserError("that cannot be")),
    "short": _short,
    "interrupt": lambda: _raise(KeyboardInterrupt()),
}
CRASHES = {
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "leave": lambda: os._exit(0),
    "hang": lambda: time.sleep(1000),
    "blow-up": lambda: [bytearray(b"x") * 2**26 for _ in range(128)],  # 8 GiB
    "garbage": lambda: [os.write(number, b"garbage\n\x00{]\n") for number in range(1, 12)],
    "talk": lambda: print("to stdout", flush=True),
}
ACTS: dict[str, Any] = {**CHANGES, **ENDS, **CRASHES, "nothing": lambda: None}


def _of(what: str, x: Any) -> Any:
    """Maps that are none."""
    np = _numpy()
    return {
        "input": lambda: x,
        "view": lambda: x[..., 0],
        "fewer": lambda: np.array(x[1:]),
        "complex": lambda: x * 1j,
        "text": lambda: np.full(x.shape, "1.0"),
        "object": lambda: x.astype(object),
        "nan": lambda: x * np.nan,
        "scalar": lambda: 3.0,
    }[what]()


@cnnvis.technique("acts")
def acts(model: Any, samples: Any, *, how: str = "nothing") -> Any:
    """Does something besides.

    Parameters
    ----------
    how
        What it does.
    """
    ACTS[how]()
    return cnnvis.Explanation(model.input_gradient(samples.x), samples)


@cnnvis.technique("gives")
def gives(model: Any, samples: Any, *, what: str = "input") -> Any:
    """Gives something else than it should.

    Parameters
    ----------
    what
        What it gives.
    """
    x = samples.x
    if what == "nothing":
        return None
    if what == "table":
        return cnnvis.Explanation(table={"a": [1]})
    if what == "alone":
        return cnnvis.Explanation(x * 2.0)
    if what == "others":
        return cnnvis.Explanation(x * 2.0, samples[::-1])
    if what == "changed":
        samples.x[...] *= 0
    if what == "source":
        samples.source[...] *= 0
    if what == "labels":
        samples.labels[...] = 1
    return cnnvis.Explanation(_of(what, x), samples if what != "fewer" else samples[1:])


@cnnvis.technique("promises-a-table", gives="table")
def promises_a_table(samples: Any) -> Any:
    """Promises a table, and gives maps."""
    return cnnvis.Explanation(samples.x * 2.0, samples)


@cnnvis.transform("turns")
def turns(explanation: Any, *, how: str = "nothing", what: str = "same") -> Any:
    """Does something besides, or gives something else than it should.

    Parameters
    ----------
    how
        What it does.
    what
        What it gives.
    """
    ACTS[how]()
    if what == "same":
        return explanation
    if what == "changed":
        explanation.maps[...] = 0
    if what == "nothing":
        return None
    if what == "list":
        return [explanation]
    return explanation.with_maps(_of(what, explanation.maps))


@cnnvis.transform("flows")
def flows(stream: Any, *, how: str = "nothing") -> Any:
    """Goes through all batches, and does something besides after the first.

    Parameters
    ----------
    how
        What it does.
    """
    for one in stream:
        ACTS[how]()
        yield one.with_maps(one.maps * 2)


@cnnvis.renderer("draws", suffixes=(".txt",))
def draws(explanation: Any, path: Path, *, how: str = "nothing", what: str = "text") -> None:
    """Writes something, and does something besides.

    Parameters
    ----------
    how
        What it does.
    what
        What it writes.
    """
    path.write_text("" if what == "empty" else "drawn\n" * len(explanation))
    if what == "changed":
        explanation.maps[...] = 0
    if what == "gone":
        path.unlink()
    ACTS[how]()


@cnnvis.renderer("prints")
def prints(explanation: Any, console: Any, *, how: str = "nothing") -> None:
    """Prints something, and does something besides.

    Parameters
    ----------
    how
        What it does.
    """
    console.print("printed \x1b]0;pwned\x07", len(explanation), style="red")
    ACTS[how]()


def _refuse(*, how: str) -> None:
    if how == "check":
        raise KeyError("check")


@cnnvis.renderer("refusing", suffixes=(".chk",), check=_refuse)
def checks(explanation: Any, path: Path, *, how: str = "check") -> None:
    """Fails at checking its options.

    Parameters
    ----------
    how
        What it does.
    """


class Lazy:
    """Inputs that are read when they are wanted, or not even then."""

    shape = (3, 12, 10, 2)

    @property
    def dtype(self) -> Any:
        return _numpy().dtype("float32")

    def __init__(self, how: str) -> None:
        self.how = how

    def __getitem__(self, index: Any) -> Any:
        np = _numpy()
        if self.how == "later":
            raise IndexError("not there")
        shape = (12, 11, 2) if self.how == "other" else self.shape[1:]
        return np.ones((len(np.arange(3)[index]), *shape), np.float32)


def _accepts(path: Path) -> bool:
    return 1 // (path.suffix == ".odd") == 1


@cnnvis.reader("reads", suffixes=(".wrong",), accepts=_accepts)
def reads(
    path: Path, *, how: Literal["nothing", "list", "later", "other", "exit"] = "nothing"
) -> Any:
    """Reads nothing that it was asked for.

    Parameters
    ----------
    how
        What it does.
    """
    if how == "list":
        return [1, 2, 3]
    if how == "exit":
        sys.exit("no")
    return cnnvis.Samples(Lazy(how))


@cnnvis.loader("loads", suffixes=(".net",))
def loads(path: Path, *, how: str = "bare") -> Any:
    """Loads a network, or what is none.

    Parameters
    ----------
    how
        What it does.
    """
    import keras

    if how in ACTS:
        ACTS[how]()
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.Input((12, 10, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    return (
        network
        if how == "bare"
        else cnnvis.LoadedNetwork(network, origin="made up", loss="categorical_crossentropy")
    )
