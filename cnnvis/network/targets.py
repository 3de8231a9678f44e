"""Targets as people write them: ``output``, ``output:3``, ``output[AI]``, ``head[3]-head[5]``.

::

    target   = [sign] term (sign term)*
    term     = [number "*"] layer [":" unit | "[" unit "]"]
    sign     = "+" | "-"

A layer's name may hold signs and brackets itself; so the layers that there are decide where a name
ends, and the longest that fits is meant.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cnnvis.errors import UserError, nearest, shown

_FACTOR = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*\*\s*")


@dataclass(frozen=True)
class Term:
    """Part of a layer in a target.

    Attributes
    ----------
    layer
        Name of the layer, as it was written.
    unit
        Output of the layer, a number or a class's name, as it was written; None if none was given.
    factor
        Factor by which that output counts.
    """

    layer: str
    unit: str | None = None
    factor: float = 1.0


def parsed(text: str, layers: Collection[str], listed: Collection[str] = ()) -> tuple[Term, ...]:
    """Parse the terms of a target.

    Parameters
    ----------
    text
        Target as it was written.
    layers
        Names of all layers.
    listed
        Names that a message lists; all of them by default.

    Raises
    ------
    UserError
        If it names a layer that there is not, or is no target.
    """
    if text in layers:
        return (Term(text),)
    terms: list[Term] = []
    rest = text.strip()
    while rest or not terms:
        sign = rest[:1] if rest[:1] in ("+", "-") else ""
        if terms and not sign:
            raise UserError(
                f"the target {text!r} is not understood at {rest!r}: a target is a layer, an "
                "output of a layer (output:3 or output[AI]), or a sum or difference of outputs"
            )
        rest = rest[len(sign) :].lstrip()
        factor = -1.0 if sign == "-" else 1.0
        if (found := _FACTOR.match(rest)) is not None and not _starts(rest, layers):
            factor *= float(found[1])
            rest = rest[found.end() :]
        layer = _starts(rest, layers)
        if layer is None:
            raise _unknown(rest, layers, listed or layers)
        unit, rest = _unit(rest[len(layer) :].lstrip(), text)
        terms.append(Term(layer, unit, factor))
    return tuple(terms)


def _starts(text: str, layers: Collection[str]) -> str | None:
    """Return the longest name that a text starts with and that may end there, if there is one."""
    fitting = [
        name
        for name in layers
        if text.startswith(name) and (text[len(name) :].lstrip() or "+")[0] in "+-:["
    ]
    return max(fitting, key=len, default=None)


def _unit(rest: str, text: str) -> tuple[str | None, str]:
    """Split off the output that is asked for behind a layer's name; return it and the rest."""
    if rest.startswith("["):
        unit, closed, rest = rest[1:].partition("]")
        if not closed or not unit.strip():
            raise UserError(f"the target {text!r} needs an output between [ and ], such as [3]")
        return unit.strip(), rest.lstrip()
    if not rest.startswith(":"):
        return None, rest
    rest = rest[1:].lstrip()
    unit = _until_sign(rest)
    if not unit:
        raise UserError(f"the target {text!r} needs an output behind the colon, such as :3")
    return unit, rest[len(unit) :].lstrip()


def _until_sign(text: str) -> str:
    """Return a name up to the sign of the next term; a sign in a name needs the brackets."""
    return re.split(r"\s*[+-]", text, maxsplit=1)[0].strip()


def _unknown(name: str, layers: Collection[str], listed: Collection[str]) -> UserError:
    bare = re.split(r"[:\[]", name)[0]
    return UserError(
        f"there is no layer {bare!r}.{nearest(bare, layers)} The layers are: {', '.join(listed)}."
    )


def region_of(words: Sequence[str | int | slice]) -> tuple[int | slice, ...]:
    """Parse positions as people write them, ``10:20`` or ``7``, one for each spatial axis.

    Raises
    ------
    UserError
        If a word is neither.
    """
    found: list[int | slice] = []
    for word in words:
        if isinstance(word, slice | int):
            found.append(word)
            continue
        ends = [end.strip() for end in str(word).split(":")]
        try:
            numbers = [int(end) if end else None for end in ends]
        except ValueError:
            numbers = []
        if len(numbers) == 1 and numbers[0] is not None:
            found.append(numbers[0])
        elif len(numbers) in (2, 3) and numbers[-1] != 0:
            found.append(slice(*numbers))
        else:
            raise UserError(
                f"the region {shown(word)} is not understood: it takes a position (7) or a range "
                "(10:20, 10:20:2, or : for all) for each spatial axis"
            )
    return tuple(found)


def as_word(position: int | slice) -> str:
    """Write a position or a range as `region_of` takes it."""
    if not isinstance(position, slice):
        return str(position)
    ends = [position.start, position.stop, *([] if position.step is None else [position.step])]
    return ":".join("" if end is None else str(end) for end in ends)
