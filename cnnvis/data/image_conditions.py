"""Conditions on images as people write them: on columns of a table, on labels, on the network's answers.

::

    condition   = [FILE ":"] either              a table beside the data: facts.tsv: age>40
    either      = all ("or" all)*
    all         = part ("and" part)*
    part        = "not" part | "(" either ")" | "right" | "wrong" | comparison
    comparison  = name operator value | name ["not"] "in" "(" value ("," value)* ")"
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">="

A name is a column of the table, or else one of `NAMES`. Names and values with blanks or signs in them stand
in quotes. Nothing of it is evaluated as Python.

Conditions are true, false or open: an image without a value is neither in a column's condition nor in
its opposite, as in SQL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from cnnvis.data.columns import headings_of
from cnnvis.data.lazy import Array
from cnnvis.errors import UserError, nearest, shown
from cnnvis.reporting import note

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in", "is"]
"""Operator of a comparison; ``is`` of right and wrong, which are compared with nothing."""

OF_NETWORK = ("predicted", "prediction", "p", "score", "right", "wrong")
"""Names of what the network answers; p and score also of a class, ``p[sweep]``."""

NAMES = ("image", "name", "label", *OF_NETWORK)
"""Names that need no table."""

ALONE = ("right", "wrong")
"""Names that are compared with nothing, unless they are columns."""

OF_IMAGES = ("image", "name")
"""Names that mean the same of a table and of the data."""

OPEN = 0.5
"""Truth of a condition on a value that is not there, between 0 and 1."""

DEEPEST = 50
"""Maximum number of brackets and negations inside of each other."""

_PATH = re.compile(r"(?P<file>.*?\.(?:csv|tsv))\s*:(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<sign>!=|<=|>=|==|[=<>(),])"""
    r"""|(?P<word>(?:p|score)\[[^\]]*\]|[^\s"'=!<>(),]+))"""
)
_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_WORDS = ("and", "or", "not", "in")
_MORE = re.compile(
    r"""\b(?:and|or)\s+(?:not\b|\(|(?:right|wrong)\s*$|(?:"[^"]*"|'[^']*'|[^\s"'=!<>(),]+)"""
    r"""\s*(?:[=<>]|!=|(?:not\s+)?in\s*\())""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Comparison:
    """Comparison of a value of each image with one value, or with several."""

    name: str
    operator: Operator
    values: tuple[str, ...] = ()

    @property
    def of_class(self) -> tuple[str, str]:
        """The name, and the class that stands behind it in brackets: ``p`` and ``sweep``."""
        found = re.fullmatch(r"(p|score)\[(.*)\]", self.name, re.DOTALL)
        return (found[1], found[2].strip()) if found else (self.name, "")


@dataclass(frozen=True)
class Parts:
    """Conditions of which all must hold, or one; or the opposite of a single one."""

    how: Literal["and", "or", "not"]
    parts: tuple[Comparison | Parts, ...]


Judge = Callable[[Comparison, Array], Array]
"""Function that tells of a comparison at which places it is true: 1, 0 or `OPEN`, (m,) float."""


@dataclass(frozen=True)
class Expression:
    """Condition as it was written.

    Attributes
    ----------
    text
        The condition, with its table.
    table
        The file of the table; empty without a table.
    tree
        The parsed condition.
    """

    text: str
    table: str
    tree: Comparison | Parts

    def __str__(self) -> str:
        return self.text

    @cached_property
    def headings(self) -> tuple[str, ...]:
        """Headings of the table; none without a table."""
        return headings_of(Path(self.table)) if self.table else ()

    def is_column(self, one: Comparison) -> bool:
        """Tell whether a comparison is about a column of the table; right and wrong alone are not."""
        is_bare = one.operator == "is"
        return not is_bare and one.name in self.headings and one.name not in OF_IMAGES

    @property
    def asks_network(self) -> bool:
        """True where it depends on the network's answers."""
        return self._asks(self.tree)

    def _asks(self, tree: Comparison | Parts) -> bool:
        if isinstance(tree, Parts):
            return any(map(self._asks, tree.parts))
        return tree.of_class[0] in OF_NETWORK and not self.is_column(tree)

    def require_names(self) -> None:
        """Refuse names that are neither columns nor known; make a note on columns that hide a name.

        Raises
        ------
        UserError
            With the nearest names, or if the table cannot be read.
        """
        for one in comparisons_in(self.tree):
            is_known = one.of_class[0] in NAMES
            if one.name in ALONE and one.operator != "is" and not self.is_column(one):
                raise UserError(
                    f"{self.text!r}: the table has no column {one.name!r}, and {one.name} stands alone, "
                    "without a value"
                )
            if self.is_column(one) and is_known:
                note(
                    f"{one.name} is a column of {self.table!r} in {self.text!r}; a condition of its own, "
                    f"beside it, is on {one.name} of the {'data' if one.name == 'label' else 'network'}"
                )
            if not self.is_column(one) and not is_known:
                known = [*self.headings, *NAMES]
                raise UserError(
                    f"{self.text!r}: the table has no column {one.name!r}.{nearest(one.name, known)} It has: "
                    f"{', '.join(self.headings[:20])}. Without a table there are {', '.join(NAMES)}."
                )

    def holds(self, places: Array, judge: Judge) -> Array:
        """Tell at which of these places the condition holds, (m,) bool, with a note on open ones."""
        truth = self._truth(self.tree, places, judge)
        unknown = int((truth == OPEN).sum())
        if unknown:
            has = "image has no value" if unknown == 1 else "images have no values"
            note(f"{unknown} {has} to judge {self.text!r} by, and {'was' if unknown == 1 else 'were'} not chosen")  # fmt: skip
        found: Array = truth == 1
        return found

    def _truth(self, tree: Comparison | Parts, places: Array, judge: Judge) -> Array:
        """Return Kleene's truth at each place; the network is asked last, and only where it matters."""
        if isinstance(tree, Comparison):
            return judge(tree, places)
        if tree.how == "not":
            opposite: Array = 1 - self._truth(tree.parts[0], places, judge)
            return opposite
        start, taken = (1.0, np.minimum) if tree.how == "and" else (0.0, np.maximum)
        found = np.full(len(places), start)
        for part in sorted(tree.parts, key=self._asks):
            undecided = found != 1 - start
            if undecided.any():
                truth = self._truth(part, places[undecided], judge)
                found[undecided] = taken(found[undecided], truth)
        return found


def comparisons_in(tree: Comparison | Parts) -> list[Comparison]:
    """Return all comparisons of a condition, from the left to the right."""
    if isinstance(tree, Comparison):
        return [tree]
    return [one for part in tree.parts for one in comparisons_in(part)]


def has_more(text: str) -> bool:
    """Tell whether a condition follows behind ``and`` or ``or``, as it does in no name of a class."""
    return _MORE.search(text) is not None


def parsed(text: str) -> Expression | None:
    """Parse a condition; None for a text that is none, such as a single word.

    Raises
    ------
    UserError
        If it is begun as a condition and cannot be understood, or names nothing that is known.
    """
    text = text.strip()
    path = _PATH.fullmatch(text)
    table, rest = (path["file"].strip(), path["rest"]) if path else ("", text)
    is_condition = path or re.search(r"[=<>]|\bin\s*\(", rest) or re.match(r"not\b|\(", rest)
    if not is_condition:
        return None
    return Expression(text, table, _Parser(text, rest, bool(table)).whole())


class _Parser:
    """Parser of a condition by recursive descent."""

    def __init__(self, text: str, rest: str, has_table: bool) -> None:
        self._text, self._has_table = text, has_table
        self._tokens: list[tuple[str, str]] = []  # each token with its kind
        at, rest = 0, rest.rstrip()
        while at < len(rest):
            found = _TOKEN.match(rest, at)
            if found is None:
                self._fail(f"{rest[at:].strip()[:20]!r} is not understood")
            kind = str(found.lastgroup)
            token = found[kind]
            token = token[1:-1] if kind == "quoted" else "=" if token == "==" else token
            if kind == "word" and token.lower() in _WORDS:
                kind, token = "key", token.lower()
            self._tokens.append((kind, token))
            at = found.end()
        self._at, self._depth = 0, 0

    def _fail(self, why: str) -> NoReturn:
        raise UserError(
            f"{shown(self._text)} chooses no images: {why}. A condition is written as "
            "'facts.tsv: population=CEU and (age>40 or not label=sweep)', with names and values that "
            "hold blanks or signs in quotes"
        )

    def _next(self, *tokens: str) -> str | None:
        """Take the next token, if it is one of these signs or words."""
        if self._at < len(self._tokens):
            kind, token = self._tokens[self._at]
            if kind in ("sign", "key") and token in tokens:
                self._at += 1
                return token
        return None

    def _found(self) -> str:
        if self._at >= len(self._tokens):
            return "it ends there"
        return f"there is {self._tokens[self._at][1]!r}"

    def whole(self) -> Comparison | Parts:
        found = self._either()
        if self._at < len(self._tokens):
            self._fail(
                f"{self._tokens[self._at][1]!r} follows on a whole condition; and, or and brackets join "
                "conditions"
            )
        return found

    def _either(self) -> Comparison | Parts:
        return self._joined("or", self._all)

    def _all(self) -> Comparison | Parts:
        return self._joined("and", self._part)

    def _joined(
        self, how: Literal["and", "or"], part: Callable[[], Comparison | Parts]
    ) -> Comparison | Parts:
        parts = [part()]
        while self._next(how):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Parts(how, tuple(parts))

    def _part(self) -> Comparison | Parts:
        self._depth += 1
        if self._depth > DEEPEST:
            self._fail(f"more than {DEEPEST} brackets and negations are inside of each other")
        if self._next("not"):
            found: Comparison | Parts = Parts("not", (self._part(),))
        elif self._next("("):
            found = self._either()
            if not self._next(")"):
                self._fail(f"a bracket is not closed, and {self._found()}")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Comparison:
        kind, name = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind not in ("word", "quoted"):
            self._fail(f"a column or {', '.join(NAMES)} is expected, and {self._found()}")
        self._at += 1
        self._require_known(name)
        sign = self._next(*_SIGNS)
        if name in ALONE and kind == "word":
            following = self._tokens[self._at][1] if self._at < len(self._tokens) else ""
            if sign is None and following not in ("in", "not"):
                return Comparison(name, "is")
            if not self._has_table:
                self._fail(f"{name} stands alone, without a value")
        if sign is not None:
            return Comparison(name, _operator(sign), (self._value(sign),))
        opposite = self._next("not")
        if not self._next("in"):
            self._fail(f"a sign ({' '.join(_SIGNS)}) or in is expected behind {name!r}, and {self._found()}")  # fmt: skip
        if not self._next("("):
            self._fail(f"values in brackets are expected behind in, and {self._found()}")
        values = [self._value("(")]
        while self._next(","):
            values.append(self._value(","))
        if not self._next(")"):
            self._fail(f"a comma or a closing bracket is expected, and {self._found()}")
        return Comparison(name, "not in" if opposite else "in", tuple(values))

    def _value(self, behind: str) -> str:
        kind, value = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind not in ("word", "quoted"):
            self._fail(f"a value is expected behind {behind!r}, and {self._found()}")
        self._at += 1
        return value

    def _require_known(self, name: str) -> None:
        """Refuse a name that is no column's, where there is no table."""
        if self._has_table or Comparison(name, "is").of_class[0] in NAMES:
            return
        raise UserError(
            f"{shown(self._text)} chooses no images.{nearest(name, NAMES)} Nothing is called {name!r} without a "
            f"table: there are {', '.join(NAMES)}. The name of a table stands before the condition on its "
            "columns: 'facts.tsv: age>40'"
        )


def _operator(sign: str) -> Operator:
    (found,) = (one for one in get_args(Operator) if one == sign)
    return found  # type: ignore[no-any-return]


# Values


def compared_numbers(values: Array, one: Comparison, what: str) -> Array:
    """Return the truth of a comparison of numbers, (m,) float: 1, 0 or, for NaN, `OPEN`.

    Parameters
    ----------
    values
        (m,) floats, in whose precision they are compared.

    Raises
    ------
    UserError
        If a value of the comparison is no number.
    """
    missing = np.isnan(values)
    for text in one.values:
        if number_in(text) is None and (text or one.operator in _ORDERS):
            raise UserError(f"{what} holds numbers, and {text!r} is no number")
    numbers = np.array([number_in(text) for text in one.values if text], values.dtype)
    if one.operator in _ORDERS:
        ordered: Array = np.where(missing, OPEN, _ORDERS[one.operator](values, numbers[0]))
        return ordered
    return _among(np.isin(values, numbers), missing, one)


def compared_words(
    values: Sequence[str], known: Sequence[str], one: Comparison, what: str
) -> Array:
    """Return the truth of a comparison of words, (m,) float: 1, 0 or, for an empty word, `OPEN`.

    Parameters
    ----------
    known
        All words that there are, those of other images too.

    Raises
    ------
    UserError
        If nothing is equal to a word of the comparison, or words are compared with a number by size.
    """
    words = np.array(values, object)
    missing = words == ""
    if one.operator in _ORDERS:
        (text,) = one.values
        if number_in(text) is not None or not text:
            odd = next((word for word in known if word and number_in(word) is None), "")
            raise UserError(
                f"{what} holds words, such as {shown(odd)}, and {one.operator} {text or 'an empty text'} "
                "compares numbers"
            )
        hit = np.array([bool(_ORDERS[one.operator](word, text)) for word in values], bool)
        ordered: Array = np.where(missing, OPEN, hit)
        return ordered
    there = {word for word in known if word}
    for text in one.values:
        if text and text not in there:
            some = sorted(there)
            listed = f" There are: {', '.join(some)}." if len(some) <= 12 else ""
            raise UserError(f"{what} holds no {text!r}.{nearest(text, some)}{listed}")
    asked = set(one.values)
    return _among(np.array([word in asked for word in values], bool), missing, one)


_ORDERS: dict[Operator, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _among(hit: Array, missing: Array, one: Comparison) -> Array:
    """Return the truth of being one of some values; an empty one asks whether there is a value."""
    asks = "" in one.values
    # What has no value is the empty one; or not known to be one of others.
    found = np.where(missing, 1.0 if asks else OPEN, hit)
    return 1 - found if one.operator in ("!=", "not in") else found


def number_in(text: str) -> float | None:
    """Return the finite number that a text is, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def no_order(one: Comparison, what: str) -> None:
    """Refuse a comparison by size.

    Raises
    ------
    UserError
        If it is one.
    """
    if one.operator in _ORDERS:
        raise UserError(f"{what} has no order: compare it with = or !=, or with in (A, B)")
