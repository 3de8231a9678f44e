"""Choice of inputs and labels from the content of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cnnvis

INPUT_NAMES = ("X", "x", "images", "inputs", "data")
LABEL_NAMES = ("y", "Y", "labels", "targets")


def chosen_of(
    held: Mapping[str, Any], x: str | None, y: str | None, where: str, option: str
) -> dict[str, Any]:
    """Return the chosen arrays among stored arrays by name: X, or several of X, y and class_names.

    Parameters
    ----------
    held
        The arrays of a file, not yet read.
    x, y
        The names of inputs and labels, where a person asked for some.
    where
        The file, for messages.
    option
        The option `x` as it is typed, for messages.

    Raises
    ------
    UserError
        If no array has such a name.
    """
    names = ", ".join(held) or "nothing"
    for asked in (x, y):
        if asked is not None and asked not in held:
            raise cnnvis.UserError(f"{where!r} holds no array named {asked!r}; it holds {names}")
    wanted = _named(held, x, INPUT_NAMES) or (next(iter(held)) if len(held) == 1 else None)
    found = held[wanted] if wanted is not None else inputs_among(held)
    if found is None:
        raise cnnvis.UserError(
            f"{where!r} holds no array named 'X'; it holds {names}. Choose an array with "
            f"{option} NAME"
        )
    others = {
        "y": _named(held, y, LABEL_NAMES),
        "class_names": _named(held, None, ("class_names",)),
    }
    return {"X": found} | {
        part: held[name] for part, name in others.items() if name not in (None, wanted)
    }


def _named(held: Mapping[str, Any], asked: str | None, usual: tuple[str, ...]) -> str | None:
    candidates = (asked,) if asked is not None else usual
    return next((name for name in candidates if name in held), None)


def is_large(part: str, shape: Sequence[int]) -> bool:
    """Tell whether a part should stay in its file until it is needed: inputs, or labels like them."""
    # Labels for each position of each image can be as large as the images.
    return part == "X" or (part == "y" and len(shape) > 2)


def samples_of(held: Any, where: str) -> cnnvis.Samples:
    """Return samples from ``(X, y)``, ``(X,)``, ``X`` or a dict with these.

    For a network with several inputs, X is a dict or list of arrays, or the dict holds one for each.

    Parameters
    ----------
    held
        The content of the file.
    where
        The file, for messages.

    Raises
    ------
    UserError
        If the content is anything else.
    """
    x, y, names = _split(held, where)
    if not isinstance(x, Mapping):
        x = _array(x, "inputs", where)
    labels = None if y is None else _array(y, "labels", where)
    try:
        return cnnvis.Samples.of(x, labels, class_names=names)
    except cnnvis.UserError as error:
        raise cnnvis.UserError(f"{where!r} cannot be used: {error}") from error


def _split(held: Any, where: str) -> tuple[Any, Any, Any]:
    if isinstance(held, Mapping):
        x = next((held[name] for name in INPUT_NAMES if name in held), None)
        y = next((held[name] for name in LABEL_NAMES if name in held), None)
        if x is None:
            x = inputs_among(held)
        if x is None:
            keys = ", ".join(key if isinstance(key, str) else _described(key) for key in held)
            raise cnnvis.UserError(
                f"{where!r} holds a dict without inputs: its keys are {keys or 'none'}, and a key "
                f"must be {', '.join(INPUT_NAMES[:-1])} or {INPUT_NAMES[-1]}, or all keys the "
                "names of the network's inputs"
            )
        return x, y, held.get("class_names")
    if isinstance(held, tuple | list) and len(held) == 2 and held[1] is None:
        held = [held[0]]
    if isinstance(held, tuple | list) and len(held) in (1, 2) and _is_arrays(list(held)):
        return held[0], held[1] if len(held) == 2 else None, None
    return held, None, None


def inputs_among(held: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arrays of several inputs, by name: all that have as many samples as the others."""
    others = (*LABEL_NAMES, "class_names")
    found = {str(name): value for name, value in held.items() if name not in others}
    shapes: list[tuple[int, ...]] = [
        getattr(value, "shape", None) or () for value in found.values()
    ]
    numbers = all(getattr(value, "dtype", None) is not None for value in found.values()) and all(
        value.dtype.kind in "biuf" for value in found.values()
    )
    is_several = (
        len(found) > 1 and min(map(len, shapes)) > 1 and len({shape[0] for shape in shapes}) == 1
    )
    return found if is_several and numbers else None


def _is_arrays(held: list[Any]) -> bool:
    """Tell whether the items are inputs and labels, and not two images or two numbers."""
    kinds = (list, tuple, Mapping)
    if not all(hasattr(part, "shape") or isinstance(part, kinds) for part in held):
        return False
    shapes = {tuple(part.shape) if hasattr(part, "shape") else (len(part),) for part in held}
    return len(held) == 1 or len(shapes) == 2 or all(len(shape) == 1 for shape in shapes)


def _array(values: Any, what: str, where: str) -> Any:
    import numpy as np

    if hasattr(values, "shape"):
        return values
    if what == "inputs" and isinstance(values, list) and any(hasattr(v, "shape") for v in values):
        return values  # of several inputs perhaps
    if what == "labels" and isinstance(values, list | tuple):
        return values  # an image may have several, or none
    if not isinstance(values, list | tuple):
        raise cnnvis.UserError(
            f"{where!r} holds {_described(values)} instead of its {what}; it should hold (X, y): "
            "an array of inputs, an input for each image, and an array of labels"
        )
    try:
        return np.asarray(values)
    except (ValueError, OverflowError, TypeError) as error:
        raise cnnvis.UserError(
            f"the {what} in {where!r} do not all have one shape, or are no numbers"
        ) from error


def _described(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value[:20]!r}"
    return f"a {type(value).__name__}" if value is not None else "nothing"
