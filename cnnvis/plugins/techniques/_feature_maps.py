"""Feature maps of layers, what is made of them and their gradients, and maps of several layers made one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


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


def fused(maps: Sequence[Array]) -> Array:
    """Return the mean of the maps of several layers, each divided by its largest size."""
    import numpy as np

    found: Array = np.mean(scaled(maps), axis=0) if len(maps) > 1 else maps[0]
    return found.astype(np.float32, copy=False)


def scaled(maps: Sequence[Array]) -> list[Array]:
    """Return maps, each divided by its largest size."""
    import numpy as np

    sizes = [abs(one).max(axis=tuple(range(1, one.ndim)), keepdims=True) for one in maps]
    return [one / np.where(size > 0, size, 1) for one, size in zip(maps, sizes, strict=True)]
