"""Values that conditions on images compare: of a table beside the data, and of the data themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cnnvis.data.columns import Column, NumberedImages, column_named
from cnnvis.data.image_conditions import (
    OF_NETWORK,
    OPEN,
    Comparison,
    Expression,
    Judge,
    compared_numbers,
    compared_words,
    no_order,
    number_in,
)
from cnnvis.data.labels import NONE, LabelKind, has_class
from cnnvis.data.lazy import Array
from cnnvis.errors import UserError

ABSENT = frozenset({"", "na", "n/a", "nan", "none", "null", "."})
"""Entries that stand for no value in a column of numbers, in small letters."""


class Data(NumberedImages, Protocol):
    """Samples, as far as conditions on them need them."""

    @property
    def labels(self) -> Array | None: ...
    @property
    def label_kind(self) -> LabelKind | None: ...
    def labelled(self, name: str) -> Array: ...


@dataclass
class DataValues:
    """Values of all images of a data set, each column read at its first comparison."""

    data: Data
    _columns: dict[tuple[str, str], tuple[Column, list[str]]] = field(default_factory=dict)

    def holds(self, expression: Expression, places: Array, network: Judge | None = None) -> Array:
        """Tell at which places a condition holds, (m,) bool.

        Parameters
        ----------
        network
            Function that judges comparisons of the network's answers.

        Raises
        ------
        UserError
            If a comparison cannot be judged.
        """

        def judge(one: Comparison, places: Array) -> Array:
            if expression.is_column(one):
                return self._of_column(expression.table, one, places)
            if one.of_class[0] not in OF_NETWORK:
                return self._of_data(one, places)
            if network is None:
                raise UserError(f"{expression.text!r} needs the answer of a network")
            return network(one, places)

        return expression.holds(places, judge)

    def _of_column(self, table: str, one: Comparison, places: Array) -> Array:
        if (table, one.name) not in self._columns:
            found = column_named(Path(table), one.name)
            self._columns[table, one.name] = (
                found,
                [value or "" for value in found.found(self.data)],
            )
        column, values = self._columns[table, one.name]
        chosen = [values[place] for place in places]
        if _holds_numbers(column):
            return compared_numbers(_as_numbers(chosen), one, column.source)
        _require_words(column, one)
        return compared_words(chosen, column.values, one, column.source)

    def _of_data(self, one: Comparison, places: Array) -> Array:
        data = self.data
        if one.name == "image":
            return compared_numbers(data.indices[places].astype(float), one, "image")
        if one.name == "name":
            if data.names is None:
                raise UserError("the images of these data have no names: choose them by image")
            every = [str(name) for name in data.names]
            return compared_words([every[place] for place in places], every, one, "name")
        return self._of_labels(one, places)

    def _of_labels(self, one: Comparison, places: Array) -> Array:
        labels, kind = self.data.labels, self.data.label_kind
        if kind == "number" and labels is not None and labels.ndim == 1:
            numbers = np.asarray(labels[places])
            numbers = numbers if numbers.dtype.kind == "f" else numbers.astype(float)
            texts = tuple("" if text == NONE else text for text in one.values)
            return compared_numbers(numbers, Comparison(one.name, one.operator, texts), "label")
        no_order(one, "the label")
        missing = np.zeros(len(places), bool)
        if kind == "class" and labels is not None:
            missing = ~has_class(np.asarray(labels)[places])
        found = np.zeros(len(places))
        for text in one.values:
            hit = self.data.labelled(text)[places].astype(float)
            found = np.maximum(found, hit if text == NONE else np.where(missing, OPEN, hit))
        return 1 - found if one.operator in ("!=", "not in") else found


def _holds_numbers(column: Column) -> bool:
    there = [text for text in column.values if text.lower() not in ABSENT]
    return bool(there) and all(number_in(text) is not None for text in there)


def _as_numbers(texts: Any) -> Array:
    return np.array([np.nan if (one := number_in(text)) is None else one for text in texts])


def _require_words(column: Column, one: Comparison) -> None:
    """Refuse to compare numbers with a column most of whose entries are numbers, and not all."""
    odd = [text for text in column.values if text and number_in(text) is None]
    numbers = [text for text in column.values if number_in(text) is not None]
    asked = [text for text in one.values if number_in(text) is not None]
    is_order = one.operator in ("<", "<=", ">", ">=")
    if odd and len(odd) < len(numbers) and (is_order or asked):
        line = column.values.index(odd[0]) + 1
        raise UserError(
            f"{column.source}: line {line} below the heading holds {odd[0]!r}, and most lines hold numbers; "
            "leave the entry empty, or put a number there"
        )
