"""Methods that workers evaluate: the maps of some images at a time, and what metrics measure of them.

A worker loads the model and opens the data once, compares what it would compute with the request, and
gives back the maps of some images, for the notes on all images together, and numbers of each.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnvis.api.evaluation_task import named, of_one_input
from cnnvis.api.steps import Step
from cnnvis.data.batches import Piece, Pieces, read_ahead
from cnnvis.data.class_names import names_in_order
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import BY_NAME, DiskError, PluginError, UserError
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.keeping import Keeper, Making
from cnnvis.explain.metric_numbers import Metric, Numbers, numbers_of
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task, rows_at_once
from cnnvis.network import compilation
from cnnvis.registry.discovery import registry
from cnnvis.reporting import quietly
from cnnvis.runs import manifest
from cnnvis.runs.on import On
from cnnvis.runs.workers import Workers, work_of

Plain = tuple[str, Mapping[str, Any]]
"""Name of a plugin, and all of its options."""


@dataclass(frozen=True)
class Evaluated:
    """Evaluation of a method on some images.

    Attributes
    ----------
    piece
        The maps, without their images; None if the method failed.
    numbers
        The numbers of metrics; None without a map.
    failure
        The kind and the sentence of the error of a method that failed.
    """

    piece: Piece | None
    numbers: Numbers | None = None
    failure: tuple[str, str] = ("", "")


class _Refused(Exception):
    """Refusal of a worker, which ends the evaluation, and not that of a method alone."""

    def __init__(self, error: UserError | PluginError) -> None:
        super().__init__(str(error))
        self.error = error


class _Taken(Exception):
    """End of a stream of which a single piece is wanted."""


@dataclass
class _OnePiece(Keeper):
    """Keeper that has a single piece computed, and keeps it."""

    places: range
    piece: Piece | None = None

    def pieces(
        self, samples: Samples, making: Making, *, outlines: bool = False
    ) -> Iterator[Piece]:
        (read,) = read_ahead(samples, [self.places])
        self.piece = making.compute(read)
        if self.piece.found is not None:
            yield self.piece
        raise _Taken


@dataclass
class Methods:
    """Evaluation of methods, as a worker does it.

    Attributes
    ----------
    facts
        All that the numbers depend on, as the worker must find it, too.
    request
        The model and data, as paths.
    methods
        The techniques with all their options, by the methods' names.
    metrics
        The metrics with all their options.
    curves
        True if curves are computed.
    spread_out
        True where nobody chose images.
    size
        The number of images in a piece.
    """

    facts: Mapping[str, Any]
    request: Request
    methods: Mapping[str, Plain]
    metrics: Sequence[Plain]
    curves: bool
    spread_out: bool
    size: int

    def computed(self, part: str, number: int) -> Evaluated:
        """Evaluate a method on some of the images.

        Raises
        ------
        UserError
            If this process would compute something else than the one that asks.
        """
        task, metrics = self._opened
        name, options = self.methods[part]
        plugin = registry().get("technique", name)
        (samples,) = task.samples.values()
        own = _OnePiece(Pieces(len(samples), self.size)[number])
        found = None
        try:
            (stream,) = task.explained(plugin, options, kept=lambda _: own).values()
            with quietly(), suppress(_Taken):
                found = next(iter(stream))
        except DiskError:
            raise
        except (UserError, PluginError) as error:
            return Evaluated(None, failure=(type(error).__name__, str(error)))
        assert own.piece is not None
        if found is None or own.piece.found is None:
            return Evaluated(own.piece)
        numbers = numbers_of(found, Explainer(task, plugin, options), metrics, curves=self.curves)
        maps = replace(own.piece.found, samples=None, frames=None)
        return Evaluated(replace(own.piece, found=maps), numbers)

    @functools.cached_property
    def _opened(self) -> tuple[Task, list[Metric]]:
        """The model and the data, and the metrics."""
        plugins = [registry().get("technique", name) for name, _ in self.methods.values()]
        task = of_one_input(Task.of(self.request, plugins), spread_out=self.spread_out)
        metrics = [(registry().get("metric", name), options) for name, options in self.metrics]
        methods = list(zip(plugins, (options for _, options in self.methods.values()), strict=True))
        manifest.require_same(self.facts, _facts(task, methods, metrics, self.request))
        return task, metrics


def _facts(
    task: Task, methods: Sequence[Metric], metrics: Sequence[Metric], request: Request
) -> dict[str, Any]:
    """Return all that the numbers depend on."""
    assert task.model is not None
    loading = manifest.loading_of(request.plugin_options, vars(request.loading))
    names = names_in_order(request.data.class_names)
    found = manifest.facts(
        methods, task.model, task.samples, task.explained_inputs, loading, names, task.targets, task.orders,
    )  # fmt: skip
    return {**found, "metrics": [manifest.plugin_facts(*one) for one in metrics]}


@dataclass
class _Arrived(Keeper):
    """Keeper of pieces that workers have computed."""

    parts: Sequence[Evaluated]

    def pieces(
        self, samples: Samples, making: Making, *, outlines: bool = False
    ) -> Iterator[Piece]:
        for part in self.parts:
            if part.piece is None:
                kind, sentence = part.failure
                raise BY_NAME.get(kind, UserError)(sentence)
            piece = part.piece
            if piece.found is not None:
                good = [place for place in piece.places if place not in piece.failed]
                found = replace(piece.found, samples=samples.picked(np.array(good)))
                piece = replace(piece, found=found)
            yield piece


@dataclass
class RemoteMethods:
    """Evaluation of methods by workers, as the process sees it that asks for it.

    Attributes
    ----------
    task
        The model and the images.
    places
        The places of the images in each piece.
    answers
        The parts of all methods, by the method and the number of the piece, as they are computed.
    """

    task: Task
    places: Pieces
    answers: Iterator[tuple[tuple[str, int], Evaluated]]
    _arrived: dict[tuple[str, int], Evaluated] = field(default_factory=dict)

    def numbers(self, step: Step) -> tuple[Array, Numbers]:
        """Return the places of images with maps of a method in the data, and the numbers of their maps.

        Raises
        ------
        UserError, PluginError
            If the method fails, as in a single process.
        """
        keys = [(named(step), number) for number in range(len(self.places))]
        while not all(key in self._arrived for key in keys):
            try:
                key, part = next(self.answers)
            except (UserError, PluginError) as error:
                raise _Refused(error) from error
            self._arrived[key] = part
        parts = [self._arrived.pop(key) for key in keys]
        kept = _Arrived(parts)
        (stream,) = self.task.explained(step.plugin, step.options, kept=lambda _: kept).values()
        with quietly():
            indices = [np.asarray(batch.indices) for batch in stream]
        numbers = [part.numbers for part in parts if part.numbers is not None]
        return np.concatenate(indices), Numbers.joined(numbers)


@contextmanager
def methods_on(
    on: On,
    task: Task,
    steps: Sequence[Step],
    metrics: Sequence[Metric],
    *,
    curves: bool,
    spread_out: bool,
) -> Iterator[RemoteMethods]:
    """Have workers evaluate methods inside the block.

    Parameters
    ----------
    on
        The workers, with the request as paths.
    task
        The model and the images.
    spread_out
        True where nobody chose images.

    Raises
    ------
    WorkersError
        If the workers are gone.
    UserError, PluginError
        If a worker refuses.
    """
    assert on.request is not None and task.model is not None
    (samples,) = task.samples.values()
    # One way and one size of batches: what is fast enough is not found out by each worker.
    compile, batch = compilation.settled_way(
        (on.count or 1) * task.model.footprint(samples), is_elsewhere=on.count is None
    )
    way = {"compile": compile, "batch_size": min(batch, len(samples))}
    with compilation.computing_as({**compilation.computing_now(), **way}):
        methods = Methods(
            _facts(task, [(step.plugin, step.options) for step in steps], metrics, on.request),
            on.request,
            {named(step): (step.plugin.name, step.options) for step in steps},
            [(metric.name, options) for metric, options in metrics],
            curves,
            spread_out,
            rows_at_once(samples),
        )
        work = work_of(methods, on)
    places = Pieces(len(samples), methods.size)
    asked = [(name, number) for name in methods.methods for number in range(len(places))]
    with Workers(on, work) as workers:
        try:
            yield RemoteMethods(task, places, workers.answers(asked))
        except _Refused as refused:
            raise refused.error from None
