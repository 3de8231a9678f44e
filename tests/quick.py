"""Which of many parameters are quick: some stand for all, and the others are tried by slow tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest


def quick_are(chosen: Iterable[Any], every: Iterable[Any] | Mapping[str, Any]) -> list[Any]:
    """Return all parameters of a test, of which those that are not chosen are slow.

    Parameters
    ----------
    chosen
        Those that stand for all: each way through the code is gone by at least one of them. Of a
        mapping, their names.
    every
        All of them. The keys of a mapping are the names of the parameters.
    """
    named = list(every.items()) if isinstance(every, Mapping) else [(one, one) for one in every]
    left = list(chosen)
    found = []
    for name, value in named:
        is_quick = name in left
        if is_quick:
            left.remove(name)
        ids = {"id": name} if isinstance(every, Mapping) else {}
        values = value if isinstance(value, tuple) else (value,)
        marks = [] if is_quick else [pytest.mark.slow]
        found.append(pytest.param(*values, marks=marks, **ids))
    assert not left, f"no parameters of this test: {left}"
    return found


def slow_are(chosen: Iterable[Any], every: Iterable[Any]) -> list[Any]:
    """Return all parameters of a slow test, of which those that are not chosen are exhaustive.

    Parameters
    ----------
    chosen
        Those that stand for all.
    every
        All of them: values, or parameters of pytest.
    """
    left, found = list(chosen), []
    for one in every:
        plain = one.values if hasattr(one, "values") else one if isinstance(one, tuple) else (one,)
        key = plain if len(plain) > 1 else plain[0]
        marks = [pytest.mark.slow, *getattr(one, "marks", ())]
        if key in left:
            left.remove(key)
        else:
            marks.append(pytest.mark.exhaustive)
        found.append(pytest.param(*plain, marks=marks, id=getattr(one, "id", None)))
    assert not left, f"no parameters of this test: {left}"
    return found


def quick_at(places: Iterable[int], every: Iterable[Any]) -> list[Any]:
    """Return all parameters of a test as `quick_are` does, those that are quick told by their places."""
    found, left = [], set(places)
    for place, one in enumerate(every):
        values, ids = (one.values, one.id) if hasattr(one, "values") else (one, None)
        values = values if isinstance(values, tuple) else (values,)
        marks = [*getattr(one, "marks", ())]
        if place in left:
            left.remove(place)
        else:
            marks.append(pytest.mark.slow)
        found.append(pytest.param(*values, marks=marks, id=ids))
    assert not left, f"no places of parameters of this test: {left}"
    return found
