"""Layers whose feature maps class activation maps weigh, and maps of several layers made one."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

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


def weighed(
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    layer: str,
    combine: Callable[..., Any],
    *,
    backprop: cnnvis.Backprop | None = None,
    keras_vis: bool = False,
    **options: Any,
) -> Any:
    """Compute what `combine` makes of feature maps and gradients, each (n, positions ..., channels).

    Positions of a class token are left out. `combine` takes the options too, and gives a map over
    the positions (n, ...), or a tuple of a map and other tensors.
    """
    inside = _inside(model, samples, layer)
    _require_a_part(model, layer, samples.x.shape[1:])
    reduced = functools.partial(
        _on_positions, model.has_channels_first(layer), inside, combine, **options
    )
    return model.activation_gradient(
        samples.x, layer, backprop=backprop, keras_vis=keras_vis, reduced=reduced
    )


def _inside(
    model: cnnvis.Model, samples: cnnvis.Samples, layer: str
) -> tuple[tuple[int, int], ...]:
    """Return the positions of a layer without those of a class token; see `Model.inner_positions`."""
    found = model.inner_positions(layer, samples.x.shape[1:])
    if len(found) < 2:
        raise cnnvis.UserError(
            f"the layer {layer!r} has no spatial axes to show; name a layer with spatial axes "
            "with --penultimate"
        )
    return found


def _require_a_part(model: cnnvis.Model, layer: str, shape: Sequence[int]) -> None:
    """Refuse a layer whose class token alone counts, so that all other gradients are zero."""
    there = [one.name for one in model.map_layers(shape)]
    before = [one.name for one in model.before_target()]
    full = next((one for one in before if f"/{one}".endswith(f"/{layer}")), layer)
    if full in before and full not in there and model.followed_axes(layer, shape):
        instead = f"; use --penultimate {there[-1]}" if there else ""
        raise cnnvis.UserError(
            f"the target depends on {layer!r} by nothing but positions that stand for no place of the "
            f"input, such as that of a class token, so its gradients tell nothing of places{instead}"
        )


def _on_positions(
    channels_first: bool,
    inside: Sequence[tuple[int, int]],
    combine: Callable[..., Any],
    *tensors: Any,
    **options: Any,
) -> Any:
    import tensorflow as tf

    inner = [one[(slice(None), *(slice(*ends) for ends in inside))] for one in tensors]
    if channels_first:
        rank = len(inner[0].shape)
        inner = [tf.transpose(one, [0, *range(2, rank), 1]) for one in inner]
    return combine(*inner, **options)


def features_of(model: cnnvis.Model, samples: cnnvis.Samples, layer: str) -> tuple[Array, Array]:
    """Compute a layer's output, and its feature maps (n, positions ..., channels).

    Positions of a class token are left out of the feature maps.
    """
    import numpy as np

    inside = _inside(model, samples, layer)
    whole = model.activations(samples.x, layer)
    inner = whole[(slice(None), *(slice(*ends) for ends in inside))]
    return whole, np.moveaxis(inner, 1, -1) if model.has_channels_first(layer) else inner


def fused(maps: Sequence[Array], *, layer_cam: bool = False) -> Array:
    """Make one map of those of several layers, each laid over the input, the last layer's last.

    The mean of the maps, each divided by its largest size; in the way of LayerCAM, the maximum, with
    tanh(2 m) for each m of these but the last.
    """
    import numpy as np

    if len(maps) == 1:
        return maps[0]
    space = tuple(range(1, maps[0].ndim))
    sizes = [abs(one).max(axis=space, keepdims=True) for one in maps]
    scaled = [one / np.where(size > 0, size, 1) for one, size in zip(maps, sizes, strict=True)]
    found: Array
    if layer_cam:
        found = np.max([*(np.tanh(2 * one) for one in scaled[:-1]), scaled[-1]], axis=0)
    else:
        found = np.mean(scaled, axis=0)
    return found.astype(np.float32)
