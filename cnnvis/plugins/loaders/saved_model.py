"""Loader of networks that Keras 2 saved as TensorFlow SavedModels, with their real layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.config import MODELS
from cnnvis.plugins.loaders.findings import kept_findings
from cnnvis.plugins.loaders.load_options import LoadOptions, with_help
from cnnvis.plugins.loaders.training import TRAINING

ORIGIN = "SavedModel, written by Keras 2"


def _is_saved_model(path: Path) -> bool:
    return (path / "saved_model.pb").is_file()


@cnnvis.loader("saved-model", accepts=_is_saved_model)
@with_help
def saved_model(
    path: Path,
    *,
    custom: cnnvis.Granting[tuple[str, ...]] = (),
    lambdas: cnnvis.Granting[tuple[str, ...]] = (),
    input_shape: tuple[int, ...] | None = None,
    trust_model: cnnvis.Granting[bool] = False,
) -> cnnvis.LoadedNetwork:
    """Load a SavedModel folder that Keras 2 wrote, by building its layers anew.

    The graph in the folder never runs, and its weights are read without TensorFlow. The loader
    refuses folders without a description of layers.
    """
    return network_in_folder(path, LoadOptions(custom, lambdas, input_shape, trust_model))


def network_in_folder(path: Path, asked: LoadOptions) -> cnnvis.LoadedNetwork:
    """Read the network in a SavedModel.

    Raises
    ------
    UserError
        As `reading.network_in` does.
    """
    with kept_findings() as known:
        known["origin"] = "SavedModel"
        return _network_in(path, asked, known)


def _network_in(path: Path, asked: LoadOptions, known: dict[str, Any]) -> cnnvis.LoadedNetwork:
    from cnnvis.plugins.loaders.building import network_of
    from cnnvis.plugins.loaders.checkpoint import Checkpoint
    from cnnvis.plugins.loaders.saved_objects import described_objects
    from cnnvis.plugins.loaders.saved_weights import CheckpointWeights

    held = cnnvis.held(path)
    nodes = described_objects(path, held)
    if not nodes:
        raise cnnvis.UserError(
            f"{str(path)!r} is a SavedModel without Keras layers: cnnvis does not run its graph, "
            "and cannot explain a layer of it; save the model as .keras or .h5 with the program "
            "that made it"
        )
    root = nodes.get("root", {})
    if not {"class_name", "config"} <= set(root):
        raise cnnvis.UserError(f"{str(path)!r} does not describe a Keras model")
    config = {"class_name": root["class_name"], "config": root["config"]}
    known.update({"origin": ORIGIN, "text": json.dumps(config)})
    if config["class_name"] not in MODELS:
        raise cnnvis.UserError(
            f"{str(path)!r} holds a model of the class {str(config['class_name'])[:80]!r}, whose "
            "code is not in the file; only Functional and Sequential models can be built from a "
            "SavedModel"
        )
    if root.get("training_config"):
        config[TRAINING] = root["training_config"]
    stored = Checkpoint(path / "variables" / "variables", held)
    known["parameters"] = stored.values
    weights = CheckpointWeights(stored, nodes)
    return network_of(config, path, ORIGIN, weights, asked, is_older=True)
