"""Checks of metrics: a number for each map, of that map alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
    return {
        "it works over one spatial axis": partial(_works, subject, 1),
        "it works over two spatial axes": partial(_works, subject, 2),
        "it works over three spatial axes": partial(_works, subject, 3),
        "a map alone is measured as among others": partial(_alone, subject),
        "each number goes with its map, in whatever order": partial(_reordered, subject),
        "twice the same gives the same": partial(_repeated, subject),
        "what it is given stays as it is": partial(_maps_unchanged, subject),
        "the model stays as it is": partial(_model_unchanged, subject),
        PROCESS: partial(_process_unchanged, subject),
    }


def _explained(network: Any, axes: int = 2) -> Explanation:
    samples = Samples.of(data_of(shape_of(axes)), np.array([0, 1, 2, 0]))
    return run("saliency", network, data=samples, layer="output", backprop=None)


def _measured(
    subject: Subject, explanation: Explanation, network: Any, plugin: Plugin | None = None
) -> Array:
    plugin = plugin or subject.plugin
    given = dict(checked(plugin, subject.options))
    if plugin.takes("model"):
        given["model"] = Model(network, layer="output")
    found: Array = call_plugin(plugin, explanation, **given)
    return found


def _works(subject: Subject, axes: int) -> None:
    network = small_network(axes)
    with may_refuse():
        _measured(subject, _explained(network, axes), network)


def _alone(subject: Subject) -> None:
    network = small_network(2)
    every = _explained(network)
    with may_refuse():
        together = _measured(subject, every, network)
    parts = [_measured(subject, every[[place]], network) for place in range(len(every))]
    require_close(
        together, np.concatenate(parts), "a map alone is measured otherwise than among others"
    )


def _reordered(subject: Subject) -> None:
    network = small_network(2)
    every = _explained(network)
    with may_refuse():
        found = _measured(subject, every, network)
    order = [2, 0, 1, 3]
    require_close(
        _measured(subject, every[order], network), found[order],
        "in another order of the maps its numbers are others",
    )  # fmt: skip


def _repeated(subject: Subject) -> None:
    network = small_network(2)
    every = _explained(network)
    with may_refuse():
        found = _measured(subject, every, network)
    require_close(
        _measured(subject, every, network), found,
        "twice the same gave two numbers: draw random numbers from an option `seed`",
    )  # fmt: skip


def _maps_unchanged(subject: Subject) -> None:
    network = small_network(2)
    every = _explained(network)
    before = every.array.copy()
    with may_refuse():
        _measured(subject, every, network)
    if not np.array_equal(every.array, before):
        raise Violation("it changed the maps that it was given: work on a copy")


def _model_unchanged(subject: Subject) -> None:
    def measured(network: Any) -> Any:
        with may_refuse():
            return _measured(subject, _explained(network), network)

    model_unchanged(measured)


def _process_unchanged(subject: Subject) -> None:
    network = small_network(2)
    every = _explained(network)
    with may_refuse():
        process_unchanged(lambda: _measured(subject, every, network, subject.watched.plugin))
