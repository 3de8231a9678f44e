"""Control of keras-vis's process: its start, its input and its end."""

from __future__ import annotations

import atexit
import functools
import json
import pickle
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cnnvis

WORKER = "cnnvis.plugins.adapters._keras_vis.worker"


@functools.cache
def worker() -> Worker:
    """Return the only process, started at the first use and ended with this process."""
    found = Worker()
    atexit.register(found.stop)
    return found


class Worker:
    """Process in which keras-vis runs.

    It ends when its standard input does, so also when this process is killed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)

    def load(self, model: cnnvis.Model) -> None:
        """Send a network, cut at its target.

        Raises
        ------
        UserError
            If the network has several inputs, or keras-vis's Keras has no such layers.
        """
        network = model.keras_model(several_inputs=False)
        self._asked(
            {
                "do": "load",
                "config": json.dumps(network.get_config(), default=_plain),
                "weights": {layer.name: layer.get_weights() for layer in network.layers},
            }
        )

    def call(
        self,
        function: str,
        outputs: Sequence[int],
        x: Any,
        options: dict[str, Any],
        *,
        penultimate: str | None = None,
    ) -> Any:
        """Call a function of `vis.visualization` on one input, and return the result as an array.

        Raises
        ------
        UserError
            If keras-vis fails, with its own words.
        """
        request = {"do": function, "outputs": list(outputs), "x": x, "options": options}
        return self._asked({**request, "penultimate": penultimate})

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _asked(self, request: dict[str, Any]) -> Any:
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            succeeded, answer = pickle.load(process.stdout)
        except (EOFError, BrokenPipeError):
            said = self._last_words()
            self.stop()
            raise cnnvis.UserError(
                f"the process of keras-vis ended before it answered{': ' if said else ''}{said}"
            ) from None
        except BaseException:
            self.stop()  # an answer that nobody waits for must not be taken for the next one's
            raise
        if not succeeded:
            raise cnnvis.UserError(answer)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._errors.seek(0)
        self._errors.truncate()
        with cnnvis.progress("starting keras-vis"):
            self._process = subprocess.Popen(
                # The worker must find the same packages, cnnvis in a checkout among them.
                **cnnvis.child_process(WORKER, same_path=True),
                # It reads no file of anybody's, and Matplotlib would obey one in the folder it is in.
                cwd=Path(__file__).parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
            assert self._process.stdout is not None
            try:
                succeeded, answer = pickle.load(self._process.stdout)
            except EOFError:
                succeeded, answer = False, self._last_words()
        if not succeeded:
            self.stop()
            raise cnnvis.UserError(f"keras-vis does not start: {answer}")
        return self._process

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _plain(value: Any) -> Any:
    """Convert values that JSON has no form for: NumPy's numbers and arrays."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
