"""Models and data from files, ``demo``, arrays, and networks of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from cnnvis import demo, host
from cnnvis.data.class_names import ClassNames
from cnnvis.data.in_memory import samples_in
from cnnvis.data.lazy import Shape
from cnnvis.data.samples import Samples
from cnnvis.errors import UserError
from cnnvis.execution.loading import loaded_from, read_from
from cnnvis.files.addresses import Address, place_of
from cnnvis.network.model import Model
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import grants_of, not_default
from cnnvis.reporting import notes_kept, quietly

PathName = str | PathLike[str]
PluginOptions = Mapping[str, Mapping[str, Any]]


def load_model(
    path: PathName | Any,
    *,
    layer: str | int | None = None,
    filter: int | str | Sequence[int | str] | None = None,
    class_names: ClassNames | None = None,
    output: str | int | None = None,
    region: Sequence[str | int | slice] | None = None,
    **options: Any,
) -> Model:
    """Load a network from a file, with repairs if needed; no code in the file runs.

    Parameters
    ----------
    path
        A file or folder that a loader plugin reads: ``.h5``, ``.hdf5``, ``.keras``, a SavedModel;
        ``demo`` for the network that comes with cnnvis; or a live Keras network, or a `Model`.
    layer, filter, class_names, output, region
        The target; see `Model`.
    options
        Options of the loader. The loaders of cnnvis take missing parts of a file: `custom`, the
        classes of its own layers, each ``module:Class``; `lambdas`, functions that replace its
        Lambda layers, each ``NAME=module:function``; `input_shape`, the shape of one input;
        `architecture`, the JSON file that describes the network of the weights. With `trust_model`
        code in the file may run, and cnnvis leaves out its checks against harmful files.

    Raises
    ------
    UserError
        If the file does not exist, no loader reads it, or it holds code that must not run.
    """
    target: dict[str, Any] = {"layer": layer, "filters": filter, "output": output}
    target |= {"region": region, "class_names": class_names}
    return model_of(path, target, {}, options)


def model_of(
    model: Model | PathName | Any,
    target: Mapping[str, Any],
    options: PluginOptions,
    lacking: Mapping[str, Any],
) -> Model:
    """Return the model of a file, a live network or a `Model`, at a target.

    Parameters
    ----------
    target
        The arguments of `Model` for the target: layer, filters, output, region.
    options
        Options of loaders, by their names.
    lacking
        Options for what a file lacks, whatever loader takes the file; see `load_model`.
    """
    if isinstance(model, str) and model == demo.NAME:
        model = demo.MODEL
    if isinstance(model, str | PathLike):
        loader = registry().for_path("loader", Path(model))
        given = {name: value for name, value in lacking.items() if value}
        merged = {**options.get(loader.name, {}), **given}
        loaded = loaded_from(Path(model), merged, **target)
        host.mark_memory("the network")
        return loaded
    needless = [name for name, value in lacking.items() if value]
    if needless:
        raise UserError(f"{needless[0]} is for models that are loaded from a file")
    if not isinstance(model, Model):
        return Model(model, **target)
    # A model that comes with a target keeps it, unless another is asked for.
    if target.get("layer") is None and target.get("output") is None:
        own = {
            "layer": model.asked_layer,
            "output": model.asked_output,
            "region": model.asked_region,
            "filters": model.asked_filters,
        }
        target = {name: own[name] if target.get(name) is None else target[name] for name in own}
    return model.with_target(**target)


def given_in(options: PluginOptions) -> list[str]:
    """Return the names of the plugins of which there are options."""
    return [name for name, given in options.items() if given]


def samples_of(data: Any, options: PluginOptions, inputs: Sequence[Shape] | None = None) -> Samples:
    """Return `Samples` from a file, or from the objects of a program.

    Parameters
    ----------
    options
        Options of readers, by their names.
    inputs
        The shapes of the network's inputs, where they are known; see
        `cnnvis.data.in_memory.samples_in`.
    """
    if isinstance(data, str) and data == demo.NAME:
        data = demo.DATA
    if isinstance(data, str | PathLike | Address):
        place = place_of(data)
        reader = registry().for_path("reader", place, given_in(options))
        return read_samples(place, reader=reader.name, **options.get(reader.name, {}))
    return samples_in(data, inputs)


def options_used(model: Any, data: Any, options: PluginOptions) -> dict[str, Any]:
    """Return the options with which a model's file and a data file are read, but for defaults.

    Options that let code run are left out: nothing repeats these unless a person types them.

    Parameters
    ----------
    options
        Options of loaders and readers, by their names.

    Returns
    -------
    dict
        Plain values by the option's name behind that of the plugin: ``volumes.orientation``.
    """
    used: dict[str, Any] = {}
    for kind, path in (("loader", model), ("reader", data)):
        given = any(options.get(plugin.name) for plugin in registry().of(kind))
        if not given or path == demo.NAME or not isinstance(path, str | PathLike):
            continue  # and no folder is looked into again
        with quietly(), notes_kept():
            plugin = registry().for_path(kind, place_of(path), given_in(options))
        used |= {
            f"{plugin.name}.{name}": str(value) if isinstance(value, PathLike) else value
            for name, value in not_default(plugin, options.get(plugin.name, {})).items()
            if name not in grants_of(plugin)
        }
    return used


def read_samples(
    path: PathName | Address,
    *,
    class_names: ClassNames | None = None,
    reader: str | None = None,
    **options: Any,
) -> Samples:
    """Read data from a file or folder; no code in the file runs.

    Parameters
    ----------
    path
        A path that a reader plugin reads: a pickle, ``.npz``, ``.npy``, pictures; an address of a Zarr store
        in an object store, ``s3://bucket/images.zarr``; or ``demo`` for the data that come with cnnvis.
    class_names
        The names of the classes in a network's order, if the file holds no class names. Labels in
        words, such as names of folders, are matched to the classes by name.
    reader
        The name of the reader, where several read such files. By default a built-in one.
    options
        Options of the reader.

    Raises
    ------
    UserError
        If the file does not exist, the reader does not read it, no reader reads it, or it holds no data.
    """
    samples = read_from(demo.DATA if path == demo.NAME else place_of(path), options, reader)
    return samples if class_names is None else samples.named(class_names)
