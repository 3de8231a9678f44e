"""Chains: techniques push results on a stack, transforms change them, renderers show them.

A result is a stream of batches that is computed while somebody goes through it, so that a million
images take the memory of one batch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cnnvis.api.from_python import from_python
from cnnvis.api.kept import is_kept, require_no_subject, results_in, without_absent_inputs
from cnnvis.api.output_files import (
    Results,
    beside,
    destination,
    files_of,
    is_named,
    require_output,
    write,
)
from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.explanation import Explanation
from cnnvis.data.image_selection import Images, selection_of
from cnnvis.data.samples import Array
from cnnvis.data.stream import Stream, Summed
from cnnvis.data.verdict import Verdict
from cnnvis.errors import DiskError, PluginError, UserError, shown, together
from cnnvis.execution.calls import call_plugin
from cnnvis.execution.isolation import isolates
from cnnvis.explain.baselines import named_in
from cnnvis.explain.checks import Checks, number_to_check
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.inputs import PathName, PluginOptions
from cnnvis.explain.keeping import Keeper
from cnnvis.explain.measuring import (
    judged,
    measured,
    numbers_of_targets,
    report_of,
    target_names,
    verdict_of,
)
from cnnvis.explain.request import Request
from cnnvis.explain.several import number_of_targets, with_together
from cnnvis.explain.task import Task, images_at_once
from cnnvis.network.model import Model
from cnnvis.registry.arguments import (
    DataArguments,
    Level,
    LoadOptions,
    RunFolderArguments,
    Style,
    TargetArguments,
)
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import BUILT_IN, Plugin, Result
from cnnvis.registry.style import style_of
from cnnvis.reporting import note, notes_kept
from cnnvis.runs.folder import RunFolder, asked_into, kept_in
from cnnvis.runs.into import Into, with_workers
from cnnvis.runs.manifest import loading_of
from cnnvis.runs.workers import at_work
from cnnvis.settings.chain_files import MOST_STEPS

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """Step of a chain: a plugin with the options that were given, and the style of the others."""

    plugin: Plugin
    given: Mapping[str, Any] = field(default_factory=dict)
    style: Style = "default"

    @property
    def options(self) -> dict[str, Any]:
        """Checked values of all options of the plugin."""
        return checked(self.plugin, self.given, self.style)

    def adding_up(self, together: bool) -> Step:
        """Return the step with the scores of several outputs added up, if that is asked for."""
        return replace(self, given=with_together(self.plugin, self.given, together))


Keep = Callable[[str | None], Keeper]

StepLike = str | tuple[str, Mapping[str, Any]] | Step


@isolates
@from_python
def chain(
    model: Model | PathName | Any,
    steps: Sequence[StepLike],
    *,
    data: Any = None,
    images: Images | None = None,
    layer: str | None = None,
    filter: int | str | Sequence[int | str] | None = None,
    together: bool = False,
    top: int | None = None,
    output: str | int | None = None,
    region: Sequence[str | int | slice] | None = None,
    input: str | int | Sequence[str | int] | None = None,
    class_names: ClassNames | None = None,
    custom: Sequence[str] = (),
    lambdas: Sequence[str] = (),
    input_shape: Sequence[int] | None = None,
    architecture: PathName | None = None,
    trust_model: bool = False,
    axes: Mapping[str, Any] | None = None,
    style: Style | None = None,
    checks: Level | None = None,
    out: PathName | None = None,
    into: PathName | Into | None = None,
    resume: bool = False,
    shard: str | None = None,
    shard_size: int | None = None,
    on: Any = None,
    strict: bool = False,
    plugin_options: PluginOptions | None = None,
    show: Callable[[Plugin, Any, Mapping[str, Any]], None] | None = None,
    wrote: Callable[[Any], None] | None = None,
    isolate: bool | str | Sequence[str] = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
) -> list[Explanation]:
    """Run steps one after the other: techniques, transforms, renderers.

    Parameters
    ----------
    model
        As in `cnnvis.run`; or, in the place of techniques, a file of the renderer numpy or a run folder:
        then the chain begins with the results in it, and needs no network.
    steps
        Names of plugins, or pairs of a name and options: ``["saliency", ("smooth", {"sigma":
        1})]``. A technique puts its result on a stack, a transform changes the last result, a
        metric adds its numbers to the last result, and a renderer shows all results and leaves them
        on the stack. For a network with several inputs a result holds maps of each input, and a
        transform changes the maps of all inputs; a transform of two results takes the maps of the
        same input.
    data, images, layer, filter, together, top, output, region, input, class_names, axes, style
        As in `cnnvis.run`; they hold for every technique of the chain.
    checks
        As in `cnnvis.run`: checks of the technique's own maps, before any transform.
    custom, lambdas, input_shape, architecture, trust_model, plugin_options
        As in `cnnvis.run`.
    isolate, isolate_timeout, isolate_memory
        As in `cnnvis.run`.
    out
        The file or folder that renderers write to.
    into, resume, shard, shard_size, on, strict
        As in `cnnvis.run`. The run folder keeps the maps of techniques; transforms and renderers
        read the maps from the folder. With a share of the shards, no transform and no renderer
        runs.
    show
        A function that is called with each renderer that prints, and the explanation to print; by
        default no renderer prints.
    wrote
        A function that is called with the path of every written file.

    Returns
    -------
    list of Explanation
        The results on the stack at the end, the latest result last.

    Raises
    ------
    UserError
        If a step cannot take the results on the stack, before anything is loaded; or as in
        `cnnvis.run`. If only a metric or a renderer finds the mistake, the error's `found` holds the
        results.
    PluginError
        If a plugin fails; the chain first shows and writes the results that do not need this
        plugin, and they are the error's `found`.
    """
    chosen, selection = steps_of(steps, style), selection_of(images)
    request = Request(
        model,
        DataArguments(data, selection, names_in_order(class_names), axes),
        TargetArguments(layer, filter, output, region, input, together),
        LoadOptions(custom, lambdas, input_shape, architecture, trust_model),
        plugin_options or {}, strict, chosen[0].style, top,
    )  # fmt: skip
    stack = _kept(request) if is_kept(model) else []
    require_fitting(chosen, [(one.kind, Path(str(model)).name) for one in stack])
    chosen = [step.adding_up(together) for step in chosen]
    options = [step.options for step in chosen]
    asked = [step.plugin.name for step in chosen if step.plugin.kind == "metric"]
    checking = Checks.of(checks, plugin_options or {}, asked)
    for step, given in zip(chosen, options, strict=True):
        named_in(step.plugin, given)
    if any(step.plugin.suffixes for step in chosen):
        require_output([step.plugin for step in chosen if step.plugin.kind == "renderer"], out)
    into = with_workers(
        asked_into(RunFolderArguments(into, resume, shard, on, shard_size)), request
    )
    with notes_kept() as notes:
        techniques = [step.plugin for step in chosen if step.plugin.kind == "technique"]
        task = replace(Task.of(request, techniques), predicts=_groups_by_prediction(chosen))
        if task.predicts and task.model is not None and not task.model.tells_classes:
            raise UserError(
                "the network does not answer with one class for each image, so images have no "
                "groups by prediction; group by label, by all, or by a file with a group for each "
                "image"
            )
        kept = [
            (step.plugin, given)
            for step, given in zip(chosen, options, strict=True)
            if step.plugin.gives_maps_of_images
        ]
        loading = loading_of(request.plugin_options, vars(request.loading))
        names = names_in_order(request.data.class_names)
        failures = _Failures()
        with (
            kept_in(into, task, kept, loading, names, beside(out)) as folder,
            at_work(folder, _summed(chosen, options, task), predicts=task.predicts),
        ):
            if folder is None or folder.into.share.is_whole:
                stack = _run(
                    chosen, options, task, folder, failures, checking,
                    _Shown(out, show, wrote, notes, is_all=into is None or into.shown is None), stack,
                )  # fmt: skip
            else:
                results = _techniques(chosen, options, task, folder)
                streams = [one for each in results for one in each.of_inputs.values()]
                return [_with_notes(folder.shown(stream), notes) for stream in streams][-1:]
            shown = None if folder is None else folder.into.shown
            if into is not None and (is_kept(model) or any(map(_streams, chosen))):
                shown = into.shown
            found = _left(stack, failures, shown, notes)
    failures.close(found)
    return found


def _summed(
    steps: Sequence[Step], options: Sequence[Mapping[str, Any]], task: Task
) -> dict[int, Summed]:
    """Return, by the number of a technique, the transform after it that needs sums of its maps alone."""
    found, number = {}, -1
    before: Step | None = None
    for step, given in zip(steps, options, strict=True):
        number += step.plugin.gives_maps_of_images
        if step.plugin.kind == "renderer":
            continue
        plugin = step.plugin
        is_next = before is not None and before.plugin.gives_maps_of_images
        is_refused = bool(task.targets) and _knows_one_target(plugin)
        if is_next and plugin.sums is not None and plugin.takes("stream") and not is_refused:
            found[number] = (plugin.name, given)
        before = step
    return found


def _left(
    stack: Sequence[_Found], failures: _Failures, shown: int | None, notes: Sequence[str]
) -> list[Explanation]:
    """Return the results on the stack at the end, or the first maps of each."""
    left = [
        failures.result(stream, stream.whole if shown is None else partial(_first, stream, shown))
        for of in stack
        for stream in of.of_inputs.values()
    ]
    return [_with_notes(judged(one, strict=False), notes) for one in left if one is not None]


SUBJECT = ("data", "images", "layer", "filter", "top", "output", "region", "input")
"""Arguments that say what to explain, and have no meaning where results were kept."""


def _kept(request: Request) -> list[_Found]:
    """Return the results in a file or run folder that stands in the place of a model."""
    given = {**vars(request.data), **vars(request.target), "top": request.top}
    if selection_of(request.data.images).is_all:
        given["images"] = None
    require_no_subject(request.model, {name: given[name] for name in SUBJECT})
    model = request.model
    return [_Found(streams, kind) for streams, kind in results_in(model)]


def _groups_by_prediction(steps: Sequence[Step]) -> bool:
    """Tell whether a transform of any package needs the classes that the network answers.

    Such a transform has an option `by` with the value "prediction", as those of cnnvis do.
    """
    return any(
        step.plugin.kind == "transform" and step.options.get("by") == "prediction" for step in steps
    )


def _streams(step: Step) -> bool:
    """Tell whether a step is a renderer that writes maps while they are computed."""
    return step.plugin.kind == "renderer" and step.plugin.takes("stream")


def _first(stream: Stream, count: int) -> Explanation:
    return stream.first(count)[0]


@dataclass
class _Failures:
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


@dataclass
class _Shown:
    """Destination of results, and the names of the results written there.

    Attributes
    ----------
    out
        The file or folder that renderers write to.
    show, wrote
        See `chain`.
    notes
        The notes of the whole chain, which grow while it runs.
    is_all
        True where somebody needs all maps at the end, so that they are not computed twice.
    taken
        The files that were written.
    """

    out: PathName | None
    show: Callable[[Plugin, Any, Mapping[str, Any]], None] | None
    wrote: Callable[[Any], None] | None
    notes: Sequence[str] = ()
    is_all: bool = True
    taken: set[str] = field(default_factory=set)

    def complete(self, explanation: Explanation) -> Explanation:
        """Return a result as it can be shown, with all notes so far."""
        return without_absent_inputs(_with_notes(explanation, self.notes))

    def stream(self, renderer: Plugin, stream: Stream, options: Mapping[str, Any]) -> None:
        """Let a renderer write a result while it is computed."""
        if self.is_all:
            stream.whole()
        batches = (_with_notes(one, self.notes) for one in stream)
        first = next(batches, None)
        if first is None:
            raise UserError("no images are left to show")
        path = destination(first, renderer, self.out, options, taken=self.taken)
        rest = Stream(lambda: itertools.chain([first], batches))
        placed = write(rest, renderer, path, options, named=is_named(self.out))
        if self.wrote is not None:
            self.wrote(placed)

    def by(self, renderer: Plugin, results: Results, options: Mapping[str, Any]) -> None:
        """Show a result with a renderer, in a separate file or at the place that `show` says."""
        if not renderer.suffixes:
            if self.show is not None:
                self.show(renderer, results, options)
            return
        path = destination(results, renderer, self.out, options, taken=self.taken)
        for part, place in files_of(results, options, path):
            placed = write(part, renderer, place, options, named=is_named(self.out))
            if self.wrote is not None:
                self.wrote(placed)


@dataclass(frozen=True)
class _Found:
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


def _techniques(
    steps: Sequence[Step],
    options: Sequence[Mapping[str, Any]],
    task: Task,
    folder: RunFolder,
) -> Iterator[_Found]:
    """Yield the results of the techniques whose maps are kept."""
    keepers = _keepers(steps, folder)
    for step, given, keep in zip(steps, options, keepers, strict=True):
        if keep is not None:
            yield _explained(task, step.plugin, given, keep)


def _keepers(steps: Sequence[Step], folder: RunFolder | None) -> list[Keep | None]:
    """Return for each step the object that keeps its maps, None for steps without maps to keep."""
    if folder is None:
        return [None] * len(steps)
    numbers = itertools.count()
    return [
        partial(folder.part, next(numbers)) if step.plugin.gives_maps_of_images else None
        for step in steps
    ]


def _run(
    steps: Sequence[Step],
    options: Sequence[Mapping[str, Any]],
    task: Task,
    folder: RunFolder | None,
    failures: _Failures,
    checks: Checks,
    shown: _Shown,
    stack: list[_Found],
) -> list[_Found]:
    """Run all steps, and return the results that are on the stack at the end."""
    for step, given, keep in zip(steps, options, _keepers(steps, folder), strict=True):
        match step.plugin.kind:
            case "technique":
                found = _explained(task, step.plugin, given, keep)
                if folder is not None and keep is not None:
                    for stream in found.of_inputs.values():
                        failures.result(stream, partial(folder.fill, stream))
                stack.append(_checked(found, checks, failures, is_kept=keep is not None))
            case "metric":
                stack[-1] = _measured(stack[-1], step, given, task.models, failures)
                if folder is not None:  # of which only the first maps are shown, and all are judged
                    for stream in stack[-1].of_inputs.values():
                        failures.result(stream, partial(_read_all, stream))
            case "transform":
                needed = 2 if step.plugin.takes("explanations") else 1
                stack[-needed:] = [_transformed(stack[-needed:], step, given)]
            case _ if _streams(step):
                for stream in [one for of in stack for one in of.of_inputs.values()]:
                    with failures.kept():
                        failures.result(stream, partial(shown.stream, step.plugin, stream, given))
            case _:
                for together in _shown_together(stack, step):
                    results = [
                        failures.result(stream, partial(_shown, stream, kind, step, given))
                        for stream, kind in together
                    ]
                    there = [shown.complete(one) for one in results if one is not None]
                    if there:
                        with failures.kept():
                            shown.by(step.plugin, there if len(there) > 1 else there[0], given)
    return stack


def _shown_together(stack: Sequence[_Found], step: Step) -> list[list[tuple[Stream, Result]]]:
    """Return the results that a renderer shows at a time: each, or all of an input of the network."""
    every = [(name, one, of.kind) for of in stack for name, one in of.of_inputs.items()]
    if not step.plugin.takes("explanations"):
        return [[(one, kind)] for _, one, kind in every]
    return [
        [(one, kind) for name, one, kind in every if name == input]
        for input in dict.fromkeys(name for name, _, _ in every)
    ]


def _explained(task: Task, plugin: Plugin, options: Mapping[str, Any], keep: Keep | None) -> _Found:
    """Return a technique's result for each of the model's inputs that gets a map."""
    kind: Result = plugin.gives or "images"
    explainer = Explainer(task, plugin, options) if plugin.gives_maps_of_images else None
    # Of several inputs that nobody asked for one by one, a blank one must not cost the others.
    results = task.explained(plugin, options, strict=False, kept=keep)
    if task.inputs is not None or len(results) == 1:
        return _Found(task.explained(plugin, options, kept=keep), kind, explainer)
    # What an input cannot have is found out on a single image, before all others are computed.
    fitting = {}
    for name, stream in results.items():
        try:
            task.tried(plugin, options, name)
            fitting[name] = stream
        except PluginError:
            fitting[name] = stream  # raised when its result is wanted
        except UserError as error:
            note(f"the input {name!r} gets no map from {plugin.name}: {error}")
    if not fitting:
        raise UserError(f"no input of the network gets a map from {plugin.name}")
    return _Found(fitting, kind, explainer)


def _checked(found: _Found, checks: Checks, failures: _Failures, *, is_kept: bool) -> _Found:
    """Return a technique's result with the verdicts of checks in its provenance."""
    explainer = found.explainer
    if explainer is None or not checks.metrics:
        return found
    streams = {}
    for name, stream in found.of_inputs.items():
        samples = explainer.task.samples[name]
        images = len(samples) // number_of_targets(samples)
        if is_kept or images > min(number_to_check(samples), images_at_once(samples)):
            facts = checks.verdicts_ahead(explainer, name)
            streams[name] = stream.with_facts(facts)
            continue
        begin = time.monotonic()
        whole = failures.result(stream, stream.whole)
        if whole is not None:
            judged = checks.with_verdicts(whole, explainer, time.monotonic() - begin)
            streams[name] = Stream(partial(list, [judged]))
        else:
            streams[name] = stream
    return replace(found, of_inputs=streams)


def _shown(stream: Stream, result: Result, step: Step, options: Mapping[str, Any]) -> Explanation:
    """Return the maps for a renderer: all, or the first ones if the renderer shows no more.

    So the first pictures exist before the last image is read.
    """
    limit = options.get("limit")
    if result != "images" or not isinstance(limit, int):
        return judged(stream.whole(), strict=False)
    explanation, is_part = stream.first(limit)
    if is_part:
        note(f"{step.plugin.name} shows the first {limit} maps")
    return judged(explanation, strict=False)


def _read_all(stream: Stream) -> None:
    for _ in stream:
        pass


def _with_notes(explanation: Explanation, notes: Sequence[str]) -> Explanation:
    every = dict.fromkeys((*explanation.notes, *notes))
    return replace(explanation, notes=tuple(every))


def steps_of(steps: Sequence[StepLike], style: Style | None = None) -> list[Step]:
    """Return the steps with their plugins, and with a style for the options that are not given.

    Parameters
    ----------
    style
        See `cnnvis.registry.style.style_of`.

    Raises
    ------
    UserError
        If there is no such step, with the nearest name; or if there are none, or too many.
    """
    found, style = [], style_of(style)
    if not isinstance(steps, str) and len(steps) > MOST_STEPS:
        raise UserError(f"a chain has at most {MOST_STEPS} steps, and this chain has {len(steps)}")
    for one in [steps] if isinstance(steps, str) else steps:
        if isinstance(one, Step):
            found.append(replace(one, style=style))
            continue
        if not isinstance(one, str) and not (isinstance(one, tuple | list) and len(one) == 2):
            raise UserError(
                f"step {len(found) + 1} is {shown(one)}; a step is a name, or a name with its options: "
                '["saliency", ("smooth", {"sigma": 1})]'
            )
        name, given = (one, {}) if isinstance(one, str) else one
        found.append(Step(registry().step(name), given, style))
    if not found:
        raise UserError("a chain needs steps, such as saliency or png")
    return found


_WORDS: dict[Result, str] = {
    "images": "maps of single images",
    "groups": "maps of groups of images",
    "pictures": "pictures without images",
    "table": "a table",
}
_GIVERS: dict[Result, str] = {
    "images": "a technique such as saliency",
    "groups": "average",
    "pictures": "filter-weights or activation-max",
    "table": "model-summary",
}


def require_fitting(steps: Sequence[Step], before: Sequence[tuple[Result, str]] = ()) -> None:
    """Refuse a chain in which a step cannot take the results before it.

    Parameters
    ----------
    before
        The kinds of the results that are there before the first step, and where they are from.

    Raises
    ------
    UserError
        Naming the step, what it takes, what it would get, and what to add.
    """
    stack = list(before)
    for place, step in enumerate(steps, 1):
        plugin = step.plugin
        which = f"step {place}, {plugin.name},"
        if plugin.kind == "technique" and before:
            raise UserError(
                f"{which} explains a network, and {before[0][1]!r} holds maps that are there already: "
                "name a model's file in its place"
            )
        if plugin.kind == "technique":
            stack.append((plugin.gives or "images", plugin.name))
            continue
        needed = 2 if plugin.takes("explanations") and plugin.kind != "renderer" else 1
        if len(stack) < needed:
            there = (
                f"the only result is the result of {stack[-1][1]}"
                if stack
                else "no step gives a result yet"
            )
            what = "the two results before it" if needed == 2 else "a result"
            raise UserError(
                f"{which} takes {what}, and {there}: put a technique such as saliency before it"
            )
        if plugin.kind == "renderer":
            continue
        taken = stack[-needed:]
        for result, giver in taken:
            if result not in plugin.takes_results:
                wanted = " or ".join(_WORDS[one] for one in plugin.takes_results)
                add = " or ".join(_GIVERS[one] for one in plugin.takes_results[:1])
                raise UserError(
                    f"{which} takes {wanted}, and would get {_WORDS[result]} from {giver}: put "
                    f"{add} before it"
                )
        if len({result for result, _ in taken}) > 1:
            raise UserError(
                f"{which} takes two results of the same kind, and would get "
                + " and ".join(f"{_WORDS[result]} from {giver}" for result, giver in taken)
            )
        if plugin.kind != "metric":
            stack[-needed:] = [(plugin.gives or taken[0][0], plugin.name)]


def _transformed(taken: Sequence[_Found], step: Step, options: Mapping[str, Any]) -> _Found:
    """Return the result of a transform of results, for each input of the network."""
    last = taken[-1]
    kind = step.plugin.gives or last.kind
    if len(taken) == 1:
        streams = last.of_inputs.items()
        return _Found({name: _after(step, options, one) for name, one in streams}, kind)
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
    return _Found({name: _after(step, options, *pair) for name, pair in pairs.items()}, kind)


def _measured(
    taken: _Found,
    step: Step,
    options: Mapping[str, Any],
    models: Sequence[Model],
    failures: _Failures,
) -> _Found:
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
    return _Found(streams, taken.kind, explainer)


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


def _knows_one_target(plugin: Plugin) -> bool:
    """Tell whether a transform makes groups, and may not know of maps of several targets."""
    return plugin.gives == "groups" and plugin.distribution != BUILT_IN


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

    if _knows_one_target(step.plugin):
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
