"""Findings of a report: the images on its page, their maps, groups of maps and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from cnnvis.api.answers import known_of
from cnnvis.api.evaluate import Evaluation, Method, evaluation_of
from cnnvis.api.evaluation_task import named
from cnnvis.api.gallery import Known, shelves_of
from cnnvis.api.pages import judged_of
from cnnvis.api.steps import Step
from cnnvis.data.explanation import Explanation
from cnnvis.data.page import Judged, Shelf
from cnnvis.data.samples import Array, Samples
from cnnvis.data.stream import Stream
from cnnvis.errors import DiskError, NothingUsable, PluginError, UserError, numbered, together
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.checks import Checks, places_to_check
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.several import number_of_targets
from cnnvis.explain.task import Task
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.reporting import note, progress


@dataclass
class Findings:
    """Findings of a report: the images on its page, their maps, and what checks say.

    Attributes
    ----------
    task, chosen, checks, by, limit
        See `report`.
    known
        What is known of each image.
    shelves
        The images on the page.
    found
        The maps of these images, of each method and each input.
    groups
        The mean maps of groups.
    methods
        The methods with the verdicts about their maps.
    curves
        The curves of checks.
    """

    task: Task
    chosen: Sequence[Step]
    checks: Checks
    by: str | None
    limit: int
    known: Known = field(init=False)
    shelves: tuple[Shelf, ...] = ()
    found: list[Explanation] = field(default_factory=list)
    groups: list[Explanation] = field(default_factory=list)
    methods: list[Judged] = field(default_factory=list)
    curves: list[Explanation] = field(default_factory=list)

    @property
    def samples(self) -> Samples:
        """Samples of the first input."""
        return next(iter(self.task.samples.values()))

    def compute(self) -> None:
        """Compute all that the page shows."""
        assert self.task.model is not None
        samples = self.samples
        self.known = known_of(self.task.model, samples.picked(samples.image_starts))
        if not len(self.known.images):
            raise NothingUsable(f"none of {numbered(len(samples), 'image')} can be explained")
        each = len(self.chosen) * number_of_targets(samples) * len(self.task.explained_inputs)
        self.shelves = shelves_of(self.known, self.limit // max(each, 1))
        images = np.array([image for shelf in self.shelves for image in shelf.images])
        failures: list[UserError | PluginError] = []
        lost = dict[str, str]()
        with progress("explaining", len(self.chosen)) as done:
            for step in self.chosen:
                try:
                    self._explain(step, images)
                except DiskError:
                    raise
                except (UserError, PluginError) as error:
                    failures.append(error)
                    lost[named(step)] = str(error)
                done(1)
        if not self.found:
            raise together(failures)
        for name, why in lost.items():
            note(f"{name} gave no maps: {why}")
        working = [step for step in self.chosen if named(step) not in lost]
        if self.checks.metrics:
            self._check(working)
        self.methods += [Judged(name, failure=why) for name, why in lost.items()]

    def _explain(self, step: Step, images: Array) -> None:
        """Explain the images of the page with a method; all images, where groups are wanted."""
        task = self.task if self.by is not None else _narrowed(self.task, images)
        kept, groups = list[Explanation](), list[Explanation]()
        streams = task.explained(step.plugin, step.options, strict=False)
        for input, stream in streams.items():
            own: list[Explanation] = []
            try:
                if self.by is None:
                    own.append(stream.whole())
                else:
                    groups += self._grouped(Stream(partial(_through, stream, images, own)))
            except UserError as error:  # an input without maps costs the others nothing
                if len(streams) == 1:
                    raise
                note(f"the input {input!r} gets no map from {named(step)}: {error}")
                continue
            kept += [Explanation.joined(own)] if own else []
        if not kept:
            raise UserError("no input gets a map")
        facts = {"named": named(step)}
        self.found += [self._with_answers(one.with_facts(facts)) for one in kept]
        self.groups += [one.with_facts(facts) for one in groups]

    def _with_answers(self, one: Explanation) -> Explanation:
        """Return an explanation with the classes that the network answers, whatever its target is."""
        if one.predictions is not None or one.indices is None:
            return one
        answered = dict(zip(self.known.images.tolist(), self.known.answered, strict=True))
        found = np.array([answered.get(image, np.nan) for image in one.indices.tolist()])
        return one if np.isnan(found).any() else replace(one, predictions=found.astype(np.int64))

    def _grouped(self, stream: Stream) -> Iterator[Explanation]:
        """Yield the mean maps of groups, and the difference of two of them."""
        average = registry().get("transform", "average")
        mean = call_plugin(average, stream, **checked(average, {"by": self.by}))
        yield mean.with_facts(
            {"transforms": [{"transform": "average", "options": {"by": self.by}}]}
        )
        if len(mean) == 2:
            apart = registry().get("transform", "difference")
            found = call_plugin(apart, Stream(lambda: [mean]), **checked(apart, {}))
            yield found.with_facts({"transforms": [{"transform": "difference", "options": {}}]})

    def _check(self, steps: Sequence[Step]) -> None:
        """Check the methods on images that are spread evenly over all."""
        inputs = self.task.explained_inputs
        rows = places_to_check(self.samples)
        if not self.checks.is_timed and not self.task.targets and len(inputs) == 1:
            samples: dict[str | None, Samples] = {
                inputs[0]: self.task.samples[inputs[0]].picked(np.array(rows))
            }
            task = replace(self.task, samples=samples, inputs=inputs)
            try:
                found = evaluation_of(task, steps, self.checks.metrics, curves=True)
            except DiskError:
                raise
            except (UserError, PluginError) as error:
                note(f"the methods were not checked: {error}")
                return
            self._evaluated(found)
            return
        for step in steps:
            explainer = Explainer(self.task, step.plugin, step.options)
            for name in inputs:
                facts = self.checks.verdicts_ahead(explainer, name)
                one = Explanation(table={}, provenance={"technique": named(step), **facts})
                of = f" for the input {name}" if len(inputs) > 1 else ""
                self.methods.append(judged_of(one, named(step) + of))

    def _evaluated(self, found: Evaluation) -> None:
        self.methods += judged_methods(found)
        for method in found.methods:
            for name, reason in method.reasons.items():
                note(f"{name} of {method.name} was not computed: {reason}")
        if any(method.curves for method in found.methods):
            self.curves.append(found.figure())


def judged_methods(found: Evaluation) -> tuple[Judged, ...]:
    """Return the methods of an evaluation with the verdicts, and the numbers in words."""
    every = []
    for place, method in zip(found.places, found.methods, strict=True):
        numbers = {name: _number(method, name) for name in found.metrics}
        known = {name: text for name, text in numbers.items() if text}
        every.append(Judged(method.name, method.verdicts, known, method.failure, place))
    return tuple(every)


def _number(method: Method, metric: str) -> str:
    mean, interval = method.mean(metric), method.interval(metric)
    if mean is None:
        return ""
    if interval is None or interval[0] == interval[1]:
        return f"{mean:.3g}"
    return f"{mean:.3g} ({interval[0]:.2g} to {interval[1]:.2g})"


def _narrowed(task: Task, images: Array) -> Task:
    """Return the task of some of its images."""
    samples = {
        name: one.picked(np.flatnonzero(np.isin(one.indices, images)))
        for name, one in task.samples.items()
    }
    return replace(task, samples=samples)


def _through(stream: Stream, images: Array, kept: list[Explanation]) -> Iterator[Explanation]:
    """Yield the batches of a stream, and keep the maps of some images."""
    for batch in stream:
        rows = np.flatnonzero(np.isin(np.asarray(batch.indices), images)).tolist()
        if rows:
            kept.append(batch[rows])
        yield batch
