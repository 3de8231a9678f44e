"""Wrong maps are caught: each planted mistake by a check that says what it is. Right ones pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import cnnvis.testing

from .mistakes import MISTAKES, RIGHT, Mistake


def _failures(plugin: str | Callable[..., Any], only: str = "") -> dict[str, str]:
    found = {}
    for check in cnnvis.testing.checks(plugin):
        if not check.name.startswith(only):
            continue
        try:
            check()
        except cnnvis.testing.Violation as violation:
            found[check.name] = str(violation)
        except cnnvis.testing.NotApplicable:
            pass
    return found


def test_there_are_many() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 30


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_it_is_caught_and_named(mistake: Mistake) -> None:
    # Names of checks begin with those of others: the first is the one that is meant.
    (check, *_) = [
        one
        for one in cnnvis.testing.checks(mistake.technique)
        if one.name.startswith(mistake.check)
    ]
    with pytest.raises(cnnvis.testing.Violation, match=re.compile(mistake.said, re.DOTALL)):
        check()


@pytest.mark.slow
@pytest.mark.parametrize("technique", RIGHT, ids=lambda one: one.__cnnvis_plugin__.name)
def test_the_same_without_the_mistake_passes(technique: Callable[..., Any]) -> None:
    assert _failures(technique) == {}
