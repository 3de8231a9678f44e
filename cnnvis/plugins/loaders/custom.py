"""Layers that a person gives by name: ``module:Class`` or ``NAME=module:Class``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cnnvis
from cnnvis.plugins.loaders.allowed import foreign
from cnnvis.plugins.loaders.arithmetic import known
from cnnvis.plugins.loaders.config import (
    CALLS_OF_TENSORFLOW,
    MODELS,
    Config,
    every_layer,
    layers_of,
    name_of,
    references,
)
from cnnvis.plugins.loaders.operations import operation


def given(custom: Sequence[str], flag: str = "--custom") -> dict[str, Any]:
    """Return the classes and functions that were given, by the kinds or layers they stand for.

    Their modules are imported, and so run; the current folder is searched as Python does for a
    script. `flag` is the option with which the words were typed.

    Raises
    ------
    UserError
        If the module does not exist, or holds nothing of that name.
    """
    found: dict[str, Any] = {}
    for one in custom:
        name, _, place = one.rpartition("=")
        module, _, attribute = place.partition(":")
        if not module or not attribute:
            raise cnnvis.UserError(
                f"{flag} {one!r} is not understood: it takes module:Class, or NAME=module:Class "
                "if the class has another name in the file"
            )
        value = getattr(_imported(module, one, flag), attribute, None)
        if not callable(value):
            raise cnnvis.UserError(
                f"{flag} {one!r}: the module {module!r} holds no class or function {attribute!r}"
            )
        found[name or attribute] = value
    return found


def given_lambdas(lambdas: Sequence[str], model: Config) -> dict[str, Any]:
    """Return the functions that were given in the place of Lambdas, by the names of these layers.

    Raises
    ------
    UserError
        As in `given`; or if the model has no such Lambda.
    """
    if not lambdas:
        return {}
    there = [name_of(layer) for layer in every_layer(model) if layer.get("class_name") == "Lambda"]
    for one in lambdas:
        name = one.rpartition("=")[0]
        if name not in there:
            known = f"it has: {', '.join(there)}" if there else "it has none"
            raise cnnvis.UserError(
                f"--lambda {one!r} has the form NAME=module:function, and the model has no Lambda "
                f"layer named {name!r}; {known}"
            )
    return given(lambdas, "--lambda")


def _imported(module: str, asked: str, flag: str) -> Any:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except Exception as error:  # whatever the person's own module raises
        raise cnnvis.UserError(
            f"{flag} {asked!r}: the module {module!r} cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove(here)


def placed(model: Config, custom: dict[str, Any], layer: type) -> dict[str, Any]:
    """Put classes that are given for layers by name into the configuration as kinds of their own.

    The arithmetic of a Lambda whose code is known is put there, too.

    Parameters
    ----------
    model
        The configuration, which is changed.
    custom
        The result of `given`.
    layer
        Keras's class of layers, to make a layer of a function.

    Returns
    -------
    dict
        The kinds that the configuration names now, and their classes.
    """
    kinds = {**custom, **_registered(model, custom)}
    for one in layers_of(model) if model.get("class_name") in MODELS else []:
        name = name_of(one)
        if one["class_name"] in MODELS:
            kinds.update(placed(one, custom, layer))
        elif (value := _given_for(one, kinds)) is not None:
            is_class = isinstance(value, type)
            kind = f"given for {name}"
            kinds[kind] = value if is_class else _calling(value, layer)
            for key in ("module", "registered_name"):
                one.pop(key, None)
            is_operation = operation(one) is not None
            if is_operation:
                one["inbound_nodes"] = list(map(_with_values_alone, one["inbound_nodes"]))
            elif one["class_name"] in CALLS_OF_TENSORFLOW:
                nodes = one["inbound_nodes"]
                one["inbound_nodes"] = [[[*ref, {}] for ref in references([n])] for n in nodes]
            # Of a Lambda's own options, only what every layer has goes to what replaces it.
            kept = ("name", "trainable", "dtype")
            if one["class_name"] == "Lambda" or not is_class or is_operation:
                config = {key: one["config"][key] for key in kept if key in one["config"]}
                if next(foreign(config.get("dtype"), (), "dtype"), None) is not None:
                    del config["dtype"]
                one["config"] = {**config, "name": name}
            one["class_name"] = kind
    return kinds


def _given_for(layer: Config, kinds: dict[str, Any]) -> Any:
    """Return the object to be put in a layer's place; None for a layer of its own kind."""
    own = kinds.get(layer["class_name"])
    if own is not None:
        return None if isinstance(own, type) else own
    return kinds.get(name_of(layer)) or known(layer)


def _registered(value: Any, custom: dict[str, Any]) -> dict[str, Any]:
    """Return the given objects, by the registered names in the file: package>Class."""
    if isinstance(value, str):
        package, sign, plain = value.rpartition(">")
        return {value: custom[plain]} if package and sign and plain in custom else {}
    found: dict[str, Any] = {}
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, str | dict | list):
            found.update(_registered(one, custom))
    return found


def _with_values_alone(node: Config) -> Config:
    """Return the call of an operation with only the values of other layers that it takes."""
    values = list(_values(node))
    return {"args": values if len(values) == 1 else [values], "kwargs": {}}


def _values(argument: Any) -> Iterator[Any]:
    if isinstance(argument, dict) and argument.get("class_name") == "__keras_tensor__":
        yield argument
    elif isinstance(argument, dict | list):
        for one in argument.values() if isinstance(argument, dict) else argument:
            yield from _values(one)


def _calling(function: Any, layer: Any) -> Any:
    """Return a class of layers that call the function."""

    class Calling(layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return function(inputs)

    Calling.__name__ = getattr(function, "__name__", Calling.__name__)
    return Calling
