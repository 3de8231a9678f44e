"""Checks of metrics: a number for each map, of that map alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cnnvis.api.run import run
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.measuring import measured
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task
from cnnvis.registry.arguments import DataArguments, TargetArguments
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.testing.judging import Violation, may_refuse, require_close
from cnnvis.testing.metric_answers import checks_of_answers
from cnnvis.testing.networks import MIXED, data_of, shape_of, small_network
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
        **checks_of_answers(subject),
    }


@dataclass(frozen=True)
class _Case:
    """Maps of a small network, to be measured by the metric under test."""

    subject: Subject
    every: Explanation
    explainer: Explainer

    @classmethod
    def of(cls, subject: Subject, axes: int = 2, network: Any = None) -> _Case:
        """Return maps with classes as labels, or with labels of positions if the metric needs them."""
        network = small_network(axes, seed=MIXED) if network is None else network
        data = data_of(shape_of(axes))
        case = cls._labelled(subject, network, Samples.of(data, np.array([0, 1, 2, 0])))
        try:
            case.numbers(case.every[[0]])
        except UserError:
            where = (data[..., 0] > 0.5).astype(int)
            samples = Samples.of(data, where, label_kind="positions")
            return cls._labelled(subject, network, samples)
        return case

    @classmethod
    def _labelled(cls, subject: Subject, network: Any, samples: Samples) -> _Case:
        every = run("saliency", network, data=samples, layer="output", backprop=None)
        saliency = registry().get("technique", "saliency")
        task = Task.of(
            Request(network, DataArguments(samples), TargetArguments("output")), [saliency]
        )
        return cls(subject, every, Explainer(task, saliency, checked(saliency, {"backprop": None})))

    def numbers(self, maps: Explanation | None = None, plugin: Plugin | None = None) -> Array:
        """Return the metric's number for each map."""
        metric = plugin or self.subject.plugin
        options = checked(metric, self.subject.options)
        maps = self.every if maps is None else maps
        found = measured(maps, metric, options, self.explainer.task.models, self.explainer)
        return found.measures[metric.name]


def _require_equal(found: Array, other: Array, sentence: str) -> None:
    """Refuse numbers that differ, or that are there for one map and not for the other."""
    if not np.array_equal(np.isnan(found), np.isnan(other)):
        raise Violation(f"{sentence}; one of them is NaN")
    known = ~np.isnan(found)
    if known.any():
        require_close(found[known], other[known], sentence)


def _works(subject: Subject, axes: int) -> None:
    case = _Case.of(subject, axes)
    with may_refuse():
        case.numbers()


def _alone(subject: Subject) -> None:
    case = _Case.of(subject)
    with may_refuse():
        together = case.numbers()
    parts = [case.numbers(case.every[[place]]) for place in range(len(case.every))]
    _require_equal(
        together, np.concatenate(parts), "a map alone is measured otherwise than among others"
    )


def _reordered(subject: Subject) -> None:
    case = _Case.of(subject)
    with may_refuse():
        found = case.numbers()
    order = [2, 0, 1, 3]
    _require_equal(
        case.numbers(case.every[order]), found[order],
        "in another order of the maps its numbers are others",
    )  # fmt: skip


def _repeated(subject: Subject) -> None:
    case = _Case.of(subject)
    with may_refuse():
        found = case.numbers()
    _require_equal(
        case.numbers(), found,
        "twice the same gave two numbers: draw random numbers from an option `seed`",
    )  # fmt: skip


def _maps_unchanged(subject: Subject) -> None:
    case = _Case.of(subject)
    before = case.every.array.copy()
    with may_refuse():
        case.numbers()
    if not np.array_equal(case.every.array, before):
        raise Violation("it changed the maps that it was given: work on a copy")


def _model_unchanged(subject: Subject) -> None:
    def measured_on(network: Any) -> Any:
        with may_refuse():
            return _Case.of(subject, network=network).numbers()

    model_unchanged(measured_on)


def _process_unchanged(subject: Subject) -> None:
    case = _Case.of(subject)
    with may_refuse():
        process_unchanged(lambda: case.numbers(plugin=subject.watched.plugin))
