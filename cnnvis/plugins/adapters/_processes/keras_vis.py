"""The process of keras-vis."""

from __future__ import annotations

import atexit
import functools
import json
from collections.abc import Sequence
from typing import Any

import cnnvis
from cnnvis.plugins.adapters._processes.control import LibraryProcess

WORKER = "cnnvis.plugins.adapters._processes.keras_vis_worker"


@functools.cache
def worker() -> Worker:
    """Return the only process, started at the first use and ended with this process."""
    found = Worker()
    atexit.register(found.stop)
    return found


class Worker(LibraryProcess):
    """Process in which keras-vis runs."""

    def __init__(self) -> None:
        # It must find the same packages, cnnvis in a checkout among them.
        super().__init__(
            "keras-vis", functools.partial(cnnvis.child_process, WORKER, same_path=True)
        )

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


def _plain(value: Any) -> Any:
    """Convert values that JSON has no form for: NumPy's numbers and arrays."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
