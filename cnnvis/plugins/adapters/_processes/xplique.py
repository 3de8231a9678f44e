"""The process of Xplique 2, which needs an older TensorFlow than cnnvis: in its own environment."""

from __future__ import annotations

import atexit
import functools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.adapters._processes.control import LibraryProcess
from cnnvis.plugins.adapters._processes.xplique_library import Library

PYTHON = "CNNVIS_XPLIQUE_PYTHON"
"""Variable with the Python of the environment that Xplique runs in, where that is another."""


def library_with(network: Any) -> Library | Worker:
    """Return Xplique with a network in it: of the environment that was chosen, or of this one."""
    python = chosen_python()
    if not python:
        return Library(network)
    found = worker(python).load(network)
    versions = found.versions
    cnnvis.note(
        f"Xplique {versions['xplique']} with TensorFlow {versions['tensorflow']} computed this, in the "
        f"environment of {python}"
    )
    return found


def chosen_python() -> str:
    """Return the Python that Xplique is to run in; empty for this process."""
    return os.environ.get(PYTHON, "")


NEEDS: dict[str, Any] = {} if chosen_python() else {"requires": ("xplique",), "extra": "xplique"}
"""The modules that each technique needs in this environment."""


@functools.cache
def worker(python: str) -> Worker:
    """Return the only process of that Python, which ends with this process."""
    found = Worker(python)
    atexit.register(found.stop)
    return found


class Worker(LibraryProcess):
    """Process in which Xplique runs; its methods are those of `xplique_library.Library`."""

    def __init__(self, python: str) -> None:
        super().__init__(
            f"Xplique in the environment of {python}",
            functools.partial(_start, python),
            f"The variable {PYTHON} names the Python of an environment where pip has installed "
            "'xplique>=2'; without the variable, the Xplique of this environment is used",
        )
        self.versions: Mapping[str, str] = {}

    def load(self, network: Any) -> Worker:
        """Send a network of Keras 3, and return the worker with the network in it.

        Raises
        ------
        UserError
            If it cannot be written, or the Keras of that environment does not read it.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.keras"
            try:
                network.save(path)
            except Exception as error:  # whatever a person's own layer raises
                raise cnnvis.UserError(
                    f"the network cannot be sent to Xplique's environment: {error}"
                ) from error
            self._asked({"do": "load", "network": path.read_bytes()})
        return self

    def use(self, kind: str, settings: Mapping[str, Any]) -> None:
        """Choose an attribution method."""
        self._asked({"do": "use", "kind": kind, "settings": dict(settings)})

    def attributions(self, x: Any, weights: Any, seed: int | None) -> Any:
        """Return the method's maps."""
        return self._asked({"do": "attributions", "x": x, "weights": weights, "seed": seed})

    def concepts(
        self, layer: str, row: Any, examples: Any, x: Any, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Find concepts with CRAFT, and where they are in images."""
        given = {"layer": layer, "row": row, "examples": examples, "x": x}
        found: dict[str, Any] = self._asked({"do": "concepts", **given, "settings": dict(settings)})
        return found

    def _begun(self, answer: Any) -> None:
        self.versions = answer


def _start(python: str) -> dict[str, Any]:
    """Return what starts the worker in another environment, as `cnnvis.child_process` does here."""
    # -I: with nothing but that environment's packages; -B: without writing beside what is imported.
    file = Path(__file__).parent / "xplique_worker.py"
    return {"args": [python, "-I", "-B", str(file)], "env": dict(os.environ)}
