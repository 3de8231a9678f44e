"""What a comparison of groups says: notes, the outcome, titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cnnvis

CUTS = {"top", "threshold"}
SCALES = {"normalize"}

RATIO, SKEWED = 1.5, 0.75
"""Ratio of spreads, and size of skewness, from which on both together are noted."""

APART = 1.25
"""Difference of the skewness of groups from which on it is noted."""


def about_maps(example: cnnvis.Explanation, by: str, targets: Mapping[Any, str]) -> None:
    """Refuse maps that compare other things than groups, and make notes on maps that were cut.

    Raises
    ------
    UserError
        If the maps explain several targets, and groups are made of classes.
    """
    if len(targets) > 1:
        some = ", ".join(list(targets.values())[:3])
        if by in ("label", "prediction"):
            raise cnnvis.UserError(
                f"the maps explain several targets ({some}), each image's own class, and the groups are made "
                "of classes: such maps differ because their targets do, and a test of them says nothing. "
                "Explain the same target in all groups: --class NAME"
            )
        cnnvis.note(
            f"the maps explain several targets ({some}): groups whose images have other classes differ for "
            "that alone. --class NAME explains the same target in all groups"
        )
    elif by == "prediction":
        cnnvis.note(
            "the groups are made of the network's answers, which the maps explain: a difference may only say "
            "that the maps follow the score. Groups by label, or by a table, do not depend on the answer"
        )
    before = [one["transform"] for one in example.provenance.get("transforms") or ()]
    for name in dict.fromkeys(before):
        if name in CUTS:
            cnnvis.note(
                f"{name} set values of the maps to 0 by these maps themselves, before they were compared: the "
                "groups differ, or not, in what was left. Compare whole maps"
            )
        if name in SCALES:
            cnnvis.note(
                f"{name} scaled the maps before they were compared: differences in their sizes are lost"
            )


def about_design(
    design: cnnvis.GroupDesign, test: cnnvis.GroupTest, correct: str, alpha: float, *, known: bool
) -> None:
    """Make notes on units, and on what numbers of units cannot show."""
    if not known:
        cnnvis.note(
            "images were taken as independent of each other. Where several are of the same subject, "
            "simulation or other unit of sampling, chance is underestimated: --blocks names the unit"
        )
    drawn = test.nulls[0].draws
    if drawn.is_exact:
        cnnvis.note(
            f"all {drawn.count} {test.nulls[0].what} there are were taken; the smallest possible p-value is "
            f"{test.least:.2g}"
        )
    count = len(test.p)
    # Yekutieli's bound is smaller by the sum of 1, 1/2, ... 1/count.
    factor = sum(1 / one for one in range(1, count + 1)) if correct == "by" else 1.0
    needed = -(-test.least * count * factor // alpha) if correct in ("bh", "by") and alpha else 1
    if test.least > alpha and correct not in ("bh", "by"):
        cnnvis.note(
            f"no difference can be found at {alpha:g}, however large it is: with so few units or "
            f"--permutations the smallest possible p-value is {test.least:.2g}"
        )
    elif needed > 1:
        cnnvis.note(
            f"of {count:,} places at least {needed:,.0f} must differ at the smallest possible p-value, "
            f"{test.least:.2g}, for any to be found: more --permutations, or fewer places (--along)"
        )


def finds_shape(design: cnnvis.GroupDesign, test: cnnvis.GroupTest, plan: cnnvis.GroupPlan) -> bool:
    """Tell whether the test may have found a difference in spread or shape, and none in the mean."""
    if design.kind != "between":  # changes of sign take values as symmetric about their mean
        return test.skewness > SKEWED
    is_unequal = float(test.spread.max()) > RATIO * float(test.spread.min())
    if plan.spread == "equal":
        return is_unequal or test.skewed_apart > APART
    return (is_unequal and test.skewness > SKEWED) or test.skewed_apart > APART


def about_shape(design: cnnvis.GroupDesign, test: cnnvis.GroupTest, plan: cnnvis.GroupPlan) -> None:
    """Make a note on why the test may have found a difference in spread or shape; see `finds_shape`."""
    advice = "Maps with signs, means along an axis (--along), and more units are less skewed"
    if design.kind != "between":
        cnnvis.note(
            "values are skewed: this is no test of the mean, since changes of sign take values as symmetric "
            f"about it, and p-values are too small. {advice}; the interval of each place holds"
        )
        return
    least, most = float(test.spread.min()), float(test.spread.max())
    names = [design.groups[int(place)] for place in (test.spread.argmax(), test.spread.argmin())]
    words = f"the maps of {names[0]} spread " + (
        f"{most / least:.1f} times as much as those of {names[1]}"
        if least
        else f"and those of {names[1]} do not"
    )
    if not most > RATIO * least:
        words = "the groups are skewed in different ways"
    elif plan.spread == "equal":
        cnnvis.note(
            f"{words}, and --spread equal finds such a difference, too: a place that is found need not differ "
            "in its mean"
        )
        return
    else:
        words += ", and values are skewed"
    cnnvis.note(
        f"{words}: this is no test of the means, since p-values are too small for that. What is found "
        f"differs in the mean, the spread or the shape. {advice}"
    )


def outcome(
    design: cnnvis.GroupDesign,
    test: cnnvis.GroupTest,
    regions: Sequence[cnnvis.GroupRegion],
    correct: str,
    alpha: float,
    example: cnnvis.Explanation,
    or_shape: bool,
) -> str:
    """Return what may be said of the comparison, in a sentence or two.

    Parameters
    ----------
    or_shape
        True where what was found may be a difference in spread or shape alone; see `finds_shape`.
    """
    who, how = _who(design), ""
    if or_shape:
        who, how = (
            who.replace("the mean map", "the map", 1),
            ", in the mean, the spread or the shape,",
        )
    found = [one for one in regions if one.p <= alpha]
    smallest = f"smallest p {float(test.p.min()):.3g}, {design.sizes}"
    if not found:
        interval = "" if test.low is None else "; its interval says how large it may be"
        return (
            f"no difference {'of' if design.kind == 'zero' else 'between'} {who} was found at {alpha:g} "
            f"({smallest}, {len(test.p):,} places). This does not show that there is none{interval}"
        )
    if correct in ("cluster", "tfce"):
        largest = max(found, key=lambda one: one.places)
        return (
            f"{_differ(design, who)}{how} somewhere ({smallest}). The largest {'cluster' if correct == 'cluster' else 'region'} "
            f"lies {_extent(largest, example)}, {largest.places:,} places{_sign(largest, design)}; where the "
            "difference begins and ends was not tested"
        )
    count = int((test.p <= alpha).sum())
    rate = f", of which a share of {alpha:g} may be false" if correct in ("bh", "by") else ""
    return (
        f"{_differ(design, who)}{how} at {count:,} of {len(test.p):,} places{rate} ({smallest}). The strongest is "
        f"{_place(found[0], example)}{_sign(found[0], design)}"
    )


def _differ(design: cnnvis.GroupDesign, who: str) -> str:
    if design.kind == "zero":
        return f"{who.removesuffix(' from zero')} differs from zero"
    return f"{who} differ"


def _who(design: cnnvis.GroupDesign) -> str:
    names = [cnnvis.printable(one) for one in design.groups]
    if design.kind == "zero":
        return f"the mean map of {names[0]} from zero"
    if len(names) > 4:
        return f"the mean maps of {len(names)} groups"
    return f"the mean maps of {', '.join(names[:-1])} and {names[-1]}"


def _sign(one: cnnvis.GroupRegion, design: cnnvis.GroupDesign) -> str:
    if len(design.groups) > 2:
        return ""
    if len(design.groups) == 1:
        return f", where the mean is {'above' if one.sign > 0 else 'below'} zero"
    return f", larger in {cnnvis.printable(design.groups[-1 if one.sign > 0 else 0])}"


def _at(example: cnnvis.Explanation, name: str, position: int) -> str:
    places, axis = example.places, example.coordinates.get(name)
    if places is not None and places.axis == name and places.at(0, position):
        return f"{name} {position} ({places.at(0, position)})"
    if axis is None:
        return f"{name} {position}"
    unit = f" {axis.unit}" if axis.unit else ""
    return f"{name} {position} ({axis.at(position)}{unit})"


def _place(one: cnnvis.GroupRegion, example: cnnvis.Explanation) -> str:
    return "at " + ", ".join(
        _at(example, name, place) for name, place in zip(example.axes, one.peak, strict=True)
    )


def _extent(one: cnnvis.GroupRegion, example: cnnvis.Explanation) -> str:
    return "from " + ", ".join(
        f"{_at(example, name, start)} to {_at(example, name, stop - 1)}"
        for name, start, stop in zip(example.axes, one.start, one.stop, strict=True)
    )


def titles(
    parts: Sequence[str],
    design: cnnvis.GroupDesign,
    correct: str,
    alpha: float,
    level: float | None,
    or_shape: bool,
) -> tuple[str, ...]:
    """Return the title of each map, with the numbers of units and images.

    Parameters
    ----------
    or_shape
        True where what was found may be a difference in spread or shape alone; see `finds_shape`.
    """
    names = design.groups
    if len(names) == 2:
        difference, statistic, effect = f"{names[-1]} - {names[0]}", "Welch's t", "Hedges' g"
        statistic = "t of differences" if design.kind == "within" else statistic
    elif len(names) == 1:
        difference, statistic, effect = f"mean of {names[0]}", "t against zero", "Hedges' g"
    else:
        difference, statistic, effect = "Welch's F", "Welch's F", "omega squared"
    some = {
        "cluster": f"in clusters with p <= {alpha:g}",
        "bh": f"where the false discovery rate is {alpha:g}",
        "by": f"where the false discovery rate is {alpha:g}",
    }.get(correct, f"where p <= {alpha:g} over all places")
    some += ", in the mean, the spread or the shape" if or_shape else ""
    interval = "" if level is None else f"{100 * level:g} % interval at each place by itself"
    words = {
        "difference": difference,
        "differs": f"{difference} {some}",
        "low": f"{difference}, low end of the {interval}",
        "high": f"{difference}, high end of the {interval}",
        "statistic": statistic,
        "effect": effect,
        "p": f"p, {'false discovery rate' if correct in ('bh', 'by') else 'corrected for all places'}",
    }
    return tuple(f"{words[one]}\n{design.sizes}" for one in parts)
