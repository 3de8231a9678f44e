"""Provenance: how a result is made, in plain JSON values."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cnnvis.data.samples import Samples
from cnnvis.network.compilation import is_mixed
from cnnvis.network.model import Model
from cnnvis.registry.arguments import Style
from cnnvis.registry.plugin import Plugin


def provenance_of(
    plugin: Plugin,
    options: Mapping[str, Any],
    model: Model | None,
    samples: Samples | None,
    style: Style = "default",
    targets: Sequence[Model] = (),
) -> dict[str, Any]:
    """Return how a technique's result is made: plain JSON values.

    Parameters
    ----------
    targets
        A model for each target, if each image has a map for each of several; else none.
    """
    return {
        "technique": plugin.name,
        "options": dict(options),
        "plugin": {"distribution": plugin.distribution, "version": plugin.version},
        "reference": plugin.reference,
        "model": None if model is None else {**_model_facts(model), **several_facts(targets)},
        "data": _data_facts(samples),
        "versions": _versions(),
        **({"mixed_precision": True} if is_mixed() else {}),
        **({"style": style} if style != "default" else {}),
    }


def several_facts(targets: Sequence[Model]) -> dict[str, Any]:
    """Return how several targets were asked for, each with a map; nothing for one target."""
    if not targets:
        return {}
    return {"each": True} if targets[0].asked_rank is None else {"top": len(targets)}


def _model_facts(model: Model) -> dict[str, Any]:
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
        "sha256": samples.sha256,
        "images": samples.indices[samples.image_starts].tolist(),
    }


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("cnnvis", "tensorflow", "keras", "numpy"):
        try:
            # What was never imported had no part in the result.
            if name == "cnnvis" or name in sys.modules:
                versions[name] = _version(name)
        except PackageNotFoundError:
            versions[name] = "not installed as a package"
    return versions


_version = functools.cache(version)  # which reads the whole of a distribution's metadata
