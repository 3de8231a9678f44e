"""Checks of metrics: a number for each map, of that map alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnvis.api.run import run
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.execution.calls import call_plugin
from cnnvis.network.model import Model
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.testing.judging import Violation, may_refuse, require_close
from cnnvis.testing.networks import data_of, shape_of, small_network
from cnnvis.testing.subject import PROCESS, Subject, model_unchanged, process_unchanged


def checks_of_metrics(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a metric."""

    def explained(network: Any, axes: int = 2) -> Explanation:
        samples = Samples.of(data_of(shape_of(axes)), np.array([0, 1, 2, 0]))
        return run("saliency", network, data=samples, layer="output", backprop=None)

    def measured(explanation: Explanation, network: Any, plugin: Plugin = subject.plugin) -> Array:
        given = dict(checked(plugin, subject.options))
        if plugin.takes("model"):
            given["model"] = Model(network, layer="output")
        found: Array = call_plugin(plugin, explanation, **given)
        return found

    def works(axes: int) -> Callable[[], None]:
        def function() -> None:
            network = small_network(axes)
            with may_refuse():
                measured(explained(network, axes), network)

        return function

    def alone() -> None:
        network = small_network(2)
        every = explained(network)
        with may_refuse():
            together = measured(every, network)
        parts = [measured(every[[place]], network) for place in range(len(every))]
        require_close(
            together, np.concatenate(parts), "a map alone is measured otherwise than among others"
        )

    def reordered() -> None:
        network = small_network(2)
        every = explained(network)
        with may_refuse():
            found = measured(every, network)
        order = [2, 0, 1, 3]
        require_close(
            measured(every[order], network), found[order],
            "in another order of the maps its numbers are others",
        )  # fmt: skip

    def repeated() -> None:
        network = small_network(2)
        every = explained(network)
        with may_refuse():
            found = measured(every, network)
        require_close(
            measured(every, network), found,
            "twice the same gave two numbers: draw random numbers from an option `seed`",
        )  # fmt: skip

    def keeps() -> None:
        network = small_network(2)
        every = explained(network)
        before = every.array.copy()
        with may_refuse():
            measured(every, network)
        if not np.array_equal(every.array, before):
            raise Violation("it changed the maps that it was given: work on a copy")

    def leaves() -> None:
        network = small_network(2)
        every = explained(network)
        with may_refuse():
            process_unchanged(lambda: measured(every, network, subject.watched.plugin))

    def model_stays(network: Any) -> Any:
        with may_refuse():
            return measured(explained(network), network)

    return {
        "it works over one spatial axis": works(1),
        "it works over two spatial axes": works(2),
        "it works over three spatial axes": works(3),
        "a map alone is measured as among others": alone,
        "each number goes with its map, in whatever order": reordered,
        "twice the same gives the same": repeated,
        "what it is given stays as it is": keeps,
        "the model stays as it is": lambda: model_unchanged(model_stays),
        PROCESS: leaves,
    }
