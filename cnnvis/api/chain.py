"""Chains: techniques push results on a stack, transforms change them, renderers show them.

A result is a stream of batches that is computed while somebody goes through it, so that a million
images take the memory of one batch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cnnvis.api.chain_results import Failures, Found, measured_result, transformed
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
from cnnvis.api.steps import (
    Step,
    StepLike,
    groups_by_prediction,
    knows_one_target,
    require_fitting,
    require_samples,
    steps_of,
    streams_maps,
)
from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.explanation import Explanation
from cnnvis.data.image_selection import Images, selection_of
from cnnvis.data.stream import Stream, Summed
from cnnvis.errors import PluginError, UserError
from cnnvis.execution.isolation import isolates
from cnnvis.explain.baselines import named_in
from cnnvis.explain.checks import Checks, number_to_check
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.inputs import PathName, PluginOptions
from cnnvis.explain.keeping import Keeper
from cnnvis.explain.measuring import judged
from cnnvis.explain.request import Request
from cnnvis.explain.several import number_of_targets
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
from cnnvis.registry.plugin import Plugin, Result
from cnnvis.reporting import note, notes_kept
from cnnvis.runs.folder import RunFolder, asked_into, kept_in
from cnnvis.runs.into import Into, with_workers
from cnnvis.runs.manifest import loading_of
from cnnvis.runs.workers import at_work

Keep = Callable[[str | None], Keeper]


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
        task = replace(Task.of(request, techniques), predicts=groups_by_prediction(chosen))
        if task.predicts and task.model is not None and not task.model.tells_classes:
            raise UserError(
                "the network does not answer with one class for each image, so images have no "
                "groups by prediction; group by label, by all, or by a file with a group for each "
                "image"
            )
        require_samples(chosen, options, task.samples.values())
        kept = [
            (step.plugin, given)
            for step, given in zip(chosen, options, strict=True)
            if step.plugin.gives_maps_of_images
        ]
        loading = loading_of(request.plugin_options, vars(request.loading))
        names = names_in_order(request.data.class_names)
        failures = Failures()
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
            if into is not None and (is_kept(model) or any(map(streams_maps, chosen))):
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
        is_refused = bool(task.targets) and knows_one_target(plugin)
        if is_next and plugin.sums is not None and plugin.takes("stream") and not is_refused:
            found[number] = (plugin.name, given)
        before = step
    return found


def _left(
    stack: Sequence[Found], failures: Failures, shown: int | None, notes: Sequence[str]
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


def _kept(request: Request) -> list[Found]:
    """Return the results in a file or run folder that stands in the place of a model."""
    given = {**vars(request.data), **vars(request.target), "top": request.top}
    if selection_of(request.data.images).is_all:
        given["images"] = None
    require_no_subject(request.model, {name: given[name] for name in SUBJECT})
    model = request.model
    return [Found(streams, kind) for streams, kind in results_in(model)]


def _first(stream: Stream, count: int) -> Explanation:
    return stream.first(count)[0]


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


def _techniques(
    steps: Sequence[Step],
    options: Sequence[Mapping[str, Any]],
    task: Task,
    folder: RunFolder,
) -> Iterator[Found]:
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
    failures: Failures,
    checks: Checks,
    shown: _Shown,
    stack: list[Found],
) -> list[Found]:
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
                stack[-1] = measured_result(stack[-1], step, given, task.models, failures)
                if folder is not None:  # of which only the first maps are shown, and all are judged
                    for stream in stack[-1].of_inputs.values():
                        failures.result(stream, partial(_read_all, stream))
            case "transform":
                needed = 2 if step.plugin.takes("explanations") else 1
                stack[-needed:] = [transformed(stack[-needed:], step, given)]
            case _ if streams_maps(step):
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


def _shown_together(stack: Sequence[Found], step: Step) -> list[list[tuple[Stream, Result]]]:
    """Return the results that a renderer shows at a time: each, or all of an input of the network."""
    every = [(name, one, of.kind) for of in stack for name, one in of.of_inputs.items()]
    if not step.plugin.takes("explanations"):
        return [[(one, kind)] for _, one, kind in every]
    return [
        [(one, kind) for name, one, kind in every if name == input]
        for input in dict.fromkeys(name for name, _, _ in every)
    ]


def _explained(task: Task, plugin: Plugin, options: Mapping[str, Any], keep: Keep | None) -> Found:
    """Return a technique's result for each of the model's inputs that gets a map."""
    kind: Result = plugin.gives or "images"
    explainer = Explainer(task, plugin, options) if plugin.gives_maps_of_images else None
    # Of several inputs that nobody asked for one by one, a blank one must not cost the others.
    results = task.explained(plugin, options, strict=False, kept=keep)
    if task.inputs is not None or len(results) == 1:
        return Found(task.explained(plugin, options, kept=keep), kind, explainer)
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
    return Found(fitting, kind, explainer)


def _checked(found: Found, checks: Checks, failures: Failures, *, is_kept: bool) -> Found:
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
        note(
            f"{step.plugin.name} shows the first {limit} maps; its option limit says how many: "
            f"--limit behind {step.plugin.name} in a chain, else --{step.plugin.name}.limit"
        )
    return judged(explanation, strict=False)


def _read_all(stream: Stream) -> None:
    for _ in stream:
        pass


def _with_notes(explanation: Explanation, notes: Sequence[str]) -> Explanation:
    every = dict.fromkeys((*explanation.notes, *notes))
    return replace(explanation, notes=tuple(every))
