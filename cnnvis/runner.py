"""`cnnvis.run`: one technique on a model and data, with everything that goes around it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis import demo
from cnnvis.coordinates import axes_of
from cnnvis.errors import UserError, nearest
from cnnvis.explanation import Explanation
from cnnvis.files import sha256, written_whole
from cnnvis.model import Model, units_kept
from cnnvis.options import checked
from cnnvis.plugin import Plugin
from cnnvis.registry import SIDE, registry
from cnnvis.reporting import note, notes_kept, progress
from cnnvis.samples import Array, Samples
from cnnvis.sources import PathName, model_of, samples_of

RESULTS = Path("results")
"""Where files go when nobody says."""

Filters = int | str | Sequence[int | str]


def run(
    technique: str,
    model: Model | PathName | Any,
    *,
    data: Samples | PathName | Array | tuple[Array, Array] | None = None,
    images: int | Sequence[int] | None = None,
    layer: str | None = None,
    filter: Filters | None = None,
    output: str | None = None,
    region: Sequence[str | int | slice] | None = None,
    input: str | Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    custom: Sequence[str] = (),
    input_shape: Sequence[int] | None = None,
    architecture: PathName | None = None,
    axes: Mapping[str, Any] | None = None,
    render: Sequence[str] = (),
    out: PathName | None = None,
    plugin_options: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> Explanation:
    """Explain a network with one technique.

    Parameters
    ----------
    technique
        The technique's name: ``saliency``, ``grad-cam``, ...
    model
        A file, a live Keras network or a `Model`; ``demo`` for the one that comes with cnnvis.
    data
        A file or folder, an array of inputs (n, ...), inputs and labels, or `Samples`.
    images
        Which images of the data, by their places; all of them by default.
    layer
        The layer to explain, by default the one named ``output``, else the last; or one of its
        outputs, ``output:3`` or ``output[AI]``, or a sum or difference of such.
    filter
        Which outputs of that layer, by number or class name; several are added up. By default the
        class predicted for each image where the layer is the network's last, else output 0.
    output
        Which of the network's outputs to explain, where it has several and no layer is named.
    region
        For a layer with spatial axes: over which positions its outputs are averaged, a position or
        a range (``"10:20"``) for each axis. By default over all.
    input
        Which of the network's inputs get a map, where it has several; all of them by default.
    class_names
        The names of the classes, where the data do not hold them.
    custom, input_shape, architecture
        What a model's file lacks; see `load_model`.
    axes
        What positions along the axes stand for: ``{"column": {"name": "position", "unit": "bp",
        "step": 250}}``; see `cnnvis.Axis`.
    render
        Renderers that write a file each: ``("png", "numpy")``. None by default.
    out
        The file or folder that they write to, ``results`` by default.
    plugin_options
        Options of readers, loaders and renderers: ``{"png": {"cmap": "hot"}}``.
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
    """
    plugin = registry().get("technique", technique)
    # What costs nothing to check is checked before anything is loaded.
    chosen = checked(plugin, options)
    side = {
        name: checked(_side_plugin(name), given) for name, given in (plugin_options or {}).items()
    }
    described = axes_of(axes or {})
    renderers = writers(render, out)
    lacking = {"custom": custom, "input_shape": input_shape, "architecture": architecture}
    with notes_kept() as notes:
        if isinstance(model, str | PathLike) and model != demo.NAME:
            registry().for_path("loader", Path(model))
        if data is None and isinstance(model, str) and model == demo.NAME:
            data = demo.NAME
        if images is None and isinstance(data, str) and data == demo.NAME and plugin.takes("model"):
            images = demo.IMAGES
        samples = _samples(plugin, data, images, class_names, side)
        target = {"layer": layer, "filters": filter, "output": output, "region": region}
        names = class_names or (samples.class_names if samples else None)
        handle = None
        if plugin.takes("model"):
            handle = model_of(model, target, names, side, lacking)
            handle.say_defaults()
            if class_names is not None:
                _require_fitting(class_names, handle)
        explained = paired(handle, samples, input) if handle else [(None, samples)]
        kept = len(notes)
        found: list[Explanation] = []
        without: list[str] = []
        for one, of in explained:
            # What is said of one input stands beside that input's maps, what is general beside all.
            del notes[kept:]
            try:
                with units_kept():
                    result = plugin(
                        **({"model": one} if plugin.takes("model") else {}),
                        **({"samples": of} if plugin.takes("samples") else {}),
                        **chosen,
                    )
                    explanation = completed(result, plugin, one, of)
                facts = provenance_of(plugin, chosen, one, of)
                facts = {**explanation.provenance, **facts, "target": explanation.target}
                explanation = replace(explanation, provenance=facts).described(described)
            except UserError as error:
                if input is not None or len(explained) == 1:
                    raise
                assert of is not None
                without.append(f"the input {of.input!r} gets no map: {error}")
                continue
            found.append(replace(explanation, notes=(*explanation.notes, *notes)))
    if not found:
        raise UserError("; ".join(without))
    first = replace(found[0], notes=(*found[0].notes, *without))
    explanation = replace(first, other_inputs=tuple(found[1:]))
    written(explanation, renderers, out, side)
    return explanation


def paired(
    model: Model | None, samples: Samples | None, wanted: str | Sequence[str] | None
) -> list[tuple[Model | None, Samples | None]]:
    """The model and the samples for each input of the network that is to get a map.

    Raises
    ------
    UserError
        If the samples do not fit the network, are no finite numbers, or there is no such input.
    """
    if model is None or samples is None:
        return [(model, samples)]
    shapes = {one.name: (one.shape, model.channel_axis_of(one.name)) for one in model.inputs}
    shaped = samples.shaped_for_inputs(shapes)
    for one in shaped.values():
        one.require_finite()
    names = model.explainable_inputs
    if wanted is not None:
        names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        for name in names:
            if name not in shaped:
                raise UserError(
                    f"the network has no input {name!r}.{nearest(name, shaped)} "
                    f"It has: {', '.join(shaped)}."
                )
    return [(model.on(shaped[name]), shaped[name]) for name in names]


def writers(render: Sequence[str], output: PathName | None) -> list[Plugin]:
    """The renderers asked for that write files; without any, the one for the output's ending.

    Raises
    ------
    UserError
        If there is no such renderer, none writes such files, or the output cannot be written to.
    """
    asked = [registry().get("renderer", name) for name in render]
    path = Path(RESULTS if output is None else output)
    require_writable(path)
    if asked or output is None or _is_folder(output):
        return [renderer for renderer in asked if renderer.suffixes]
    every = [renderer for renderer in registry().of("renderer") if renderer.suffixes]
    for renderer in every:
        if path.suffix.lower() in renderer.suffixes:
            return [renderer]
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
) -> list[Path]:
    """Have renderers write a file each, whole or not at all; where they are.

    Raises
    ------
    UserError
        If a renderer does not write such files, or the disk refuses them.
    """
    paths: list[Path] = []
    for renderer in renderers:
        for one in (explanation, *explanation.other_inputs):
            named = output is not None and not _is_folder(output) and explanation.other_inputs
            path = destination(one, renderer, output, alone=len(renderers) == 1)
            if named:
                path = path.with_stem(f"{path.stem}_{_plain(str(one.input))}")
            write(one, renderer, path, checked(renderer, options.get(renderer.name, {})))
            paths.append(path)
    return paths


def write(
    explanation: Explanation, renderer: Plugin, path: Path, options: Mapping[str, Any]
) -> None:
    """Have a renderer write one file, whole or not at all."""
    with written_whole(path) as temporary, progress(f"drawing {path.name}"):
        renderer(explanation, temporary, **options)


def destination(
    explanation: Explanation,
    renderer: Plugin,
    output: PathName | None,
    *,
    alone: bool = False,
    taken: Collection[str] = (),
) -> Path:
    """``results/TECHNIQUE_LAYER_MODIFIER.png`` unless told otherwise.

    With several renderers, a file name's ending is each one's own. A name that is taken by an
    earlier result gets a number.
    """
    path = _wanted(explanation, renderer, output, alone=alone)
    stem, number = path.stem, 1
    while str(path) in taken:
        number += 1
        path = path.with_stem(f"{stem}_{number}")
    return path


def _wanted(
    explanation: Explanation, renderer: Plugin, output: PathName | None, *, alone: bool
) -> Path:
    if output is None or _is_folder(output):
        return Path(output or RESULTS) / (_file_stem(explanation) + renderer.suffixes[0])
    path = Path(output)
    if path.suffix.lower() in renderer.suffixes:
        return path
    if alone and path.suffix:
        raise UserError(
            f"the renderer {renderer.name} writes {' or '.join(renderer.suffixes)} files, "
            f"and the output is to be {str(output)!r}"
        )
    return path.with_name(path.stem + renderer.suffixes[0])


def _is_folder(output: PathName) -> bool:
    return Path(output).is_dir() or str(output).endswith(("/", os.sep))


def _file_stem(explanation: Explanation) -> str:
    parts = [str(explanation.provenance["technique"])]
    layers = {target.layer for target in explanation.targets}
    if layers:
        parts.append(layers.pop() if len(layers) == 1 else "all")
    if "backprop" in explanation.provenance["options"]:
        parts.append(str(explanation.provenance["options"]["backprop"] or "none"))
    parts += [one["transform"] for one in explanation.provenance.get("transforms", [])]
    if explanation.input is not None:
        parts.append(explanation.input)
    return _plain("_".join(parts))


def _plain(name: str) -> str:
    """A name for a file: a layer may be called block1/conv."""
    return re.sub(r"[^\w.+-]+", "-", name)


def require_writable(path: Path) -> None:
    """Refuse an output that could not be written, before the work rather than after it.

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
    """The reader, loader or renderer of that name."""
    found = [plugin for plugin in registry() if plugin.kind in SIDE and plugin.name == name]
    if not found:
        registry().get("renderer", name)
    return found[0]


def _samples(
    plugin: Plugin,
    data: Samples | PathName | Array | tuple[Array, Array] | None,
    images: int | Sequence[int] | None,
    class_names: Sequence[str] | None,
    options: Mapping[str, Mapping[str, Any]],
) -> Samples | None:
    if not plugin.takes("samples"):
        return None
    if data is None:
        if plugin.needs("samples"):
            raise UserError(f"{plugin.name} explains images and needs some: add --data FILE")
        return None
    samples = samples_of(data, options, class_names)
    chosen = samples.chosen(images)
    if len(chosen) == 0:
        raise UserError(
            "there are no images to explain" if len(samples) else "the data hold no images"
        )
    return chosen


def _require_fitting(class_names: Sequence[str], model: Model) -> None:
    # A layer in between has none.
    units = model.target_units
    if model.asked_layer is None and units > 1 and len(class_names) != units:
        raise UserError(
            f"there are {len(class_names)} class names, and {model.layer!r} has {units} outputs"
        )


def completed(
    result: Any,
    plugin: Plugin,
    model: Model | None,
    samples: Samples | None,
    judge: Callable[[Explanation], None] | None = None,
) -> Explanation:
    """A technique's result with the targets, checked at the border.

    `judge` looks at maps of images and refuses what shows nothing; by default, if all are blank.
    """
    if not isinstance(result, Explanation):
        raise plugin.failed(f"it gave {type(result).__name__}, not an Explanation")
    found: Explanation = result
    if found.maps is not None and found.samples is not None:
        if judge is None:
            _require_something(found, plugin)
        else:
            judge(found)
        if not found.targets and model is not None:
            found = replace(found, targets=model.targets(found.samples.x))
    if samples is not None:
        found = replace(found, input=samples.input)
    if model is not None and model.cut:
        names = ", ".join(map(repr, model.cut))
        note(f"{names} was cut off: {next(iter(model.cut.values()))}")
    return found


def provenance_of(
    plugin: Plugin, options: Mapping[str, Any], model: Model | None, samples: Samples | None
) -> dict[str, Any]:
    """How a technique's result is made: plain JSON values."""
    return {
        "technique": plugin.name,
        "options": dict(options),
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "reference": plugin.reference,
        "model": _model_facts(model),
        "data": _data_facts(samples),
        "versions": _versions(),
    }


def _require_something(found: Explanation, plugin: Plugin) -> None:
    assert found.maps is not None and found.samples is not None
    flat = found.maps.reshape(len(found), -1)
    if not np.isfinite(flat).all():
        raise UserError(f"{plugin.name} came out as NaN or infinite; the model's weights may be so")
    blank = [int(found.samples.indices[i]) for i in np.flatnonzero(~flat.any(axis=1))]
    if len(blank) == len(found):
        raise UserError(
            f"{plugin.name} is zero everywhere in every image, so there is nothing to show: "
            "nothing in them speaks for this target. Another layer, filter or modifier may say more."
        )
    if blank:
        shown = ", ".join(map(str, blank[:8])) + (" and others" if len(blank) > 8 else "")
        note(f"{plugin.name} is zero everywhere in image {shown}: its blank map is no finding")
    alike = flat.any(axis=1) & (np.ptp(flat, axis=1) == 0) & (flat.shape[1] > 1)
    if alike.any():
        note(
            f"{plugin.name} is the same everywhere in {int(alike.sum())} of {len(found)} images, so "
            "no place in them counts more than another"
        )


def _model_facts(model: Model | None) -> dict[str, Any] | None:
    if model is None:
        return None
    return {
        "file": None if model.path is None else model.path.name,
        "sha256": model.sha256,
        "layer": model.asked_layer,
        "filters": model.asked_filters,
        "output": model.asked_output,
        "region": None if model.asked_region is None else [str(one) for one in model.asked_region],
        "repairs": model.repairs,
        "cut": dict(model.cut),
    }


def _data_facts(samples: Samples | None) -> dict[str, Any] | None:
    if samples is None:
        return None
    return {
        "file": None if samples.path is None else samples.path.name,
        "sha256": None if samples.path is None else sha256(samples.path),
        "images": samples.indices.tolist(),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("cnnvis", "tensorflow", "keras", "numpy"):
        try:
            # What was never imported had no part in the result.
            if name == "cnnvis" or name in sys.modules:
                versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed as a package"
    return versions
