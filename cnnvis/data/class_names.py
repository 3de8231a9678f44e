"""Names of a network's classes, in the forms in which people keep them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnnvis.errors import UserError, shown

ClassNames = Iterable[Any] | Mapping[Any, Any]
"""The names of classes: a list, or a dict that numbers them."""


def names_in_order(given: Any) -> tuple[str, ...] | None:
    """Return the names of classes in the order of their numbers; None without names.

    Parameters
    ----------
    given
        A list, an array, a column of pandas, or anything else that has an order; or a dict of names
        and numbers, as Keras's ``class_indices`` is (``{"ant": 1, "bee": 0}``) or the other way
        round.

    Raises
    ------
    UserError
        If `given` has no order, is a single word, or does not name every class in text.
    """
    if given is None:
        return None
    if type(given) is tuple and all(type(one) is str and one for one in given):
        return given or None
    if isinstance(given, str | bytes):
        raise UserError(f"class_names takes a list of names, such as [{shown(given)}, ...]")
    if isinstance(given, set | frozenset):
        raise UserError(
            f"class_names is the set {shown(given)}, which has no order; give a list of the names in "
            "the order in which the network numbers its classes"
        )
    names = _numbered(given) if isinstance(given, Mapping) else _listed(given)
    return tuple(map(_name, names)) or None


def _listed(given: Any) -> list[Any]:
    if hasattr(given, "__array__") and not hasattr(given, "tolist"):  # a tensor
        given = np.asarray(given)
    listed = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(listed, Iterable) and not isinstance(listed, str | bytes):
        return list(listed)
    raise UserError(
        f"class_names is {shown(listed)}, and must be a list of names in the order in which the "
        "network numbers its classes"
    )


def _numbered(given: Mapping[Any, Any]) -> list[Any]:
    """Return the names of a dict in the order of their numbers, its keys or its values."""
    for pairs in (list(given.items()), [(number, name) for name, number in given.items()]):
        numbers = [_number(number) for number, _ in pairs]
        if sorted(one for one in numbers if one is not None) == list(range(len(given))):
            by_number = dict(zip(numbers, (name for _, name in pairs), strict=True))
            return [by_number[number] for number in range(len(given))]
    raise UserError(
        f"class_names is the dict {shown(dict(given))}, which must number every class from 0 on, as "
        'class_indices of Keras\'s generators do: {"cat": 0, "dog": 1}, or {0: "cat", 1: "dog"}'
    )


def _number(value: Any) -> int | None:
    is_number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return int(value) if is_number else None


def _name(name: Any) -> str:
    if isinstance(name, bytes):
        name = text_of(name, "class_names holds")
    try:
        if isinstance(name, str | int | float | np.generic) and name == name and str(name):
            return str(name)
    except ValueError:  # of a number of thousands of digits
        pass
    raise UserError(
        f"class_names holds {shown(name)}, which is no name; give a word or a number for each class"
    )


def text_of(word: bytes, what: str) -> str:
    """Decode bytes as UTF-8 text.

    Parameters
    ----------
    what
        The beginning of the error's sentence, which names the bytes.

    Raises
    ------
    UserError
        If the bytes are no UTF-8: with replaced bytes, two words could become equal.
    """
    try:
        return word.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(
            f"{what} {shown(word)}, which is no text in UTF-8; decode the text in its own "
            "encoding, for example with numpy.char.decode(y, 'latin-1')"
        ) from None
