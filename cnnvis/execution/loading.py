"""Networks and samples from files, by the loader or reader that takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnvis.data.samples import Samples
from cnnvis.errors import UserError
from cnnvis.execution.calls import call_plugin
from cnnvis.files.addresses import Place
from cnnvis.files.snapshots import holding
from cnnvis.network.backend import keras
from cnnvis.network.model import Model
from cnnvis.registry.arguments import LoadOptions, names_of
from cnnvis.registry.discovery import registry
from cnnvis.registry.options import checked, options_of
from cnnvis.reporting import progress


def loaded_from(path: Path, options: Mapping[str, Any], **target: Any) -> Model:
    """Load the network in a file, with the loader's options and a target; see `cnnvis.load_model`."""
    plugin = registry().for_path("loader", path)
    # Nothing given is no option: a loader need not know of every thing that a file may lack.
    given = {name: value for name, value in options.items() if value not in (None, (), [], False)}
    known = {option.name for option in options_of(plugin)}
    for name in given:
        if name in names_of(LoadOptions) and name not in known:
            raise UserError(f"the loader {plugin.name} of {path.name} takes no {name}")
    with progress(f"loading {path.name}"), holding(path, is_copied=True) as held:
        if plugin.begin is not None and not given.get("trust_model"):
            plugin.begin(path)
        keras()
        loaded = call_plugin(plugin, path, **checked(plugin, given))
        return Model(loaded, path=path, sha256=held.sha256(), **target).loaded_with(given)


def read_from(path: Place, options: Mapping[str, Any], reader: str | None = None) -> Samples:
    """Read the samples in a file, with the reader's options; see `cnnvis.read_samples`."""
    plugin = registry().for_path("reader", path, () if reader is None else (reader,))
    if reader is not None and plugin.name != reader:
        registry().get("reader", reader)
        raise UserError(
            f"the reader {reader} does not take {str(path)!r}, which {plugin.name} reads"
        )
    with progress(f"reading {path.name}"), holding(path) as held:
        samples: Samples = call_plugin(plugin, path, **checked(plugin, options))
        held.require_unchanged()
    return replace(samples, path=path, held=held)
