"""Judgement of cnnvis's checks: do they tell right maps from wrong ones?

All by the images that the checks were run on. A *method on a network* has a verdict, and is right or wrong by a
rule that was fixed before the numbers of the page were computed: its maps are better than random values by the paired 95 %
interval, and at least half as far above them as those of the network's best method. A *single map* is right
from a fixed value of its score on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.truth.case import Array
from benchmarks.truth.statistics import (
    Interval,
    difference_of_shares,
    interval,
    over_cases,
    rank_correlation,
)

NUMBERS = {
    "sanity": ("sanity_blind", -1),
    "completeness": ("completeness", -1),
    "srg": ("srg", 1),
    "class-sensitivity": ("class-sensitivity", -1),
    "randomization": ("randomization", -1),
}
"""The number of each check that puts methods in an order, and 1 if more is better."""

SIGNED = {"precision": "precision of signed maps"}
"""The score of maps as they are shown, for main scores that are of sizes."""

LEAST_FAILURES = 10
MOST_RIGHT = 0.25
OUTCOMES = ("passed", "warned", "failed")
RULE = (
    "A check **earns a verdict** if, over the methods of the network without the controls, (1) maps that passed "
    "are right more often than maps that failed, with a 95 % interval of the difference above 0 when networks are "
    f"drawn anew; (2) at most {MOST_RIGHT:.0%} of the methods that failed are right; and (3) at least "
    f"{LEAST_FAILURES} methods on a network failed. With fewer failures nothing is decided. Else it is "
    "**information** about another question than where the answer lies."
)


@dataclass(frozen=True)
class Judged:
    """Method on a network: what is true of it, and what the checks say.

    Attributes
    ----------
    case, suite, method
        Of which network, and which method.
    is_control
        True for an answer that is not the network's.
    truth
        The mean score of the checked maps.
    is_right
        By the rule of this module.
    right
        Which of the checked maps are right.
    outcomes
        The verdict of each check.
    numbers
        The number of each check, more for better.
    of_maps
        The numbers of each check for each map.
    """

    case: str
    suite: str
    method: str
    is_control: bool
    truth: float
    is_right: bool
    right: Array
    outcomes: Mapping[str, str]
    numbers: Mapping[str, float]
    of_maps: Mapping[str, Array]
    scores: Array


def known(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the methods of a case that gave maps."""
    return [one for one in result["methods"] if "scores" in one]


def judged(result: Mapping[str, Any], *, with_signs: bool = False) -> list[Judged]:
    """Return what the checks say of each method of a case, those with the same maps once.

    Parameters
    ----------
    with_signs
        Take XAI-TRIS's score of the maps with their signs, not of the sizes of their values.
    """
    main, count = result["main"], result["checked"]
    if with_signs:
        main = SIGNED.get(main, main)
    every = known(result)
    scores = {one["method"]: np.array(one["scores"][main][:count]) for one in every}
    chance = scores["random"]
    best = max(scores[one["method"]].mean() for one in every if not one["control"])
    found: list[Judged] = []
    for one in every:
        own = scores[one["method"]]
        above = interval(own - chance)
        half_way = (best + chance.mean()) / 2
        of_maps = {
            check: np.array(one["checks"].get(key) or [np.nan] * len(own), float) * sign
            for check, (key, sign) in NUMBERS.items()
        }
        if any(_same(each, own, of_maps["srg"]) for each in found):
            continue
        found.append(
            Judged(
                case=f"{result['suite']}/{result['name']}",
                suite=result["suite"],
                method=one["method"],
                is_control=one["control"],
                truth=float(own.mean()),
                is_right=bool(above.low > 0 and own.mean() >= half_way),
                right=own >= result["right"],
                outcomes=one["outcomes"],
                numbers={check: _mean(values) for check, values in of_maps.items()},
                of_maps=of_maps,
                scores=own,
            )
        )
    return found


def _same(one: Judged, scores: Array, gains: Array) -> bool:
    """Tell whether another library's maps are those of a method that is there already."""
    if one.is_control or not np.allclose(one.scores, scores, atol=0.01):
        return False
    return bool(np.allclose(one.of_maps["srg"], gains, rtol=0.02, atol=0.01))


def _mean(values: Array) -> float:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def orders(every: Sequence[Judged], check: str, *, controls: bool) -> dict[str, float]:
    """Return the rank correlation of a check's order with the true one, for each network."""
    found = {}
    for case in dict.fromkeys(one.case for one in every):
        own = [one for one in every if one.case == case and (controls or not one.is_control)]
        found[case] = rank_correlation(
            [one.numbers[check] for one in own], [one.truth for one in own]
        )
    return found


def counts(
    every: Sequence[Judged], check: str, outcome: str, *, controls: bool
) -> tuple[int, int, int, int]:
    """Return of a verdict: right methods and all methods, right maps and all maps."""
    own = [
        one
        for one in every
        if one.outcomes.get(check) == outcome and (controls or not one.is_control)
    ]
    return (
        sum(one.is_right for one in own),
        len(own),
        int(sum(one.right.sum() for one in own)),
        sum(len(one.right) for one in own),
    )


def gain_of_passing(every: Sequence[Judged], check: str, *, controls: bool) -> Interval | None:
    """Return how much more often maps are right that passed than maps that failed."""
    table = []
    for case in dict.fromkeys(one.case for one in every):
        own = [one for one in every if one.case == case]
        passed, failed = (
            counts(own, check, outcome, controls=controls)[2:] for outcome in ("passed", "failed")
        )
        table.append([*passed, *failed])
    return difference_of_shares(np.array(table))


def within_method(every: Sequence[Judged], check: str) -> Interval | None:
    """Return the rank correlation, over the images of a method, of a map's number with its truth.

    The mean over methods of each network, then over networks.
    """
    by_case = []
    for case in dict.fromkeys(one.case for one in every):
        own = [
            rank_correlation(one.of_maps[check].tolist(), one.scores.tolist())
            for one in every
            if one.case == case and not one.is_control
        ]
        by_case.append(_mean(np.array(own)) if own else float("nan"))
    return over_cases(by_case)


def earns(every: Sequence[Judged], check: str) -> str:
    """Return what the rule says of a check: verdict, information or undecided."""
    right, failed, _, _ = counts(every, check, "failed", controls=False)
    if failed < LEAST_FAILURES:
        return "undecided"
    gain = gain_of_passing(every, check, controls=False)
    return (
        "verdict"
        if gain is not None and gain.low > 0 and right / failed <= MOST_RIGHT
        else "information"
    )
