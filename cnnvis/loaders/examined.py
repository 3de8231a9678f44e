"""Model files looked through in a process of their own before this one opens them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cnnvis

SECONDS, BYTES_A_SECOND = 120, 10 * 2**20
"""How long looking may take on a busy machine: so long, and a second more for so many bytes."""

MORE = 5
EXAMINER = Path(__file__).with_name("_examiner.py")
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Contents:
    """What a model's file holds, found without opening it in this process.

    Attributes
    ----------
    is_archive
        Whether it is one of Keras's ``.keras`` archives, and not HDF5.
    config
        The text that describes the network; None where the file holds weights alone.
    version
        The version of Keras that wrote it; None where it does not say.
    is_by_layers
        For HDF5: whether the weights lie there by the names of layers, as Keras 2 put them.
    values
        How many numbers the file holds.
    """

    is_archive: bool
    config: str | None
    version: str | None
    is_by_layers: bool
    values: int


@dataclass
class _Look:
    """A file that is being looked through, and what came of it."""

    path: Path
    process: subprocess.Popen[bytes]
    output: bytes = b""
    is_late: bool = False
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        # What the process prints is read at once, so that it never waits for this one.
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self) -> None:
        most = SECONDS + self.path.stat().st_size / BYTES_A_SECOND
        # Both processes may have been stopped meanwhile: then a little more is enough.
        for seconds in (most, MORE):
            with suppress(subprocess.TimeoutExpired):
                self.output, _ = self.process.communicate(timeout=seconds)
                return
        self.is_late = True
        self.process.kill()
        self.process.communicate()


_begun: dict[Path, _Look] = {}


def begin(path: Path) -> None:
    """Begin to look through a file, while something else is done; `contents` waits for it."""
    if path.is_file() and kind_of(path) is not None:
        _begun[path] = _look(path)


def kind_of(path: Path) -> str | None:
    """What a file is by its first bytes: ``hdf5``, ``keras`` for a zip archive, or neither."""
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    return "hdf5" if start == HDF5 else "keras" if start[:4] == ZIP else None


def is_hdf5(path: Path) -> bool:
    """Whether a file is HDF5, whatever it is called."""
    return path.is_file() and kind_of(path) == "hdf5"


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive that seems to hold a network, whatever it is called."""
    if not path.is_file() or kind_of(path) != "keras":
        return False
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2**16, 0))
        return b"config.json" in file.read(2**16)


def contents(path: Path) -> Contents:
    """What a model's file holds, once a process of its own has gone through all of it.

    Raises
    ------
    UserError
        If it is damaged, or holds what no model needs, or looking at it took too much; its `found`
        holds what was found nevertheless: ``config`` and ``version``.
    """
    look = _begun.pop(path, None) or _look(path)
    look.thread.join()
    name = repr(str(path))
    if look.is_late or look.process.returncode != 0:
        raise cnnvis.UserError(
            f"{name} is damaged, or made to do harm: the process that looked through it "
            f"{_ended(look)}; nothing of it was loaded"
        )
    found: dict[str, Any] = json.loads(look.output)
    is_archive = kind_of(path) == "keras"
    if is_archive:
        found["config"] = found.get("config.json")
    wrong = None
    if "refused" in found:
        wrong = cnnvis.UserError(f"{name} is not loaded: {found['refused']}")
    elif "damaged" in found:
        what = "is not a model that Keras saved" if is_archive else "is damaged"
        wrong = cnnvis.UserError(f"{name} {what}: {found['damaged']}")
    if wrong is not None:
        wrong.found = {key: found.get(key) for key in ("config", "version")}
        raise wrong
    version = _version(found["metadata.json"], name) if is_archive else found["version"]
    return Contents(is_archive, found["config"], version, found["is_by_layers"], found["values"])


def _version(metadata: str, name: str) -> str:
    try:
        return str(json.loads(metadata)["keras_version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise cnnvis.UserError(f"{name} is not a model that Keras saved: {error!r}") from error


def _ended(look: _Look) -> str:
    if look.is_late:
        return "did not come to an end"
    # A process that is killed for taking too long a time of the processor gets this signal, 24.
    if look.process.returncode == -24:
        return "took too long"
    return "crashed"


def _look(path: Path) -> _Look:
    # Threads of linear algebra would take memory, and libhdf5 has no business with plugins.
    settings = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"}
    process = subprocess.Popen(
        [sys.executable, "-P", str(EXAMINER), str(path.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **settings},
    )
    return _Look(path, process)
