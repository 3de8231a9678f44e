"""Labels of samples: one class each, several, numbers, or one for each position."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cnnvis.data.class_names import text_of
from cnnvis.data.lazy import Array, ArrayLike, Reshaped, is_lazy
from cnnvis.errors import UserError, nearest, shown

LabelKind = Literal["class", "several", "number", "positions"]
"""Kind of the label of one sample.

The number of a class; several labels or none, a 0 or 1 for each existing label; a number, or
several numbers; or a label for each position of the sample.
"""

SHOWN = 4
"""Maximum number of values of one sample that are shown."""

SMALL, SPARSE = 2**28, 1000
"""Maximum number of entries in a table of several labels: in total, and for each existing label."""

NONE = "none"
"""Name of the label of a sample without labels."""


@dataclass(frozen=True)
class Labels:
    """Labels as an array.

    Attributes
    ----------
    values
        (n,) whole numbers of classes, as floats with NaN where some are missing; (n, k) int8, 0 or 1, for several labels; (n,) or (n, k)
        floats for numbers; (n, ...) for labels of positions.
    kind
        The kind of the labels.
    words
        The vocabulary, in alphabetical order, where labels were given in words: a number stands for
        the word at that place. None where they were given in numbers.
    """

    values: Array | ArrayLike
    kind: LabelKind
    words: tuple[str, ...] | None = None


def labels_of(given: Any, kind: LabelKind | None = None) -> Labels:
    """Return labels from any usual form.

    Parameters
    ----------
    given
        One entry for each sample: whole numbers or words; rows of 0 and 1; floats; lists or sets of
        words; arrays over positions. Rows that are all one-hot, smoothed or not, are one class
        each. Whole floats are numbers of classes. Among classes, None, NaN and pandas's NA and NaT
        are missing labels. Arrays that are read when indexed and have an entry for each position
        are not read.
    kind
        The kind of the labels, where the form does not tell it.

    Raises
    ------
    UserError
        If the values are no labels, or no labels of that kind.
    """
    if is_lazy(given) and len(given.shape) > 2:
        if kind not in (None, "positions"):
            raise UserError(f"labels for each position are no labels of the kind {kind!r}")
        if given.dtype.kind not in "biuf":
            raise UserError(
                f"the labels for each position have the type {given.dtype}, and must be numbers"
            )
        is_column = given.shape[-1] == 1 and len(given.shape) > 3
        return Labels(Reshaped(given, given.shape[:-1]) if is_column else given, "positions")
    array = _array(given)
    if array.ndim == 0:
        raise UserError(
            f"the labels are the single value {shown(given)}, and each sample needs a label"
        )
    if 0 in array.shape[1:]:
        raise UserError(
            f"the labels have the shape {array.shape}, which holds no label for any sample; "
            "without labels, leave them out"
        )
    if array.dtype.kind == "O":
        array = _without_objects(array)
    if array.dtype.kind in "USTO":
        found = _words(array)
    elif array.dtype.kind in "biuf":
        found = _numbers(array, kind)
    else:
        raise UserError(f"the labels have the type {array.dtype}, and must be numbers or words")
    if kind not in (None, found.kind):
        raise UserError(
            f"the labels are no labels of the kind {kind!r}: by their form they are {found.kind!r}"
        )
    return found


def column_names(given: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a frame with several, if the names are text; else None."""
    columns = getattr(given, "columns", None)
    names = [] if columns is None else list(columns)
    return tuple(names) if len(names) > 1 and all(isinstance(one, str) for one in names) else None


def _array(given: Any) -> Array:
    try:
        array = np.asarray(given)
        # Among words, NumPy would make the word "nan" of NaN.
        is_listed = array.dtype.kind in "US" and isinstance(given, list | tuple)
        if is_listed and any(_is_missing(item) for item in given):
            return np.array(given, object)
        return array
    except (ValueError, OverflowError):  # of lists of several lengths, of numbers of any size
        items = list(given)
        array = np.empty(len(items), object)
        for place, item in enumerate(items):
            array[place] = item
        return array


# Numbers


def _numbers(array: Array, kind: LabelKind | None) -> Labels:
    if kind == "positions" and array.ndim > 1:
        return Labels(array, "positions")
    if array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim > 2:
        return Labels(array, "positions")
    is_empty = array.ndim == 2 and array.size == 0
    if kind == "number" or (kind is None and is_empty):
        return Labels(array if array.dtype.kind == "f" else array.astype(np.float64), "number")
    if array.ndim == 1:
        whole = array if array.dtype.kind in "iu" else _whole(array)
        if whole is None and kind == "class" and np.isnan(array).all():
            whole = array  # some samples of which others have labels
        return Labels(array, "number") if whole is None else Labels(whole, "class")
    classes = _one_hot(array) if kind != "several" else None
    if classes is not None:
        return Labels(classes, "class")
    if ((array == 0) | (array == 1)).all():
        return Labels(array if array.dtype == np.int8 else array.astype(np.int8), "several")
    return Labels(array if array.dtype.kind == "f" else array.astype(np.float64), "number")


def _whole(array: Array) -> Array | None:
    """Return booleans and whole floats, NaN aside, as whole numbers; None for fractions."""
    known = has_class(array)
    some = array[known]
    if not known.all() and not known.any():
        return None
    if array.dtype.kind == "f" and not (np.abs(some) < 2**53).all():
        return None  # infinite values, too
    whole: Array = some.astype(np.int64)
    if not np.array_equal(whole, some):
        return None
    return whole if known.all() else array


def has_class(labels: Array) -> Array:
    """Tell for each label of one class whether it exists, (n,) bool: labels that are not NaN."""
    found: Array = ~np.isnan(labels) if labels.dtype.kind == "f" else np.ones(len(labels), bool)
    return found


def _one_hot(rows: Array) -> Array | None:
    """Return the class of each row if all rows are one-hot, smoothed or not; NaN for rows of NaN.

    Smoothed labels have one high value in each row and one low value everywhere else, the same two
    in all rows, from 0 to 1.
    """
    missing = np.isnan(rows).all(axis=1) if rows.dtype.kind == "f" else np.zeros(len(rows), bool)
    if missing.any():
        classes = None if missing.all() else _one_hot(rows[~missing])
        if classes is None:
            return None
        every = np.full(len(rows), np.nan)
        every[~missing] = classes
        return every
    low, high = rows.min(), rows.max()
    if not 0 <= low < high <= 1:
        return None
    is_high, is_low = (_near(rows, value) for value in (high, low))
    if not (is_high.sum(axis=1) == 1).all() or not (is_high | is_low).all():
        return None
    found: Array = is_high.argmax(axis=1)
    return found


def _near(rows: Array, value: Any) -> Array:
    is_float = rows.dtype.kind == "f"
    found: Array = (
        np.abs(rows - value) <= 4 * np.finfo(rows.dtype).eps if is_float else rows == value
    )
    return found


# Words, and lists of words or numbers


def _without_objects(array: Array) -> Array:
    """Convert objects to numbers and to arrays of one shape; leave all other objects unchanged."""
    items = array.ravel().tolist()
    missing = [_is_missing(item) for item in items]
    known = [item for item, is_none in zip(items, missing, strict=True) if not is_none]
    if known and all(isinstance(item, numbers.Real | np.number | np.bool_) for item in known):
        numbered = [
            np.nan if is_none else _number(item)
            for item, is_none in zip(items, missing, strict=True)
        ]
        return np.array(numbered).reshape(array.shape)
    if array.ndim == 1 and all(isinstance(item, np.ndarray) for item in items):
        shapes = {item.shape for item in items}
        if len(shapes) == 1 and shapes != {()}:
            return np.stack(items)
    return array


def _number(item: Any) -> Any:
    """Return a number in a type that arrays can hold.

    Raises
    ------
    UserError
        If the number is too large.
    """
    try:
        if isinstance(item, int | np.number | np.bool_):
            np.int64(item)
            return item
        return float(item)  # of a fraction
    except OverflowError:
        raise UserError(
            f"the labels hold {shown(item)}, and numbers of classes are below 2**63; number the "
            "classes from 0 on"
        ) from None


def _words(array: Array) -> Labels:
    if array.ndim > 2:
        raise UserError(f"the labels are words of shape {array.shape[1:]} for each sample")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    items: list[Any] = array.tolist()
    if array.ndim == 1 and len(items) and all(_is_nothing(item) for item in items):
        return Labels(np.full(len(items), np.nan), "number")
    if array.ndim == 2 or any(_is_collection(item) for item in items):
        return _several([_members(item) for item in items])
    return _classes([None if _is_nothing(item) else _word(item) for item in items])


def _is_missing(item: object) -> bool:
    """Tell whether a value is missing: None, NaN, or pandas's NA or NaT."""
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(item, float | np.floating) and math.isnan(item)


def _is_nothing(item: object) -> bool:
    """Tell whether a label in words is missing, or has no letter."""
    return (isinstance(item, str | bytes) and not item) or _is_missing(item)


def _is_collection(item: object) -> bool:
    return isinstance(item, list | tuple | set | frozenset | np.ndarray)


def _members(item: Any) -> list[Any]:
    """Return the labels of one sample: words, or whole numbers of classes.

    Raises
    ------
    UserError
        If the labels are anything else.
    """
    listed = item if _is_collection(item) else [item]
    members = listed.ravel().tolist() if isinstance(listed, np.ndarray) else list(listed)
    # Where all samples have as many entries, those with fewer labels are filled up with nothing.
    members = [one for one in members if not _is_nothing(one)]
    if all(_is_class(one) for one in members):
        return [int(one) for one in members]
    if not all(isinstance(one, str | bytes) for one in members):
        raise UserError(
            f"the labels of one sample are {shown(item)}, and must be words, or whole numbers of "
            "classes from 0 on"
        )
    return [_word(one) for one in members]


def _is_class(value: object) -> bool:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and value >= 0  # type: ignore[operator]


def _word(item: Any) -> str:
    """Return a label in words, also where others of the labels are numbers.

    Raises
    ------
    UserError
        If the label is no word and no number, or its bytes are no text.
    """
    if isinstance(item, bytes):
        return text_of(item, "the labels hold")
    if isinstance(item, str | float | np.number | np.bool_) or _is_short(item):
        return str(item)
    raise UserError(
        f"the labels hold {shown(item)}, and a label is a word, a number, or a list of words "
        "or numbers"
    )


def _is_short(item: object) -> bool:
    return isinstance(item, int) and abs(item) < 2**64


def _classes(each: Sequence[str | None]) -> Labels:
    """Return labels from one word, or none, for each sample."""
    # Not as an array, in which every word would take as much as the longest.
    words = sorted({one for one in each if one is not None})
    place: dict[str | None, float] = {word: number for number, word in enumerate(words)}
    values = np.array([place.get(one, np.nan) for one in each])
    is_whole = None not in each
    return Labels(values.astype(np.int64) if is_whole else values, "class", tuple(words))


def _several(rows: Sequence[Sequence[Any]]) -> Labels:
    """Return labels from any number of words, or of classes by number, for each sample."""
    every = {one for row in rows for one in row}
    are_words = all(isinstance(one, str) for one in every)
    if not are_words and any(isinstance(one, str) for one in every):
        raise UserError("the labels are words for some samples and numbers for others")
    if are_words and rows and all(len(row) == 1 for row in rows):
        return _classes([row[0] for row in rows])
    known = sorted(every) if are_words else None
    count = max(every, default=-1) + 1 if known is None else len(known)
    if count * len(rows) > max(SMALL, SPARSE * sum(map(len, rows))):
        raise UserError(
            f"the labels name the class {shown(max(every))} among {len(every)}; number the "
            "existing classes from 0 on"
        )
    place = {one: number for number, one in enumerate(known or ())}
    values = np.zeros((len(rows), count), np.int8)
    for value, row in zip(values, rows, strict=True):
        value[[place.get(one, one) for one in row]] = 1
    return Labels(values, "several", None if known is None else tuple(known))


# In words


def class_name(class_names: Sequence[str] | None, index: int) -> str:
    """Return the name of a class, or its number if it has no name."""
    if class_names is not None and 0 <= index < len(class_names):
        return class_names[index]
    return str(index)


def label_text(value: Any, kind: LabelKind, class_names: Sequence[str] | None) -> str | None:
    """Return the label of one sample in words: ``cat``, ``cat + dog``, ``none``, ``0.31, 2.4``.

    None for labels of positions, which are too many for a text.
    """
    match kind:
        case "class":
            return NONE if np.isnan(value) else class_name(class_names, int(value))
        case "several":
            names = [class_name(class_names, int(place)) for place in np.flatnonzero(value)]
            return " + ".join(names) or NONE
        case "number":
            found = np.atleast_1d(value)
            if np.isnan(found).all():
                return NONE
            rest = len(found) - SHOWN
            shown = ", ".join(f"{one:.4g}" for one in found[:SHOWN])
            return f"{shown} and {rest} more" if rest > 0 else shown
        case "positions":
            return None


Group = tuple[tuple[Any, ...], str]
"""Group of samples: the key that groups are sorted by, and the group's name."""


def groups_of(value: Any, kind: LabelKind, class_names: Sequence[str] | None) -> tuple[Group, ...]:
    """Return the groups of one sample by its labels; one group for a sample without a label.

    Raises
    ------
    UserError
        If the labels are of positions.
    """
    # No class has this key, whatever it is called; nor this name.
    called = NONE if NONE not in (class_names or ()) else f"({NONE})"
    without: Group = ((1,), called)
    match kind:
        case "class":
            if np.isnan(value):
                return (without,)
            return (((0, int(value)), class_name(class_names, int(value))),)
        case "several":
            places = [int(place) for place in np.flatnonzero(value)]
            return tuple(((0, p), class_name(class_names, p)) for p in places) or (without,)
        case "number":
            found = np.atleast_1d(value)
            if np.isnan(found).any():
                return (without,)
            return (((0, *found.tolist()), ", ".join(map(_exact, found))),)
        case "positions":
            raise UserError(
                "the data hold a label for each position of an image and no label for the whole "
                "image, so images have no groups by label; group by prediction, by all, or by a "
                "file with a group for each image"
            )


def _exact(value: Any) -> str:
    """Return a number with as many digits as tell it from all other numbers of its type."""
    size = abs(float(value))
    if size and not 1e-4 <= size < 1e12:
        return str(np.format_float_scientific(value, trim="-"))
    return str(np.format_float_positional(value, trim="-"))


NO_NAMES = (
    "The classes have no names: give their numbers, from 0, or their names with --class-names."
)
"""What is said of classes that somebody names and nobody has named."""


def class_number(text: str, class_names: Sequence[str] | None, *, in_words: bool = False) -> int:
    """Return the number of the class that a text names, by its name or its number.

    A number in the text is a class's number only where no class has a number for its name: "5" of
    the classes "3", "5" and "8" is the second.

    Parameters
    ----------
    text
        The text to look up.
    class_names
        The names of the classes.
    in_words
        True where the names are words that stand for no numbers of the network's classes.

    Raises
    ------
    UserError
        If no class has that name or number, with all classes.
    """
    names = list(class_names or ())
    if text in names:
        return names.index(text)
    number = _number_in(text)
    are_numbers = any(_number_in(name) is not None for name in names)
    if number is None or in_words or are_numbers or (names and not 0 <= number < len(names)):
        there = f"There are: {', '.join(names)}." if names else NO_NAMES
        raise UserError(f"there is no class {shown(text)}.{nearest(text, names)} {there}")
    return number


def _number_in(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def labelled(
    values: Array | ArrayLike,
    kind: LabelKind,
    text: str,
    class_names: Sequence[str] | None,
    *,
    in_words: bool,
) -> Array:
    """Tell for each sample whether it has a label, perhaps among several, (n,) bool.

    Raises
    ------
    UserError
        If the label does not exist, or labels have no names one by one.
    """
    if kind == "class":
        if text == NONE and text not in (class_names or ()):
            missing: Array = np.logical_not(has_class(np.asarray(values)))
            return missing
        number = class_number(text, class_names, in_words=in_words)
        found: Array = np.asarray(values) == number
        return found
    if kind == "several":
        rows = np.asarray(values) == 1
        if text == NONE and text not in (class_names or ()):
            without: Array = np.logical_not(rows.any(axis=1))
            return without
        number = class_number(text, class_names, in_words=in_words)
        if not 0 <= number < rows.shape[1]:
            raise UserError(f"there is no label {text!r}: the labels are 0 to {rows.shape[1] - 1}")
        one: Array = rows[:, number]
        return one
    if kind == "number" and len(values.shape) == 1:
        return _equal(np.asarray(values), text)
    what = "a label for each position" if kind == "positions" else f"{values.shape[1]} numbers"
    raise UserError(f"the data hold {what} for an image, so no label {text!r} chooses images")


def _equal(values: Array, text: str) -> Array:
    if text == NONE:
        return np.isnan(values)
    try:
        number = float(text)
    except ValueError:
        raise UserError(f"the labels are numbers, and {text!r} is no number") from None
    if not math.isfinite(number):
        raise UserError(f"the labels are numbers, and {text!r} is no number")
    found: Array = values == values.dtype.type(number)
    return found


def renumbered(labels: Array, kind: LabelKind, numbers: Sequence[int], count: int) -> Array:
    """Return labels of classes with other numbers.

    Parameters
    ----------
    labels
        (n,) numbers of classes or (n, k) labels, 0 or 1; labels of another kind stay unchanged.
    numbers
        The new number of each class.
    count
        The number of classes after that.
    """
    order = np.asarray(numbers, np.int64)
    if kind == "class":
        known = has_class(labels)
        if known.all():
            return order[labels] if len(labels) else labels
        found = labels.copy()
        found[known] = order[labels[known].astype(np.int64)]
        return found
    if kind == "several":
        wider = np.zeros((len(labels), count), np.int8)
        wider[:, order] = labels
        return wider
    return labels


def known_numbers(labels: Array) -> list[int]:
    """Return the existing numbers of classes among labels of one class each, in order."""
    return [int(one) for one in np.unique(labels[has_class(labels)])]


def by_numbers(labels: Array, class_names: Sequence[str]) -> Array | None:
    """Return labels that are names of classes as the places of these names; None if they are not.

    Labels 7, 9 and 10 of the classes "7", "9" and "10" are such labels. Labels from 0 on that are
    places among the names are taken for places; so are all where neither a label nor a name is 0,
    as with the labels 1 and 2 of the classes "1", "2" and "3".

    Parameters
    ----------
    labels
        (n,) numbers of classes.
    class_names
        The names of classes; whole numbers, perhaps.
    """
    numbers, there = [_whole_number_in(name) for name in class_names], known_numbers(labels)
    if not there or None in numbers or not set(there) <= set(numbers):
        return None
    are_places = there[0] >= 0 and there[-1] < len(numbers)
    if are_places and (0 in numbers or 0 in there):
        return None
    place = {number: numbers.index(number) for number in there}
    found = labels.copy()
    for number, own in place.items():
        found[labels == number] = own
    return found


def _whole_number_in(text: str) -> int | None:
    """Return the whole number that a name is, also as a float: of "7" and "7.0"."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None
