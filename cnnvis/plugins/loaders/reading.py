"""Reading of a network from a file's bytes, whatever the file's name."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.building import network_of
from cnnvis.plugins.loaders.config import TEXT, read_json
from cnnvis.plugins.loaders.examined import Contents, contents
from cnnvis.plugins.loaders.file_kinds import kind_of
from cnnvis.plugins.loaders.findings import kept_findings
from cnnvis.plugins.loaders.load_options import LoadOptions
from cnnvis.plugins.loaders.saved_model import network_in_folder
from cnnvis.plugins.loaders.training import TRAINING
from cnnvis.plugins.loaders.trial import require_running
from cnnvis.plugins.loaders.weights import FileWeights


def network_in(path: Path, asked: LoadOptions) -> cnnvis.LoadedNetwork:
    """Read the network in a file that Keras wrote, of either format.

    Parameters
    ----------
    asked
        The user's options for the file; see the loaders.

    Raises
    ------
    UserError
        If the file is no such file, or its content cannot or must not be loaded; `found` of the
        error holds the findings about it all the same.
    """
    if (path / "saved_model.pb").is_file():
        # A folder describes its own network.
        return network_in_folder(path, replace(asked, architecture=None))
    with kept_findings() as known:
        return _network_in(path, asked, known)


def _network_in(path: Path, asked: LoadOptions, known: dict[str, Any]) -> cnnvis.LoadedNetwork:
    architecture = asked.architecture
    source = cnnvis.held(path)  # which is open as long as this runs
    _require_file(path, source.place)
    form = "HDF5" if kind_of(source.place) == "hdf5" else "Keras archive"
    known["origin"] = form
    try:
        held = _trusted_contents(path, source.place) if asked.trust_model else contents(path)
    except cnnvis.UserError as error:
        known["text"] = error.found.get("config")
        if error.found.get("version"):
            known["origin"] = f"{form}, written by {_keras(error.found['version'])}"
        raise
    origin = known["origin"] = f"{form}, written by {_keras(held.version)}"
    known["parameters"] = held.values
    config = None if held.config is None else _read(held.config, f"{str(path)!r} is damaged")
    known["text"] = held.config
    if isinstance(config, dict) and held.training is not None:
        with suppress(ValueError):  # a network is explained without it
            config[TRAINING] = read_json(held.training)
    if architecture is not None:
        if config is not None:
            raise cnnvis.UserError(
                f"{str(path)!r} describes its own network; leave out --architecture"
            )
        known["text"] = cnnvis.read_text(Path(architecture), TEXT)
        config = _read(known["text"], f"the architecture {architecture!r} cannot be read as JSON")
        origin = f"weights as {origin}, with the network of {Path(architecture).name}"
    if config is None:
        beside = path.with_suffix(".json")
        hint = f", perhaps {str(beside)!r}" if beside.is_file() else ""
        raise cnnvis.UserError(
            f"{str(path)!r} holds weights without a network; give the JSON file that describes "
            f"the network with --architecture{hint}, or save the whole model with model.save"
        )
    if asked.trust_model:
        require_running(source.place, asked, config)
    is_older = _is_older(config, held.version)
    weights, is_keras_2 = FileWeights(source.place, held), held.is_archive and is_older
    return network_of(
        config, path, origin, weights, asked, is_older=is_older, is_keras_2=is_keras_2
    )


def _is_older(config: Any, version: str | None) -> bool:
    """Tell whether Keras 2, or an earlier version, wrote a configuration."""
    is_said = isinstance(config, dict) and "keras_version" in config
    written_by = str(config["keras_version"]) if is_said else version
    if written_by is None:  # Keras 3 says it nowhere in JSON, but where its classes are
        return not (isinstance(config, dict) and "registered_name" in config)
    return written_by.split(".")[0] in ("0", "1", "2")


def _require_file(path: Path, place: Path) -> None:
    """Refuse a file that Keras did not write, by its first bytes."""
    if path.is_dir():
        raise cnnvis.UserError(f"{str(path)!r} is a folder, and no SavedModel of TensorFlow")
    if kind_of(place) is None:
        raise cnnvis.UserError(
            f"{str(path)!r} is not a model that Keras saved: {_beginning(place)}"
        )


def _keras(version: str | None) -> str:
    return "an unknown Keras version" if version is None else f"Keras {version[:40]}"


def _read(text: str, wrong: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise cnnvis.UserError(f"{wrong}: {error}") from error


def _beginning(path: Path) -> str:
    """Return the format of a file by its first bytes, in words."""
    with path.open("rb") as file:
        start = file.read(40)
    if not start:
        return "the file is empty"
    if all(32 <= byte < 127 or byte in b"\r\n\t" for byte in start):
        return f"it is a text file that begins with {start.decode()!r}"
    return f"it begins with the bytes {start[:8].hex(' ')}"


def _trusted_contents(path: Path, place: Path) -> Contents:
    """Return the contents of a file that somebody trusts, which is simply opened."""
    import h5py

    try:
        if kind_of(place) == "keras":
            with zipfile.ZipFile(place) as archive:
                config = archive.read("config.json").decode("utf-8")
                version = str(json.loads(archive.read("metadata.json"))["keras_version"])
            return Contents(True, config, version, None, False, 0)
        with h5py.File(place, "r") as file:
            weights = file.get("model_weights", file)
            found = (
                file.attrs.get("model_config"),
                file.attrs.get("keras_version", weights.attrs.get("keras_version")),
                file.attrs.get("training_config"),
            )
            is_by_layers = "layer_names" in weights.attrs
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise cnnvis.UserError(f"{str(path)!r} is damaged: {error}") from error
    config, version, training = (
        one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in found
    )
    return Contents(False, config, version, training, is_by_layers, 0)
