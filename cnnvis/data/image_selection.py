"""Selection of images of a data set: by places, by a mask, by conditions.

::

    images    = image image ...
    image     = place | range | slice | condition | expression | "all"
    place     = 3 | -1                    the last image is -1
    range     = 0-5                       with 5
    slice     = 20:40:2                   as in Python, without 40
    condition = "label=" NAME | "predicted=" NAME | "right" | "wrong"
    expression = see `cnnvis.data.image_conditions`

Places are united in the order in which they stand. Conditions narrow down what the places are, or all
images where there are no places. Of several conditions with one key, one must hold; of those with
different keys, all; and every expression.
"""

from __future__ import annotations

import itertools
import numbers
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cnnvis.data.image_conditions import Expression, has_more, parsed
from cnnvis.data.lazy import Array
from cnnvis.errors import UserError, nearest, numbered, shown

Images = int | float | str | slice | range | Sequence[Any] | Array
"""Forms of a selection of images in Python: a place or several, a mask, or text as it is typed."""

Key = Literal["label", "predicted", "right", "wrong"]

FORMS = (
    "places (0, or -1 for the last), ranges (0-5, with 5), Python's slices (20:40:2, without 40), "
    "label=NAME, predicted=NAME, right, wrong, all, or a condition in quotes, such as "
    "'facts.tsv: population=CEU and age>40'"
)
"""The forms in which images are chosen, for messages."""

_ASKING: tuple[Key, ...] = ("predicted", "right", "wrong")
"""Conditions on what the network answers."""


@dataclass(frozen=True)
class Condition:
    """Condition on an image: on its label, or on the network's answer."""

    key: Key
    name: str = ""

    @property
    def asks_network(self) -> bool:
        """True where it depends on the network's answers."""
        return self.key in _ASKING

    def __str__(self) -> str:
        return f"{self.key}={self.name}" if self.name else self.key


Place = int | slice | range | Array
"""A whole number, a slice, a range or a mask, (n,) bool."""


Term = Place | Condition | Expression
"""What chooses images, or narrows a choice down."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Selection of images.

    Attributes
    ----------
    places
        The places of the images; None for all images.
    conditions
        The conditions that each image must fulfil.
    """

    places: tuple[Place, ...] | None = None
    conditions: tuple[Condition | Expression, ...] = ()

    @property
    def asks_network(self) -> bool:
        """True where the selection depends on the network's answers."""
        return any(one.asks_network for one in self.conditions)

    def require_names(self) -> None:
        """Refuse conditions on columns that no table has.

        Raises
        ------
        UserError
            With the nearest column, or if a table cannot be read.
        """
        for one in self.conditions:
            if isinstance(one, Expression):
                one.require_names()

    @property
    def is_all(self) -> bool:
        """True where the selection is all images, in their own order."""
        return self.places is None and not self.conditions

    def places_in(self, count: int) -> Array:
        """Return the places among `count` images, (m,) int64, conditions left aside.

        Raises
        ------
        UserError
            If a place has no image, or a mask is for more or fewer images.
        """
        if self.places is None:
            return np.arange(count)
        ends = [end for one in self.places for end in _ends(one)]
        outside = [end for end in ends if not -count <= end < count]
        if outside:
            shown = ", ".join(map(str, list(dict.fromkeys(outside))[:8]))
            raise UserError(f"there is no image {shown}: {_held(count)}")
        found = [np.empty(0, np.int64)]
        for is_place, some in itertools.groupby(self.places, lambda one: isinstance(one, int)):
            together: list[Any] = list(some)  # of a hundred thousand places, one array
            found += [np.array(together)] if is_place else [_placed(one, count) for one in together]
        places = np.concatenate(found)
        return np.where(places < 0, places + count, places)

    def narrowed(
        self, places: Array, holds: Callable[[Condition | Expression, Array], Array]
    ) -> Array:
        """Return the places at which the conditions hold, (m,) int64.

        Conditions on tables and labels come first, so that the network answers only for the images that they
        leave.

        Parameters
        ----------
        places
            See `places_in`.
        holds
            Tells for a condition and (m,) places at which of them it holds, (m,) bool.

        Raises
        ------
        UserError
            If no image is left.
        """
        looked_at = len(places)
        by_key: dict[str, list[Condition | Expression]] = {}
        for number, one in enumerate(self.conditions):
            key = one.key if isinstance(one, Condition) else str(number)
            by_key.setdefault(key, []).append(one)
        for together in sorted(by_key.values(), key=lambda some: some[0].asks_network):
            if len(places):
                places = places[np.logical_or.reduce([holds(one, places) for one in together])]
        if self.conditions and looked_at and not len(places):
            said = " ".join(map(str, self.conditions))
            raise UserError(
                f"none of the {numbered(looked_at, 'image')} examined is left by {said}"
            )
        return places


def selection_of(images: Images | Selection | None) -> Selection:
    """Return the selection for images in any of the forms of `Images`.

    Raises
    ------
    UserError
        If `images` has none of these forms.
    """
    if isinstance(images, Selection):
        return images
    if images is None:
        return Selection()
    places: list[Place] = []
    conditions: list[Condition | Expression] = []
    for one in _parts(images):
        (conditions if isinstance(one, Condition | Expression) else places).append(one)  # type: ignore[arg-type]
    only_conditions = conditions and not places
    return Selection(None if only_conditions else tuple(places), tuple(conditions))


def _parts(images: Any) -> list[Term]:
    if isinstance(images, bool):
        raise _wrong(images)
    if isinstance(images, str):
        return _terms(images)
    if isinstance(images, slice | range | numbers.Number):
        return [_part(images)]
    try:
        array = np.asarray(images) if hasattr(images, "__array__") else None
        items = list(images) if array is None else array.reshape(-1).tolist()
    except (TypeError, ValueError):
        raise _wrong(images) from None
    if array is not None and array.ndim > 1:
        raise UserError(
            f"images are chosen by one row of places or one mask, and not by an array of shape "
            f"{array.shape}"
        )
    if items and all(isinstance(one, bool | np.bool_) for one in items):
        if array is not None and array.ndim == 0:
            raise _wrong(images)
        return [np.array(items, bool)]
    return [
        part for one in items for part in (_terms(one) if isinstance(one, str) else [_part(one)])
    ]


def _terms(text: str) -> list[Term]:
    """Split text into terms: one word, whose name may hold blanks, or several: ``"0-5 8"``."""
    try:
        return [term(text)]
    except UserError:
        words = text.split()
        if len(words) < 2:
            raise
        try:
            return [term(word) for word in words]
        except UserError:
            pass
        raise


def _part(one: Any) -> Term:
    if isinstance(one, slice | range):
        return one
    if isinstance(one, bool | np.bool_):
        raise UserError(
            "images are chosen by places or by a mask that holds True or False for each image of "
            "the data, and not by both in one list"
        )
    if isinstance(one, numbers.Integral):
        return int(one)
    if isinstance(one, numbers.Real) and float(one).is_integer():
        return int(float(one))
    raise _wrong(one)


def _wrong(one: Any) -> UserError:
    return UserError(f"images are chosen by {FORMS}, and not by {shown(one)}")


_PLACE = re.compile(r"[+-]?\d{1,18}")  # no data set has more images
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")
_SLICE = re.compile(r"([+-]?\d{1,18})?:([+-]?\d{1,18})?(?::([+-]?\d{1,18})?)?")


def term(text: str) -> Term:
    """Parse a place, a range, a slice or a condition, as it is typed.

    Raises
    ------
    UserError
        If the text is none of them.
    """
    text = text.strip()
    if _PLACE.fullmatch(text):
        return int(text)
    if found := _RANGE.fullmatch(text):
        first, last = int(found[1]), int(found[2])
        if first > last:
            raise UserError(
                f"the range of images {text!r} runs backwards; {last}-{first} has the same images"
            )
        return range(first, last + 1)
    if found := _SLICE.fullmatch(text):
        start, stop, step = (None if end is None else int(end) for end in found.groups())
        if step == 0:
            raise UserError(
                f"the slice of images {text!r} has the step 0; give a step of 1 or more, or of -1 "
                "or less"
            )
        return slice(start, stop, step)
    if text == "all":
        return slice(None)
    key, equals, name = text.partition("=")
    key, name = key.strip(), name.strip()
    if not equals and key in ("right", "wrong"):
        return Condition(key)  # type: ignore[arg-type]
    is_simple = equals and name and key in ("label", "predicted")
    if is_simple and not has_more(text) and name[0] not in "='\"":
        return Condition(key, name)  # type: ignore[arg-type]
    if (found_condition := parsed(text)) is not None:
        return found_condition
    hint = nearest(key, ("label", "predicted") if equals else ("right", "wrong", "all"))
    if text.lower() in ("and", "or", "not", "in"):
        hint = " Put a condition of several words into quotes."
    raise UserError(f"{shown(text)} chooses no images.{hint} Images are chosen by {FORMS}.")


def typed(text: str) -> int | str:
    """Return a term as it is stored in files: a place as a number, all else as text."""
    one = term(text)
    return one if isinstance(one, int) else text.strip()


def _ends(one: Place) -> list[int]:
    """Return the places that must exist for all places of a term to exist."""
    if isinstance(one, int):
        return [one]
    return [one[0], one[-1]] if isinstance(one, range) and one else []


def _placed(one: Any, count: int) -> Array:
    if isinstance(one, range):
        return np.asarray(one, np.int64)
    if isinstance(one, slice):
        places = range(count)[one]
        if not places and count:
            raise UserError(f"there is no image in {_sliced(one)}: {_held(count)}")
        return np.asarray(places, np.int64)
    if len(one) != count:
        raise UserError(
            f"the mask of images holds {numbered(len(one), 'value')}, and the data "
            f"{numbered(count, 'image')}: the mask must hold True or False for each image"
        )
    return np.flatnonzero(one)


def _held(count: int) -> str:
    if count == 1:
        return "the data hold 1 image, which is image 0"
    return f"the data hold {count} images, 0 to {count - 1}" if count else "the data hold no images"


def _sliced(one: slice) -> str:
    ends = ["" if end is None else str(end) for end in (one.start, one.stop)]
    return ":".join([*ends, *([] if one.step is None else [str(one.step)])])
