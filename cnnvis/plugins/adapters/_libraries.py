"""Common functions of plugins that hand a network to another library of today's Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cnnvis

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

BATCH = 32
"""Number of images that a library is given at a time, all of which it takes at once."""


def network_of(model: cnnvis.Model, library: str, *, several_inputs: bool = False) -> Any:
    """Return a Keras 3 network with the target's outputs, averaged over positions, (n, k).

    Parameters
    ----------
    several_inputs
        True if the library takes a network of several inputs.

    Raises
    ------
    UserError
        If the network has more inputs than it may, looks whole numbers up or is a network of
        tf_keras, or as in `Model.keras_model`.
    """
    import keras

    looks_up = any(layer.kind == "Embedding" for layer in model.layers)
    if model.takes_whole_numbers or (looks_up and not several_inputs):
        raise cnnvis.UserError(
            f"{library} changes inputs and takes gradients with respect to them, and the inputs "
            "of this network are whole numbers, which an Embedding looks up"
        )
    network = model.keras_model(several_inputs=several_inputs)
    if not isinstance(network, keras.Model):
        raise cnnvis.UserError(
            f"{library} explains networks of Keras 3, and only Keras 2 can read this network"
        )
    space = len(network.output_shape) - 2
    if not space:
        return network
    averaged = getattr(keras.layers, f"GlobalAveragePooling{space}D", None)
    if averaged is None:
        raise cnnvis.UserError(f"{library} cannot explain a layer with {space} spatial axes")
    form = "channels_first" if model.has_channels_first(model.layer) else "channels_last"
    return keras.Model(network.inputs, averaged(data_format=form)(network.output))


def penultimate_of(
    network: Any,
    model: cnnvis.Model,
    asked: str | None,
    samples: cnnvis.Samples,
    used: str = "weighted",
) -> str:
    """Return the layer whose feature maps are used: the layer asked for, or the last one.

    Functions of keras.ops are no layers, and the libraries find layers alone. The libraries lay a
    layer's axes over those of the input one after the other, so the axes must be the same, in the
    same order. `used` is what is done with the feature maps, for a note.

    Raises
    ------
    UserError
        If no layer before the target has the spatial axes of the input, or the layer asked for has
        not.
    """
    names = {layer.name for layer in network.layers}
    shape, axes = samples.x.shape[1:], len(samples.space)
    space = [axis for axis, size in enumerate(samples.space, start=1) if size > 1]
    there = {
        layer.name: layer.name.replace("/", "_")
        for layer in model.before_target()
        if layer.name.replace("/", "_") in names
        and axes
        and layer.spatial_axes == axes
        and list(model.followed_axes(layer.name, shape)) == space
    }
    if asked is not None:
        if asked not in there:
            raise cnnvis.UserError(
                f"{asked!r} is no layer before {model.layer!r} with the spatial axes of the input; "
                f"there are: {', '.join(there) or 'none'}"
            )
        return there[asked]
    if not there:
        raise cnnvis.UserError(
            f"no layer before {model.layer!r} has the spatial axes of the input, so there are no "
            "feature maps to lay over it"
        )
    cnnvis.note(f"the penultimate layer is {list(there)[-1]!r}: its feature maps were {used}")
    return list(there.values())[-1]


def in_batches(
    explain: Callable[[Array, Array], Any],
    model: cnnvis.Model,
    samples: cnnvis.Samples,
    size: int = BATCH,
) -> Array:
    """Return the maps of all samples, computed a batch at a time with one progress bar.

    Parameters
    ----------
    explain
        Function of inputs (n, ...) and score weights (n, k) that returns their maps.
    model, samples
        The network, and the samples with the inputs.
    size
        The number of samples in a batch.
    """
    import numpy as np

    rows = model.target_weights(samples.x)
    maps = []
    with cnnvis.progress("explaining", len(samples)) as advance:
        for start in range(0, len(samples), size):
            part = slice(start, start + size)
            x = np.asarray(samples.x[part], np.float32)
            maps.append(np.asarray(explain(x, rows[part]), np.float32))
            advance(len(x))
    return np.concatenate(maps)


@contextmanager
def making_layers() -> Iterator[None]:
    """Let a library copy layers: Keras draws their seeds from Python's global random numbers."""
    import random

    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)
