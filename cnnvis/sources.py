"""Models and data from whatever stands for them: files, ``demo``, arrays, networks of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from cnnvis import demo
from cnnvis.errors import UserError
from cnnvis.model import Model, loaded_from
from cnnvis.options import checked
from cnnvis.registry import registry
from cnnvis.reporting import progress
from cnnvis.samples import Samples

PathName = str | PathLike[str]
PluginOptions = Mapping[str, Mapping[str, Any]]


def model_of(
    model: Model | PathName | Any,
    target: Mapping[str, Any],
    options: PluginOptions,
    lacking: Mapping[str, Any],
) -> Model:
    """The model that a file, a live network or a `Model` stands for, at a target.

    Parameters
    ----------
    target
        The arguments of `Model` that say what is explained: layer, filters, output, region.
    options
        Options of loaders, by their names.
    lacking
        What a file lacks, whatever loader takes it; see `load_model`.
    """
    if isinstance(model, str) and model == demo.NAME:
        model = demo.MODEL
    if isinstance(model, str | PathLike):
        loader = registry().for_path("loader", Path(model))
        given = {name: value for name, value in lacking.items() if value}
        merged = {**options.get(loader.name, {}), **given}
        return loaded_from(Path(model), merged, **target)
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
    return model.at(**target)


def samples_of(data: Any, options: PluginOptions) -> Samples:
    """`Samples` from whatever stands for them: themselves, a file, inputs, or inputs and labels."""
    if isinstance(data, str) and data == demo.NAME:
        data = demo.DATA
    if isinstance(data, str | PathLike):
        reader = registry().for_path("reader", Path(data))
        return read_samples(data, **options.get(reader.name, {}))
    if isinstance(data, Samples):
        return data
    x, y = data if isinstance(data, tuple) and len(data) == 2 else (data, None)
    return Samples.of(x, y)


def read_samples(
    path: PathName, *, class_names: Sequence[str] | None = None, **options: Any
) -> Samples:
    """Read data from a file or folder; nothing in it is run.

    Parameters
    ----------
    path
        What a reader plugin takes: a pickle, ``.npz``, ``.npy``, pictures.
    class_names
        The names of the classes in a network's order, where the file does not hold them. Labels in
        words, such as folders' names, are matched to them by name.
    options
        Options of the reader.

    Raises
    ------
    UserError
        If there is no such file, no reader takes it, or it holds something else.
    """
    path = Path(path)
    plugin = registry().for_path("reader", path)
    with progress(f"reading {path.name}"):
        samples: Samples = plugin(path, **checked(plugin, options))
    samples = replace(samples, path=path)
    return samples.named(class_names) if class_names else samples
