"""Results on the stack of a chain, and what transforms and metrics make of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from cnnvis.api.steps import Step, knows_one_target
from cnnvis.data.explanation import Explanation
from cnnvis.data.samples import Array
from cnnvis.data.stream import Stream
from cnnvis.data.verdict import Verdict
from cnnvis.errors import DiskError, PluginError, UserError, together
from cnnvis.execution.calls import call_plugin
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.measuring import (
    measured,
    numbers_of_targets,
    report_of,
    target_names,
    verdict_of,
)
from cnnvis.network.model import Model
from cnnvis.registry.plugin import Result
from cnnvis.reporting import note

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """Results of a technique, or results of a transform.

    Attributes
    ----------
    of_inputs
        A result for each input of the network that gets one, by its name.
    kind
        The kind of each result.
    explainer
        What made the maps; None where they were changed since.
    """

    of_inputs: Mapping[str | None, Stream]
    kind: Result
    explainer: Explainer | None = None


@dataclass
class Failures:
    """Failures in a chain that continued after them, and the results that were lost."""

    errors: list[UserError | PluginError] = field(default_factory=list)
    lost: list[Stream] = field(default_factory=list)

    def result(self, stream: Stream, wanted: Callable[[], T]) -> T | None:
        """Return what `wanted` makes of a result; None if a plugin fails now or failed before."""
        if any(one is stream for one in self.lost):
            return None
        try:
            return wanted()
        except PluginError as error:
            self.lost.append(stream)
            self.errors.append(error)
            return None

    def add(self, error: UserError | PluginError) -> None:
        """Record an error, once: a result may be computed for several steps."""
        if str(error) not in map(str, self.errors):
            self.errors.append(error)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Record an error of a renderer or a judge inside the block, so that others still run."""
        try:
            yield
        except (UserError, PluginError) as error:
            self.add(error)

    def close(self, found: list[Explanation]) -> None:
        """Raise what there is to raise, now that all else is done."""
        if not self.errors:
            return
        failure = together(self.errors)
        failure.found = found
        raise failure


def transformed(taken: Sequence[Found], step: Step, options: Mapping[str, Any]) -> Found:
    """Return the result of a transform of results, for each input of the network."""
    last = taken[-1]
    kind = step.plugin.gives or last.kind
    if len(taken) == 1:
        streams = last.of_inputs.items()
        return Found({name: _after(step, options, one) for name, one in streams}, kind)
    first = taken[0].of_inputs
    if len(first) == len(last.of_inputs) == 1:  # of whatever input each of them is
        pairs = {name: (*first.values(), one) for name, one in last.of_inputs.items()}
    else:
        pairs = {name: (first[name], one) for name, one in last.of_inputs.items() if name in first}
        alone = [str(name) for name in {**first, **last.of_inputs} if name not in pairs]
        if not pairs:
            raise UserError(
                f"{step.plugin.name} takes two results of the same input, and the results before "
                f"it have different inputs: {', '.join(alone)}"
            )
        if alone:
            note(
                f"{step.plugin.name} takes two results of the same input, and "
                f"{', '.join(map(repr, alone))} is left out, since it has fewer than two results"
            )
    return Found({name: _after(step, options, *pair) for name, pair in pairs.items()}, kind)


def measured_result(
    taken: Found,
    step: Step,
    options: Mapping[str, Any],
    models: Sequence[Model],
    failures: Failures,
) -> Found:
    """Return the result of a metric, beside the result that was measured.

    A metric that fails costs nothing but its numbers.
    """
    name, explainer = step.plugin.name, taken.explainer

    def batches(before: Stream) -> Iterator[Explanation]:
        numbers: list[Mapping[str, Array]] | None = []
        targets: list[Array | None] = []
        for one in before:
            if numbers is not None:
                try:
                    one = measured(one, step.plugin, options, models, explainer)
                    numbers.append(one.measures)
                    targets.append(numbers_of_targets(one))
                except DiskError:
                    raise
                except (UserError, PluginError) as error:
                    failures.add(error)
                    numbers = None
            yield one
        if numbers:  # all maps have passed, whatever a later step makes of them
            fact = one.provenance["metrics"][-1]
            own = fact["measures"] or [name]
            values = {each: np.concatenate([part[each] for part in numbers]) for each in own}
            with failures.kept():
                given = fact.get("verdict")
                every = [each for each in targets if each is not None]
                own_targets = np.concatenate(every) if len(every) == len(targets) else None
                found = (
                    verdict_of(name, values, own_targets, target_names(one))
                    if given is None
                    else Verdict(**given)
                )
                report_of(one, name, found, values[name])

    streams = {input: Stream(partial(batches, one)) for input, one in taken.of_inputs.items()}
    return Found(streams, taken.kind, explainer)


def _after(step: Step, options: Mapping[str, Any], *before: Stream) -> Stream:
    """Return the result of a transform of one result or of two."""
    function = partial(call_plugin, step.plugin)

    def recorded(
        explanation: Explanation,
        other: Explanation | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> Explanation:
        facts = {**explanation.provenance, **(more or {})}
        what: dict[str, Any] = {"transform": step.plugin.name, "options": dict(options)}
        if other is not None:
            known = ("technique", "options", "target", "transforms", "checks", "metrics")
            what["with"] = {key: other.provenance.get(key) for key in known}
        facts["transforms"] = [*facts.get("transforms", []), what]
        return replace(explanation, provenance=facts)

    if knows_one_target(step.plugin):
        before = tuple(one.mapped(partial(_of_one_target, step)) for one in before)

    def batches() -> Iterator[Explanation]:
        if len(before) == 2:
            for pair in _side_by_side(*before):
                yield recorded(function(list(pair), **options), pair[1])
        elif step.plugin.takes("stream"):
            stream = before[0].for_transform(step.plugin.name, options)
            answer = function(stream, **options)
            for one in [answer] if isinstance(answer, Explanation) else answer:
                yield recorded(one, more=stream.lacking)
        else:
            for one in before[0]:
                yield recorded(function(one, **options))

    return Stream(batches)


def _of_one_target(step: Step, one: Explanation) -> Explanation:
    """Return a batch whose maps all are of one target, for groups that know of no others.

    Places of maps without samples are left out: groups made of these maps may have others.

    Raises
    ------
    UserError
        If an image has maps of several targets.
    """
    if numbers_of_targets(one) is not None:
        raise UserError(
            f"{step.plugin.name} makes groups of images, and these images have maps of several "
            "targets, which it would mix: put select --target NAME before it"
        )
    return one if one.own_places is None else replace(one, own_places=None)


def _side_by_side(first: Stream, second: Stream) -> Iterator[tuple[Explanation, Explanation]]:
    """Yield batches of two results; where their images begin to differ, all that is left."""
    batches = itertools.zip_longest(first, second)
    for one, other in batches:
        if one is not None and other is not None and _are_of_same_images(one, other):
            yield one, other
            continue
        left = [(one, other), *batches]
        sides = [[part for part in side if part is not None] for side in zip(*left, strict=True)]
        filled = [[part for part in side if len(part)] or side[:1] for side in sides]
        if not all(filled):
            raise UserError("the two results have maps of different images")
        yield Explanation.joined(filled[0]), Explanation.joined(filled[1])
        return


def _are_of_same_images(one: Explanation, other: Explanation) -> bool:
    if one.indices is None or other.indices is None:
        return one.indices is other.indices
    assert one.samples is not None and other.samples is not None
    numbers = [one.samples.target_numbers, other.samples.target_numbers]
    return bool(np.array_equal(one.indices, other.indices) and _are_equal(*numbers))


def _are_equal(one: Array | None, other: Array | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)
