"""From a configuration and weights to a network: by Keras 3, or else by tf_keras."""

from __future__ import annotations

import copy
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.loaders.config import MODELS, Config, Cut, cut_unreadable, described
from cnnvis.loaders.custom import given, placed
from cnnvis.loaders.keras_2 import keras_2_needed, keras_2_network
from cnnvis.loaders.legacy import repaired
from cnnvis.loaders.weights import load_by_name


def network_of(
    config: Config,
    path: Path,
    origin: str,
    *,
    custom: Sequence[str] = (),
    input_shape: tuple[int, ...] | None = None,
    is_keras_2: bool = False,
) -> cnnvis.LoadedNetwork:
    """The network that a configuration describes, with the weights that `path` holds for it.

    Parameters
    ----------
    config
        As it stands in the file.
    path
        The file of the weights.
    origin
        What the file is and what wrote it.
    custom, input_shape
        See the loaders.
    is_keras_2
        Whether only tf_keras can read the weights.

    Raises
    ------
    UserError
        If nothing that could be explained can be built, or the weights do not fit.
    """
    own = given(custom)
    _require_model(config, path, own)
    if is_keras_2 or keras_2_needed(config, own):
        why = "it is a .keras file of Keras 2" if is_keras_2 else "it calls TensorFlow's functions"
        return keras_2_network(config, path, origin, own, why)
    as_it_was = copy.deepcopy(config)
    kinds, repairs, cut = prepared(config, own, input_shape)
    try:
        network = built(config, kinds)
    except cnnvis.UserError as refused:
        try:
            return keras_2_network(as_it_was, path, origin, own, "Keras 3 cannot build it")
        except cnnvis.UserError as error:
            # What Keras 3 said is of more help, unless tf_keras was not there to try.
            raise error if isinstance(error.__cause__, ImportError) else refused from error
    try:
        if cut.reasons and path.suffix != ".keras":
            load_by_name(network, path)
        else:
            _load_weights(network, path)
    except (ValueError, KeyError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise cnnvis.UserError(
            f"the weights in {str(path)!r} do not fit the network described there: {error}"
        ) from error
    return cnnvis.LoadedNetwork(network, repairs, cut.reasons, cut.learned, origin)


def prepared(
    config: Config, own: dict[str, Any], input_shape: tuple[int, ...] | None
) -> tuple[dict[str, Any], tuple[str, ...], Cut]:
    """Make a configuration one that Keras 3 builds: classes of a person's own, repairs, the cut.

    Raises
    ------
    UserError
        If it describes no model, or nothing that could be explained is left.
    """
    import keras

    try:
        kinds = placed(config, own, keras.layers.Layer)
        repairs = repaired(config, input_shape, kinds)
        cut = Cut({}, learned=False)
        if config["class_name"] in MODELS:
            cut = cut_unreadable(config, lambda layer: _unreadable(layer, kinds))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise cnnvis.UserError(f"the file does not describe a Keras model: {error!r}") from error
    return kinds, repairs, cut


def built(config: Config, kinds: dict[str, Any]) -> Any:
    """The network that a prepared configuration describes, without weights.

    Raises
    ------
    UserError
        If Keras refuses it.
    """
    import keras

    try:
        with keras.saving.CustomObjectScope(kinds):
            if "module" in config or config["class_name"] not in MODELS:
                return keras.saving.deserialize_keras_object(
                    config, custom_objects=kinds, safe_mode=True
                )
            kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
            return kind.from_config(config["config"])
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError, IndexError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise cnnvis.UserError(f"Keras cannot build this model from its file: {first}") from error


def _require_model(config: Any, path: Path, own: dict[str, Any]) -> None:
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise cnnvis.UserError(f"{str(path)!r} does not describe a Keras model")
    kind = config["class_name"]
    if kind not in MODELS and kind not in own:
        raise cnnvis.UserError(
            f"{str(path)!r} holds a model of the class {kind!r}, whose code is not in the file; if "
            f"you have it, say where: --custom module:{kind}"
        )


def _unreadable(layer: Config, kinds: dict[str, Any]) -> str | None:
    """Why a layer's code cannot be had or must not be run; None for Keras's own and given ones."""
    import keras

    kind = layer["class_name"]
    if kind in kinds:
        return None
    home = str(layer.get("module") or "keras.layers").split(".")[0]
    if kind == "Lambda" or home != "keras" or not hasattr(keras.layers, kind):
        return described(layer)
    return None


def _load_weights(network: Any, path: Path) -> None:
    """Keras's own loading, which goes by the file's name where it should go by what is in it."""
    import h5py
    import keras

    if path.suffix != ".keras" and not path.name.endswith(".weights.h5"):
        with h5py.File(path, "r") as file:
            is_new = "layer_names" not in file.get("model_weights", file).attrs
        if is_new:
            with tempfile.TemporaryDirectory() as folder:
                renamed = Path(folder) / "model.weights.h5"
                shutil.copyfile(path, renamed)
                keras.saving.load_weights(network, renamed)
            return
    keras.saving.load_weights(network, path)
