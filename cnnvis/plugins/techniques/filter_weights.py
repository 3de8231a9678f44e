"""The learned weights of a layer's filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy.typing as npt


@cnnvis.technique("filter-weights", family="network and data", gives="pictures")
def filter_weights(model: cnnvis.Model) -> cnnvis.Explanation:
    """The learned kernel of every filter of a layer.

    One map for each filter: (positions..., input channels) for a convolution over 1, 2 or 3 spatial
    axes, (inputs,) for a unit of a dense layer. Without a layer, the maps are of the first
    convolution.
    """
    name = model.asked_layer or _first_convolution(model)
    layer = model.keras_layer(name)
    maps, channels = _filters(layer, name)
    numbers = model.with_target(name, model.asked_filters).filters
    chosen = range(len(maps)) if numbers is None else numbers
    if max(chosen) >= len(maps):
        raise cnnvis.UserError(
            f"the layer {name!r} has {len(maps)} kernels, numbered 0 to {len(maps) - 1}"
        )
    return cnnvis.Explanation(
        maps[list(chosen)],
        axes=cnnvis.axis_names(maps.ndim - 1, -1 if channels else None),
        targets=tuple(cnnvis.Target(name, (number,)) for number in chosen),
        signed=True,
    )


def _first_convolution(model: cnnvis.Model) -> str:
    for layer in model.layers:
        if "Conv" in layer.kind:
            return layer.name
    raise cnnvis.UserError(
        "the model has no convolution layer; name a layer with weights with --layer"
    )


def _filters(layer: Any, name: str) -> tuple[npt.NDArray[Any], bool]:
    """Return a layer's kernels, filter axis first, and whether the last axis is channels."""
    import numpy as np

    layer = getattr(layer, "layer", layer)  # of TimeDistributed and the like
    kind = type(layer).__name__
    if "Separable" in kind or "Depthwise" in kind:
        # One kernel for each input channel and multiplier: (positions..., channels, multiplier).
        kernel = np.asarray(layer.depthwise_kernel if "Separable" in kind else layer.kernel)
        return np.moveaxis(kernel.reshape(*kernel.shape[:-2], -1), -1, 0), False
    weights = getattr(layer, "kernel", None)
    if weights is None:
        raise cnnvis.UserError(f"the layer {name!r} ({kind}) has no kernel to show")
    kernel = np.asarray(weights)
    if kind == "Dense":
        return kernel.T, False
    # A transposed convolution keeps its filters on the axis before the last.
    filters = -2 if "Transpose" in kind else -1
    return np.moveaxis(kernel, filters, 0), True
