"""`cnnvis.run`: one technique on a model and data, with all work around it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis import demo
from cnnvis.api.output_files import beside, writers, written
from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.explanation import Explanation
from cnnvis.data.image_selection import Images, selection_of
from cnnvis.data.samples import Array, Samples
from cnnvis.errors import DiskError, PluginError, UserError, together
from cnnvis.execution.isolation import isolates
from cnnvis.explain.inputs import PathName
from cnnvis.explain.measuring import measured
from cnnvis.explain.request import Request
from cnnvis.explain.task import Task
from cnnvis.network.model import Model
from cnnvis.registry.arguments import (
    DataArguments,
    LoadOptions,
    RunFolderArguments,
    TargetArguments,
)
from cnnvis.registry.discovery import SIDE, registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import notes_kept
from cnnvis.runs.folder import asked_into, kept_in
from cnnvis.runs.into import Into
from cnnvis.runs.manifest import loading_of

Filters = int | str | Sequence[int | str]
Metrics = Sequence[tuple[Plugin, Mapping[str, Any]]]


@isolates
def run(
    technique: str,
    model: Model | PathName | Any,
    *,
    data: Samples | PathName | Array | tuple[Array, Array] | None = None,
    images: Images | None = None,
    layer: str | None = None,
    filter: Filters | None = None,
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
    metrics: str | Sequence[str] = (),
    render: str | Sequence[str] = (),
    out: PathName | None = None,
    into: PathName | Into | None = None,
    resume: bool = False,
    shard: str | None = None,
    shard_size: int | None = None,
    strict: bool = False,
    plugin_options: Mapping[str, Mapping[str, Any]] | None = None,
    isolate: bool | str | Sequence[str] = False,
    isolate_timeout: float | None = None,
    isolate_memory: float | None = None,
    **options: Any,
) -> Explanation:
    """Explain a network with one technique.

    Images that cannot be read or explained, such as those with NaN, are left out, with a note;
    ``indices`` tells which are there.

    Parameters
    ----------
    technique
        The technique's name: ``saliency``, ``grad-cam``, ...
    model
        A file, a live Keras network or a `Model`; ``demo`` for the one that comes with cnnvis.
    data
        A file or folder, an array of inputs (n, ...), inputs and labels, or `Samples`.
    images
        Which images of the data; all of them by default. Places (whole numbers; negative ones count
        from the end), a mask that holds True or False for each image, a slice, a range; or text, as
        it is typed: ``"0-5"`` (with 5), ``"0-5 8"``, ``"20:40:2"`` (without 40), ``"label=sweep"``,
        ``"predicted=sweep"``, ``"right"``, ``"wrong"``, ``"all"``. Of several, places are united,
        and conditions narrow them down; one of those with the same key must hold.
    layer
        The layer to explain, by default the one named ``output``, else the last; or one of its
        outputs, ``output:3`` or ``output[AI]``, or a sum or difference of such.
    filter
        Which outputs of that layer, by number or class name; several are added up. By default the
        class predicted for each image where the layer is the network's last, else output 0.
    output
        Which of the network's outputs to explain, where it has several and no layer is named: its
        name or its place among them.
    region
        For a layer with spatial axes: over which positions its outputs are averaged, a position or
        a range (``"10:20"``) for each axis. By default over all.
    input
        Which of the network's inputs get a map, where it has several, by name or by place; all of
        them by default.
    class_names
        The names of the classes in the network's order, where the data do not hold them; labels in
        words, such as folders' names, are matched to them by name. A list, or a dict that numbers
        the names from 0 on, such as ``class_indices`` of Keras's generators.
    custom, lambdas, input_shape, architecture
        What a model's file lacks; see `load_model`.
    trust_model
        Let code in the model's file run. Only for files of people you know.
    axes
        What positions along the axes stand for: ``{"column": {"name": "position", "unit": "bp",
        "step": 250}}``; see `cnnvis.Axis`.
    metrics
        Metrics that measure each map: ``("sparseness",)``. Their numbers are the explanation's
        `measures`, and stand in the titles of its maps.
    render
        Renderers that write a file each: ``("png", "numpy")``. None by default.
    out
        The file or folder that they write to, ``results`` by default.
    into
        A run folder that keeps the maps as they are computed, so that nothing done is lost.
    resume
        Go on with that folder, if something is there: what it holds is checked, and not computed
        again.
    shard
        Compute a share of the folder's shards, ``"3/16"`` for the third of sixteen; `cnnvis.merge`
        puts such folders together. What comes back is a table of them.
    shard_size
        How many images a shard holds, by default up to 512; what is in hand when the process ends is
        lost, and that is a shard.
    strict
        Raise at the first image that cannot be read or explained.
    plugin_options
        Options of readers, loaders, metrics and renderers: ``{"png": {"cmap": "hot"}}``.
    isolate
        Run plugins that are not built in (True), or those of some names, in processes of their own,
        where a crash, a hang or a hunger for memory is caught.
    isolate_timeout, isolate_memory
        How many seconds a call, and how many GB of memory such a process, may take: by default 600,
        and four fifths of what is there.
    options
        The technique's own options.

    Returns
    -------
    Explanation
        Raw values, and how they were made. For several inputs, the maps of the first; those of the
        others are its `other_inputs`.

    Raises
    ------
    UserError
        If anything in the call, the model or the data is not as it must be, in a sentence.
    PluginError
        If a plugin fails; what could be done without it is done first, and is the error's `found`.
    """
    plugin = registry().get("technique", technique)
    # What costs nothing to check is checked before anything is loaded.
    chosen = checked(plugin, options)
    selection = None if images is None else selection_of(images)
    names = names_in_order(class_names)
    side = {
        name: checked(_side_plugin(name), given) for name, given in (plugin_options or {}).items()
    }
    renderers = writers([render] if isinstance(render, str) else render, out)
    measuring = _asked_metrics(metrics, side)
    destination = asked_into(RunFolderArguments(into, resume, shard, shard_size))
    if data is None and isinstance(model, str) and model == demo.NAME:
        data = demo.NAME
    if selection is None and isinstance(data, str) and data == demo.NAME and plugin.takes("model"):
        selection = selection_of(demo.IMAGES)
    request = Request(
        model,
        DataArguments(data, selection, names, axes),
        TargetArguments(layer, filter, output, region, input),
        LoadOptions(custom, lambdas, input_shape, architecture, trust_model),
        side,
        strict,
    )
    failures: list[UserError | PluginError] = []
    explanation = _explained(request, plugin, chosen, measuring, destination, beside(out), failures)
    with notes_kept() as notes:
        try:
            if explanation.maps is not None or shard is None:
                written(explanation, renderers, out, side)
        except (UserError, PluginError) as error:
            failures.append(error)
    explanation = replace(explanation, notes=(*explanation.notes, *notes))
    if failures:
        failure = together(failures)
        if isinstance(failure, PluginError):
            failure.found = explanation
        raise failure
    return explanation


def _explained(
    request: Request,
    plugin: Plugin,
    options: Mapping[str, Any],
    metrics: Metrics,
    into: Into | None,
    beside: Path,
    failures: list[UserError | PluginError],
) -> Explanation:
    """Return a technique's maps, those of further inputs as its `other_inputs`.

    The failure of one of several inputs is added to the failures, and costs the others nothing.
    """
    with notes_kept() as notes:
        task = Task.of(request, [plugin])
        techniques = [(plugin, options)] if plugin.gives_maps_of_images else []
        loading = loading_of(request.plugin_options, vars(request.loading))
        names = names_in_order(request.data.class_names)
        with kept_in(into, task, techniques, loading, names, beside) as folder:
            keep = None if folder is None else functools.partial(folder.part, 0)
            results = task.explained(plugin, options, kept=keep)
            general = len(notes)
            found: list[Explanation] = []
            without: list[str] = []
            for name, stream in results.items():
                # Notes about one input stand beside that input's maps, general notes beside all.
                del notes[general:]
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
                    explanation = _measured(explanation, metrics, task.model, failures)
                found.append(replace(explanation, notes=(*explanation.notes, *notes)))
            said = len(notes)
        late = notes[said:]  # of the folder, once all is in it
    if not found:
        raise together(failures) if failures else UserError("; ".join(without))
    first = replace(found[0], notes=(*found[0].notes, *without, *late))
    return replace(first, other_inputs=tuple(found[1:]))


def _asked_metrics(names: str | Sequence[str], options: Mapping[str, Any]) -> Metrics:
    """Return the metrics of these names, each with all of its options."""
    asked = [names] if isinstance(names, str) else names
    plugins = [registry().get("metric", name) for name in asked]
    return [(plugin, checked(plugin, options.get(plugin.name, {}))) for plugin in plugins]


def _measured(
    explanation: Explanation,
    metrics: Metrics,
    model: Model | None,
    failures: list[UserError | PluginError],
) -> Explanation:
    """Return an explanation with what its metrics say; one that fails costs nothing but its numbers."""
    for metric, options in metrics:
        try:
            explanation = measured(explanation, metric, options, model)
        except DiskError:
            raise
        except (UserError, PluginError) as error:
            failures.append(error)
    return explanation


def _side_plugin(name: str) -> Plugin:
    """Return the reader, loader or renderer of that name."""
    found = [plugin for plugin in registry() if plugin.kind in SIDE and plugin.name == name]
    if not found:
        registry().get("renderer", name)
    return found[0]
