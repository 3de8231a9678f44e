"""Building of a network from a configuration and weights: by Keras 3, or else by tf_keras."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.allowed import (
    foreign,
    is_layer,
    made_plain,
    require_bounded,
    say_homes,
)
from cnnvis.plugins.loaders.arithmetic import known
from cnnvis.plugins.loaders.config import (
    MODELS,
    Config,
    Cut,
    cut_unreadable,
    every_layer,
    name_of,
    naming,
    obstacle,
)
from cnnvis.plugins.loaders.custom import placed
from cnnvis.plugins.loaders.growth import bounded_operations, require_cost, require_growth
from cnnvis.plugins.loaders.keras_2 import keras_2_network, why_keras_2
from cnnvis.plugins.loaders.legacy import repaired
from cnnvis.plugins.loaders.load_options import LoadOptions
from cnnvis.plugins.loaders.obstacles import Obstacle
from cnnvis.plugins.loaders.older import older_functions
from cnnvis.plugins.loaders.operations import REFUSED_OPERATIONS, operation
from cnnvis.plugins.loaders.sizes import require_input_sizes, unallocated
from cnnvis.plugins.loaders.training import loss_in, without_foreign_makers, without_training
from cnnvis.plugins.loaders.trial import require_bounded_pass
from cnnvis.plugins.loaders.weights import Weights

_FUNCTIONAL = "keras.src.models.functional"
"""The module of Keras 3's class Functional, which has no public place."""


def network_of(
    config: Config,
    path: Path,
    origin: str,
    weights: Weights,
    asked: LoadOptions,
    *,
    is_older: bool,
    is_keras_2: bool = False,
) -> cnnvis.LoadedNetwork:
    """Build the network that a configuration describes, with its weights.

    Parameters
    ----------
    config
        The configuration of the file.
    path, origin
        The file, and its format with the program that wrote it.
    weights
        The weights in the file.
    asked
        The user's options for the file.
    is_older
        True where Keras 2, or an earlier version, wrote the configuration.
    is_keras_2
        True where only tf_keras can read the weights.

    Raises
    ------
    UserError
        If no network to explain can be built, or the weights do not fit.
    """
    loss = loss_in(config)
    loaded = _network_of(config, path, origin, weights, asked, is_older, is_keras_2)
    if not asked.trust_model:
        cost = require_growth(loaded.network)
        require_cost(cost, loaded.network)
        if cost.unsure:
            require_bounded_pass(cnnvis.held(path).place, asked, cost.unsure[0])
    if loaded.cut_learned:  # what is left gives something else than what was trained
        return loaded
    if loaded.cut and isinstance(loss, list):  # by the places of outputs that are no longer there
        return loaded
    return replace(loaded, loss=loss)


def _network_of(
    config: Config,
    path: Path,
    origin: str,
    weights: Weights,
    asked: LoadOptions,
    is_older: bool,
    is_keras_2: bool,
) -> cnnvis.LoadedNetwork:
    own = require_model(config, path, asked)
    with _described_badly():
        left_out = without_foreign_makers(config, own)
    as_it_was = copy.deepcopy(config)

    def by_keras_2(why: str) -> cnnvis.LoadedNetwork:
        trusted = asked.trust_model
        loaded = keras_2_network(as_it_was, path, origin, weights, own, why, trusted=trusted)
        return replace(loaded, repairs=(*loaded.repairs, *left_out))

    if is_keras_2:
        return by_keras_2("it is a .keras file of Keras 2")
    why = why_keras_2(config, own, is_older=is_older)
    if why is not None:
        return by_keras_2(why)
    kinds, repairs, cut = prepared(config, own, asked, is_older=is_older)
    try:
        network = built(config, kinds, weights.values, trusted=asked.trust_model)
    except cnnvis.UserError as refused:
        # Where it is not Keras's complaint, or the file is of Keras 3, no other edition is asked.
        if refused.__cause__ is None or not is_older:
            raise
        try:
            return by_keras_2("Keras 3 cannot build it")
        except cnnvis.UserError as error:
            # What Keras 3 said is of more help, unless tf_keras was not there to try.
            raise error if isinstance(error.__cause__, ImportError) else refused from error
    with _weights_refused(path):
        weights.load(network, as_it_was, is_cut=bool(cut.reasons))
    return cnnvis.LoadedNetwork(network, (*repairs, *left_out), cut.reasons, cut.learned, origin)


def prepared(
    config: Config, own: dict[str, Any], asked: LoadOptions, *, is_older: bool
) -> tuple[dict[str, Any], tuple[str, ...], Cut]:
    """Prepare a configuration for Keras 3: classes that a person gave, repairs, the cut.

    Raises
    ------
    UserError
        If it describes no model, names what is not Keras's own, or nothing that could be explained
        is left.
    """
    import keras

    replaced = [
        name_of(layer)
        for layer in every_layer(config)
        if known(layer) is not None and name_of(layer) not in own
    ]
    with _described_badly():
        kinds = placed(config, own, keras.layers.Layer)
        repairs = repaired(config, asked.input_shape, kinds, is_older=is_older)
        kinds.update(older_functions() if is_older else {})
        cut = Cut({}, learned=False)
        if config["class_name"] in MODELS:
            cut = cut_unreadable(
                config, lambda layer: _unreadable(layer, kinds, trusted=asked.trust_model)
            )
        if not asked.trust_model:
            _require_plain(config, kinds)
        say_homes(config, kinds, _FUNCTIONAL)
    said = [
        f"replaced the known code of the Lambda {name!r} by the same arithmetic"
        for name in replaced
    ]
    if asked.trust_model:
        said.append("ran all code in the file, since the file is trusted")
    return kinds, (*repairs, *said), cut


def built(
    config: Config, kinds: dict[str, Any], stored: int | None, *, trusted: bool = False
) -> Any:
    """Build the network that a prepared configuration describes, without weights.

    Parameters
    ----------
    stored
        The number of values that the file holds for the network; None where they were not counted.

    Raises
    ------
    UserError
        If Keras refuses the configuration, or the network needs more values than the file holds.
    """
    import keras
    from keras.src.saving.serialization_lib import SafeModeScope

    def build() -> Any:
        if "module" in config or config["class_name"] not in MODELS:
            return keras.saving.deserialize_keras_object(
                config, custom_objects=kinds, safe_mode=not trusted
            )
        kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
        return kind.from_config(config["config"])

    try:
        known = {} if trusted else bounded_operations()
        with keras.saving.CustomObjectScope({**known, **kinds}), SafeModeScope(not trusted):
            if trusted or stored is None:
                return build()
            return unallocated(build, stored)
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever a stranger's numbers and words make Keras raise
        raise cnnvis.UserError(
            f"Keras cannot build this model from its file: {cnnvis.complaint(error)}"
        ) from error


def require_model(config: Any, path: Path, asked: LoadOptions) -> dict[str, Any]:
    """Return the classes that a person gave for a model, if the configuration is sound.

    Raises
    ------
    UserError
        If the configuration does not describe a model with known code, or a model of absurd size.
    """
    if (
        not isinstance(config, dict)
        or not {"class_name", "config"} <= set(config)
        or not isinstance(config["class_name"], str)
    ):
        raise cnnvis.UserError(f"{str(path)!r} does not describe a Keras model")
    without_training(config)
    with _described_badly():
        if not asked.trust_model:
            require_bounded(config, repr(str(path)))
            require_input_sizes(_input_shapes(config))
        own = asked.given(config)
    kind = config["class_name"]
    if kind not in MODELS and kind not in own and not asked.trust_model:
        raise cnnvis.UserError(
            f"{str(path)!r} holds a model of the class {str(kind)[:80]!r}, whose code is not in "
            "the file; if you have the code, give it: --custom "
            f"module:{str(kind).rpartition('>')[2][:80]}"
        )
    return own


def _input_shapes(value: Any) -> Iterator[Any]:
    """Yield every shape of a batch anywhere in a configuration."""
    if isinstance(value, list):
        for item in value:
            yield from _input_shapes(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ("batch_input_shape", "batch_shape", "build_input_shape", "input_shape"):
                yield item
            yield from _input_shapes(item)


@contextmanager
def _described_badly() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        what = str(error)[:200] or type(error).__name__
        raise cnnvis.UserError(f"the file does not describe a Keras model: {what}") from error


@contextmanager
def _weights_refused(path: Path) -> Iterator[None]:
    try:
        yield
    except cnnvis.UserError:
        raise
    except Exception as error:  # whatever Keras and h5py make of what they find
        raise cnnvis.UserError(
            f"the weights in {str(path)!r} do not fit the network described there: "
            f"{cnnvis.complaint(error)}"
        ) from error


def _unreadable(layer: Config, kinds: dict[str, Any], *, trusted: bool) -> Obstacle | None:
    """Return the obstacle to a layer's code: missing or forbidden; None for known layers.

    Keras's own layers and layers that were given are known.
    """
    kind, one = layer["class_name"], operation(layer)
    if kind in kinds:
        return None
    if trusted:
        home = str(layer.get("module") or "").split(".")[0]
        is_known = kind == "Lambda" or is_layer(layer) or home not in ("", "keras")
        return None if one or is_known or _is_of_keras(kind) else obstacle(layer)
    if one in REFUSED_OPERATIONS or (one is None and not is_layer(layer)):
        return obstacle(layer)
    named = next(foreign(layer, kinds), None)
    return None if named is None else naming(layer, named)


def _is_of_keras(kind: Any) -> bool:
    import keras

    return isinstance(getattr(keras.layers, str(kind), None), type)


def _require_plain(config: Config, kinds: dict[str, Any]) -> None:
    """Refuse the rest of a configuration if it names anything unknown."""
    named = list(dict.fromkeys(foreign(config, kinds)))
    if named:
        more = f" and {len(named) - 1} more names" if len(named) > 1 else ""
        what = named[0].with_cure(f"{more}, which is not a part of Keras")
        raise cnnvis.UserError(f"the file is not loaded: it names {what}")
    made_plain(config, kinds, _FUNCTIONAL)
