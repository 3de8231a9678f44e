"""Wrong maps are caught: each planted mistake by a check that says what it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from quick import quick_at

import cnnvis
import cnnvis.testing

from .mistakes import LOOKS, MISTAKES, Mistake


def test_there_are_many() -> None:
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 30


@pytest.mark.parametrize(
    "mistake", quick_at(range(0, len(MISTAKES), 4), MISTAKES), ids=lambda mistake: mistake.name
)
def test_it_is_caught_and_named(mistake: Mistake) -> None:
    # Names of checks begin with those of others: the first is the one that is meant.
    (check, *_) = [
        one
        for one in cnnvis.testing.checks(mistake.technique)
        if one.name.startswith(mistake.check)
    ]
    with pytest.raises(cnnvis.testing.Violation, match=re.compile(mistake.said, re.DOTALL)):
        check()


@pytest.mark.parametrize(
    ("claim", "options", "said"),
    [
        ("layercam", {}, "it claims 'layercam', and cnnvis knows the claims gradient, .*, equals"),
        ("equals", {"method": "grad-cam"}, "that takes technique, options, theirs, where"),
        ("equals", {"technique": "grad-cam", "where": "here"}, "anywhere, features, pooled"),
    ],
)
def test_claims_that_cannot_be_understood_are_refused(
    claim: Any, options: dict[str, Any], said: str
) -> None:
    (check,) = _checks_of_a_claim(claim, options)
    with pytest.raises(cnnvis.testing.Violation, match=said):
        check()


def test_who_equals_a_technique_that_is_not_there_is_not_judged() -> None:
    (check,) = _checks_of_a_claim("equals", {"technique": "no-such"})
    with pytest.raises(cnnvis.testing.NotApplicable, match="no-such is not installed"):
        check()


def test_a_refusal_is_no_violation() -> None:
    @cnnvis.technique("refuses")
    def refuses(model: Any, samples: Any) -> cnnvis.Explanation:
        """Refuses."""
        raise cnnvis.UserError("not these")

    said = {}
    for check in cnnvis.testing.checks(refuses):
        if check.name.startswith(("it gives a map", "an image that is", LOOKS)):
            with pytest.raises((cnnvis.testing.Violation, cnnvis.testing.NotApplicable)) as error:
                check()
            said[check.name] = error.type
    assert said.pop("it gives a map for every sample") is cnnvis.testing.Violation
    assert set(said.values()) == {cnnvis.testing.NotApplicable}


def _checks_of_a_claim(claim: Any, options: dict[str, Any]) -> list[cnnvis.testing.Check]:
    @cnnvis.technique("claims-something", claims={claim: options})
    def technique(model: Any, samples: Any) -> cnnvis.Explanation:
        """Claims something."""
        return cnnvis.Explanation(model.input_gradient(samples.x), samples)

    return [one for one in cnnvis.testing.checks(technique) if one.name.startswith("its claim")]
