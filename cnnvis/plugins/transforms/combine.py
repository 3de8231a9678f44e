"""Combination of two results of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cnnvis
from cnnvis.plugins.transforms._shared_place import combined


@cnnvis.transform("multiply")
def multiply(explanations: Sequence[cnnvis.Explanation]) -> cnnvis.Explanation:
    """The product of the last two results, place by place; of saliency and grad-cam, Guided Grad-CAM.

    Guided Grad-CAM: Selvaraju et al. 2017, section 3.2. A map without channels multiplies every
    channel of the other map.
    """
    first, second = _together(explanations)
    one, other = _alike(first, second)
    signed = first.is_signed or second.is_signed
    maps = _wider(first, second).with_maps(one.array * other.array, signed=signed)
    return combined(first, second, maps)


@cnnvis.transform("add")
def add(explanations: Sequence[cnnvis.Explanation]) -> cnnvis.Explanation:
    """The sum of the last two results, place by place."""
    first, second = _together(explanations)
    one, other = _alike(first, second)
    signed = first.is_signed or second.is_signed
    maps = _wider(first, second).with_maps(one.array + other.array, signed=signed)
    return combined(first, second, maps)


ALL = "all"
"""The group of all images, whose one map belongs to every other."""


def _together(
    explanations: Sequence[cnnvis.Explanation],
) -> tuple[cnnvis.Explanation, cnnvis.Explanation]:
    """Return both with matching maps at equal places: of the same image, group or target."""
    first, second = explanations
    if (first.has_several_targets or second.has_several_targets) and all(
        one.targets and one.samples is not None for one in explanations
    ):
        return _matched(first, second, _maps(first), _maps(second), "images and targets")
    for what, names in (("images", _images), ("groups", _groups), ("targets", _pictures)):
        mine, others = names(first), names(second)
        if mine is None or others is None:
            continue
        if what == "groups" and sorted(mine) == sorted(others):
            _require_same_groups(first, second)
        if what == "groups" and [ALL] in (mine, others):
            return first, second
        return _matched(first, second, mine, others, what)
    if len(first) != len(second):
        raise cnnvis.UserError(
            f"the two results hold {len(first)} and {len(second)} maps, and it is not known which "
            "maps belong together; take two results with the same number of maps"
        )
    return first, second


def _matched(
    first: cnnvis.Explanation,
    second: cnnvis.Explanation,
    mine: Sequence[Any],
    others: Sequence[Any],
    what: str,
) -> tuple[cnnvis.Explanation, cnnvis.Explanation]:
    """Return both with maps of equal names at equal places."""
    if mine == others:
        return first, second
    if sorted(mine) != sorted(others):
        raise cnnvis.UserError(
            f"the two results are of different {what}, the first of {_listed(mine)} and the "
            f"second of {_listed(others)}, so it is not known which maps belong together; "
            f"take two results of the same {what}"
        )
    order = sorted(range(len(others)), key=others.__getitem__)
    places = dict(zip(sorted(range(len(mine)), key=mine.__getitem__), order, strict=True))
    return first, second[[places[place] for place in range(len(mine))]]


def _maps(one: cnnvis.Explanation) -> list[str]:
    """Return the image and the target of each map, in words."""
    assert one.indices is not None
    return [f"{index} for {target}" for index, target in zip(one.indices, one.targets, strict=True)]


def _images(one: cnnvis.Explanation) -> list[int] | None:
    return None if one.indices is None else [int(index) for index in one.indices]


def _groups(one: cnnvis.Explanation) -> list[str] | None:
    return list(one.groups) or None


def _require_same_groups(first: cnnvis.Explanation, second: cnnvis.Explanation) -> None:
    """Refuse groups of equal names and different images: the class 0 by label and by prediction."""
    for option, what in (("by", "grouped by"), ("label", "chosen by the label")):
        mine, others = _said(first, option), _said(second, option)
        if mine != others:
            ways = [", then by ".join(map(str, one)) or "none" for one in (mine, others)]
            raise cnnvis.UserError(
                f"the images of the first result are {what} {ways[0]} and the images of the "
                f"second result {what} {ways[1]}, so groups of the same name hold different "
                "images; take two results of the same groups"
            )


def _said(one: cnnvis.Explanation, option: str) -> list[object]:
    """Return the values of an option in the transforms by which a result was made."""
    given = [each.get("options", {}).get(option) for each in one.provenance.get("transforms", ())]
    return [value for value in given if value is not None]


def _pictures(one: cnnvis.Explanation) -> list[str] | None:
    """Return the names of maps that are of no image; None for all other maps."""
    return [str(target) for target in one.targets] or None


def _listed(names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:8]))
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def _wider(first: cnnvis.Explanation, second: cnnvis.Explanation) -> cnnvis.Explanation:
    """Return the explanation with more maps, or with channels where the other has none."""
    return max(first, second, key=lambda one: (len(one), one.array.ndim))


def _alike(
    first: cnnvis.Explanation, second: cnnvis.Explanation
) -> tuple[cnnvis.Explanation, cnnvis.Explanation]:
    """Return both with matching axes: if only one has channels, the other gets a channel axis."""
    both = []
    for one, other in ((first, second), (second, first)):
        missing = [name for name in other.axes if name not in one.axes]
        if missing == ["channel"]:
            place = other.axes.index("channel")
            maps = one.array[(slice(None), *(slice(None),) * place, None)]
            one = one.with_maps(maps, axes=other.axes)
        both.append(one)
    if both[0].axes != both[1].axes or any(
        1 not in (a, b) and a != b
        for a, b in zip(both[0].array.shape[1:], both[1].array.shape[1:], strict=True)
    ):
        raise cnnvis.UserError(
            f"maps of shape {first.array.shape[1:]} ({', '.join(first.axes)}) and of shape "
            f"{second.array.shape[1:]} ({', '.join(second.axes)}) do not fit together; resize or "
            "project one result"
        )
    return both[0], both[1]
