"""Kind of a network's outputs, classes or numbers, as its loss in training tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_CLASSES = ("crossentropy", "hinge", "kldivergence", "kullbackleibler", "focal", "dice", "tversky")
_NUMBERS = (
    *("squarederror", "absoluteerror", "percentageerror", "logarithmicerror", "huber", "logcosh"),
    *("poisson", "cosinesimilarity"),
)
_SHORT = {
    **dict.fromkeys(("mse", "mae", "mape", "msle"), False),
    **dict.fromkeys(("bce", "kld"), True),
}


def is_of_classes(losses: Mapping[str, str], outputs: Iterable[str]) -> bool | None:
    """Tell whether the outputs of these names were trained as classes; None if that is unknown."""
    name = next((losses[one] for one in (*outputs, "") if one in losses), "")
    plain = name.replace("_", "").replace("keras.losses.", "").lower()
    if plain in _SHORT:
        return _SHORT[plain]
    for known, answer in ((_CLASSES, True), (_NUMBERS, False)):
        if any(one in plain for one in known):
            return answer
    return None


def losses_of(network: Any, loss: Any = None) -> dict[str, str]:
    """Return the losses that a network was trained with, by the names of its outputs.

    Parameters
    ----------
    network
        The network.
    loss
        Loss that the network's file names; by default that with which the network is compiled.
    """
    outputs = [str(name) for name in getattr(network, "output_names", None) or ()]
    return _named(getattr(network, "loss", None) if loss is None else loss, outputs)


def _named(loss: Any, outputs: Sequence[str]) -> dict[str, str]:
    """Return the names of losses as they were given to ``compile``, or as they stand in a file.

    Parameters
    ----------
    loss
        A name, a function, a Loss, the description of one, or a list or dict of such.
    outputs
        The names of the network's outputs, for a list.

    Returns
    -------
    dict
        The name of the loss, by the name of the output; under an empty name that of all outputs.
    """
    if isinstance(loss, Mapping) and not {"class_name", "config"} <= set(loss):
        return {str(output): _name(one) for output, one in loss.items() if _name(one)}
    if isinstance(loss, list | tuple):
        return {
            output: _name(one) for output, one in zip(outputs, loss, strict=False) if _name(one)
        }
    return {"": _name(loss)} if _name(loss) else {}


def _name(loss: Any) -> str:
    if isinstance(loss, str):
        return loss
    if isinstance(loss, Mapping):
        config = loss.get("config")
        named = config if loss.get("class_name") == "function" else loss.get("class_name")
        return named if isinstance(named, str) else ""
    if callable(loss):
        return str(getattr(loss, "__name__", "") or type(loss).__name__)
    return ""
