"""How often compare-groups finds differences that are not there, and those that are.

    python -m benchmarks.error_rates [SETS]

writes benchmarks/error-rates.md, from simulated sets of maps without a difference in their means, 1,000 of each
kind, and with planted differences.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage, stats

import cnnvis

SHAPE = (12, 12)
DRAWS = 199
ALPHA = 0.05
PLANTED = (slice(3, 8), slice(4, 9))

Maps = tuple[Any, list[str], list[Any]]
"""Maps, the group of each, and its unit."""


def noise(rng: np.random.Generator, count: int) -> Any:
    """Return smooth normal maps of unit variance."""
    found = ndimage.gaussian_filter(rng.normal(size=(count, *SHAPE)), (0, 1, 1), mode="wrap")
    return found / 0.2821  # the standard deviation that such a filter leaves


def skewed(rng: np.random.Generator, count: int) -> Any:
    """Return squares of smooth normal maps, whose mean is 0 and variance 1: of skewness 2.8."""
    return (np.square(noise(rng, count)) - 1) / 2**0.5


def two(
    counts: tuple[int, int],
    spreads: tuple[float, float] = (1, 1),
    kind: Callable[..., Any] = noise,
    effect: float = 0,
) -> Callable[[np.random.Generator], Maps]:
    """Return a function that draws two groups of independent maps."""
    return partial(_two, counts, spreads, kind, effect)


def _two(
    counts: tuple[int, int],
    spreads: tuple[float, float],
    kind: Callable[..., Any],
    effect: float,
    rng: np.random.Generator,
) -> Maps:
    maps = [spread * kind(rng, count) for count, spread in zip(counts, spreads, strict=True)]
    maps[1][:, *PLANTED] += effect
    groups = [name for name, count in zip("ab", counts, strict=True) for _ in range(count)]
    return np.concatenate(maps), groups, [*range(sum(counts))]


def subjects(rng: np.random.Generator, *, within: bool, known: bool = True) -> Maps:
    """Draw 20 subjects of 6 images, half of whose variance is the subject's."""
    own = np.repeat(noise(rng, 20), 6, axis=0)
    if within:  # what a condition does differs from subject to subject
        own = own + np.repeat(noise(rng, 40), 3, axis=0)
    groups = (["a"] * 3 + ["b"] * 3) * 20 if within else ["a"] * 60 + ["b"] * 60
    units = [*np.repeat(range(20), 6)] if known else [*range(120)]
    return own + noise(rng, 120), groups, units


def single(rng: np.random.Generator) -> Maps:
    """Draw one group, to be compared with zero."""
    return noise(rng, 15), ["a"] * 15, [*range(15)]


@dataclass(frozen=True)
class Case:
    """Kind of sets of maps, and the way in which they are compared."""

    words: str
    drawn: Callable[[np.random.Generator], Maps]
    options: dict[str, Any] = field(default_factory=dict)
    is_said: bool = False  # that the test does not hold here is a note of compare-groups
    share: float = 1.0  # of the sets, where a test takes long


NULLS = [
    *(
        Case(f"20 maps and 20, {correct}", two((20, 20)), {"correct": correct})
        for correct in ("max", "step-down", "cluster", "bh")
    ),
    Case("20 maps and 20, tfce", two((20, 20)), {"correct": "tfce"}, share=0.2),
    Case("20 maps and 20, permutations alone", two((20, 20)), {"spread": "equal"}),
    Case("10 maps and 50", two((10, 50))),
    Case("10 maps of three times the spread, and 50", two((10, 50), (3, 1))),
    Case(
        "10 maps of three times the spread, and 50, cluster",
        two((10, 50), (3, 1)),
        {"correct": "cluster", "threshold": 0.01},
    ),
    Case("10 maps, and 50 of three times the spread", two((10, 50), (1, 3))),
    Case("5 maps of three times the spread, and 5", two((5, 5), (3, 1))),
    Case("20 maps of three times the spread, and 20", two((20, 20), (3, 1))),
    Case(
        "10 maps of three times the spread, and 50, permutations alone",
        two((10, 50), (3, 1)),
        {"spread": "equal"},
        is_said=True,
    ),
    Case("skewed: 10 maps and 50", two((10, 50), kind=skewed)),
    Case(
        "skewed: 10 maps and 50, permutations alone",
        two((10, 50), kind=skewed),
        {"spread": "equal"},
    ),
    Case(
        "skewed: 10 maps of three times the spread, and 50",
        two((10, 50), (3, 1), skewed),
        is_said=True,
    ),
    Case("20 subjects of 6 images, known to be so", partial(subjects, within=False)),
    Case(
        "20 subjects of 6 images, taken as 120 independent ones",
        partial(subjects, within=False, known=False),
        is_said=True,
    ),
    Case("20 subjects, each with 3 images of both groups", partial(subjects, within=True)),
    Case("15 maps against zero", single),
]

POWER = [
    Case(
        f"{words}, {correct}",
        two(counts, effect=1.0),
        {"correct": correct, **options},
        share=0.05 if correct == "tfce" else 0.2,
    )
    for counts, words in (((20, 20), "20 maps and 20"), ((10, 50), "10 maps and 50"))
    for correct, options in (
        ("max", {}),
        ("max", {"spread": "equal"}),
        ("step-down", {}),
        ("cluster", {"threshold": 0.01}),
        ("tfce", {}),
        ("bh", {}),
    )
]


def compared(case: Case, number: int) -> Any:
    """Return the corrected p-values of a set of maps."""
    maps, groups, units = case.drawn(np.random.default_rng([number, 7]))
    plan = cnnvis.GroupPlan(draws=DRAWS, level=None, seed=number, **case.options)
    with cnnvis.GroupComparison(plan, SHAPE) as comparison:
        comparison.add(maps, groups, units)
        names = {name: name for name in sorted(set(groups))}
        return comparison.test(comparison.design(names)).p.reshape(SHAPE)


def row_of_null(case: Case, sets: int) -> str:
    """Return a line of the table of error rates."""
    sets = max(round(case.share * sets), 1)
    wrong = sum(bool((compared(case, number) <= ALPHA).any()) for number in range(sets))
    interval = stats.binomtest(wrong, sets).proportion_ci(method="wilson")
    held = "yes" if interval.low <= ALPHA else "no, and a note says so" if case.is_said else "NO"
    return (
        f"| {case.words} | {sets:,} | {wrong / sets:.3f} | {interval.low:.3f} to {interval.high:.3f} | "
        f"{held} |"
    )


def row_of_power(case: Case, sets: int) -> str:
    """Return a line of the table of power."""
    inside = np.zeros(SHAPE, bool)
    inside[PLANTED] = True
    sets = max(round(case.share * sets), 1)
    found, true, false = 0, [], []
    for number in range(sets):
        places = compared(case, number) <= ALPHA
        found += bool(places.any())
        true.append(places[inside].mean())
        false.append((places & ~inside).sum() / max(places.sum(), 1))
    alone = ", permutations alone" if case.options.get("spread") == "equal" else ""
    return f"| {case.words}{alone} | {sets:,} | {found / sets:.2f} | {np.mean(true):.2f} | {np.mean(false):.3f} |"


def main(sets: int) -> None:
    """Write the page."""
    begin = time.monotonic()
    with ProcessPoolExecutor(2) as pool:
        nulls = pool.map(row_of_null, NULLS, [sets] * len(NULLS))
        powers = pool.map(row_of_power, POWER, [sets] * len(POWER))
        rows = [[], []]
        for found, table in zip(rows, (nulls, powers), strict=True):
            for row in table:
                print(row, flush=True)
                found.append(row)
    minutes = (time.monotonic() - begin) / 60
    Path(__file__).with_name("error-rates.md").write_text(
        PAGE.format(
            draws=DRAWS, nulls="\n".join(rows[0]), powers="\n".join(rows[1]), minutes=minutes,
            rows=SHAPE[0], columns=SHAPE[1],
        )
    )  # fmt: skip


PAGE = """# Error rates of compare-groups

Written by `python -m benchmarks.error_rates` in {minutes:.0f} minutes. Maps are smooth noise over {rows} x {columns}
places, and p-values are of {draws} permutations.

## Sets without a difference

The share of sets in which a difference was found at 0.05 anywhere, with its 95 % interval (Wilson). The means of
all groups are equal. *Held* is yes where the interval reaches down to 0.05. With so few permutations `bh` finds
nothing but differences at many places.

| groups | sets | found | interval | held |
|---|---|---|---|---|
{nulls}

## Planted differences

5 x 5 places differ by one standard deviation: how often anything was found, the share of the planted places that was found, and the share of other places among all that were found.

| groups | sets | anything | planted places | other places |
|---|---|---|---|---|
{powers}
"""

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
