"""`cnnvis.run`: one technique on a model and data, with all work around it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis import demo
from cnnvis.data.class_names import ClassNames, names_in_order
from cnnvis.data.explanation import Explanation
from cnnvis.data.image_selection import Images, selection_of
from cnnvis.data.samples import Array, Samples
from cnnvis.data.saving import beside_path
from cnnvis.errors import DiskError, PluginError, UserError, together
from cnnvis.execution.calls import call_plugin
from cnnvis.execution.isolation import isolates
from cnnvis.execution.loading import LoadOptions
from cnnvis.explain.inputs import PathName
from cnnvis.explain.measuring import measured
from cnnvis.explain.request import Request, TargetArguments
from cnnvis.explain.task import Subject
from cnnvis.files.reading import put_beside, written_whole
from cnnvis.files.writing import Folder
from cnnvis.network.model import Model
from cnnvis.registry.discovery import SIDE, registry
from cnnvis.registry.options import checked
from cnnvis.registry.plugin import Plugin
from cnnvis.reporting import note, notes_kept, progress
from cnnvis.runs.folder import Into, asked_for, kept_in, read_manifest
from cnnvis.runs.manifest import loading_of
from cnnvis.text import file_name, unused

RESULTS = Path("results")
"""Default folder for output files."""

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
    class_names = names_in_order(class_names)
    side = {
        name: checked(_side_plugin(name), given) for name, given in (plugin_options or {}).items()
    }
    renderers = writers([render] if isinstance(render, str) else render, out)
    measuring = _asked_metrics(metrics, side)
    keeping = asked_into(into, resume, shard, shard_size)
    lacking = LoadOptions(custom, lambdas, input_shape, architecture, trust_model)
    if data is None and isinstance(model, str) and model == demo.NAME:
        data = demo.NAME
    if selection is None and isinstance(data, str) and data == demo.NAME and plugin.takes("model"):
        selection = selection_of(demo.IMAGES)
    with notes_kept() as notes:
        target = TargetArguments(layer, filter, output, region)
        request = Request(model, data, selection, target, class_names, lacking, side, input, axes)
        subject = Subject.of(request, [plugin])
        subject = replace(subject, stops=strict)
        techniques = [(plugin, chosen)] if plugin.gives_maps_of_images else []
        loading = loading_of(side, lacking.given())
        failures: list[UserError | PluginError] = []
        with kept_in(keeping, subject, techniques, loading, class_names, beside(out)) as folder:
            keep = None if folder is None else functools.partial(folder.part, 0)
            results = subject.explained(plugin, chosen, kept=keep)
            kept = len(notes)
            found: list[Explanation] = []
            without: list[str] = []
            for name, stream in results.items():
                # What is said of one input stands beside that input's maps, what is general beside
                # all.
                del notes[kept:]
                try:
                    explanation = stream.whole() if folder is None else folder.shown(stream)
                except DiskError:
                    raise
                except (UserError, PluginError) as error:
                    if input is not None or len(results) == 1:
                        raise
                    without.append(f"the input {name!r} gets no map: {error}")
                    failures += [error] if isinstance(error, PluginError) else []
                    continue
                if not shard:  # else it is a table of what was computed
                    explanation = _measured(explanation, measuring, subject.model, failures)
                found.append(replace(explanation, notes=(*explanation.notes, *notes)))
            said = len(notes)
        late = notes[said:]  # of the folder, once all is in it
    if not found:
        raise together(failures) if failures else UserError("; ".join(without))
    first = replace(found[0], notes=(*found[0].notes, *without, *late))
    explanation = replace(first, other_inputs=tuple(found[1:]))
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


def beside(output: PathName | None) -> Path:
    """Return the folder for output files."""
    if output is None or _is_folder(output):
        return Path(output or RESULTS)
    return Path(output).parent


def asked_into(
    into: PathName | Into | None, resume: bool, shard: str | None, shard_size: int | None
) -> Into | None:
    """Return the destination of maps that are to be kept, checked as far as that costs nothing.

    Raises
    ------
    UserError
        If nothing can be written to it.
    """
    if into is None:
        if resume or shard is not None or shard_size is not None:
            raise UserError(
                "resume, shard and shard_size are for a run folder, which into, or --into, names"
            )
        return None
    asked = into if isinstance(into, Into) else asked_for(into, resume, shard, shard_size)
    if asked.folder is not None:
        require_writable(asked.folder)
        if asked.folder.is_file():
            raise UserError(f"{str(asked.folder)!r} is a file, and a run folder is to be there")
        read_manifest(asked.folder, resume=asked.resume)
    return asked


def writers(render: Sequence[str], output: PathName | None) -> list[Plugin]:
    """Return the requested renderers that write files, or else the one for the output's suffix.

    Raises
    ------
    UserError
        If a renderer does not exist, none writes such files, or the output cannot be written to.
    """
    asked = [registry().get("renderer", name) for name in render]
    path = Path(RESULTS if output is None else output)
    require_writable(path)
    if asked or output is None or _is_folder(output):
        found = [renderer for renderer in asked if renderer.suffixes]
        if len(found) == 1 and is_named(output):
            _require_ending(found[0], path)
        return found
    every = [renderer for renderer in registry().of("renderer") if renderer.suffixes]
    best = max(every, key=lambda renderer: len(renderer.ending_of(path)), default=None)
    if best is not None and best.ending_of(path):
        return [best]
    known = ", ".join(f"{r.name} ({' '.join(r.suffixes)})" for r in every)
    raise UserError(
        f"no renderer writes {path.suffix or 'such'} files, as {str(output)!r} asks; "
        f"renderers: {known}; end the name in / for a folder"
    )


def written(
    explanation: Explanation,
    renderers: Sequence[Plugin],
    output: PathName | None,
    options: Mapping[str, Mapping[str, Any]],
    wrote: Callable[[Path], None] = lambda path: None,
) -> None:
    """Let each renderer write a file, whole or not at all, and report the paths to `wrote`.

    One that fails keeps no other from its work.

    Raises
    ------
    UserError
        If a renderer does not write such files, or the disk refuses them.
    PluginError
        If a renderer fails.
    """
    failures: list[UserError | PluginError] = []
    taken: set[str] = set()
    for renderer in renderers:
        for one in (explanation, *explanation.other_inputs):
            path = _wanted(one, renderer, output, alone=len(renderers) == 1)
            if is_named(output) and explanation.other_inputs:
                path = beside_path(path, one.input)
            path = unused(path, taken)
            try:
                chosen = checked(renderer, options.get(renderer.name, {}))
                wrote(write(one, renderer, path, chosen, named=is_named(output)))
            except (UserError, PluginError) as error:
                failures.append(error)
    if failures:
        raise together(failures)


def write(
    explanation: Explanation,
    renderer: Plugin,
    path: Path,
    options: Mapping[str, Any],
    *,
    named: bool,
) -> Path:
    """Let a renderer write one file, whole or not at all.

    Parameters
    ----------
    named
        Whether somebody gave the file its name. Then it takes the place of another of that name;
        else it gets a number, with a note, unless both are the same.

    Returns
    -------
    Path
        Where the file is.
    """
    placed = path

    def place(folder: Folder, temporary: str) -> None:
        nonlocal placed
        placed = path.with_name(put_beside(folder, temporary, path.name))

    with (
        written_whole(path, None if named else place) as temporary,
        progress(f"drawing {path.name}"),
    ):
        call_plugin(renderer, explanation, temporary, **options)
    if placed != path:
        note(f"{str(path)!r} holds another result, so this one is in {str(placed)!r}")
    return placed


def save(explanation: Explanation, path: Path, options: Mapping[str, Any]) -> None:
    """Write a file with the renderer for such files; see `Explanation.save`."""
    found = writers((), path)
    if not found:
        raise UserError(
            f"{str(path)!r} is a folder; name a file, such as {str(path / 'maps.npz')!r}"
        )
    chosen = checked(found[0], options)
    write(explanation, found[0], path, chosen, named=True)
    for one in explanation.other_inputs:
        write(one, found[0], beside_path(path, one.input), chosen, named=True)


def is_named(output: PathName | None) -> bool:
    """Tell whether an output is the name of a file, and not a folder or unset."""
    return output is not None and not _is_folder(output)


def destination(
    explanation: Explanation,
    renderer: Plugin,
    output: PathName | None,
    *,
    alone: bool = False,
    taken: set[str] | None = None,
) -> Path:
    """Return the path of an output file, by default ``results/TECHNIQUE_TARGET_MODIFIER.png``.

    With several renderers, each has its own suffix. A name that is in `taken`, the names of earlier
    results, gets a number, and is added to `taken`.
    """
    return unused(
        _wanted(explanation, renderer, output, alone=alone), set() if taken is None else taken
    )


def _wanted(
    explanation: Explanation, renderer: Plugin, output: PathName | None, *, alone: bool
) -> Path:
    if output is None or _is_folder(output):
        return Path(output or RESULTS) / (_file_stem(explanation) + renderer.suffixes[0])
    path = Path(output)
    if renderer.ending_of(path):
        return path
    if alone:
        _require_ending(renderer, path)
    return path.with_name(path.stem + renderer.suffixes[0])


def _require_ending(renderer: Plugin, path: Path) -> None:
    if path.suffix and not renderer.ending_of(path):
        raise UserError(
            f"the renderer {renderer.name} writes {' or '.join(renderer.suffixes)} files, "
            f"and the output is to be {str(path)!r}"
        )


def _is_folder(output: PathName) -> bool:
    return Path(output).is_dir() or str(output).endswith(("/", os.sep))


def _file_stem(explanation: Explanation) -> str:
    parts = [str(explanation.provenance["technique"])]
    layers = {target.layer for target in explanation.targets}
    if layers:
        parts.append(layers.pop() if len(layers) == 1 else "all")
    asked = explanation.provenance.get("model") or {}
    if asked.get("filters") is not None and explanation.targets:
        chosen = {"+".join(target.units) for target in explanation.targets}
        parts += ["-".join(sorted(chosen))] if len(chosen) < 4 else [f"{len(chosen)}-outputs"]
    if asked.get("region"):
        parts.append("at-" + "-".join(map(str, asked["region"])).replace(":", "to"))
    if "backprop" in explanation.provenance["options"]:
        parts.append(str(explanation.provenance["options"]["backprop"] or "none"))
    parts += [one["transform"] for one in explanation.provenance.get("transforms", [])]
    if explanation.input is not None:
        parts.append(explanation.input)
    return file_name("_".join(parts))


def require_writable(path: Path) -> None:
    """Refuse an output that cannot be written, before the work rather than after it.

    Raises
    ------
    UserError
        If the folder that it is or lies in is a file, or may not be written to.
    """
    folder = path
    while not folder.is_dir() and (folder == path or not folder.exists()):
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(
            f"{str(path)!r} cannot be written: {str(folder)!r} is no folder that may be written to"
        )


def _side_plugin(name: str) -> Plugin:
    """Return the reader, loader or renderer of that name."""
    found = [plugin for plugin in registry() if plugin.kind in SIDE and plugin.name == name]
    if not found:
        registry().get("renderer", name)
    return found[0]
