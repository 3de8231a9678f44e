"""Checks of metrics by known answers: maps that are right, random or wrong, of a linear network.

The network adds up the values of one place, so that it is known which part of the image adds how
much to its score.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import UserError
from cnnvis.evaluation.edges import edge_maps
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.measuring import measured
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task
from cnnvis.network.backend import keras
from cnnvis.network.model import Model
from cnnvis.registry.arguments import DataArguments, TargetArguments
from cnnvis.registry.options import checked, options_of
from cnnvis.registry.plugin import BUILT_IN, Plugin
from cnnvis.testing.judging import NotApplicable, Violation, require_close
from cnnvis.testing.networks import SPACE, shape_of
from cnnvis.testing.subject import Subject

IMAGES = 6


def checks_of_answers(subject: Subject) -> dict[str, Callable[[], None]]:
    """Return the checks of a metric by known answers."""
    plugin: Plugin = subject.plugin
    every: dict[str, Callable[[], None]] = {
        "channels first give the same as channels last": partial(_channels_first, subject)
    }
    if plugin.better is None:
        return every
    if plugin.takes("explainer"):
        return {"an edge filter is no better than a gradient": partial(_gradient, subject)}
    for axes in SPACE:
        name = f"a right map is better than a random one and a negative one, {axes}-D"
        every[name] = partial(_ordered, subject, axes)
    every["the scale of a map does not matter"] = partial(_scaled, subject)
    every["a map without differences is no better than a right one"] = partial(_blank, subject)
    return every


def gradient(model: Model, samples: Samples) -> Explanation:
    """Return the gradient, its channels added up."""
    return Explanation(_spatial(model.input_gradient(samples.x), samples), samples)


def edges(model: Model, samples: Samples) -> Explanation:
    """Return what an edge filter shows, which knows no network."""
    return Explanation(edge_maps(samples.x, samples.channel_axis), samples)


def _spatial(values: Array, samples: Samples) -> Array:
    found: Array = values.sum(axis=samples.channel_axis)
    return found


@functools.cache
def _linear_task(axes: int, *, first: bool, masks: bool) -> tuple[Task, Array]:
    """Return the task of a linear network and its images, and the weights of class 0.

    Parameters
    ----------
    first
        True with channels first.
    masks
        True with labels of positions, which say where the network looks; else labels are classes.
    """
    rng, space = np.random.default_rng(axes), SPACE[axes]
    where = np.zeros((*space, 1), bool)
    where[tuple(slice(length // 4, length // 4 + length // 2) for length in space)] = True
    weights = np.where(where, rng.uniform(0.5, 1.5, (*space, 2)), 0)
    other = rng.normal(size=weights.shape)
    data = rng.normal(0, 0.1, (IMAGES, *weights.shape)) + where
    if first:
        weights, other = np.moveaxis(weights, -1, 0), np.moveaxis(other, -1, 0)
        data = np.moveaxis(data, -1, 1)
    entry = keras().Input(shape_of(axes, first=first))
    # Only a layer with axes says where the channels are.
    form = {"data_format": "channels_first" if first else "channels_last"}
    flow = getattr(keras().layers, f"AveragePooling{axes}D")(1, **form)(entry)
    flow = keras().layers.Flatten()(flow)
    output = keras().layers.Dense(2, activation="softmax", name="output")(flow)
    network = keras().Model(entry, output)
    network.set_weights([np.stack([weights.ravel(), other.ravel()], axis=1), np.zeros(2)])
    labels = np.arange(IMAGES) % 2
    if masks:
        labels = np.repeat(where[None, ..., 0], IMAGES, axis=0).astype(int)
    samples = Samples.of(
        data.astype(np.float32), labels, label_kind="positions" if masks else "class"
    )
    request = Request(network, DataArguments(samples), TargetArguments("output", filter=0))
    return Task.of(request, [_technique(gradient)]), weights


def _technique(function: Callable[..., Any]) -> Plugin:
    return Plugin("technique", function.__name__, function, signed={}, distribution=BUILT_IN)


@dataclass(frozen=True)
class _Linear:
    """Network whose class 0 adds up values of one place, and images with a light there.

    Attributes
    ----------
    weights
        How much each value adds, of the shape of an image.
    """

    subject: Subject
    task: Task
    weights: Array

    @classmethod
    def of(cls, subject: Subject, axes: int = 2, *, first: bool = False) -> _Linear:
        """Return a case that the metric does not refuse, with masks as labels if it needs them."""
        case = cls(subject, *_linear_task(axes, first=first, masks=False))
        try:
            case.numbers(case.right[[0]])
        except UserError:
            case = cls(subject, *_linear_task(axes, first=first, masks=True))
        return case

    @property
    def right(self) -> Explanation:
        """What each value adds to the score: the weights times the input."""
        (samples,), model = self.task.samples.values(), self.task.model
        assert model is not None
        maps = _spatial(self.weights * samples.x, samples)
        return Explanation(maps, samples, targets=model.targets(samples.x))

    def numbers(self, maps: Explanation, technique: Callable[..., Any] = gradient) -> Array:
        """Return the metric's numbers, parts being filled with 0 where it fills them."""
        metric: Plugin = self.subject.plugin
        fills = {one.name: 0.0 for one in options_of(metric) if one.names_kind == "baseline"}
        options = checked(metric, {**fills, **self.subject.options})
        explainer = Explainer(self.task, _technique(technique), {})
        found = measured(maps, metric, options, self.task.models, explainer)
        return found.measures[metric.name]


def _goodness(subject: Subject, numbers: Array) -> float:
    """Return the mean of the known numbers, turned so that higher is better; NaN if none is known."""
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return float("nan")
    return float(known.mean()) * (1 if subject.plugin.better == "higher" else -1)


def _require_better(subject: Subject, one: float, other: float, sentence: str) -> None:
    if np.isfinite([one, other]).all() and not one > other:
        sign = 1 if subject.plugin.better == "higher" else -1
        raise Violation(
            f"{sentence}: {sign * one:.4g} and {sign * other:.4g}, and {subject.plugin.better} is said to "
            "be better"
        )


def _ordered(subject: Subject, axes: int) -> None:
    case = _Linear.of(subject, axes)
    right = case.right
    rng = np.random.default_rng(0)
    random = replace(right, maps=rng.normal(size=right.array.shape))
    best = _goodness(subject, case.numbers(right))
    if np.isnan(best):
        raise NotApplicable("it gives no number for maps that are given to it")
    middle = _goodness(subject, case.numbers(random))
    worst = _goodness(subject, case.numbers(replace(right, maps=-right.array)))
    _require_better(
        subject,
        best,
        middle,
        "what each value adds to a linear score is no better than random values",
    )
    _require_better(
        subject,
        best,
        worst,
        "what each value adds to a linear score is no better than its negative",
    )
    if worst > middle:
        raise Violation(
            "the negative of what each value adds to a linear score is better than random values"
        )


def _scaled(subject: Subject) -> None:
    case = _Linear.of(subject)
    # By a power of 2, which rounds nothing in another way.
    larger = replace(case.right, maps=8 * case.right.array)
    one, other = case.numbers(case.right), case.numbers(larger)
    known = ~np.isnan(one)
    if not np.array_equal(known, ~np.isnan(other)):
        raise Violation("a map that is 8 times as large has a number where the map has none")
    require_close(
        other[known], one[known],
        "a map that is 8 times as large has another number, and methods differ in the scale of maps",
        beyond=1e-6,
    )  # fmt: skip


def _blank(subject: Subject) -> None:
    case = _Linear.of(subject)
    blank = replace(case.right, maps=np.zeros_like(case.right.array))
    right, nothing = (_goodness(subject, case.numbers(one)) for one in (case.right, blank))
    _require_better(
        subject, right, nothing, "a right map is no better than one that is 0 everywhere"
    )


def _channels_first(subject: Subject) -> None:
    if subject.plugin.takes("explainer"):
        raise NotApplicable("it has other maps made, of inputs and weights that it may draw")
    last, first = _Linear.of(subject), _Linear.of(subject, first=True)
    one, other = last.numbers(last.right), first.numbers(first.right)
    known = ~np.isnan(one)
    if not np.array_equal(known, ~np.isnan(other)):
        raise Violation("with channels first it gives a number where it gives none with them last")
    require_close(
        other[known], one[known], "with channels first its numbers are others", beyond=1e-6
    )


def _gradient(subject: Subject) -> None:
    case = _Linear.of(subject)
    (samples,) = case.task.samples.values()
    model = case.task.model
    assert model is not None
    good, poor = (
        replace(case.right, maps=found.array)
        for found in (gradient(model, samples), edges(model, samples))
    )
    best = _goodness(subject, case.numbers(good))
    if np.isnan(best):
        raise NotApplicable("it gives no number for a gradient")
    _require_better(
        subject, best, _goodness(subject, case.numbers(poor, edges)),
        "the gradient of a linear network is no better than an edge filter, which knows no network",
    )  # fmt: skip
