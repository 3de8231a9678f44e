"""Removal of the parts of a configuration that matter only for training.

Losses, metrics and optimizers; and initializers, regularizers and constraints that are not Keras's
own: weights come from the file, which is held to have all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from typing import Any

from cnnvis.plugins.loaders.allowed import foreign
from cnnvis.plugins.loaders.config import Config, name_of

TRAINING = "compile_config"
"""Key of the training in a configuration, as in Keras 3's own format."""

_ENDS = ("initializer", "regularizer", "constraint")


def loss_in(config: Any) -> Any:
    """Return the loss that a network was trained with, from its configuration; None if unknown."""
    training = config.get(TRAINING) if isinstance(config, dict) else None
    return training.get("loss") if isinstance(training, dict) else None


def without_training(value: Any) -> None:
    """Remove the training from a configuration: losses, metrics, optimizers."""
    if isinstance(value, dict):
        value.pop(TRAINING, None)
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            without_training(item)


def without_foreign_makers(config: Config, given: Container[str]) -> tuple[str, ...]:
    """Remove initializers, regularizers and constraints that neither Keras has nor a person gave.

    Parameters
    ----------
    config
        The configuration, which is changed.
    given
        The kinds and the names of layers that a person gave code for: these layers keep theirs.

    Returns
    -------
    tuple
        The removed parts, in sentences.
    """
    found = Counter(_taken_out(config, given))
    return tuple(
        f"left out {what}, which has no effect after the weights are "
        f"loaded{f' ({times} times)' if times > 1 else ''}"
        for what, times in found.items()
    )


def _taken_out(value: Any, given: Container[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _taken_out(item, given)
        return
    if not isinstance(value, dict):
        return
    config = value.get("config")
    if isinstance(config, dict) and not _is_given(value, given):
        for key in [key for key in config if str(key).endswith(_ENDS)]:
            if next(foreign(config[key], given, key), None) is not None:
                end = next(end for end in _ENDS if str(key).endswith(end))
                yield f"the {end} {_shown(config.pop(key))}"
    for key, item in value.items():
        if key != "inbound_nodes":
            yield from _taken_out(item, given)


def _is_given(layer: Config, given: Container[str]) -> bool:
    return str(layer.get("class_name")) in given or name_of(layer) in given


def _shown(value: Any) -> str:
    """Return the name that a person gave to an object, and the object's module."""
    if not isinstance(value, dict):
        return repr(str(value)[:80])
    kind, config, home = value.get("class_name"), value.get("config"), value.get("module")
    if kind == "__lambda__":
        return "that is a lambda"
    name = config if kind == "function" else kind
    origin = f" of {str(home)[:80]}" if home not in (None, "builtins") else ""
    return f"{str(name)[:80]!r}{origin}"
