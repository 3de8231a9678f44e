"""Layers whose feature maps class activation maps weigh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import cnnvis

Layers = Annotated[
    str,
    cnnvis.Help(
        "The layer of the feature maps. Of several layers, each map is divided by its largest size, and the "
        "mean is shown.",
        "auto for the last layer with positions along all spatial axes of the input; or several layers, by "
        "names or patterns with commas between (conv3,conv4 or conv*).",
    ),
]
"""Layer, or several, whose feature maps are weighed; see `layers_of`."""

_KERAS_VIS = {
    f"{kind}{axes}D" for axes in (1, 2, 3) for kind in ("Conv", "MaxPooling", "AveragePooling")
} | {
    *("Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
}
"""Kinds of layers whose feature maps keras-vis weighs."""


def layers_of(
    technique: str, model: cnnvis.Model, samples: cnnvis.Samples, asked: str | None
) -> list[str]:
    """Return the layers of the weighed feature maps, the last one last, and make a note of them.

    Parameters
    ----------
    asked
        Names and patterns of layers, separated by commas; auto for the last layer with positions
        along all spatial axes of the input; None for the layer that keras-vis takes.
    """
    shape = samples.x.shape[1:]
    there = [one.name for one in model.map_layers(shape)]
    if asked is None:
        names, why = _as_keras_vis(model, samples, there)
    elif asked == "auto":
        names, why = _last(model, samples, there)
    else:
        names, why = _named(model, asked, there), "as chosen"

    sizes = {
        name: " x ".join(map(str, model.positions_along(name, shape).values())) for name in names
    }
    said = " and ".join(
        f"{name!r} ({size})" if size else repr(name) for name, size in sizes.items()
    )
    finer = _finer(model, shape, names)
    hint = "" if finer is None else f"; for finer maps: --penultimate {finer}"
    cnnvis.note(f"{technique} used {said}, {why}{hint}")
    return names


def _finer(model: cnnvis.Model, shape: Sequence[int], names: Sequence[str]) -> str | None:
    """Return the last layer with more positions before some; None if there is none.

    A convolution, pooling or activation is taken before layers that only prepare values for others.
    """

    def count(name: str) -> int:
        return math.prod(model.positions_along(name, shape).values())

    most = max(map(count, names))
    every = model.map_layers(shape)
    place = next((place for place, one in enumerate(every) if one.name == names[-1]), 0)
    found = [one for one in reversed(every[:place]) if count(one.name) > most]
    for one in found:
        if one.activation or one.rectifiers or not _KERAS_VIS.isdisjoint(one.kinds):
            return one.name
    return next((one.name for one in found if "ZeroPadding" not in one.kind), None)


def _as_keras_vis(
    model: cnnvis.Model, samples: cnnvis.Samples, there: Sequence[str]
) -> tuple[list[str], str]:
    before = model.before_target()
    kept = [one for one in before[:-1] if not _KERAS_VIS.isdisjoint(one.kinds)]
    if kept and model.followed_axes(kept[-1].name, samples.x.shape[1:]):
        return [kept[-1].name], (
            "as keras-vis would: the last convolution or pooling layer before the layer right "
            f"before {model.layer!r}"
        )
    names, why = _last(model, samples, there)
    return names, f"{why}; keras-vis would find no convolution or pooling layer"


def _last(
    model: cnnvis.Model, samples: cnnvis.Samples, there: Sequence[str]
) -> tuple[list[str], str]:
    shape = samples.x.shape[1:]
    along = {
        name: sum(size > 1 for size in model.positions_along(name, shape).values())
        for name in there
    }
    most = max(along.values(), default=0)
    if not most:
        raise cnnvis.UserError(
            f"no layer before {model.layer!r} has positions along the spatial axes of the input, "
            "so no feature maps can be laid over the input; use saliency, which needs no feature "
            "maps"
        )
    found = [name for name in there if along[name] == most][-1]
    axes = "the input's spatial axes" if most == len(samples.space) else "an axis of the input"
    return [found], f"the last layer before {model.layer!r} with positions along {axes}"


def _named(model: cnnvis.Model, asked: str, there: Sequence[str]) -> list[str]:
    from difflib import get_close_matches
    from fnmatch import fnmatchcase

    every = [one.name for one in model.before_target()]
    if asked in every:  # also a name with a comma or a bracket
        return [asked]
    found: list[str] = []
    for part in filter(None, map(str.strip, asked.split(","))):
        if part in every or not set(part) & set("*?["):
            found.append(part)
            continue
        like = [n for n in there if fnmatchcase(n, part) or fnmatchcase(n.rpartition("/")[2], part)]
        if not like:
            near = ", ".join(get_close_matches(part, there, n=3, cutoff=0)) or "none"
            raise cnnvis.UserError(
                f"no layer before {model.layer!r} with positions in the input has a name like "
                f"{part!r}; layers with a name near that: {near}"
            )
        found += like
    if not found:
        raise cnnvis.UserError("--penultimate takes the name of a layer, a pattern, or auto")
    order = {name: place for place, name in enumerate(every)}
    return sorted(dict.fromkeys(found), key=lambda name: order.get(name, -1))
