"""`cnnvis.run`: one technique on a model and data, with all work around it."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis import demo
from cnnvis.api.from_python import from_python
from cnnvis.api.output_files import beside, writers, written
from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.explanation import Explanation
from cnnvis.data.image_selection import Images, selection_of
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import DiskError, PluginError, UserError
from cnnvis.errors import together as all_in_one
from cnnvis.execution.isolation import isolates
from cnnvis.explain.baselines import named_in
from cnnvis.explain.checks import Checks
from cnnvis.explain.explainer import Explainer
from cnnvis.explain.inputs import PathName
from cnnvis.explain.measuring import judged, measured, report
from cnnvis.explain.request import Request
from cnnvis.explain.several import with_together
from cnnvis.explain.task import Task
from cnnvis.network.model import Model
from cnnvis.registry.arguments import (
    DataArguments,
    Level,
    LoadOptions,
    RunFolderArguments,
    Style,
    TargetArguments,
)
from cnnvis.registry.discovery import SIDE, registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.registry.style import style_of
from cnnvis.reporting import notes_kept
from cnnvis.runs.folder import asked_into, kept_in
from cnnvis.runs.into import Into, with_workers
from cnnvis.runs.manifest import loading_of
from cnnvis.runs.workers import at_work

Filters = int | str | Sequence[int | str]
Metrics = Sequence[tuple[Plugin, Mapping[str, Any]]]


@isolates
@from_python
def run(
    technique: str,
    model: Model | PathName | Any,
    *,
    data: Samples | PathName | Array | tuple[Array, Array] | None = None,
    images: Images | None = None,
    layer: str | None = None,
    filter: Filters | None = None,
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
    metrics: str | Sequence[str] = (),
    render: str | Sequence[str] = (),
    out: PathName | None = None,
    into: PathName | Into | None = None,
    resume: bool = False,
    shard: str | None = None,
    shard_size: int | None = None,
    on: Any = None,
    strict: bool = False,
    plugin_options: Mapping[str, Mapping[str, Any]] | None = None,
    isolate: bool | str | Sequence[str] = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
    **options: Any,
) -> Explanation:
    """Explain a network with one technique.

    Images that cannot be read or explained, such as images with NaN, are left out, with a note;
    ``indices`` gives the places of the remaining images.

    Parameters
    ----------
    technique
        The technique's name: ``saliency``, ``grad-cam``, ...
    model
        A file, a live Keras network or a `Model`; ``demo`` for the network that comes with cnnvis.
    data
        A file or folder, an array of inputs (n, ...), inputs and labels, or `Samples`.
    images
        The images of the data to explain; all images by default. Places (whole numbers; negative
        numbers count from the end), a mask that holds True or False for each image, a slice, a
        range; or text, as in a command: ``"0-5"`` (with 5), ``"0-5 8"``, ``"20:40:2"`` (without
        40), ``"label=sweep"``, ``"predicted=sweep"``, ``"right"``, ``"wrong"``, ``"all"``, or a
        condition on columns of a table, labels and what the network answers: ``"facts.tsv: age>40 and
        p>0.9"``. Of several choices, places are united, and conditions narrow them down; of ``label=`` or
        ``predicted=`` conditions with the same key, one must hold.
    layer
        The target: a layer, by default the layer named ``output``, else the last layer; an output
        of a layer, ``output:3`` or ``output[AI]``; or a sum or difference of outputs.
    filter
        The outputs of the target layer, by number or class name, with a map for each. By default
        the class predicted for each image if the layer is the network's last layer, else output 0.
    together
        Add the scores of several outputs up, and give a single map of each image.
    top
        Explain the classes with the largest scores of each image, as many as `top` says, with a
        map for each, instead of outputs that `filter` names.
    output
        The output to explain, of a network with several outputs and if no layer is named: its name
        or its place among the outputs.
    region
        For a layer with spatial axes: average its outputs over these positions, a position or a
        range (``"10:20"``) for each axis. By default all positions.
    input
        The inputs that get a map, of a network with several inputs, by name or by place; all inputs
        by default.
    class_names
        The names of the classes in the network's order, if the data hold no class names; labels in
        words, such as names of folders, are matched to the classes by name. A list, or a dict that
        numbers the names from 0 on, such as ``class_indices`` of Keras's generators.
    custom, lambdas, input_shape, architecture
        Missing parts of the model's file; see `load_model`.
    trust_model
        Let code in the model's file run. Only for files of people you know.
    axes
        The meaning of the positions along the axes: ``{"column": {"name": "position", "unit": "bp",
        "step": 250}}``; see `cnnvis.Axis`.
    style
        The style in which the technique computes where no option is given: ``"default"``, by its own
        defaults; ``"paper"``, as its paper defines it, with plain gradients and class activation maps
        of the last layer with the input's spatial axes. By default the variable ``CNNVIS_STYLE``, else
        default.
    checks
        Checks of the maps on at most 32 images, whose verdicts stand in the explanation's `verdicts`:
        ``"none"``; ``"quick"``, those that fit into a fifth of the time that the maps take, or into
        two seconds, whichever is more; ``"full"``, all. By default the variable ``CNNVIS_CHECKS``, else quick.
    metrics
        Metrics that measure each map: ``("sparseness",)``. The numbers are the explanation's
        `measures`, and stand in the titles of the maps.
    render
        Renderers, each of which writes a file: ``("png", "numpy")``. None by default.
    out
        The file or folder that the renderers write to, ``results`` by default.
    into
        A run folder that keeps the maps as they are computed, so that a crash loses no finished
        shard.
    resume
        Go on with the run folder, if it holds maps: these maps are checked, and not computed again.
    shard
        Compute a share of the shards, ``"3/16"`` for the third of sixteen shares; `cnnvis.merge`
        puts the folders of all shares together. The result is a table of the shards.
    shard_size
        The number of images in a shard, by default up to 512. If the process ends, it loses at
        most two shards: the shard that is computed, and the shard that is written meanwhile.
    on
        The workers that compute the shards of the run folder, by default this process: ``"local:4"`` for
        four processes of this machine, ``"tcp://host:8786"`` for those of a scheduler of Dask,
        ``"slurm:16"`` for 16 jobs of Slurm, or a ``dask.distributed.Client``. Without `into`, the run folder
        is made beside the other output.
    strict
        Raise at the first image that cannot be read or explained.
    plugin_options
        Options of readers, loaders, metrics and renderers: ``{"png": {"cmap": "hot"}}``.
    isolate
        Isolate all plugins that are not built in (True), or the plugins of some names: each runs in
        its own process, where a crash, a hang or a use of too much memory is caught.
    isolate_timeout, isolate_memory
        The limits of an isolated plugin: seconds for each call, by default 600, and GB of memory,
        by default four fifths of the available memory.
    options
        The technique's own options.

    Returns
    -------
    Explanation
        Raw values, with their provenance. For several inputs, the maps of the first input;
        `other_inputs` holds the maps of the other inputs. With several outputs, the maps of an
        image stand one after the other, in the order of the outputs: then `indices` holds each
        image as many times, `targets` has the target of each map, and `for_target` returns the maps
        of one.

    Raises
    ------
    UserError
        If the call, the model or the data hold a mistake; the error says it in a sentence. If only
        a metric or a renderer finds it, the maps are the error's `found`.
    PluginError
        If a plugin fails; the run first computes the results that do not need this plugin, and they
        are the error's `found`.
    """
    plugin = registry().get("technique", technique)
    # What costs nothing to check is checked before anything is loaded.
    style = style_of(style)
    chosen = checked(plugin, with_together(plugin, options, together), style)
    named_in(plugin, chosen)
    selection = None if images is None else selection_of(images)
    names = names_in_order(class_names)
    side = {
        name: checked(_side_plugin(name), given) for name, given in (plugin_options or {}).items()
    }
    renderers = writers([render] if isinstance(render, str) else render, out)
    measuring = _asked_metrics(metrics, side)
    checking = Checks.of(checks, side, [metric.name for metric, _ in measuring])
    destination = asked_into(RunFolderArguments(into, resume, shard, on, shard_size))
    if data is None and isinstance(model, str) and model == demo.NAME:
        data = demo.NAME
    is_demo = isinstance(data, str) and data == demo.NAME and plugin.takes("model")
    few: tuple[str, ...] = ()
    if selection is None and is_demo and plugin.gives != "pictures":  # which are made of all data
        selection = selection_of(demo.IMAGES)
        if plugin.gives_maps_of_images:
            few = (
                f"{len(demo.IMAGES)} images of the demo are explained; --images all explains all",
            )
    request = Request(
        model,
        DataArguments(data, selection, names, axes),
        TargetArguments(layer, filter, output, region, input, together),
        LoadOptions(custom, lambdas, input_shape, architecture, trust_model),
        side,
        strict,
        style,
        top,
    )
    destination = with_workers(destination, request)
    failures: list[UserError | PluginError] = []
    explanation = _explained(
        request, plugin, chosen, (checking, measuring), destination, beside(out), failures
    )
    with notes_kept() as notes:
        try:
            if explanation.maps is not None or shard is None:
                written(explanation, renderers, out, side)
        except (UserError, PluginError) as error:
            failures.append(error)
    explanation = replace(explanation, notes=(*few, *explanation.notes, *notes))
    if failures:
        failure = all_in_one(failures)
        failure.found = explanation
        raise failure
    return explanation


def _explained(
    request: Request,
    plugin: Plugin,
    options: Mapping[str, Any],
    judging: tuple[Checks, Metrics],
    into: Into | None,
    beside: Path,
    failures: list[UserError | PluginError],
) -> Explanation:
    """Return a technique's maps, those of further inputs as its `other_inputs`.

    The failure of one of several inputs is added to the failures, and costs the others nothing.
    """
    checks, metrics = judging
    with notes_kept() as notes:
        task = Task.of(request, [plugin])
        techniques = [(plugin, options)] if plugin.gives_maps_of_images else []
        loading = loading_of(request.plugin_options, vars(request.loading))
        names = names_in_order(request.data.class_names)
        with (
            kept_in(into, task, techniques, loading, names, beside) as folder,
            at_work(folder),
        ):
            keep = None if folder is None else functools.partial(folder.part, 0)
            results = task.explained(plugin, options, kept=keep)
            general = len(notes)
            found: list[Explanation] = []
            without: list[str] = []
            for name, stream in results.items():
                # Notes about one input stand beside that input's maps, general notes beside all.
                del notes[general:]
                begin = time.monotonic()
                try:
                    explanation = stream.whole() if folder is None else folder.shown(stream)
                except DiskError:
                    raise
                except (UserError, PluginError) as error:
                    if request.target.input is not None or len(results) == 1:
                        raise
                    without.append(f"the input {name!r} gets no map: {error}")
                    failures += [error] if isinstance(error, PluginError) else []
                    continue
                if into is None or into.share.is_whole:  # else it is a table of what was computed
                    seconds = time.monotonic() - begin
                    explainer = Explainer(task, plugin, options)
                    if plugin.gives_maps_of_images and folder is None:
                        explanation = checks.with_verdicts(explanation, explainer, seconds)
                    elif plugin.gives_maps_of_images:
                        explanation = explanation.with_facts(checks.verdicts_ahead(explainer, name))
                    explanation = _measured(explanation, metrics, explainer, failures)
                found.append(replace(explanation, notes=(*explanation.notes, *notes)))
            said = len(notes)
        late = notes[said:]  # of the folder, once all is in it
    if not found:
        raise all_in_one(failures) if failures else UserError("; ".join(without))
    first = replace(found[0], notes=(*found[0].notes, *without, *late))
    return replace(first, other_inputs=tuple(found[1:]))


def _asked_metrics(names: str | Sequence[str], options: Mapping[str, Any]) -> Metrics:
    """Return the metrics of these names, each with all of its options."""
    asked = [names] if isinstance(names, str) else names
    plugins = [registry().get("metric", name) for name in asked]
    chosen = [(plugin, checked(plugin, options.get(plugin.name, {}))) for plugin in plugins]
    for plugin, given in chosen:
        named_in(plugin, given)
    return chosen


def _measured(
    explanation: Explanation,
    metrics: Metrics,
    explainer: Explainer,
    failures: list[UserError | PluginError],
) -> Explanation:
    """Return an explanation with what its metrics say; a failing metric costs only its numbers."""
    for metric, options in metrics:
        try:
            models = explainer.task.models
            explanation = judged(measured(explanation, metric, options, models, explainer))
        except DiskError:
            raise
        except (UserError, PluginError) as error:
            failures.append(error)
    report(explanation)
    return explanation


def _side_plugin(name: str) -> Plugin:
    """Return the reader, loader or renderer of that name."""
    found = [plugin for plugin in registry() if plugin.kind in SIDE and plugin.name == name]
    if not found:
        registry().get("renderer", name)
    return found[0]
