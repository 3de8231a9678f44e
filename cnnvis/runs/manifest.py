"""Manifest of a run: all that its bytes depend on, written before anything is computed."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from cnnvis.data.batches import Pieces
from cnnvis.data.samples import Array, Samples
from cnnvis.data.voxel_grid import common_grid
from cnnvis.errors import UserError
from cnnvis.explain.agreement import has_label
from cnnvis.explain.inputs import PluginOptions
from cnnvis.explain.orders import Orders
from cnnvis.explain.provenance import several_facts
from cnnvis.explain.several import number_of_targets
from cnnvis.explain.task import rows_at_once
from cnnvis.files.snapshots import sha256
from cnnvis.network.backend import threads
from cnnvis.network.compilation import is_mixed, settled_way
from cnnvis.network.model import Model
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import not_default
from cnnvis.registry.plugin import Plugin
from cnnvis.runs.on import On
from cnnvis.runs.seals import digest, plain

FORMAT = 1
"""Version of the format of run folders."""

PACKAGES = ("cnnvis", "tensorflow", "keras", "numpy", "zarr", "numcodecs")


def run_id(manifest: Mapping[str, Any]) -> str:
    """Return the identifier of a run, the same for all shares of the run."""
    return digest(plain({name: one for name, one in manifest.items() if name != "part"}))


def facts(
    techniques: Sequence[tuple[Plugin, Mapping[str, Any]]],
    model: Model,
    samples: Mapping[str | None, Samples],
    inputs: Sequence[str],
    loading: Mapping[str, Any],
    class_names: Sequence[str] | None,
    targets: Sequence[Model] = (),
    orders: Orders | None = None,
) -> dict[str, Any]:
    """Return the facts about an explanation and its plugins, as plain values.

    Parameters
    ----------
    techniques
        The techniques with all their options.
    samples
        The samples by the inputs' names, as in `Task`.
    inputs
        The inputs that get maps.
    loading
        The options with which the model and the data were read.
    targets
        A model for each target, if each image has a map for each of several; else none.
    orders
        The orders of an exchangeable axis over which maps are averaged, if any.
    """
    one = next(iter(samples.values()))
    found = {
        "format": FORMAT,
        "versions": _versions(),
        "techniques": [plugin_facts(plugin, options) for plugin, options in techniques],
        "model": {
            "file": None if model.path is None else model.path.name,
            "sha256": model.sha256 or _of_network(model.network),
            "layer": model.asked_layer,
            "filters": model.asked_filters,
            "output": model.asked_output,
            "region": None if model.asked_region is None else list(map(str, model.asked_region)),
            **several_facts(targets),
        },
        "data": {
            "file": None if one.path is None else one.path.name,
            "sha256": one.sha256 or _of_samples(one),
            "count": len(one),
            "shapes": {str(name): list(each.source.shape[1:]) for name, each in samples.items()},
            **({} if (grid := common_grid(one.grids)) is None else {"grid": grid.as_dict()}),
        },
        "images": _ranges(one.indices[one.image_starts]),
        "inputs": list(inputs),
        "reading": dict(loading),
        "class_names": None if class_names is None else list(class_names),
        **({} if orders is None else {"orders": orders.as_dict()}),
    }
    plain_found: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain_found


def loading_of(side: PluginOptions, lacking: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for reading a model and data, as plain values, without defaults."""
    found: dict[str, Any] = {}
    for plugin in registry():
        if plugin.kind in ("reader", "loader") and plugin.name in side:
            given = not_default(plugin, side[plugin.name])
            found |= {f"{plugin.name}.{name}": value for name, value in given.items()}
    found |= {name: value for name, value in lacking.items() if value}
    if lacking.get("architecture"):
        found["architecture"] = sha256(Path(lacking["architecture"]))
    return found


def computed(
    model: Model,
    samples: Samples,
    shard_size: int | None,
    before: Mapping[str, Any] | None,
    on: On | None = None,
) -> dict[str, Any]:
    """Return the settings of the computation, fixed for the run: others give other last digits.

    Parameters
    ----------
    shard_size
        The requested number of images in a shard, if any. The number in the result is that of maps.
    before
        The settings from the beginning of the run.
    on
        The workers that compute, if any: those of this machine share its memory and processors.
    """
    together = 1 if on is None else on.count or 1
    compile, batch = settled_way(
        together * model.footprint(samples),
        before,
        is_elsewhere=on is not None and on.count is None,
    )
    if shard_size is None:
        shard_size = rows_at_once(samples) if before is None else before["shard_size"]
    else:
        shard_size *= number_of_targets(samples)
    shard_size = min(shard_size, len(samples))
    is_unknown = before is not None and before["threads"] is None  # as earlier versions wrote
    return {
        "compile": compile,
        "batch_size": min(batch, shard_size),
        "shard_size": shard_size,
        "threads": None if is_unknown else threads() if on is None else on.threads,
        "mixed_precision": is_mixed(),
    }


def differences(
    was: Mapping[str, Any], now: Mapping[str, Any], words: str = "was {} and is now {}"
) -> list[str]:
    """Return the differences of two manifests, each in a phrase with both values."""
    return [
        f"{what} {words.format(_short(old), _short(new))}{_FLAGS.get(what, '')}"
        for what, old, new in _differing("", was, now)
        if what not in _UNIMPORTANT
    ]


def require_same(was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to compute, as a worker, another run than the one whose manifest is given.

    Raises
    ------
    UserError
        With all differences.
    """
    if different := differences(was, now, "is {} in the run and {} here"):
        raise UserError(
            f"a worker would compute another run: {'; '.join(different)}. All workers need the same "
            "files, and the same versions of the packages"
        )


_READ = {name: f"the {name}" for name in ("options", "model", "data", "versions")} | {
    "techniques": "the technique",
    "technique": "name",
    "computed": "the computation",
}
"""Names of a manifest's keys in a sentence, where they differ from the keys."""

_FLAGS = {"threads of the computation": " (the option --threads)"}
"""What sets facts that nobody seems to have typed."""

_UNIMPORTANT = {"file of the model", "file of the data"}


def _differing(where: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*was, *now)):
            name_read = _READ.get(name, str(name))
            whole = f"{name_read} of {where}" if where else name_read
            yield from _differing(whole, was.get(name), now.get(name))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (old, new) in enumerate(zip(was, now, strict=True), 1):
            whole = where if len(was) == 1 else f"number {number} of {where}"
            yield from _differing(whole, old, new)
    elif was != now:
        yield where, was, now


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return (text or "''") if len(text) <= 40 else f"{text[:16]}..."


def plugin_facts(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about a plugin that its results depend on, with its options."""
    source = None
    if not plugin.version:  # a single file has no version
        file = inspect.getsourcefile(plugin.function)
        source = sha256(Path(file)) if file is not None and Path(file).is_file() else None
    return {
        "technique": plugin.name,
        "options": dict(options),
        "distribution": plugin.distribution,
        "version": plugin.version,
        "source": source,
    }


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # such as tensorflow-cpu
            found[name] = "not known"
    return found


def _ranges(indices: Array) -> list[list[int]]:
    """Return whole numbers as ranges: 0, 1, 2, 7 is [[0, 3], [7, 8]]."""
    cuts = np.flatnonzero(np.diff(indices) != 1) + 1
    return [[int(run[0]), int(run[-1]) + 1] for run in np.split(indices, cuts) if len(run)]


def _of_network(network: Any) -> str:
    """Return the SHA-256 of the layers' settings and the weights of a network from no file."""
    whole = hashlib.sha256()
    try:
        whole.update(network.to_json().encode())
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        whole.update(type(network).__name__.encode())  # a network whose code is its own
    for weight in network.get_weights():
        whole.update(f"{weight.shape} {weight.dtype}".encode())
        whole.update(np.ascontiguousarray(weight).tobytes())
    return whole.hexdigest()


def _of_samples(samples: Samples) -> str:
    """Return the SHA-256 of inputs that came from no file."""
    whole = hashlib.sha256()
    for name, source in (samples.inputs or {"": samples.source}).items():
        whole.update(f"{name} {source.shape} {source.dtype}".encode())
        for places in Pieces(len(samples), 256):
            try:
                whole.update(np.asarray(source[np.asarray(places)]).tobytes())
            except (OSError, ValueError, UserError):  # the images that fail are named later
                whole.update(b"unreadable")
    if samples.label_kind == "class" and has_label(samples).all():
        whole.update(np.asarray(samples.labels, np.int64).tobytes())
    elif samples.labels is not None:
        whole.update(f"{samples.label_kind} {samples.labels.shape}".encode())
        for places in Pieces(len(samples), 256):
            whole.update(np.ascontiguousarray(samples.labels[np.asarray(places)]).tobytes())
    return whole.hexdigest()
